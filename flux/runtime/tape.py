"""The tape of a request: what it was told of clock and chance, in order, so that a replay can be told the same.

Entries are `[kind, value]` and are stored as they come in the request's attributes. In a replay they are given back by
kind and order. When a kind runs out, time goes on from its last value by real elapsed time, and chance comes from a
generator seeded by the recorded request's id, so that two replays of one request are still told the same.

Machinery that runs other languages keeps tapes of its own, one an invocation, each in a `Slot`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from time import monotonic_ns
from typing import Any
from uuid import UUID

from flux.record import Record, real_time_ns

#: Entries kept of one request; a loop that waits for a time to come must not fill the memory of a worker.
MOST_ENTRIES = 2_000

#: Longer values are not kept: who wants a kilobyte of chance is not going to compare it.
MOST_BYTES = 256


@dataclass(slots=True)
class Slot:
    """A place on the tape for what another machine was told: `recorded` is what it held then, None where it is new."""

    recorded: Any
    _entry: dict[str, Any]

    def keep(self, value: Any) -> None:
        """Note what it was told; a JSON value."""
        self._entry["tape"] = value


class RecordedTape:
    """What the tape of a recorded request holds. `ran_out` counts by kind what was asked for beyond it."""

    def __init__(
        self, entries: Iterable[Any], request_id: UUID | str, started_ns: int, guests: Iterable[Any] = ()
    ) -> None:
        self.ran_out: dict[str, int] = {}
        self._request_id = str(request_id)
        self._started_ns = started_ns
        self._guests = [entry for entry in guests if isinstance(entry, dict)]
        self._entries: dict[str, list[Any]] = {}
        for entry in entries:
            if isinstance(entry, list) and len(entry) == 2:
                self._entries.setdefault(str(entry[0]), []).append(entry[1])
        self.rewind()

    def rewind(self) -> None:
        """Begin again, for another attempt."""
        self.ran_out.clear()
        self._guests_left = list(self._guests)
        self._at: dict[str, int] = {}
        self._chance: dict[str, Random] = {}
        self._last_ns, self._last_read = self._started_ns, monotonic_ns()

    def time_ns(self, kind: str) -> int:
        """The next recorded time, in nanoseconds since the epoch; beyond the last one it goes on as clocks do."""
        recorded = _nanoseconds(self._next(kind))
        read = monotonic_ns()
        if recorded is None:
            return self._last_ns + read - self._last_read
        self._last_ns, self._last_read = recorded, read
        return recorded

    def text(self, kind: str) -> str | None:
        """The next recorded text of this kind, None when there is none."""
        value = self._next(kind)
        return value if isinstance(value, str) else None

    def guest(self, kind: str, function: str) -> Any:
        """What the next invocation of this function by this machine was told; None where it is not recorded."""
        for entry in self._guests_left:
            if entry.get("kind") == kind and entry.get("function") == function:
                self._guests_left.remove(entry)
                return entry.get("tape")
        return None

    def chance(self, kind: str) -> Random:
        """What stands in for chance that was not recorded."""
        if kind not in self._chance:
            self._chance[kind] = Random(f"{self._request_id} {kind}")  # noqa: S311  # to be the same each time
        return self._chance[kind]

    def beyond(self) -> list[str]:
        """What was asked for beyond the recording, in words."""
        return [
            f"{kind} was asked for {count} more time{'s' if count > 1 else ''} than recorded"
            for kind, count in self.ran_out.items()
        ]

    def _next(self, kind: str) -> Any:
        entries, at = self._entries.get(kind, ()), self._at.get(kind, 0)
        self._at[kind] = at + 1
        if at < len(entries) and entries[at] is not None:
            return entries[at]
        self.ran_out[kind] = self.ran_out.get(kind, 0) + 1
        return None


class Tape:
    """The tape of the request under way: it is told what is real, or, in a replay, what `recorded` holds."""

    __slots__ = ("_entries", "_random", "_record", "recorded")

    def __init__(self, record: Record, recorded: RecordedTape | None = None) -> None:
        self.recorded = recorded
        self._record = record
        self._entries: list[list[Any]] | None = None
        self._random: Random | None = None

    def restart(self) -> None:
        """Forget what an attempt was told that is made again from its start."""
        self._entries, self._random = None, None
        for name in ("tape", "tape_omitted", "guests"):
            self._record.attributes.pop(name, None)
        if self.recorded is not None:
            self.recorded.rewind()

    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""
        moment = real_time_ns() if self.recorded is None else self.recorded.time_ns("time")
        self._note("time", moment)
        return moment

    def now(self) -> datetime:
        """The time in UTC, as ctx.now tells it."""
        ns = real_time_ns() if self.recorded is None else self.recorded.time_ns("now")
        moment = datetime.fromtimestamp(ns // 1_000 / 1_000_000, UTC)
        self._note("now", moment.isoformat())
        return moment

    def uuid(self, kind: str, make: Callable[[], UUID]) -> UUID:
        """What `make` gives; where it was not recorded, a random UUID (version 4)."""
        if self.recorded is None:
            made = make()
        else:
            text = self.recorded.text(kind)
            made = UUID(text) if text else UUID(bytes=self.recorded.chance(kind).randbytes(16), version=4)
        self._note(kind, str(made))
        return made

    def random_bytes(self, kind: str, size: int, make: Callable[[int], bytes]) -> bytes:
        """`size` bytes of chance, which `make` gives."""
        if self.recorded is None:
            made = make(size)
        else:
            made = bytes.fromhex(self.recorded.text(kind) or "")
            if len(made) != size:
                made = self.recorded.chance(kind).randbytes(size)
        self._note(kind, made.hex() if size <= MOST_BYTES else None)
        return made

    def seed(self, kind: str, make: Callable[[int], bytes]) -> str:
        """The seed of a generator, in hex."""
        return self.random_bytes(kind, 16, make).hex()

    def random(self, make: Callable[[int], bytes]) -> Random:
        """The request's own generator, for what the functions of module random give."""
        if self._random is None:
            self._random = Random(self.seed("random", make))  # noqa: S311  # recorded on purpose
        return self._random

    def slot(self, kind: str, function: str) -> Slot:
        """The place of an invocation that begins now, of this function by this machine."""
        entry: dict[str, Any] = {"kind": kind, "function": function}
        self._record.attributes.setdefault("guests", []).append(entry)
        return Slot(None if self.recorded is None else self.recorded.guest(kind, function), entry)

    def _note(self, kind: str, value: object) -> None:
        attributes = self._record.attributes
        if self._entries is None:
            self._entries = attributes["tape"] = []
        if len(self._entries) < MOST_ENTRIES:
            self._entries.append([kind, value])
        else:
            attributes["tape_omitted"] = attributes.get("tape_omitted", 0) + 1


def _nanoseconds(value: Any) -> int | None:
    """A recorded time: nanoseconds, or the ISO text that ctx.now keeps."""
    if isinstance(value, int):
        return value
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    return (int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond) * 1_000

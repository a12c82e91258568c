"""What differs between any two runs of the same code: generated keys, chance, and times of the run itself.

A value of A and one of B are excused when the database or chance made them both, the one where the other run made the
other; then wherever both turn up again at the same place, also inside other text. Times are excused when they are of
each run's own time, or as far away from it: an expiry of an hour from now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flux.replay.recorded import RecordedRequest
from flux.runtime.sameness import normal

#: How far a time may be off its run, in seconds: clocks of server and database differ, and a commit takes a moment.
TOLERANCE = 1.0

#: Shorter generated text is not looked for inside other text: it is found there by accident.
SHORTEST_INSIDE = 6

#: Generated values looked for inside other text; with more of them only whole words are compared.
MOST_INSIDE = 500

#: What a number must be to be a time, in seconds since the epoch: from 2001 to 2100.
_EPOCH = (1_000_000_000, 4_102_444_800)
_SCALES = (1, 1_000, 1_000_000, 1_000_000_000)

_TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? ?(?:Z|[+-]\d\d(?::?\d\d)?)?"
_DATE = r"\d{4}-\d\d-\d\d"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_IS_TIME = re.compile(_TIME)
_IS_DATE = re.compile(_DATE)
_WORDS = re.compile(f"{_UUID}|{_TIME}|{_DATE}|[^\\W\\d_]+|\\d+(?:\\.\\d+)?|\\s+|.", re.DOTALL)

Span = tuple[datetime, datetime]


class Variation:
    """What is excused between two requests; it learns as the comparison goes on."""

    def __init__(self, a: RecordedRequest, b: RecordedRequest) -> None:
        self._times_a = _own_times(a, b)
        self._times_b = _own_times(b, a)
        self._there: dict[tuple[str, str], str] = {}
        self._back: set[tuple[str, str]] = set()
        self._pairs: set[tuple[str, str]] = set()
        self._orders: set[tuple[int, ...]] = set()
        for kind, one, other in _chance(a, b):
            self.learn(f"chance {kind}", one, other)

    def learn(self, made_by: str, a: Any, b: Any) -> None:
        """Note that A's generated value is the counterpart of B's, unless one of them has a counterpart already."""
        one, other = text_of(a), text_of(b)
        if one is None or other is None or (made_by, one) in self._there or (made_by, other) in self._back:
            return
        self._there[made_by, one] = other
        self._back.add((made_by, other))
        if one != other:
            self._pairs.add((one, other))

    def learn_order(self, order: Sequence[int]) -> None:
        """Note in which order B had the rows of a query that asks for none: the places of A's rows in it."""
        self._orders.add(tuple(order))

    @property
    def orders(self) -> frozenset[tuple[int, ...]]:
        """The orders that were learned."""
        return frozenset(self._orders)

    def counterpart(self, made_by: str, a: Any) -> Any:
        """What B made where A made this; the value itself where that is not known."""
        text = text_of(a)
        return self._there.get((made_by, text), a) if text is not None else a

    def excuses(self, a: Any, b: Any) -> bool:
        """Whether two different values differ only as any two runs do."""
        if isinstance(a, bool) or isinstance(b, bool) or not _of_one_type(a, b):
            return False
        if isinstance(a, str):
            return self._excuses_text(a, b)
        if not isinstance(a, int | float):
            return bool(normal(a) == normal(b))  # objects by their repr, with their place in memory
        return (str(a), str(b)) in self._pairs or self._excuses_moment(_of_number(a), _of_number(b))

    def _excuses_text(self, a: str, b: str) -> bool:
        if self._excuses_word(a, b):
            return True
        if len(self._pairs) <= MOST_INSIDE:
            for one, other in self._pairs:
                if len(one) >= SHORTEST_INSIDE and one in a and other in b:
                    a = a.replace(one, other)
        ours, theirs = _WORDS.findall(a), _WORDS.findall(b)
        return len(ours) == len(theirs) and all(
            one == other or self._excuses_word(one, other) for one, other in zip(ours, theirs, strict=True)
        )

    def _excuses_word(self, a: str, b: str) -> bool:
        if (a, b) in self._pairs:
            return True
        if _IS_TIME.fullmatch(a) and _IS_TIME.fullmatch(b):
            return self._excuses_moment(_of_text(a), _of_text(b))
        if _IS_DATE.fullmatch(a) and _IS_DATE.fullmatch(b):
            return _is_own_date(a, self._times_a) and _is_own_date(b, self._times_b)
        return a.isdigit() and b.isdigit() and self._excuses_moment(_of_number(int(a)), _of_number(int(b)))

    def _excuses_moment(self, a: datetime | None, b: datetime | None) -> bool:
        if a is None or b is None:
            return False
        if any(map(_inside(a), self._times_a)) and any(map(_inside(b), self._times_b)):
            return True
        away = {(a - began).total_seconds() for began, _ in self._times_a}
        return any(abs(one - (b - began).total_seconds()) <= TOLERANCE for one in away for began, _ in self._times_b)


def text_of(value: Any) -> str | None:
    """A scalar as text, by which generated values are known; None for no value, true, false, and what is no scalar."""
    return None if isinstance(value, bool) or not isinstance(value, str | int | float) else str(value)


def _of_one_type(a: Any, b: Any) -> bool:
    return (
        all(isinstance(value, str) for value in (a, b))
        or all(isinstance(value, Mapping) and set(value) == {"$repr"} for value in (a, b))
        or all(isinstance(value, int | float) for value in (a, b))
    )


def _own_times(of: RecordedRequest, other: RecordedRequest) -> list[Span]:
    """From when to when a run went; a replay is also told the times of what it replays."""
    times = [(of.began, of.ended)]
    if of.replay_of is not None and of.replay_of == other.request_id:
        times.append((other.began, other.ended))
    return times


def _chance(a: RecordedRequest, b: RecordedRequest) -> Iterator[tuple[str, Any, Any]]:
    """What chance gave both runs, by kind and order."""
    ours, theirs = _tape(a), _tape(b)
    for kind in ours.keys() & theirs.keys() - {"now", "time"}:
        for one, other in zip(ours[kind], theirs[kind], strict=False):
            if one != other:
                yield kind, one, other


def _tape(recorded: RecordedRequest) -> dict[str, list[Any]]:
    kinds: dict[str, list[Any]] = {}
    for entry in (recorded.request.get("attributes") or {}).get("tape", ()):
        if isinstance(entry, list) and len(entry) == 2:
            kinds.setdefault(str(entry[0]), []).append(entry[1])
    return kinds


def _of_text(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_number(number: float) -> datetime | None:
    for scale in _SCALES:
        if _EPOCH[0] <= number / scale < _EPOCH[1]:
            return datetime.fromtimestamp(number / scale, UTC)
    return None


def _is_own_date(text: str, times: Sequence[Span]) -> bool:
    return text in {f"{moment.astimezone(UTC):%Y-%m-%d}" for span in times for moment in span}


def _inside(moment: datetime) -> Any:
    return lambda span: (
        -TOLERANCE <= (moment - span[0]).total_seconds() <= (span[1] - span[0]).total_seconds() + TOLERANCE
    )

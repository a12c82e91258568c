"""Replaying on the connected database itself, on the data as it is now: no sandbox, and what is written stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from flux.context import new_request_id
from flux.engine.questions import asking
from flux.engine.sandbox import generated_columns
from flux.replay.compare import compare
from flux.replay.fidelity import doubts, obstacle
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Order, Runner
from flux.replay.verdicts import Replayed

_NOW = "it ran on the data as it is now, with generated keys of its own"


class InPlace:
    """The connected database as the place of replays. The records and writes of replays are those of any request."""

    def __init__(self, url: str, stubs: Mapping[str, Any], *, redacted: bool = False) -> None:
        self.url = url
        self.choice = "in place: what is written stays"
        self._stubs = stubs
        self._redacted = redacted

    def __enter__(self) -> Self:
        self._generated = generated_columns(self.url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is taken away."""

    def replay(
        self, recorded: RecordedRequest, runner: Runner, *, as_of: bool = False, more_doubts: Sequence[str] = ()
    ) -> Replayed:
        """Run a request again; what cannot be run again comes back as skipped."""
        del as_of  # there is only now
        blocked = obstacle(recorded, redacted=self._redacted)
        if blocked is not None:
            return Replayed(recorded, obstacle=blocked)
        ran = runner.run(Order(recorded, new_request_id(), stubs=self._stubs, generated=self._generated, in_place=True))
        with asking(self.url) as questions:
            replay = RecordedRequest.of(questions, ran.request_id)
        return Replayed(
            recorded,
            replay,
            compare(recorded, replay, self._generated),
            ran,
            doubts=(_NOW, *doubts(recorded), *more_doubts, *ran.inexact),
        )

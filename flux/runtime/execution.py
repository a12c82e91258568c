"""The execution under way on this thread, so that tools, logs and outbound calls find their record by themselves."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from flux.record import Record
from flux.runtime.recalled import Recalled
from flux.runtime.tape import Tape


@dataclass(slots=True)
class Execution:
    """One run of a function.

    `timeout` is in seconds, `deadline` a time.monotonic() moment; `tool_calls` counts calls that left the system.
    While `stops_itself`, what runs looks at the deadline by itself, and the watchdog raises nothing in its thread.
    `recalled` is what a replay gives back, None where the outside is asked; `tape` is what clock and chance said.
    """

    record: Record
    timeout: float
    deadline: float
    tool_calls: int = 0
    stops_itself: bool = False
    recalled: Recalled | None = None
    tape: Tape = field(init=False)

    def __post_init__(self) -> None:
        self.tape = Tape(self.record, self.recalled.tape if self.recalled else None)

    def remaining(self) -> float:
        """Seconds until the function's timeout; never negative."""
        return max(0.0, self.deadline - time.monotonic())


_current: ContextVar[Execution | None] = ContextVar("flux_execution", default=None)

set_current = _current.set
reset_current = _current.reset
current_execution = _current.get

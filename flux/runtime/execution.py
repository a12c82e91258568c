"""The execution under way on this thread, so that tools, logs and outbound calls find their record by themselves."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass

from flux.record import Record


@dataclass(slots=True)
class Execution:
    """One run of a function.

    `timeout` is in seconds, `deadline` a time.monotonic() moment; `tool_calls` counts calls that left the system.
    """

    record: Record
    timeout: float
    deadline: float
    tool_calls: int = 0

    def remaining(self) -> float:
        """Seconds until the function's timeout; never negative."""
        return max(0.0, self.deadline - time.monotonic())


_current: ContextVar[Execution | None] = ContextVar("flux_execution", default=None)

set_current = _current.set
reset_current = _current.reset
current_execution = _current.get

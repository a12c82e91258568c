"""One invocation of a guest, whichever way its instance is driven: who answers it, its time, and how it ended."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from flux.runtime.deadline import Interrupted
from flux.runtime.guests.wasm.engine import EPOCH
from flux.runtime.guests.wasm.traps import Ended, Exit, OutOfTime
from flux.runtime.guests.wasm.wasi import System

#: Guests that run inside each other on one thread; each takes its share of the thread's stack.
MOST_NESTED = 8

#: Python frames that the host may need below a guest: an error in a callback's first step could not be caught.
_FRAMES = 150

#: Part of the memory limit above which a guest that stopped itself is taken to have run out of memory.
_FULL = 0.75


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one invocation: `memory` and `output` in bytes, `compute` in seconds without the host's time."""

    memory: int = 64 * 1024**2
    output: int = 16 * 1024**2
    compute: float | None = None


class Run:
    """An invocation under way. `dispatch` answers a request of the guest's until `deadline`, of time.monotonic().

    `error` is what ended it from our side.
    """

    __slots__ = (
        "_by_deadline",
        "_computed",
        "_entered",
        "answering",
        "deadline",
        "dispatch",
        "error",
        "limits",
        "system",
    )

    def __init__(
        self,
        dispatch: Callable[[bytes], bytes],
        system: System,
        limits: Limits,
        deadline: float,
    ) -> None:
        self.dispatch, self.system, self.limits, self.deadline = dispatch, system, limits, deadline
        self.error: BaseException | None = None
        self.answering = False
        self._by_deadline = True
        self._computed = 0.0
        self._entered = time.monotonic()

    def epochs(self) -> int:
        """Wasm is entered: after how many epochs it is to be stopped."""
        self._entered = now = time.monotonic()
        left, compute = self.deadline - now, self.limits.compute
        self._by_deadline = compute is None or left <= compute - self._computed
        if compute is not None and not self._by_deadline:
            left = compute - self._computed
        return max(1, int(left / EPOCH) + 2)

    def answer(self, request: bytes) -> bytes:
        """What the host says to a request; raises what ends the invocation."""
        self._computed += time.monotonic() - self._entered
        if len(request) > self.limits.output:
            raise self.too_much("a request to the host", len(request))
        self.answering = True
        try:
            return self.dispatch(request)
        finally:
            self.answering = False
            self.system.host_was_called()

    def waited(self, seconds: float) -> None:
        """So much of the time since `epochs` was not the guest's own."""
        self._computed += time.monotonic() - self._entered - seconds

    def too_much(self, what: str, size: int) -> Ended:
        """The error for more output than it may have."""
        return Ended("OutputLimit", f"{what} has {size} bytes, and may have {self.limits.output}")

    def ended(self, error: BaseException, memory_size: int) -> BaseException:
        """Why it really ended, when wasm ended with this error."""
        if self.error is not None:
            error = self.error
        if isinstance(error, OutOfTime):
            if self._by_deadline:
                return Interrupted()
            return Ended(
                "ComputeLimit", f"it computed for longer than the {self.limits.compute:g} s it may", error.stack
            )
        if isinstance(error, Exit):
            error = Ended("Exit", _told(str(error), self.system.tail))
        if isinstance(error, Ended) and error.type in ("Unreachable", "Exit"):
            mebibytes = 1024**2
            if memory_size >= self.limits.memory * _FULL or b"out of memory" in self.system.tail.lower():
                used, most = memory_size / mebibytes, self.limits.memory / mebibytes
                return Ended(
                    "MemoryLimit", f"{error.message}, with {used:.3g} of {most:.3g} MiB of memory in use", error.stack
                )
            if error.type == "Unreachable":
                return Ended(error.type, _told(error.message, self.system.tail), error.stack)
        return error


class _Threads(threading.local):
    """The runs of this thread, innermost last, and what Ctrl-C did before the first of them."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.on_interrupt: Any = None


_threads = _Threads()


def enter(run: Run) -> None:
    """A run begins on this thread; raises Ended when it lies too deep."""
    runs = _threads.runs
    if len(runs) >= MOST_NESTED:
        raise Ended("TooDeep", f"{MOST_NESTED} WebAssembly functions already wait for each other in this request")
    _leave_frames()
    if not runs and threading.current_thread() is threading.main_thread():
        _threads.on_interrupt = signal.signal(signal.SIGINT, _interrupted)
    runs.append(run)


def leave(run: Run) -> None:
    """A run has ended on this thread; the one around it, if any, goes on. Raises KeyboardInterrupt if it was held."""
    runs = _threads.runs
    runs.remove(run)
    if not runs and _threads.on_interrupt is not None:
        signal.signal(signal.SIGINT, _threads.on_interrupt)
        _threads.on_interrupt = None
    if isinstance(run.error, KeyboardInterrupt):
        raise run.error


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Ctrl-C: what Python did about it, but for the moments in which a guest calls back and nothing may be raised."""
    run = _threads.runs[-1] if _threads.runs else None
    if run is not None and not run.answering:
        run.error = KeyboardInterrupt()
    elif callable(_threads.on_interrupt):
        _threads.on_interrupt(number, frame)


def _leave_frames() -> None:
    """Raise RecursionError now, while it can be caught."""
    try:
        sys._getframe(sys.getrecursionlimit() - _FRAMES)
    except ValueError:
        return
    raise RecursionError("too deep a recursion to call a WebAssembly function from")


def _told(message: str, tail: bytes) -> str:
    """A message with the last of what the guest wrote to stderr."""
    said = tail.decode("utf-8", "replace").strip()
    return f"{message}: {said}" if said else message

"""Ends functions that run longer than their timeout.

One watchdog thread looks at what runs a few times a second. A thread inside a statement has the statement cancelled; a
thread in Python code has an exception raised in it; `time.sleep` never outlasts the deadline. Code that `stops_itself`
is left to do so: an exception must not be raised between the frames of a foreign machine. A thread that is stuck in
foreign code can be stopped by nothing: it is given a grace, then its worker is told to make way for another.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import SupportsIndex

from flux.runtime.execution import Execution, current_execution

#: Seconds between two looks; a timeout is noticed this late at most.
PERIOD = 0.05

#: Seconds a thread may go on after it was told to stop, before it counts as stuck.
GRACE = 5.0


#: Held while a thread is told to stop, or enters or leaves code that may not be told.
_telling = threading.Lock()


class Interrupted(BaseException):
    """Raised in user code at its deadline; no `except Exception` of the user's catches it."""


@dataclass(slots=True)
class _Watch:
    execution: Execution
    thread_id: int
    cancel: Callable[[], None]
    in_statement: Callable[[], bool]
    told_at: float | None = None
    given_up: bool = False


class Watchdog:
    """Watches the executions of one worker. `on_stuck` is called once for an execution that cannot be stopped."""

    def __init__(self, on_stuck: Callable[[Execution, int], None]) -> None:
        self._on_stuck = on_stuck
        self._watches: dict[int, _Watch] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flux-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join(timeout=1)

    @contextmanager
    def watching(
        self, execution: Execution, cancel: Callable[[], None], in_statement: Callable[[], bool]
    ) -> Iterator[None]:
        """User code runs inside; it sees Interrupted at its deadline, the code around it never does."""
        thread_id = threading.get_ident()
        watch = _Watch(execution, thread_id, cancel, in_statement)
        self._watches[thread_id] = watch
        try:
            yield
        finally:
            try:
                self._leave(watch)
            except Interrupted:  # told at the very end; it is told once only
                self._leave(watch)
                raise

    def _leave(self, watch: _Watch) -> None:
        with _telling:
            self._watches.pop(watch.thread_id, None)
            if watch.told_at is not None:
                _raise_in(watch.thread_id, None)

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            now = time.monotonic()
            for watch in list(self._watches.values()):
                if now >= watch.execution.deadline:
                    self._expire(watch, now)

    def _expire(self, watch: _Watch, now: float) -> None:
        with _telling:
            if self._watches.get(watch.thread_id) is not watch:
                return
            if watch.in_statement():
                threading.Thread(target=watch.cancel, name="flux-cancel", daemon=True).start()
            elif watch.told_at is None and not watch.execution.stops_itself:
                _raise_in(watch.thread_id, Interrupted)
            if not watch.execution.stops_itself:
                watch.told_at = watch.told_at or now
            stuck = now > (watch.told_at or watch.execution.deadline) + GRACE and not watch.given_up
            watch.given_up = watch.given_up or stuck
        if stuck:
            self._on_stuck(watch.execution, watch.thread_id)


@contextmanager
def stops_itself(execution: Execution, itself: bool = True) -> Iterator[None]:
    """Code that ends at the deadline by itself runs inside; with False, code that is to be stopped again.

    On the thread of the execution. What was raised in it and has not shown yet is taken back at the end.
    """
    before = execution.stops_itself
    with _telling:
        execution.stops_itself = itself
    try:
        yield
    finally:
        with _telling:
            execution.stops_itself = before
            if before and not itself:
                _raise_in(threading.get_ident(), None)


def _raise_in(thread_id: int, kind: type[BaseException] | None) -> None:
    """Raise an exception in another thread at its next bytecode, or take back one that was not yet raised."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(kind) if kind else ctypes.c_void_p()
    )


_sleep = time.sleep


def _bounded_sleep(seconds: SupportsIndex | float, /) -> None:
    """time.sleep, but inside a request no longer than to its deadline, where it raises Interrupted."""
    execution = current_execution()
    if execution is None:
        _sleep(seconds)
        return
    remaining = execution.remaining()
    wanted = float(seconds)
    _sleep(min(wanted, remaining))
    if wanted > remaining:
        raise Interrupted


def bound_sleep() -> None:
    """Make time.sleep respect deadlines, in this process; calling it again changes nothing."""
    time.sleep = _bounded_sleep

"""What a worker has in hand: jobs it claimed that wait for a thread, and those that run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from flux.engine.jobs import Claimed

#: Jobs that may wait for a thread, at most. Batches are what makes a queue fast.
MOST_WAITING = 100

#: Seconds of work that is fetched ahead. What takes longer is better run by a worker that is free now.
AHEAD = 0.2

#: Seconds after which a job that still waits here is given back for others.
PATIENCE = 1.0

#: What a job is thought to take, in seconds, before one has run; and the weight of each further one.
FIRST_GUESS = 0.05
WEIGHT = 0.1


@dataclass(slots=True)
class _Running:
    claimed: Claimed
    begun: float
    until: float


class Hand:
    """Shared by the threads that run jobs and the one that fetches them.

    `on_low` is called when it runs short, `on_freed` when a job ended for which others may have waited.
    """

    def __init__(self, threads: int, on_low: Callable[[], None], on_freed: Callable[[], None]) -> None:
        self._threads = threads
        self._on_low = on_low
        self._on_freed = on_freed
        self._asked = False
        self._waiting: deque[Claimed] = deque()
        self._running: dict[UUID, _Running] = {}
        self._since = 0.0
        self._usual = FIRST_GUESS
        self._closed = False
        self._changed = threading.Condition()

    def room(self) -> int:
        """How many jobs to fetch now: none while there is work for a while."""
        with self._changed:
            if self._closed:
                return 0
            wanted, waiting = self._wanted(), len(self._waiting)
            idle = self._threads - len(self._running)
            return max(wanted - waiting, 0) if waiting < idle or waiting <= wanted // 2 else 0

    def put(self, claimed: Sequence[Claimed]) -> None:
        """Take what was fetched."""
        with self._changed:
            self._asked = False
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.extend(claimed)
            self._changed.notify(len(claimed))

    def take(self) -> Claimed | None:
        """The next job for this thread, waited for; None when there will be none."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            claimed = self._waiting.popleft()
            self._since = now = time.monotonic()
            self._running[claimed.request_id] = _Running(claimed, now, now + PATIENCE)
            low = not self._asked and len(self._waiting) <= self._wanted() // 2
            self._asked = self._asked or low
        if low:
            self._on_low()
        return claimed

    def add_thread(self) -> None:
        """One thread is stuck, and another runs in its place."""
        with self._changed:
            self._threads += 1

    def may_run(self, claimed: Claimed, seconds: float) -> None:
        """Say how long a job may run from now on; past that it is not held any more."""
        with self._changed:
            self._running[claimed.request_id].until = time.monotonic() + seconds

    def done(self, claimed: Claimed) -> None:
        """A job has ended."""
        with self._changed:
            ended = self._running.pop(claimed.request_id, None)
            if ended is not None:
                self._usual += WEIGHT * (time.monotonic() - ended.begun - self._usual)
        if claimed.job.awaited:
            self._on_freed()

    @property
    def idle(self) -> bool:
        """Whether a thread waits for work."""
        with self._changed:
            return len(self._waiting) + len(self._running) < self._threads

    def held(self) -> list[Claimed]:
        """What is waiting or running, without what should have ended long ago."""
        now = time.monotonic()
        with self._changed:
            return [*self._waiting, *(one.claimed for one in self._running.values() if one.until > now)]

    def running(self) -> list[Claimed]:
        """What is running."""
        with self._changed:
            return [one.claimed for one in self._running.values()]

    def ends_at(self) -> float:
        """When everything that runs will have ended or been stopped, as time.monotonic() tells it."""
        with self._changed:
            return max((one.until for one in self._running.values()), default=0.0)

    def drop(self, lost: Collection[UUID]) -> None:
        """Forget jobs that are not ours any more, as far as they were not begun."""
        with self._changed:
            self._waiting = deque(one for one in self._waiting if one.request_id not in lost)

    def overdue(self) -> list[Claimed]:
        """What waits for a thread though none has come for a while; it is out of hand from now on."""
        with self._changed:
            if not self._waiting or time.monotonic() < self._since + PATIENCE:
                return []
            self._usual = max(self._usual, PATIENCE)
            return self._give_up()

    def close(self) -> list[Claimed]:
        """Take no more and end the threads; what was not begun is out of hand from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            return self._give_up()

    def _wanted(self) -> int:
        ahead = int(self._threads * AHEAD / max(self._usual, 0.000_1))
        return max(self._threads - len(self._running), min(ahead, MOST_WAITING))

    def _give_up(self) -> list[Claimed]:
        left = list(self._waiting)
        self._waiting.clear()
        return left

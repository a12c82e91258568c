"""A worker: threads that run jobs, and one that fetches them and keeps their leases."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from flux.engine.jobs import Claimed, claim, give_up, hand_back, renew, worker_name
from flux.engine.waking import Listener
from flux.errors import FluxError
from flux.jobs.attempt import Attempts
from flux.jobs.hand import Hand
from flux.record import Record
from flux.runtime.runtime import Runtime

#: Seconds between two looks at the queue when nothing else says that there is something.
POLL = 0.25

#: Leases are renewed this many times in their length.
RENEWALS = 3

log = logging.getLogger("flux.jobs")


class Worker:
    """Runs jobs of some queues (all for None) in `concurrency` threads, with the functions and pool of a runtime.

    stop() is the graceful end; end_soon() may be called before it, from any thread, to fetch no more.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        queues: Sequence[str] | None = None,
        concurrency: int | None = None,
        on_record: Callable[[Record], None] | None = None,
    ) -> None:
        settings = runtime.project.queue
        self.name = worker_name(runtime.inflight.path.stem)
        self.queues = queues
        self._lease = settings.lease
        self._threads: list[threading.Thread] = []
        self._attempts = Attempts(runtime, on_record)
        self._listener = Listener(runtime.database.url)
        self._hand = Hand(concurrency or settings.concurrency, self._low, self._listener.wake)
        self._concurrency = concurrency or settings.concurrency
        self._back: deque[Claimed] = deque()
        self._lost: list[Claimed] = []
        self._exhausted = False
        self._away = False
        self._stopped = threading.Event()
        self._renew_at = 0.0
        self._fetcher = threading.Thread(target=self._fetch, name="flux-fetcher", daemon=True)

    @property
    def has_room(self) -> bool:
        """Whether a job pushed now would be begun at once here."""
        return self.queues is None and self._hand.idle and not self._away

    def start(self) -> None:
        """Begin to fetch and run."""
        for _ in range(self._concurrency):
            self._add_thread()
        self._fetcher.start()

    def wake(self) -> None:
        """There may be something to fetch."""
        self._listener.wake()

    def replace_thread(self) -> None:
        """A function is stuck for good: run another thread in place of its own."""
        self._hand.add_thread()
        self._add_thread()

    def end_soon(self) -> None:
        """Fetch no more, and hand back what was not begun."""
        self._back.extend(self._hand.close())
        self._listener.wake()

    def stop(self) -> None:
        """Let what runs finish, or be stopped at its timeout; hand back the rest."""
        self.end_soon()
        for thread in self._threads:
            thread.join(max(0.0, self._hand.ends_at() - time.monotonic()) + 0.1)
        self._lost = self._hand.running()
        self._stopped.set()
        self._listener.wake()
        self._fetcher.join(5.0)

    # The threads that run jobs

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"flux-job-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (claimed := self._hand.take()) is not None:
            try:
                self._attempts.run(claimed, self._hand.may_run)
            finally:
                self._hand.done(claimed)

    # The thread that fetches them

    def _low(self) -> None:
        if not self._exhausted:
            self._listener.wake()

    def _fetch(self) -> None:
        while not self._stopped.is_set():
            try:
                self._keep()
                self._claim()
                self._give_back()
                self._away = False
            except FluxError as error:
                if not self._away:
                    log.warning("the queue cannot be reached: %s", error.message)
                self._away = True
            except Exception:  # the edge: a worker that fetches no more looks as if it had nothing to do
                log.exception("the queue could not be read")
                self._away = True
            self._listener.wait(POLL * random.uniform(0.9, 1.1))  # noqa: S311  # so that workers do not all look at once
        try:
            self._give_back()
            self._listener.ask(give_up, self._lost)
        except FluxError as error:
            log.warning("jobs could not be handed back and wait for their lease to end: %s", error.message)
        self._listener.close()

    def _claim(self) -> None:
        room = self._hand.room()
        if room:
            claimed = self._listener.ask(claim, self.queues, self.name, room, self._lease)
            self._exhausted = len(claimed) < room
            self._hand.put(claimed)

    def _keep(self) -> None:
        """Renew the leases of all in hand when it is time; what others have taken over is not begun any more."""
        if time.monotonic() < self._renew_at:
            return
        held = self._hand.held()
        if held:
            still_ours = self._listener.ask(renew, held, self._lease)
            self._hand.drop({one.request_id for one in held} - still_ours)
        self._renew_at = time.monotonic() + self._lease / RENEWALS

    def _give_back(self) -> None:
        self._back.extend(self._hand.overdue())
        while self._back:
            batch = list(self._back)
            self._listener.ask(hand_back, batch)
            for _ in batch:
                self._back.popleft()

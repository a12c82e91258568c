"""All that hands work on in one process: its declarer and waker and, where it runs jobs, its worker and scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flux.jobs.cron import Scheduler
from flux.jobs.declarations import Declarer
from flux.jobs.waker import Waker
from flux.jobs.worker import Worker
from flux.record import Record
from flux.runtime.runtime import Runtime


class JobService:
    """Started after the fork. `concurrency` of 0 runs no jobs here, and only wakes those who do."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        concurrency: int,
        queues: Sequence[str] | None = None,
        on_record: Callable[[Record], None] | None = None,
    ) -> None:
        self.worker = (
            Worker(runtime, queues=queues, concurrency=concurrency, on_record=on_record) if concurrency else None
        )
        self._waker = Waker(runtime.database.url, self.worker)
        self._scheduler = Scheduler(runtime.database, self._waker.wake)
        self._declarer = Declarer(runtime.database, self._scheduler.nudge)
        self._runtime = runtime

    def start(self) -> None:
        """Begin."""
        self._runtime.database.on_hand_off = self._waker.wake
        self._waker.start()
        self.declare()
        self._declarer.start()
        if self.worker is not None:
            self.worker.start()
            self._scheduler.start()

    def declare(self) -> None:
        """Tell the database what the functions declare that the runtime has now; said again after each reload."""
        self._declarer.declare(self._runtime.project, self._runtime.registry)

    def replace_thread(self) -> None:
        """A job's function is stuck for good."""
        if self.worker is not None:
            self.worker.replace_thread()

    def end_soon(self) -> None:
        """Fetch no more jobs."""
        if self.worker is not None:
            self.worker.end_soon()

    def stop(self) -> None:
        """Let the jobs that run finish; hand the others back."""
        self._declarer.stop()
        self._scheduler.stop()
        if self.worker is not None:
            self.worker.stop()
        self._waker.stop()

"""Wakes workers after a commit that handed work on: those of this process directly, others by one notification."""

from __future__ import annotations

import threading
import time

from flux.engine.waking import Notifier
from flux.jobs.worker import Worker

#: Seconds in which further commits are covered by the same notification.
GATHER = 0.01


class Waker(threading.Thread):
    """One thread a process that sends notifications. `worker` is that of the same process, if it has one."""

    def __init__(self, url: str, worker: Worker | None = None) -> None:
        super().__init__(name="flux-waker", daemon=True)
        self._worker = worker
        self._notifier = Notifier(url)
        self._wanted = threading.Event()
        self._closing = False

    def wake(self) -> None:
        """Called after a commit; costs it nothing but a word to another thread."""
        if self._worker is not None and self._worker.has_room:
            self._worker.wake()
        else:
            self._wanted.set()

    def run(self) -> None:
        """Notify, once for all that came in a moment."""
        while not self._closing:
            self._wanted.wait()
            time.sleep(GATHER)
            self._wanted.clear()
            self._notifier.notify()
        self._notifier.close()

    def stop(self) -> None:
        """Send what is wanted, and no more."""
        self._closing = True
        self._wanted.set()
        self.join(2.0)

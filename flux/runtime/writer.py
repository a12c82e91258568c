"""Writes the records of requests that have no data of their own, off the way of their replies.

A record waits in the in-flight table until it is stored, so that a killed process loses none. While the database is
away records are kept in memory, up to a number; what does not fit is counted and said.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

from flux.engine.pool import Database
from flux.engine.recording import Written, write_records
from flux.errors import DatabaseUnavailable
from flux.runtime.inflight import InflightTable

#: Records kept while the database is away.
MOST_WAITING = 10_000

#: Records written in one transaction.
BATCH = 200

#: Seconds that records are gathered before they are written together: one transaction for each would cost a busy
#: process more than the requests themselves.
GATHER = 0.02

#: Seconds between two tries while the database is away.
RETRY = 0.5

log = logging.getLogger("flux")


@dataclass(frozen=True, slots=True)
class _Waiting:
    written: Written
    kept: bool


class Writer:
    """One thread that stores finished records. `available` is False while the database is away.

    `gather` is in seconds: a process that waits for its records sets it to 0.
    """

    def __init__(self, database: Database, inflight: InflightTable) -> None:
        self.available = True
        self.lost = 0
        self._told_away = 0
        self.gather = GATHER
        self._database = database
        self._inflight = inflight
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="flux-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, then end; what cannot be written by then stays in the in-flight table."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    def put(self, written: Written) -> None:
        """Store a record soon. From here on it survives the process, if the in-flight table has room for it."""
        with self._lock:  # the table gives records up in the order in which it took them
            if len(self._waiting) >= MOST_WAITING:
                self.lost += 1
                return
            kept = self._inflight.keep(written.request, written.spans)
            self._waiting.append(_Waiting(written, kept))
        self._wake.set()

    def wait_until_written(self, seconds: float) -> bool:
        """Wait until every record is stored; False when that takes longer."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        return not self._waiting

    def database_is_away(self) -> None:
        """Told by a request that could not reach it; the writer's thread finds out when it is back."""
        self._told_away += 1
        self.available = False
        self._wake.set()

    def _run(self) -> None:
        while not (self._closing and not self._waiting):
            self._wake.wait(None if self.available and not self._waiting else RETRY)
            if self.available and not self._closing:
                time.sleep(self.gather)
            self._wake.clear()
            while self._waiting or not self.available:
                if not self._write_batch():
                    if self._closing:
                        return
                    time.sleep(RETRY)

    def _write_batch(self) -> bool:
        batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
        told = self._told_away
        try:
            with self._database.connection() as connection:
                refused = write_records(connection, [one.written for one in batch])
        except DatabaseUnavailable as error:
            if self.available:
                log.warning("the database is away: %s", error.message)
            self.available = False
            return False
        for reason in refused:
            log.error("a record could not be stored: %s", reason)
        for _ in batch:
            self._waiting.popleft()
        self._inflight.flushed(sum(one.kept for one in batch))
        if not self.available and told == self._told_away:  # it may have gone while this was on its way
            log.warning("the database is back; %d records were lost meanwhile", self.lost)
            self.available, self.lost = True, 0
        return True

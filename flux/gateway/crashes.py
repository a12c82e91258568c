"""Records what dead processes left behind: once when a worker starts, and from then on whenever there is something."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from flux.engine.jobs import bury
from flux.engine.pool import Connection, Database
from flux.engine.recording import Written, write_records
from flux.errors import CannotWrite, DatabaseUnavailable
from flux.runtime.leftovers import leftovers

#: Seconds between two looks.
PERIOD = 1.0

_RECORDED = """
    select request_id::text
    from flux.trace_requests
    where request_id = any(%s::uuid[]) and outcome <> 'running'
"""

log = logging.getLogger("flux.gateway")


def record_leftovers(database: Database, folder: Path) -> int:
    """Store what the dead left in this folder; returns how many records. Raises DatabaseUnavailable, losing nothing."""
    count = 0
    for left in leftovers(folder):
        try:
            with database.connection() as connection:
                # First, because it waits for a worker that is just taking up such a job, and writes its record.
                _settle_jobs(connection, left.path.stem, left.records)
                missing = _missing(connection, left.records)
                for error in write_records(connection, missing):
                    log.error("a record of a process that died could not be stored: %s", error)
        except BaseException:
            left.leave()
            raise
        left.discard()
        count += len(missing)
    return count


def _settle_jobs(connection: Connection, table: str, records: Sequence[Written]) -> None:
    """Jobs the process had done are done, those it was running are tried again, those it had not begun are free."""
    requests = [orjson.loads(record.request) for record in records]
    done = [request["request_id"] for request in requests if request["outcome"] == "ok"]
    begun = [request["request_id"] for request in requests if request["outcome"] != "ok"]
    bury(connection, table, begun, done)


def _missing(connection: Connection, records: Sequence[Written]) -> list[Written]:
    """Those that are not in the database: a process may have died between its commit and the release of its slot."""
    ids = [orjson.loads(record.request)["request_id"] for record in records]
    recorded = {row[0] for row in connection.execute(_RECORDED, (ids,)).fetchall()}
    return [record for record, request_id in zip(records, ids, strict=True) if request_id not in recorded]


class Undertaker(threading.Thread):
    """A worker's thread that looks after what others left, also while the database comes and goes.

    `revive` starts an embedded database that has died, and does nothing where it runs.
    """

    def __init__(self, database: Database, folder: Path, revive: Callable[[], None]) -> None:
        super().__init__(name="flux-undertaker", daemon=True)
        self._database = database
        self._revive = revive
        self._folder = folder
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look, and look again."""
        while True:
            try:
                self._revive()
                count = record_leftovers(self._database, self._folder)
            except (DatabaseUnavailable, CannotWrite):
                count = 0
            if count:
                noun = "record" if count == 1 else "records"
                log.warning("stored %d %s of a process that died", count, noun)
            if self._stopping.wait(PERIOD):
                return

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

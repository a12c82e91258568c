"""Keeps the days of the record in order while the server runs, which may be for longer than the days made ahead."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from flux.engine.pool import Database
from flux.engine.retention import keep_days
from flux.errors import DatabaseUnavailable

#: Seconds between two looks, give or take a tenth, so that workers do not all look at once.
PERIOD = 3600.0

log = logging.getLogger("flux.gateway")


class Upkeep(threading.Thread):
    """A worker's thread that makes partitions ahead and drops those past `days`, asked anew each time."""

    def __init__(self, database: Database, days: Callable[[], int]) -> None:
        super().__init__(name="flux-upkeep", daemon=True)
        self._database = database
        self._days = days
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look, and look again; what the database cannot do now it does at the next look."""
        while not self._stopping.wait(PERIOD * random.uniform(0.9, 1.1)):  # noqa: S311
            try:
                days = self._days()
                dropped = keep_days(self._database, days)
            except DatabaseUnavailable:
                continue
            if dropped:
                log.warning("forgot the records before the last %d days: %s", days, ", ".join(dropped))

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

"""Cron: a thread in each worker that takes up ticks as they come due.

Every node does the same, without a leader: the row of a tick can be there once only, and its job is made with it in
one transaction. The schedules are read from the database, so that a pause, or a function loaded elsewhere, is heeded.
All go by the database's clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flux.engine.handoffs import Waiting, take_tick, waiting_schedules
from flux.engine.pool import Database
from flux.errors import DatabaseUnavailable, FluxError
from flux.runtime.schedule import Schedule

#: Seconds between two looks at most: a schedule that was resumed or declared elsewhere is seen by then.
LONGEST = 10.0

#: Seconds until a database that is away is asked again.
PAUSE = 1.0

#: A tick taken up later than this was missed: no worker ran when it was due.
GRACE = timedelta(seconds=30)

#: Skipped ticks are counted up to this.
MOST_COUNTED = 1_000

log = logging.getLogger("flux.jobs")


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick to be taken up: why, and how many before it were not."""

    moment: datetime
    reason: str
    skipped: int


def due(schedule: Schedule, after: datetime, now: datetime) -> list[Tick]:
    """The ticks later than `after` that are to be taken up now, in order.

    Those in time run one by one. Of those that were missed, the latest is made up for where the schedule says once and
    none in time follows; else they are only noted.
    """
    in_time = schedule.between(max(after, now - GRACE), now, MOST_COUNTED)
    missed_until = max(after, now - GRACE)
    last_missed = schedule.last_between(after, missed_until)
    if last_missed is None:
        return [Tick(moment, "schedule", 0) for moment in in_time]
    missed = len(schedule.between(after, missed_until, MOST_COUNTED))
    if in_time:
        first, *others = in_time
        return [Tick(first, "schedule", missed), *(Tick(moment, "schedule", 0) for moment in others)]
    if schedule.missed == "once":
        return [Tick(last_missed, "missed", missed - 1)]
    return [Tick(last_missed, "skipped", missed)]


def next_tick(row: Mapping[str, Any]) -> datetime | None:
    """When a row of flux.cron runs next; None while it is paused, and where its schedule cannot be read here."""
    schedule = Schedule(row["expression"], row["timezone"], row["missed"])
    if row["state"] == "paused" or schedule.check() is not None:
        return None
    return schedule.next_after(max(row["after"], datetime.now(UTC)))


class Scheduler(threading.Thread):
    """Takes up ticks until stopped. `wake` is called when jobs were made, so that they are claimed at once."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        super().__init__(name="flux-cron", daemon=True)
        self._database = database
        self._wake = wake
        self._nudged = threading.Event()
        self._stopping = False
        self._unreadable: set[Waiting] = set()

    def run(self) -> None:
        """Look, sleep until the next tick, look again."""
        while not self._stopping:
            try:
                pause = self.look()
            except DatabaseUnavailable:
                pause = PAUSE
            except FluxError as error:
                log.error("cron: %s", error)
                pause = LONGEST
            except Exception:  # the edge: other schedules must go on
                log.exception("cron: the schedules could not be looked at")
                pause = LONGEST
            self._nudged.wait(pause)
            self._nudged.clear()

    def nudge(self) -> None:
        """Look again now: the schedules may be others."""
        self._nudged.set()

    def stop(self) -> None:
        """Take up no more."""
        self._stopping = True
        self._nudged.set()

    def look(self) -> float:
        """Take up what is due; the seconds until the next look. Raises FluxError."""
        started = time.monotonic()
        now, waiting = waiting_schedules(self._database)
        if now is None:
            return LONGEST
        made, soonest = False, now + timedelta(seconds=LONGEST)
        for one in waiting:
            schedule = Schedule(one.expression, one.timezone, one.missed)
            if not self._readable(one, schedule):
                continue
            for tick in due(schedule, one.after, now):
                job = take_tick(self._database, one.function, tick.moment, tick.reason, tick.skipped)
                made = made or job is not None
            soonest = min(soonest, schedule.next_after(now))
        if made:
            self._wake()
        return max(0.0, (soonest - now).total_seconds() - (time.monotonic() - started))

    def _readable(self, one: Waiting, schedule: Schedule) -> bool:
        """Whether this node can read a schedule that another may have declared; says so once when not."""
        wrong = schedule.check()
        if wrong is not None and one not in self._unreadable:
            self._unreadable.add(one)
            log.error("cron: the schedule %s of %s cannot be used here: %s", one.expression, one.function, wrong)
        return wrong is None

"""When a function runs by the clock: a cron expression in a time zone, and the moments it names.

The only importer of cronsim, which follows Debian's cron. At the change to summer time, a fixed time that is skipped
runs at the first minute there is; at the change back, a time that comes twice runs the first time only. What repeats
within the day (`*/15 * * * *`, `0 * * * *`) goes by time as it passes, so it leaves out nothing and doubles nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MISSED = ("once", "skip")

#: How far back the latest tick is looked for, step by step, so that years of silence cost no more than a minute's.
_STEPS = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=366))


@dataclass(frozen=True, slots=True)
class Schedule:
    """`expression` has 5 fields, or 6 with seconds first; `missed` is one of MISSED: what becomes of ticks in a time
    when no worker ran."""

    expression: str
    timezone: str = "UTC"
    missed: str = "once"

    def check(self) -> str | None:
        """What is wrong with it, in words; None when it works. A schedule that never fires does not work."""
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError, TypeError):
            return f"{self.timezone!r} is not a time zone"
        try:
            next(self._ticks(datetime.now(UTC)))
        except CronSimError as error:
            if str(error) == "Bad day-of-month" and _never_comes(self.expression):
                return "it never fires: no such day is in those months"
            return f"{str(error).lower().replace('bad', 'cannot read its')}"
        except StopIteration:
            return "it never fires"
        return None

    def next_after(self, moment: datetime) -> datetime:
        """The first tick after a moment, in UTC."""
        return next(self._ticks(moment))

    def between(self, after: datetime, until: datetime, most: int) -> list[datetime]:
        """The first ticks later than `after` and not later than `until`, at most so many, in UTC."""
        found: list[datetime] = []
        for tick in self._ticks(after):
            if tick > until or len(found) == most:
                break
            found.append(tick)
        return found

    def last_between(self, after: datetime, until: datetime) -> datetime | None:
        """The latest tick later than `after` and not later than `until`; None when there is none."""
        for step in (*_STEPS, until - after):
            begin = max(after, until - step)
            last = deque(self._until(begin, until), maxlen=1)
            if last or begin == after:
                return last[0] if last else None
        return None

    def _until(self, after: datetime, until: datetime) -> Iterator[datetime]:
        for tick in self._ticks(after):
            if tick > until:
                return
            yield tick

    def _ticks(self, after: datetime) -> Iterator[datetime]:
        """Ticks later than a moment, in UTC. Raises CronSimError."""
        for tick in CronSim(self.expression, after.astimezone(ZoneInfo(self.timezone))):
            moment = tick.astimezone(UTC)
            # In the hour that comes twice, a fixed time is named again although it was there the first time.
            if moment > after:
                yield moment


def _never_comes(expression: str) -> bool:
    """Whether an expression that cannot be read is well but for its days: the months have no such day."""
    fields = expression.split()
    fields[-2] = "*"
    try:
        CronSim(" ".join(fields), datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True

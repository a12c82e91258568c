"""When a schedule fires: expressions, zones, both changes of the clock, and what is due after a time of silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest

from flux.jobs.cron import GRACE, due
from flux.runtime.schedule import Schedule

#: The clock goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
SPRING = "2026-03-28T23:30:00+00:00"
AUTUMN = "2026-10-24T23:30:00+00:00"

NOW = datetime(2026, 5, 1, 12, 0, 5, tzinfo=UTC)


def ticks(expression: str, after: str, count: int, zone: str = "Europe/Berlin") -> list[str]:
    """Ticks as a clock on the wall shows them."""
    found = Schedule(expression, zone).between(datetime.fromisoformat(after), datetime(2100, 1, 1, tzinfo=UTC), count)
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for moment in found]


def ago(minutes: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("30 2 * * *", ["29 03:00+0200", "30 02:30+0200"]),
        ("0,30 2 * * *", ["29 03:00+0200", "30 02:00+0200", "30 02:30+0200"]),
        ("0 * * * *", ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]),
        ("*/30 * * * *", ["29 01:00+0100", "29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]),
    ],
)
def test_no_day_is_left_out_in_spring(expression: str, shown: list[str]) -> None:
    """A nightly report at 02:30 must be there on the day that has no 02:30, and once."""
    assert ticks(expression, SPRING, len(shown)) == shown


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("30 2 * * *", ["25 02:30+0200", "26 02:30+0100"]),
        ("0 3 * * *", ["25 03:00+0100", "26 03:00+0100"]),
        ("0 * * * *", ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]),
        ("*/30 * * * *", ["25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100", "25 03:00+0100"]),
    ],
)
def test_nothing_runs_twice_in_autumn(expression: str, shown: list[str]) -> None:
    """Invoices at 02:30 go out once on the day that has it twice; what runs each hour runs in both hours."""
    assert ticks(expression, AUTUMN, len(shown)) == shown


def test_the_hour_that_comes_twice_does_not_bring_a_tick_back() -> None:
    """Asked at 02:10 of the second time, the next 02:30 is tomorrow's: today's was an hour ago."""
    assert ticks("30 2 * * *", "2026-10-25T01:10:00+00:00", 1) == ["26 02:30+0100"]


def test_a_midnight_that_does_not_exist_is_made_up_for() -> None:
    """Some zones change their clocks at midnight."""
    shown = ticks("0 0 * * *", "2018-11-03T12:00:00+00:00", 2, "America/Sao_Paulo")

    assert shown == ["04 01:00-0200", "05 00:00-0200"]


@pytest.mark.parametrize(
    ("expression", "zone", "wrong"),
    [
        ("0 0 30 2 *", "UTC", "it never fires: no such day is in those months"),
        ("0 0 31 4,6,9,11 *", "UTC", "it never fires: no such day is in those months"),
        ("61 * * * *", "UTC", "cannot read its minute"),
        ("* * 0 * *", "UTC", "cannot read its day-of-month"),
        ("* * *", "UTC", "wrong number of fields"),
        ("", "UTC", "wrong number of fields"),
        ("* * * * *", "Mars/Base", "'Mars/Base' is not a time zone"),
        ("* * * * *", "../etc/passwd", "'../etc/passwd' is not a time zone"),
        ("* * * * *", "", "'' is not a time zone"),
    ],
)
def test_what_never_fires_is_said(expression: str, zone: str, wrong: str) -> None:
    """A schedule that is silently never due is found out at the end of the month."""
    assert Schedule(expression, zone).check() == wrong


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "*/10 * * * * *", "0 12 * * MON-FRI", "0 0 L * *"])
def test_what_fires_seldom_or_often_works(expression: str) -> None:
    """A leap day, every ten seconds, working days, the last of the month."""
    assert Schedule(expression).check() is None


def test_ticks_in_time_run_one_by_one() -> None:
    """A worker that looks every few seconds must not merge what the schedule keeps apart."""
    found = due(Schedule("*/5 * * * * *"), NOW - timedelta(seconds=20), NOW)

    assert [(tick.moment.second, tick.reason) for tick in found] == [
        (50, "schedule"),
        (55, "schedule"),
        (0, "schedule"),
        (5, "schedule"),
    ]


def test_missed_ticks_are_made_up_for_once() -> None:
    """After a night without workers there is one report, not five hundred; the count says what was left out."""
    (tick,) = due(Schedule("*/10 * * * *"), ago(65), NOW - timedelta(minutes=1))

    assert (tick.moment, tick.reason, tick.skipped) == (ago(10).replace(second=0), "missed", 5)


def test_missed_ticks_are_skipped_where_told() -> None:
    """A reminder for yesterday is of no use today; that there was none is noted."""
    (tick,) = due(Schedule("*/10 * * * *", missed="skip"), ago(65), NOW - timedelta(minutes=1))

    assert (tick.moment, tick.reason, tick.skipped) == (ago(10).replace(second=0), "skipped", 6)


@pytest.mark.parametrize("missed", ["once", "skip"])
def test_a_tick_in_time_stands_for_those_missed_before_it(missed: str) -> None:
    """Two runs a second apart would do the same work twice."""
    (tick,) = due(Schedule("*/10 * * * *", missed=missed), ago(65), NOW)

    assert (tick.moment, tick.reason, tick.skipped) == (NOW.replace(second=0), "schedule", 6)


def test_nothing_is_due_that_was_taken_up() -> None:
    """The last tick itself is not later than itself."""
    assert due(Schedule("*/10 * * * *"), NOW.replace(second=0), NOW) == []
    assert due(Schedule("0 0 1 1 *"), NOW - timedelta(days=1), NOW) == []


def test_years_of_silence_cost_no_more_than_a_moment() -> None:
    """A database restored from an old backup must not keep its workers busy with arithmetic."""
    began = perf_counter()

    (tick,) = due(Schedule("* * * * * *", missed="skip"), NOW - timedelta(days=4_000), NOW - GRACE)[:1]
    last = Schedule("0 0 29 2 *").last_between(NOW - timedelta(days=4_000), NOW)

    assert tick.skipped == 1_000
    assert last == datetime(2024, 2, 29, tzinfo=UTC)
    assert perf_counter() - began < 2

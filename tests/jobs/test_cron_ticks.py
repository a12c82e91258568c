"""Cron: each tick is one job, however many workers there are and whatever becomes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from market import Market, Markets

from flux.engine.handoffs import change_schedule, take_tick
from flux.engine.pool import Database
from flux.errors import DatabaseUnavailable, NotFound
from flux.jobs.cron import Scheduler, next_tick

REPORT = """
    @function(cron="0 * * * *", timezone="Europe/Berlin", queue="slow", max_attempts=2)
    def report(ctx, tick: str) -> None:
        ctx.db.execute("insert into seen (what) values (%s)", {"tick": tick})
"""

SECONDS = """
    @function(cron="* * * * * *")
    def often(ctx) -> None: ...
"""


@contextmanager
def database(shop: Market) -> Iterator[Database]:
    """Connections as another process has them."""
    opened = Database(shop.url, 2)
    opened.open()
    try:
        yield opened
    finally:
        opened.close()


def look(shop: Market, wake: list[str] | None = None) -> float:
    """One look of a scheduler."""
    woken = wake if wake is not None else []
    return Scheduler(shop.runtime.database, lambda: woken.append("woken")).look()


def went_down(shop: Market, ago: str, function: str = "report") -> None:
    """The last tick was taken up so long ago; nothing ran since."""
    shop.ask("update flux.schedules set since = now() - %s::interval where function = %s", ago, function)


def test_a_tick_is_a_job_and_a_request_of_its_own(shop_of_report: Market) -> None:
    """With its queue and attempts, and the moment it stands for."""
    shop = shop_of_report
    went_down(shop, "1 hour")
    woken: list[str] = []

    look(shop, woken)
    (job,) = shop.jobs()
    shop.work()

    assert woken == ["woken"]
    assert (job["kind"], job["queue"], job["max_attempts"], job["function"]) == ("cron", "slow", 2, "report")
    (told,) = shop.seen()
    assert datetime.fromisoformat(told["tick"]) == shop.value("select tick from flux.cron_ticks")
    assert told["tick"].endswith(":00:00+00:00")
    (request,) = shop.ask("select * from flux.trace_requests where kind = 'cron'")
    assert (request["function"], request["outcome"]) == ("report", "ok")


@pytest.fixture
def shop_of_report(market: Markets) -> Market:
    """A project with one schedule."""
    return market(REPORT)


def test_a_schedule_does_not_run_for_the_time_before_it_was_declared(shop_of_report: Market) -> None:
    """A deployment at noon must not send the report of eleven."""
    look(shop_of_report)

    assert shop_of_report.jobs() == []


def test_many_schedulers_take_up_a_tick_once(market: Markets) -> None:
    """Four nodes that look at the same moment, for three seconds of a tick a second: one run for each."""
    shop = market(SECONDS)
    stop = threading.Event()

    def schedule() -> None:
        with database(shop) as connections:
            scheduler = Scheduler(connections, lambda: None)
            while not stop.is_set():
                scheduler.look()

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    stop.wait(3.2)
    stop.set()
    for thread in threads:
        thread.join()

    ticks = shop.ask("select tick, job_id from flux.cron_ticks order by tick")
    assert len(ticks) >= 3
    assert all(after["tick"] - before["tick"] == timedelta(seconds=1) for before, after in pairwise(ticks))
    assert [job["job_id"] for job in shop.jobs()] == [tick["job_id"] for tick in ticks]


def test_whoever_is_second_waits_and_finds_the_tick_taken(shop_of_report: Market) -> None:
    """Also when the first takes it back at the last moment: then the second has it. None is lost, none is double."""
    shop = shop_of_report
    tick = shop.value("select date_trunc('hour', now()) + interval '1 hour'")
    taken: list[int | None] = []

    def second() -> None:
        taken.append(take_tick(shop.runtime.database, "report", tick, "schedule", 0))

    with psycopg.connect(shop.url) as first:
        first.execute("select flux.tick('report', %s)", (tick,))
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        first.rollback()
    thread.join(5)

    assert taken[0] is not None
    assert [job["job_id"] for job in shop.jobs()] == taken
    assert take_tick(shop.runtime.database, "report", tick, "schedule", 0) is None


def test_a_tick_without_its_job_cannot_be(shop_of_report: Market) -> None:
    """A worker killed between the two would lose the run for good."""
    shop = shop_of_report

    with psycopg.connect(shop.url) as connection:
        connection.execute("select flux.tick('report', now() + interval '1 hour')")
        connection.rollback()

    assert shop.jobs() == []
    assert shop.ask("select 1 from flux.cron_ticks") == []
    assert shop.value("select last_tick from flux.schedules") is None


def test_ticks_missed_while_nothing_ran_are_made_up_for_once(market: Markets) -> None:
    """One run for the night, and the history says how many there should have been."""
    shop = market(REPORT.replace('"0 * * * *"', '"*/1 * * * *"'))
    went_down(shop, "10 hours")

    look(shop)
    look(shop)

    ticks = shop.ask("select * from flux.cron_history('report')")
    assert len(shop.jobs()) == len(ticks) == 1
    assert ticks[0]["skipped"] in (599, 600)


def test_a_skipped_tick_leaves_a_row_and_no_job(market: Markets) -> None:
    """That nothing ran is an answer too."""
    shop = market(REPORT.replace("queue=", 'missed="skip", queue=').replace('"0 * * * *"', '"0 0 1 * *"'))
    went_down(shop, "70 days")

    look(shop)
    look(shop)

    (tick,) = shop.ask("select * from flux.cron_history()")
    assert (tick["reason"], tick["job_id"], tick["state"]) == ("skipped", None, None)
    assert tick["skipped"] in (2, 3)
    assert shop.jobs() == []


def test_a_paused_schedule_does_not_run_and_makes_up_for_nothing(market: Markets) -> None:
    """Whoever pauses it does not want what it would have done, also where a node does not know of it yet."""
    shop = market(SECONDS)

    assert change_schedule(shop.url, "pause", "often") is True
    assert change_schedule(shop.url, "pause", "often") is False
    shop.declare()
    went_down(shop, "1 hour", "often")
    look(shop)
    assert take_tick(shop.runtime.database, "often", shop.value("select now()"), "schedule", 0) is None
    assert change_schedule(shop.url, "resume", "often") is True
    assert change_schedule(shop.url, "resume", "often") is False
    look(shop)

    assert len(shop.jobs()) <= 1  # the second in which it was resumed


def test_a_run_by_hand_takes_nothing_from_the_schedule(shop_of_report: Market) -> None:
    """Run at 11:59 by hand, it runs at 12:00 all the same."""
    shop = shop_of_report
    went_down(shop, "1 hour")

    job = change_schedule(shop.url, "run", "report")
    look(shop)

    history = shop.ask("select reason, job_id from flux.cron_history()")
    assert {row["reason"] for row in history} - {"hand"} <= {"schedule", "missed"}
    assert job in {row["job_id"] for row in history}
    assert len(shop.jobs()) == 2


def test_a_schedule_that_nobody_has_is_named_with_those_there_are(shop_of_report: Market) -> None:
    """A typo in a name must not look like success."""
    with pytest.raises(NotFound, match="no function repotr runs by the clock") as caught:
        change_schedule(shop_of_report.url, "run", "repotr")

    assert caught.value.hint == "There are: report."


def test_a_changed_expression_makes_up_for_nothing(shop_of_report: Market) -> None:
    """The ticks of the new one that lie in the past were never due."""
    shop = shop_of_report
    went_down(shop, "10 days")
    shop.write(REPORT.replace('"0 * * * *"', '"30 4 * * *"'))

    shop.declare()
    look(shop)

    assert shop.jobs() == []


def test_old_ticks_are_forgotten_with_the_records_and_never_run_again(market: Markets) -> None:
    """What a yearly schedule did last must outlive the history of it."""
    shop = market(REPORT.replace('"0 * * * *"', '"0 0 1 1 *"'))
    went_down(shop, "400 days")
    look(shop)
    assert len(shop.jobs()) == 1

    shop.ask("select flux.drop_partitions_before(current_date + 1)")
    look(shop)

    assert shop.ask("select 1 from flux.cron_history()") == []
    assert len(shop.jobs()) == 1


def test_the_scheduler_survives_a_database_that_goes_away(
    shop_of_report: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is the only clock the project has."""
    shop = shop_of_report
    monkeypatch.setattr("flux.jobs.cron.PAUSE", 0.05)
    went_down(shop, "1 hour")
    name = shop.value("select current_database()")
    admin = shop.url.replace(name, "postgres")
    with database(shop) as connections:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"alter database {name} allow_connections false")
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            with pytest.raises(DatabaseUnavailable):
                Scheduler(connections, lambda: None).look()
            scheduler = Scheduler(connections, lambda: None)
            scheduler.start()
            connection.execute(f"alter database {name} allow_connections true")
        for _ in range(200):
            if shop.jobs():
                break
            time.sleep(0.05)
        scheduler.stop()
        scheduler.join(5)

    assert len(shop.jobs()) == 1


def test_the_next_tick_is_told_and_none_while_paused(shop_of_report: Market) -> None:
    """What `flux cron list` shows is what will happen."""
    shop = shop_of_report

    (row,) = shop.ask("select * from flux.cron")
    change_schedule(shop.url, "pause", "report")
    (paused,) = shop.ask("select * from flux.cron")

    upcoming = next_tick(row)
    assert upcoming is not None
    assert timedelta(0) < upcoming - shop.value("select now()") <= timedelta(hours=1)
    assert (upcoming.minute, upcoming.second) == (0, 0)
    assert next_tick(paused) is None

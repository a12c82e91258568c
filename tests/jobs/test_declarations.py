"""Declarations: what starts jobs follows the loaded functions, and outlives a slip of the pen."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from market import Market, Markets

from flux.jobs.declarations import Declarer, declare
from flux.runtime.loader import load

ALL = """
    @function(cron="0 4 * * *")
    def nightly(ctx) -> None: ...

    @function(on="order.*", queue="mail", max_attempts=3)
    def receipt(ctx) -> None: ...

    @function(after="insert", table="orders")
    def watch(ctx) -> None: ...
"""

KEPT = ("schedules", "subscriptions", "hooks", "job_defaults")


def kept(shop: Market) -> dict[str, list[dict[str, Any]]]:
    """What is declared, with the version of each row, which every write changes."""
    return {table: shop.ask(f"select *, xmin::text as version from flux.{table} order by 1") for table in KEPT}


def triggers(shop: Market) -> list[dict[str, Any]]:
    """The hooks' triggers, with their versions."""
    query = "select tgname, oid, xmin::text as version from pg_trigger where tgname like 'hook_of_%%' order by 1"
    return shop.ask(query)


def test_declaring_the_same_again_changes_nothing(market: Markets) -> None:
    """Every worker does it at every start: it must neither lock a table nor write a row."""
    shop = market(ALL)
    before = kept(shop), triggers(shop)
    assert all(before[0].values())
    assert before[1]

    with psycopg.connect(shop.url) as writer:
        writer.execute("insert into orders default values")
        shop.declare()

    assert (kept(shop), triggers(shop)) == before


def test_what_is_no_longer_declared_is_gone(market: Markets) -> None:
    """A function that was deleted must not be started by what it once asked for."""
    shop = market(ALL)
    shop.write("")

    shop.declare()
    shop.ask("insert into orders default values")
    shop.ask("select flux.publish('order.paid')")

    assert not any(kept(shop).values())
    assert triggers(shop) == []
    assert shop.jobs() == []
    assert shop.ask("select 1 from pg_proc where proname like 'hook_of_%'") == []


def test_a_module_that_cannot_be_loaded_keeps_what_it_declared(market: Markets) -> None:
    """A slip of the pen while `flux dev` runs must not lose the work of these seconds: it waits as a job."""
    shop = market(ALL)
    before = kept(shop)
    (shop.root / "functions" / "app.py").write_text((shop.root / "functions" / "app.py").read_text() + "\nraise oops\n")

    shop.declare()
    shop.ask("insert into orders default values")

    assert shop.runtime.registry.functions == {}
    assert kept(shop) == before
    assert [job["function"] for job in shop.jobs()] == ["watch"]


@pytest.mark.parametrize(
    "mistake", ["raise oops", "def", "    indented()", "@function(cron='99 * * * *')\ndef x(ctx): ..."]
)
def test_whatever_the_mistake_is_the_names_are_known(market: Markets, mistake: str) -> None:
    """Also where the file is no Python any more, and the function has a name of its own and a condition with an @."""
    shop = market("")
    shop.write(
        """
        @function(
            after="insert",
            table="orders",
            when="new.note = 'a@b.org'",
            name="orders.watch",
        )
        def watch(ctx) -> None: ...


        @function(route="GET /x")
        def other(ctx) -> None: ...
        """
    )
    shop.declare()
    before = triggers(shop)
    text = (shop.root / "functions" / "app.py").read_text()
    (shop.root / "functions" / "app.py").write_text(f"{text}\n{mistake}\n")

    shop.declare()

    assert shop.runtime.registry.functions == {}
    assert len(before) == 1
    assert triggers(shop) == before


def test_a_hook_follows_its_definition(market: Markets) -> None:
    """Other operations, another condition, another table: the trigger is the one of now, and no other is left."""
    shop = market(ALL)
    shop.write(
        """
        @function(after="update", table="seen", when="new.what is null")
        def watch(ctx) -> None: ...
        """
    )

    shop.declare()
    shop.ask("insert into orders default values")
    shop.ask("insert into seen (what) values ('1')")
    assert shop.jobs() == []
    shop.ask("update seen set what = null")

    assert [job["input"]["table"] for job in shop.jobs()] == ["public.seen"]
    assert len(triggers(shop)) == 1


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ('after="insert", table="nowhere"', "there is no table nowhere"),
        ('after="insert", table="names"', "there is no table names"),
        ('after="insert", table="flux.jobs"', "there is no table flux.jobs"),
        ('after="insert", table="orders", when="new.nope"', "its when cannot be read: column new.nope does not exist"),
        ('after="insert", table="orders", when="new.id ="', "its when cannot be read: syntax error"),
        (
            'after="insert", table="orders", when="new.note"',
            "its when cannot be read: argument of AND must be type boolean",
        ),
        ('after="insert", table="orders", when="id = 1"', "its when cannot be read: column reference"),
    ],
)
def test_a_hook_that_cannot_fire_is_said_and_harms_no_other(market: Markets, options: str, fault: str) -> None:
    """It is found at the start, not when an order was missed; `flux doctor` says it for as long as it lasts."""
    shop = market(ALL)
    shop.ask("create view names as select note from orders")
    shop.write(f"@function({options})\ndef lost(ctx) -> None: ...\n", "lost.py")

    shop.declare()
    shop.ask("insert into orders default values")

    assert list(shop.faults) == ["lost"]
    assert fault in shop.faults["lost"]
    assert [job["function"] for job in shop.jobs()] == ["watch"]
    (finding,) = shop.ask("select * from flux.doctor where subject = 'hooks'")
    assert (finding["state"], finding["finding"]) == (
        "problem",
        f"lost does not run after writes: {shop.faults['lost']}",
    )


def test_a_trigger_that_somebody_dropped_is_said_and_comes_back(market: Markets) -> None:
    """A table made anew, or a restore, takes the trigger away in silence."""
    shop = market(ALL)
    shop.ask("drop trigger hook_of_watch on orders")

    (finding,) = shop.ask("select finding from flux.doctor where subject = 'hooks'")
    shop.declare()

    assert finding["finding"] == "watch does not run after writes: its trigger on orders is gone or changed"
    assert shop.ask("select 1 from flux.doctor where subject = 'hooks'") == []


def test_long_names_do_not_run_into_each_other(market: Markets) -> None:
    """Postgres cuts names at 63 bytes; two hooks whose names differ at the end are two."""
    long = "very_" * 14
    shop = market(
        f"""
        @function(after="insert", table="orders")
        def {long}a(ctx) -> None: ...

        @function(after="insert", table="orders", name="{long}b.c-d")
        def b(ctx) -> None: ...
        """
    )

    shop.ask("insert into orders default values")

    assert sorted(job["function"] for job in shop.jobs()) == [f"{long}a", f"{long}b.c-d"]


def test_a_push_from_sql_heeds_what_the_function_says(market: Markets) -> None:
    """@function(queue=…, max_attempts=…) is said once, for every way in."""
    shop = market(ALL)

    shop.ask("select flux.enqueue('receipt'), flux.enqueue('nightly')")

    assert [(job["queue"], job["max_attempts"]) for job in shop.jobs()] == [("mail", 3), ("default", 10)]


def test_a_busy_table_does_not_hold_up_the_start(market: Markets) -> None:
    """A hook waits for the writers of its table, and later writers behind it: not for longer than a few seconds."""
    shop = market(ALL)
    shop.write(ALL.replace('"insert"', '"insert,delete"'))

    with psycopg.connect(shop.url) as writer:
        writer.execute("insert into orders default values")
        began = time.monotonic()
        shop.declare()
        took = time.monotonic() - began

        assert "lock timeout" in shop.faults["watch"]
        assert took < 6
    assert [job["function"] for job in shop.jobs()] == ["watch"]  # the former trigger is still there
    shop.declare()
    assert shop.faults == {}


def test_many_that_start_at_once_agree(market: Markets) -> None:
    """Workers of one server load the same functions at the same moment."""
    shop = market("")
    shop.write(ALL)
    registry, faults = load(shop.project), []

    def start() -> None:
        faults.append(declare(shop.url, shop.project, registry))

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == [{}] * 6
    assert len(triggers(shop)) == 1


def test_what_could_not_be_told_is_told_later(market: Markets, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts before its database, or before a migration, has its hooks a moment later."""
    shop = market("")
    monkeypatch.setattr("flux.jobs.declarations.PERIOD", 0.05)
    shop.write('@function(after="insert", table="later")\ndef watch(ctx) -> None: ...\n')
    changes: list[int] = []
    declarer = Declarer(shop.runtime.database, lambda: changes.append(1))

    declarer.declare(shop.project, load(shop.project))
    declarer.start()
    assert shop.value("select fault from flux.hooks") == "there is no table later"
    shop.ask("create table later (id int)")
    for _ in range(100):
        if shop.value("select fault from flux.hooks") is None:
            break
        time.sleep(0.05)
    declarer.stop()
    declarer.join(5)
    shop.ask("insert into later values (1)")

    assert [job["function"] for job in shop.jobs()] == ["watch"]
    assert changes

"""A rehearsal never commits: not when it is told to, not when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from uuid import uuid4

import psycopg
import pytest

from flux.engine.rehearsal import rehearsing
from flux.errors import StatementRefused, UnknownRole
from flux.explain.catalogue import read_catalogue
from flux.explain.dry_run import dry_run
from flux.explain.effects import effects_of
from flux.explain.plan import plan_of

TABLES = """
    create table public.orders (
        id       bigint generated always as identity primary key,
        total    numeric check (total >= 0),
        parent   bigint references public.orders deferrable initially deferred
    );
    create table public.events_of_orders (id integer primary key, order_id bigint);
    insert into public.orders (total) select 10 from generate_series(1, 5);
    select flux.track('public.orders');
"""

#: Runs in another process: begins a dry run that sleeps, and says so first.
SLEEPER = """
import sys, uuid
from flux.engine.rehearsal import rehearsing
with rehearsing(sys.argv[1], request=uuid.uuid4()) as rehearsal:
    rehearsal.run("update public.orders set total = 0", [])
    print("written", flush=True)
    rehearsal.run("select pg_sleep(60)", [], reads=True)
"""


@pytest.fixture
def url(database_url):
    """A database with orders, of which five rows are there."""
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLES)
    return database_url


def totals(url):
    """Every total, to see that nothing changed."""
    with psycopg.connect(url) as connection:
        return [int(row[0]) for row in connection.execute("select total from public.orders order by id")]


@pytest.mark.parametrize("ending", ["commit", "end", "commit and chain", "prepare transaction 'flux'"])
def test_postgres_refuses_the_commit_of_a_rehearsal(url, ending):
    """Whatever gets past the reading of the statement, the data stays as it is."""
    with rehearsing(url, request=uuid4()) as rehearsal:
        assert rehearsal.run("update public.orders set total = 1", []) == 5

        with pytest.raises(StatementRefused):
            rehearsal.run(ending, [])

    assert totals(url) == [10] * 5


def test_a_second_statement_behind_a_semicolon_is_refused(url):
    """Otherwise it would come after a commit of its own."""
    with rehearsing(url, request=uuid4()) as rehearsal, pytest.raises(StatementRefused, match="multiple commands"):
        rehearsal.run("update public.orders set total = 1; commit", [])

    assert totals(url) == [10] * 5


def test_a_rehearsal_that_is_killed_is_rolled_back(url):
    """SIGKILL leaves no time to clean up: the server must see to it."""
    process = subprocess.Popen([sys.executable, "-c", SLEEPER, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set lock_timeout = '10s'")
        started = time.monotonic()
        connection.execute("update public.orders set total = 11")  # waits for the locks of the one that was killed

    assert time.monotonic() - started < 8
    assert totals(url) == [11] * 5


def test_a_dry_run_says_what_would_be_written_and_leaves_nothing(url):
    """Rows, mutations and the constraint are those of the real thing."""
    text = "update public.orders set total = total - $1 where id < 3"

    answer = dry_run(url, "flux_app", None, effects_of(text), text, [4])

    assert (answer["rows"], answer["mutation_count"], answer["error"]) == (2, 2, None)
    assert answer["mutations"][0]["change"] == "total: 10 → 6"
    assert totals(url) == [10] * 5
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from flux.state_mutations").fetchone() == (5,)


def test_a_dry_run_names_the_constraint_also_a_deferred_one(url):
    """A deferred one is broken at the commit, which a dry run does not have."""
    checked, deferred = "update public.orders set total = -1", "update public.orders set parent = 99 where id = 1"

    first = dry_run(url, "flux_app", None, effects_of(checked), checked, [])
    second = dry_run(url, "flux_app", None, effects_of(deferred), deferred, [])

    assert first["error"]["constraint"] == "orders_total_check"
    assert second["rows"] == 1
    assert second["error"]["constraint"] == "orders_parent_fkey"


def test_a_dry_run_says_which_numbers_do_not_come_back(url):
    """A sequence is outside every transaction."""
    text = "insert into public.orders (total) values (1)"

    answer = dry_run(url, "flux_app", None, effects_of(text), text, [])

    assert answer["sequences"] == ["public.orders_id_seq"]


def test_effects_outside_the_transaction_are_refused_wherever_they_hide(url):
    """Behind a function, a default or a trigger they act just the same."""
    with psycopg.connect(url) as connection:
        connection.execute("""
            create function public.hidden() returns void language plpgsql
                as $$ begin perform pg_catalog.pg_reload_conf(); end $$;
            create function public.on_order() returns trigger language plpgsql
                as $$ begin perform public.hidden(); return null; end $$;
            create trigger reloads after update on public.orders execute function public.on_order();
        """)
    texts = ("select setval('public.orders_id_seq', 1)", "select public.hidden()", "update public.orders set total = 1")

    answers = [dry_run(url, "flux_app", None, effects_of(text), text, []) for text in texts]

    assert [answer["rows"] for answer in answers] == [None, None, None]
    assert "setval() acts at once" in answers[0]["refused"]
    assert "pg_reload_conf(), which public.hidden may call" in answers[1]["refused"]
    assert "pg_reload_conf()" in answers[2]["refused"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vacuum public.orders", "outside the transaction"),
        ("copy public.orders to program 'cat'", "a program"),
        ("commit", "ends or divides"),
        ("savepoint a", "ends or divides"),
        ("set role none", "could leave its role"),
        ("select set_config('ro' || 'le', 'none', true)", "could leave the role"),
        ("do $$ begin end $$", "looked into"),
        ("drop table public.orders", "lock others out"),
        ("select 1 as one into public.copied", "lock others out"),
    ],
)
def test_what_cannot_be_taken_back_is_refused_with_the_reason(text, reason):
    """A refusal without its reason would look like a fault."""
    assert reason in (effects_of(text).refusal or "")


def test_hooks_and_events_of_a_dry_run_are_told_and_not_fired(url):
    """They are the part of a write that its author forgets."""
    with psycopg.connect(url) as connection:
        connection.execute("""
            create function public.publishes() returns trigger language plpgsql
                as $$ begin perform flux.publish('order.changed', '{}', 'orders'); return null; end $$;
            create trigger publishes after update on public.orders execute function public.publishes();
            insert into flux.subscriptions values ('function', 'receipt', 'order.*');
        """)
    text = "update public.orders set total = 1 where id = 1"

    answer = dry_run(url, "flux_app", None, effects_of(text), text, [])

    assert [event["type"] for event in answer["events"]] == ["order.changed"]
    assert [(job["kind"], job["function"]) for job in answer["jobs"]] == [("event", "receipt")]
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from flux.jobs").fetchone() == (0,)
        assert connection.execute("select count(*) from flux.events").fetchone() == (0,)


def test_a_role_that_is_not_there_is_named(url):
    """Postgres's own words would speak of flux_role_…"""
    with pytest.raises(UnknownRole, match="no role nobody"), rehearsing(url, "flux_role_nobody"):
        pass


def test_a_plan_names_the_index_that_a_large_scan_lacks(url):
    """With hypopg it is a plan that was made, without it a rule, and the answer says which."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table public.lines (id integer primary key, order_id integer, note text)")
        connection.execute("insert into public.lines select n, n % 5000, 'n' from generate_series(1, 50000) as n")
        connection.execute("analyze public.lines")
        found = connection.execute("select from pg_available_extensions where name = 'hypopg'").fetchone()
        if found is not None:
            connection.execute("create extension hypopg")
        catalogue = read_catalogue(connection)
        connection.execute("grant select on public.lines to flux_app")

    with rehearsing(url) as rehearsal:
        plan = plan_of(rehearsal, "select * from public.lines where note <> $1 and order_id = $2", ["x", 7], catalogue)
        generic = plan_of(rehearsal, "select * from public.lines where order_id = $1", None, catalogue)
        primary = plan_of(rehearsal, "select * from public.lines where id = 5", (), catalogue)

    assert [one["index"] for one in plan["advice"]] == ["create index on public.lines (order_id)"]
    assert plan["advice"][0]["by"] == ("rule" if found is None else "plan")
    if found is not None:
        assert plan["advice"][0]["used"]
        assert plan["advice"][0]["cost"] < plan["cost"] / 10
    assert generic["generic"]
    assert generic["advice"]
    assert primary["advice"] == []
    assert json.dumps(plan)

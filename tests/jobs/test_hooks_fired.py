"""Hooks: functions that run after writes of a table, whoever writes, and never in the way of the write."""

from __future__ import annotations

import threading

import psycopg
import pytest
from market import Markets

PAID = """
    @function
    def pay(ctx, id: int) -> None:
        ctx.db.execute("update orders set status = 'paid' where id = %s", id)

    @function(
        after="insert, update",
        table="orders",
        when="new.status = 'paid' and old.status is distinct from 'paid'  -- once only",
    )
    def paid(ctx, operation: str, table: str, new: dict, old: dict | None) -> None:
        what = {"operation": operation, "table": table, "new": new, "old": old}
        ctx.db.execute("insert into seen (what) values (%s)", what)
"""

ANY = """
    @function(after="insert,update,delete", table="orders")
    def watch(ctx, operation: str) -> None:
        ctx.db.execute("insert into seen (what) values (%s)", {"operation": operation})
"""


def test_a_write_from_psql_fires_with_both_rows(market: Markets) -> None:
    """Who looks only at what the application writes misses what was mended by hand."""
    shop = market(PAID)

    shop.ask("insert into orders (status, note) values ('new', 'a')")
    shop.ask("update orders set note = 'b'")
    assert shop.jobs() == []
    shop.ask("update orders set status = 'paid'")
    shop.ask("update orders set note = 'c'")
    assert shop.work() == 1

    assert shop.seen() == [
        {
            "operation": "update",
            "table": "public.orders",
            "new": {"id": 1, "status": "paid", "note": "b"},
            "old": {"id": 1, "status": "new", "note": "b"},
        }
    ]


def test_the_old_row_of_an_insert_is_null(market: Markets) -> None:
    """So that one condition serves insert and update."""
    shop = market(PAID)

    shop.ask("insert into orders (status) values ('paid'), ('new')")
    shop.work()

    assert [(one["operation"], one["new"]["id"], one["old"]) for one in shop.seen()] == [("insert", 1, None)]


def test_every_kind_of_write_fires(market: Markets) -> None:
    """Upserts, merges, copies and cascades are writes like any other."""
    shop = market(ANY)

    shop.ask("insert into orders (note) values ('a') on conflict do nothing")
    shop.ask(
        "merge into orders using (values (1)) as v (id) on orders.id = v.id when matched then update set note = 'b'"
    )
    with psycopg.connect(shop.url) as connection, connection.cursor().copy("copy orders (note) from stdin") as copy:
        copy.write("c\n")
    shop.ask("delete from orders where id = 1")
    shop.work()

    assert [one["operation"] for one in shop.seen()] == ["insert", "update", "insert", "delete"]


def test_a_hook_is_handed_on_exactly_if_the_write_is_committed(market: Markets) -> None:
    """An e-mail for an order that never was cannot be taken back."""
    shop = market(PAID)

    with psycopg.connect(shop.url) as connection:
        connection.execute("insert into orders (status) values ('paid')")
        connection.rollback()

    assert shop.jobs() == []


def test_the_hook_names_the_request_and_the_statement_that_wrote(market: Markets) -> None:
    """A trigger hides what causes what; the record must not."""
    shop = market(PAID)
    shop.ask("insert into orders default values")

    request_id = shop.call("pay", id=1).record.context.request_id
    shop.work()

    (statement,) = shop.ask(
        "select span_id from flux.execution_spans where request_id = %s and kind = 'db'", request_id
    )
    (hook,) = shop.ask("select * from flux.trace_requests where kind = 'hook'")
    assert (hook["parent_request_id"], hook["parent_span_id"]) == (request_id, statement["span_id"])
    assert (hook["function"], hook["outcome"]) == ("paid", "ok")


def test_the_recorder_still_records_what_a_hook_watches(market: Markets) -> None:
    """Two triggers on a table, and the mutation is there once, from the right request, before the hook's."""
    shop = market(PAID)
    shop.ask("insert into orders default values")

    request_id = shop.call("pay", id=1).record.context.request_id
    shop.work()

    mutations = shop.ask("select * from flux.state_mutations where table_name = 'public.orders' order by id")
    assert [(row["operation"], row["request_id"]) for row in mutations] == [("INSERT", None), ("UPDATE", request_id)]
    assert shop.ask("select 1 from flux.untracked_tables") == []


def test_a_circle_of_hooks_is_stopped_and_that_is_recorded(market: Markets) -> None:
    """Two hooks that write each other's table would fill the queue for ever."""
    shop = market(
        """
        @function(after="insert", table="orders")
        def ping(ctx) -> None:
            ctx.db.execute("insert into seen (what) values ('{}')")

        @function(after="insert", table="seen")
        def pong(ctx) -> None:
            ctx.db.execute("insert into orders default values")
        """
    )

    shop.ask("insert into orders default values")
    ran = shop.work()

    assert ran == 8
    (dead,) = shop.ask("select * from flux.finished_jobs where state = 'dead'")
    assert (dead["function"], dead["depth"], dead["attempt"]) == ("ping", 9, 0)
    assert dead["error"] == "stopped: 8 hooks led to this one, each by the work of another"
    last = shop.ask("select * from flux.trace_requests where request_id = %s", dead["parent_request_id"])
    assert [(row["function"], row["outcome"]) for row in last] == [("pong", "ok")]


def test_a_circle_by_way_of_a_job_is_stopped_too(market: Markets) -> None:
    """A hook that pushes a job that writes the table is the same circle."""
    shop = market(
        """
        @function(after="insert", table="orders")
        def ping(ctx) -> None:
            ctx.queue.push("again")

        @function
        def again(ctx) -> None:
            ctx.db.execute("insert into orders default values")
        """
    )

    shop.ask("insert into orders default values")

    assert shop.work() == 16
    assert shop.ask("select 1 from flux.finished_jobs where state = 'dead'") != []


def test_a_condition_that_broke_does_not_fail_the_write(market: Markets) -> None:
    """A migration that drops a column must not stop the shop; what was not decided stands among the dead, with why."""
    shop = market(PAID)

    shop.ask("alter table orders drop column status")
    shop.ask("insert into orders (note) values ('a')")

    (dead,) = shop.ask("select * from flux.finished_jobs")
    assert (dead["state"], dead["function"]) == ("dead", "paid")
    assert dead["error"] == 'its when failed: record "new" has no field "status"'
    assert dead["input"]["new"] == {"id": 1, "note": "a"}


def test_a_row_too_large_for_a_job_does_not_fail_the_write(market: Markets) -> None:
    """What does not fit is left out and says how large it was; the function can read the row itself."""
    shop = market(PAID)

    shop.ask("insert into orders (status, note) values ('paid', repeat('x', 10000000))")
    shop.work()

    (told,) = shop.seen()
    assert told["new"] == {"id": 1, "status": "paid", "note": {"$omitted": {"bytes": 10_000_002}}}


@pytest.mark.parametrize("toml", ["", '[recording]\nredact = ["password"]\n'])
def test_a_value_nested_too_deep_for_a_job_does_not_fail_the_write(market: Markets, toml: str) -> None:
    """Postgres keeps what no worker could read, and the other columns are told as ever."""
    shop = market(PAID, toml=toml)
    shop.ask("alter table orders add column details jsonb")

    shop.ask(
        "insert into orders (status, details) values ('paid', (repeat('[', %s) || repeat(']', %s))::jsonb)", 300, 300
    )
    shop.work()

    (told,) = shop.seen()
    assert told["new"] == {"id": 1, "status": "paid", "note": None, "details": {"$omitted": {"bytes": 600}}}


def test_redacted_columns_stay_out_of_the_queue(market: Markets) -> None:
    """What may not be in the record may not be in a job's input either, which is kept as long."""
    shop = market(PAID, toml='[recording]\nredact = ["orders.note"]\n')

    shop.ask("insert into orders (status, note) values ('paid', 'secret')")

    (job,) = shop.jobs()
    assert job["input"]["new"] == {"id": 1, "status": "paid", "note": "[redacted]"}


def test_a_writer_needs_no_right_to_the_queue(market: Markets) -> None:
    """A role that may write orders and nothing else, with a search_path of its own, fires the hook all the same."""
    shop = market(PAID)
    role = "writer_of_orders"
    shop.ask(f"create role {role}; grant insert on orders to {role}")
    try:
        with psycopg.connect(shop.url) as connection:
            connection.execute(f"set role {role}; set search_path = pg_temp")
            connection.execute("insert into public.orders (status) values ('paid')")

        assert [job["function"] for job in shop.jobs()] == ["paid"]
    finally:
        shop.ask(f"drop owned by {role}; drop role {role}")


def test_the_condition_does_not_go_by_the_writers_search_path(market: Markets) -> None:
    """Otherwise whoever may write decides which functions run with the rights of the table's owner."""
    shop = market(
        """
        @function(after="insert", table="orders", when="is_due(new.id)")
        def due(ctx) -> None: ...
        """,
        schema="""
        create table orders (id bigint generated always as identity primary key);
        create function is_due(id bigint) returns boolean language sql as 'select false';
        create schema evil;
        create function evil.is_due(id bigint) returns boolean language sql as 'select true';
        """,
    )
    assert shop.faults == {}

    with psycopg.connect(shop.url) as connection:
        connection.execute("set search_path = evil, public")
        connection.execute("insert into orders default values")

    assert shop.jobs() == []


def test_partitions_fire_under_their_roots_name(market: Markets) -> None:
    """Users write to the root and to partitions; one attached or detached later must work as well."""
    shop = market(
        """
        @function(after="insert", table="metrics")
        def watch(ctx, table: str, new: dict) -> None:
            ctx.db.execute("insert into seen (what) values (%s)", {"table": table, **new})
        """,
        schema="""
        create table seen (id bigint generated always as identity primary key, what jsonb);
        create table metrics (day int) partition by range (day);
        create table metrics_1 partition of metrics for values from (0) to (10);
        create table metrics_2 (day int);
        """,
    )

    shop.ask("insert into metrics values (1)")
    shop.ask("insert into metrics_1 values (2)")
    shop.ask("alter table metrics attach partition metrics_2 for values from (10) to (20)")
    shop.ask("insert into metrics values (11)")
    shop.ask("alter table metrics detach partition metrics_2")
    shop.ask("insert into metrics_2 values (12)")
    shop.work()

    assert shop.seen() == [{"table": "public.metrics", "day": day} for day in (1, 2, 11)]


def test_ddl_goes_on_as_ever(market: Markets) -> None:
    """A hook must not stand in the way of a migration."""
    shop = market(ANY)

    shop.ask("alter table orders add column price numeric default 1")
    shop.ask("alter table orders rename column note to remark")
    shop.ask("alter table orders alter column status type varchar(20)")
    shop.ask("insert into orders (remark) values ('a')")
    assert shop.jobs()[-1]["input"]["new"] == {"id": 1, "status": "new", "remark": "a", "price": 1}
    shop.ask("drop table orders")
    shop.write("")
    shop.declare()

    assert shop.ask("select 1 from pg_proc where proname like 'hook_of_%'") == []


def test_writers_at_once_do_not_wait_for_each_other(market: Markets) -> None:
    """A hook may add a row to the queue, and nothing that others hold."""
    shop = market(PAID)
    done = threading.Event()

    def write_and_wait() -> None:
        with psycopg.connect(shop.url) as connection:
            connection.execute("insert into orders (status) values ('paid')")
            done.wait(10)

    first = threading.Thread(target=write_and_wait)
    first.start()
    with psycopg.connect(shop.url) as connection:
        connection.execute("set statement_timeout = '3s'")
        connection.execute("insert into orders (status) values ('paid')")
    done.set()
    first.join()

    assert len(shop.jobs()) == 2


def test_what_a_hook_gives_is_validated_like_any_input(market: Markets) -> None:
    """A row that does not fit the function's types is dead at once, and the record says which field."""
    shop = market(
        """
        from dataclasses import dataclass

        @dataclass
        class Order:
            id: int
            note: str

        @function(after="insert", table="orders")
        def watch(ctx, new: Order) -> None: ...
        """
    )

    shop.ask("insert into orders (note) values (null)")
    shop.work()

    (dead,) = shop.ask("select * from flux.finished_jobs")
    assert dead["state"] == "dead"
    (record,) = shop.ask("select * from flux.trace_requests where kind = 'hook'")
    assert record["status"] == 422
    assert "new.note" in str(record["error_message"])

"""The record tables have a partition for each day in UTC, made ahead, whatever waits in the default one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg

#: Requests, spans, mutations, what replays wrote, finished jobs, events.
TABLES = 6

DAYS = "select relname from pg_class where relispartition and relnamespace = 'flux'::regnamespace and relkind = 'r'"


def test_days_are_made_ahead_once(connection: psycopg.Connection) -> None:
    """It runs at every start; the second run finds nothing to do."""
    connection.execute("select flux.make_partitions()")

    made = [name for (name,) in connection.execute("select flux.make_partitions(9)").fetchall()]

    assert len(made) == 2 * TABLES
    assert connection.execute("select flux.make_partitions(9)").fetchall() == []


def test_a_partition_is_a_day_in_utc(connection: psycopg.Connection) -> None:
    """Two nodes in different zones must mean the same day."""
    connection.execute("set local timezone = 'Pacific/Auckland'")

    connection.execute("select flux.make_partition('state_mutations', '2031-02-03')")

    connection.execute("set local timezone = 'UTC'")
    (bounds,) = connection.execute(
        "select pg_get_expr(relpartbound, oid) from pg_class where relname = 'state_mutations_2031_02_03'"
    ).fetchone() or ("",)
    assert bounds == "FOR VALUES FROM ('2031-02-03 00:00:00+00') TO ('2031-02-04 00:00:00+00')"


def test_rows_that_came_first_move_to_their_day(connection: psycopg.Connection) -> None:
    """A database that was idle for a month has rows of today in the default partition, and must still start."""
    connection.execute(
        "insert into flux.state_mutations (table_name, operation, recorded_at) "
        "values ('t', 'INSERT', '2031-02-03 12:00+00'), ('t', 'INSERT', '2031-02-04 00:00+00')"
    )

    connection.execute("select flux.make_partition('state_mutations', '2031-02-03')")

    places = connection.execute("select tableoid::regclass::text from flux.state_mutations where table_name = 't'")
    assert sorted(place for (place,) in places) == [
        "flux.state_mutations_2031_02_03",
        "flux.state_mutations_default",
    ]


def test_two_nodes_make_them_at_once(database_url: str) -> None:
    """Both start at midnight."""

    def make(_: int) -> int:
        with psycopg.connect(database_url) as node:
            return len(node.execute("select flux.make_partitions(20)").fetchall())

    with psycopg.connect(database_url, autocommit=True) as before:
        missing = TABLES * 21 - (len(before.execute(DAYS).fetchall()) - TABLES)
    with ThreadPoolExecutor(4) as nodes:
        assert sum(nodes.map(make, range(4))) == missing


def test_writers_are_not_refused_while_days_are_made(database_url: str) -> None:
    """The default partition is locked for an instant; a write waits, and finds its day."""
    with psycopg.connect(database_url) as maker, psycopg.connect(database_url) as writer:
        maker.execute("drop table if exists flux.state_mutations_2031_02_03")
        writer.execute("create table public.t (id int); insert into t values (1)")
        with ThreadPoolExecutor(1) as beside:
            making = beside.submit(maker.execute, "select flux.make_partition('state_mutations', '2031-02-03')")
            writer.execute("insert into t values (2)")
            writer.commit()
            making.result()
            maker.commit()
        assert writer.execute("select count(*) from flux.state_mutations").fetchone() == (2,)


def test_old_days_are_dropped_whole(connection: psycopg.Connection) -> None:
    """Retention is drop table; today and the default partition stay."""
    for parent in ("trace_requests", "execution_spans", "state_mutations"):
        connection.execute("select flux.make_partition(%s, '2021-02-03')", (parent,))

    dropped = connection.execute("select flux.drop_partitions_before(current_date)").fetchall()

    assert [name for (name,) in dropped] == [
        "execution_spans_2021_02_03",
        "state_mutations_2021_02_03",
        "trace_requests_2021_02_03",
    ]

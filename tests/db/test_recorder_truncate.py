"""A truncate takes rows without a word; the recorder keeps each of them, or says that it could not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Recorded = Callable[..., list[dict[str, Any]]]


def test_a_truncate_keeps_every_row(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H5: a marker alone does not say what was lost."""
    request_id = uuid.uuid4()
    connection.execute("create table public.t (id int primary key, v numeric)")
    connection.execute("create table public.below (id int references t)")
    connection.execute("insert into t values (1, 1.10), (2, null); insert into below values (1)")

    connection.execute(f"set local flux.request_id = '{request_id}'")
    connection.execute("truncate t cascade")

    gone = recorded("public.t")[2:]
    assert [(row["operation"], row["row_key"], row["request_id"]) for row in gone] == [
        ("TRUNCATE", {"id": 1}, request_id),
        ("TRUNCATE", {"id": 2}, request_id),
    ]
    assert [str(row["old_values"]["v"]) for row in gone] == ["1.1", "None"]
    assert recorded("public.below")[-1]["old_values"] == {"id": 1}


def test_a_truncate_of_one_partition_keeps_its_rows(connection: psycopg.Connection, recorded: Recorded) -> None:
    """Truncate triggers are not cloned to partitions, so each needs its own."""
    connection.execute("create table public.t (id int primary key) partition by range (id)")
    connection.execute("create table public.t_low partition of t for values from (0) to (10)")
    connection.execute("create table public.t_high partition of t for values from (10) to (20)")
    connection.execute("insert into t values (1), (11)")

    connection.execute("truncate t_low")
    connection.execute("truncate t")

    gone = [row for row in recorded("public.t") if row["operation"] == "TRUNCATE"]
    assert [row["row_key"] for row in gone] == [{"id": 1}, {"id": 11}]


def test_a_partition_without_truncate_trigger_is_named(connection: psycopg.Connection) -> None:
    """What is not recorded is called not recorded."""
    connection.execute("drop event trigger if exists flux_follow_ddl")
    connection.execute("create table public.t (id int primary key) partition by range (id)")
    connection.execute("select flux.track('t')")

    connection.execute("create table public.t_low partition of t for values from (0) to (10)")

    assert connection.execute("select * from flux.untracked_tables").fetchall() == [
        ("public.t", "truncate of public.t_low not recorded")
    ]


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_truncate_with_an_old_snapshot_says_what_it_could_not_keep(
    database_url: str, recorded: Recorded, isolation: str
) -> None:
    """H13: the old snapshot shows rows that were gone and hides rows that go; wrong rows are worse than none."""
    with psycopg.connect(database_url) as truncating, psycopg.connect(database_url, autocommit=True) as other:
        other.execute("create table public.t (id int primary key)")
        other.execute("insert into t values (1), (2)")
        before = other.execute("select clock_timestamp()").fetchone()
        truncating.execute(f"set transaction isolation level {isolation}")
        truncating.execute("select 1")
        other.execute("delete from t where id = 1; insert into t values (3)")

        truncating.execute("truncate t")
        truncating.commit()

        marker = recorded("public.t", of=other)[-1]
        assert (marker["operation"], marker["row_key"], marker["old_values"]) == ("TRUNCATE", None, None)
        for question in ("row_as_of('t', '{\"id\": 2}', %s)", "table_as_of('t', %s)"):
            with pytest.raises(psycopg.Error, match="truncated since") as unknown:
                other.execute(f"select flux.{question}", before)
            assert unknown.value.sqlstate == "XF803"
        row = other.execute("select flux.row_as_of('t', '{\"id\": 1}', %s)", before).fetchone()
        assert row == ({"id": 1},)

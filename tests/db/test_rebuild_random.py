"""Promise 7: after any sequence of writes, committed or not, the record gives the present and every past exactly."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COLUMNS = "id int {key}, n numeric, f float8, j jsonb, a int[], t text"
TABLES = f"""
    drop table if exists keyed, keyless, parted;
    create table keyed ({COLUMNS.format(key="primary key")});
    create table keyless ({COLUMNS.format(key="")});
    create table parted ({COLUMNS.format(key="primary key")}) partition by range (id);
    create table parted_low partition of parted for values from (0) to (3);
    create table parted_high partition of parted default;
    select flux.track_all();
    delete from flux.state_mutations;
    delete from flux.trace_requests;
    """
NAMES = ("keyed", "keyless", "parted")

#: Column and literal; neighbours are equal to =, but not the same.
VALUES = [
    ("n", "1.10"), ("n", "1.1"), ("n", "NaN"), ("f", "-0"), ("f", "0"), ("f", "0.1"), ("j", "null"), ("j", None),
    ("j", '{"a": 1.10}'), ("j", '{"a": 1.1}'), ("a", "[2:3]={7,8}"), ("a", "{7,8}"), ("t", ""), ("t", "null"),
]  # fmt: skip

WRITES = {
    "insert": "insert into {table} (id, {column}) values (%(id)s, %(value)s)",
    "upsert": "insert into {table} (id, {column}) values (%(id)s, %(value)s) "
    "on conflict (id) do update set {column} = excluded.{column}",
    "update": "update {table} set {column} = %(value)s where id = %(id)s",
    "update all": "update {table} set {column} = %(value)s",
    "move": "update {table} set id = %(other)s, {column} = %(value)s where id = %(id)s",
    "shift": "update {table} set id = id + 10",
    "delete": "delete from {table} where id = %(id)s",
    "truncate": "truncate {table}",
}

writes = st.tuples(
    st.sampled_from([*WRITES, "update", "update", "insert", "upsert"]),
    st.sampled_from(NAMES),
    st.sampled_from(VALUES),
    st.integers(0, 5),
    st.integers(0, 5),
)
steps = st.tuples(
    st.integers(0, 2),
    st.one_of(writes, writes, writes, st.sampled_from(["commit", "rollback", "savepoint", "back", "release", "look"])),
)


@dataclass
class Look:
    """What one moment was like: when it was, and what each table held."""

    request_id: uuid.UUID
    at: object
    content: dict[str, Counter[str]] = field(default_factory=dict)


@pytest.fixture
def writers(database_url: str) -> Iterator[list[psycopg.Connection]]:
    # A writer that waits for another in the same thread would wait for ever: its transaction fails instead.
    opened = [psycopg.connect(database_url, options="-c lock_timeout=20ms") for _ in range(3)]
    yield opened
    for connection in opened:
        connection.close()


@settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=st.lists(steps, min_size=5, max_size=60))
def test_present_and_past_are_in_the_record(
    writers: list[psycopg.Connection], database_url: str, sequence: list[tuple[int, object]]
) -> None:
    """Everything that is asked of the past rests on this."""
    with psycopg.connect(database_url, autocommit=True, options="-c lock_timeout=20ms") as watcher:
        for writer in writers:
            writer.rollback()
        watcher.execute(TABLES)
        looks = [look(watcher)]

        for number, step in sequence:
            if step == "look":
                with suppress(psycopg.errors.LockNotAvailable):  # somebody truncates
                    looks.append(look(watcher))
            else:
                take(writers[number], step)
        for writer in writers:
            writer.commit()

        assert {name: rebuilt(watcher, name) for name in NAMES} == present(watcher)
        for then in looks:
            for name in NAMES:
                assert past(watcher, "table_seen_by", name, then.request_id) == then.content[name]
                assert past(watcher, "table_as_of", name, then.at) == then.content[name]
        assert_rows(watcher, looks[len(looks) // 2])


def take(connection: psycopg.Connection, step: object) -> None:
    """One step of one writer; an error rolls its transaction back, as it would anywhere."""
    try:
        if isinstance(step, tuple):
            kind, table, (column, value), key, other = step
            if kind == "upsert" and table == "keyless":
                kind = "insert"
            connection.execute(
                WRITES[kind].format(table=table, column=column), {"id": key, "other": other, "value": value}
            )
        elif step == "savepoint":
            connection.execute("savepoint s")
        elif step == "back":
            connection.execute("rollback to s")
        elif step == "release":
            connection.execute("release s")
        else:
            connection.execute(str(step))
    except psycopg.Error:
        connection.rollback()


def look(watcher: psycopg.Connection) -> Look:
    """Reads all tables in one snapshot, and records that snapshot as the one of a request."""
    with watcher.transaction():
        watcher.execute("set transaction isolation level repeatable read")
        row = watcher.execute("select clock_timestamp(), pg_current_snapshot()").fetchone()
        assert row is not None
        then = Look(uuid.uuid4(), row[0], present(watcher))
        watcher.execute(
            "insert into flux.trace_requests (request_id, kind, outcome, started_at, snapshot) "
            "values (%s, 'http', 'ok', %s, %s)",
            (then.request_id, *row),
        )
    return then


def present(watcher: psycopg.Connection) -> dict[str, Counter[str]]:
    return {name: counted(watcher, f"select {name}::text from {name}") for name in NAMES}


def past(watcher: psycopg.Connection, function: str, name: str, at: object) -> Counter[str]:
    return counted(
        watcher,
        f"select flux.row_from_json(null::{name}, content)::text from flux.{function}('{name}', %s) as past (content)",
        at,
    )


def counted(watcher: psycopg.Connection, query: str, *values: object) -> Counter[str]:
    return Counter(text for (text,) in watcher.execute(query, values).fetchall())


def assert_rows(watcher: psycopg.Connection, then: Look) -> None:
    """The row of each key, asked for by itself, is the one that the table had."""
    for name in ("keyed", "parted"):
        for function, at in (("row_seen_by", then.request_id), ("row_as_of", then.at)):
            one_by_one = counted(
                watcher,
                f"select flux.row_from_json(null::{name}, content)::text from generate_series(0, 15) as id, "
                f"flux.{function}('{name}', jsonb_build_object('id', id), %s) as content where content is not null",
                at,
            )
            assert one_by_one == Counter(
                {text: n for text, n in then.content[name].items() if int(text[1:].split(",")[0]) <= 15}
            )


def rebuilt(watcher: psycopg.Connection, name: str) -> Counter[str]:
    """The table as its mutations alone make it, from the first to the last; every row compared image by image."""
    rows: list[dict[str, str | None]] = []
    mutations = watcher.execute(
        """
        select
            (select jsonb_object_agg(key, value) from jsonb_each_text(new_values)),
            (select jsonb_object_agg(key, value) from jsonb_each_text(old_values)),
            coalesce(previous_key, row_key) ->> 'id'
        from flux.state_mutations
        where table_name = %s and not rolled_back
        order by id
        """,
        (f"public.{name}",),
    ).fetchall()
    for new, old, key in mutations:
        row: dict[str, str | None] = {}
        if old is not None:
            row = next(row for row in rows if (row == old if key is None else row["id"] == key))
            assert {column: row[column] for column in old} == old
            rows.remove(row)
        if new is not None:
            rows.append({**row, **new})

    watcher.execute(f"drop table if exists pg_temp.twin; create temporary table twin (like {name})")
    for row in rows:
        columns = ", ".join(row)
        casts = ", ".join("%s" for _ in row)
        watcher.execute(f"insert into twin ({columns}) values ({casts})", list(row.values()))
    different = watcher.execute(
        f"select count(*) from twin where not exists (select from {name} as now where now *= twin::text::{name})"
    ).fetchone()
    assert different == (0,)
    return counted(watcher, "select twin::text from twin")

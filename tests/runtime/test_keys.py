"""Generated keys of a replay: sequences are set with the statement, whatever way that is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flux.context import RequestContext
from flux.engine.pool import Database
from flux.engine.transaction import Transaction
from flux.record import Record
from flux.redaction import Redactor
from flux.runtime.database import RequestDatabase
from flux.runtime.keys import RecordedKeys

TABLES = """
    create table "Odd users" ("Id" bigint generated always as identity primary key, name text);
    create table notes (id serial primary key, user_id bigint, text text);
    grant select, insert on "Odd users", notes to flux_app;
    grant usage on notes_id_seq to flux_app;
"""


@dataclass(frozen=True)
class Column:
    table: str
    column: str
    sequence: str | None


COLUMNS = (
    Column('public."Odd users"', "Id", 'public."Odd users_Id_seq"'),
    Column("public.notes", "id", "public.notes_id_seq"),
    Column("public.gone", "id", "public.gone_id_seq"),
)


def inserted(id_: int, span: int, table: str, column: str, value: int) -> dict[str, Any]:
    """A row of flux.state_mutations."""
    return {"id": id_, "span_id": span, "table_name": table, "operation": "INSERT", "new_values": {column: value}}


SPANS = [
    {"span_id": 1, "parent_id": None, "kind": "gateway", "name": "POST /x"},
    {"span_id": 2, "parent_id": 1, "kind": "function", "name": "x"},
    {"span_id": 3, "parent_id": 2, "kind": "db", "name": "select 1"},
    {"span_id": 4, "parent_id": 2, "kind": "db", "name": 'insert "Odd users"'},
    {"span_id": 5, "parent_id": 2, "kind": "db", "name": "insert notes"},
    {"span_id": 6, "parent_id": 2, "kind": "db", "name": 'insert "Odd users"'},
]
MUTATIONS = [
    inserted(3, 6, 'public."Odd users"', "Id", 7),
    inserted(2, 4, 'public."Odd users"', "Id", 42),
    inserted(4, 5, "public.notes", "id", 100),
    inserted(5, 5, "public.notes", "id", 101),
    inserted(6, 5, "public.gone", "id", 1),
]


@contextmanager
def request(
    url: str, *, far: bool, keys: RecordedKeys | None = None
) -> Iterator[tuple[RequestDatabase, Record, Transaction]]:
    """The database of a replay, which has recorded keys."""
    database = Database(url, 1)
    database.open()
    with database.connection():
        database.far = far
    record = Record(RequestContext(), Redactor(), 65536, Path("/nowhere"))
    record.open("gateway", "POST /x")
    record.open("function", "x")
    transaction = Transaction(database, record)
    keys = keys or RecordedKeys(SPANS, MUTATIONS, COLUMNS)  # type: ignore[arg-type]
    transaction.before_statement = lambda span: keys.before_statement(record, span)
    try:
        yield RequestDatabase(transaction, record), record, transaction
    finally:
        transaction.undo()
        transaction.release()
        database.close()


@pytest.fixture
def url(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLES)
    return database_url


INSERT = """insert into "Odd users" (name) values (%s) returning "Id" """


@pytest.mark.parametrize("far", [False, True])
def test_keys_come_out_as_recorded_near_and_far(url: str, far: bool) -> None:
    """Also in the order of then, which need not be rising, and with the snapshot still noted."""
    with request(url, far=far) as (db, record, transaction):
        drawn = [
            db.value("select 1"),
            db.value(INSERT, "a"),
            [row["id"] for row in db.all("insert into notes (text) values ('a'), ('b') returning id")],
            db.value(INSERT, "b"),
            db.value(INSERT, "not recorded"),
            db.value("select session_user <> current_user"),
        ]
        snapshot = transaction._snapshot

    assert drawn == [1, 42, [100, 101], 7, 43, True]
    assert snapshot
    assert snapshot.count(":") == 2
    assert [span.error for span in record.spans] == [None] * len(record.spans)


@pytest.mark.parametrize("far", [False, True])
def test_the_first_statement_may_be_the_one_that_draws(url: str, far: bool) -> None:
    """It travels with `begin`, and its snapshot is read from the same message."""
    with request(url, far=far) as (db, _, transaction):
        assert db.value(INSERT, "a") == 42
        assert transaction._snapshot.count(":") == 2  # type: ignore[union-attr]


def test_a_taken_key_is_not_drawn_again(url: str) -> None:
    """What the replayed code inserted besides must not make it fail later."""
    with psycopg.connect(url) as connection:
        connection.execute(
            """insert into "Odd users" ("Id", name) overriding system value values (42, 'x'), (90, 'y')"""
        )
    with request(url, far=False) as (db, _, _):
        assert db.value(INSERT, "a") == 91


def test_a_statement_that_was_not_recorded_gets_a_key_that_is_free(url: str) -> None:
    """A sequence that was set back would give keys that exist."""
    with psycopg.connect(url) as connection:
        connection.execute("insert into notes (id, text) values (500, 'later')")
    with request(url, far=False) as (db, _, _):
        db.execute("insert into notes (text) values ('recorded')")
        assert db.value("insert into notes (text) values ('more') returning id") == 501


def test_functions_of_the_project_cannot_set_sequences_this_way(url: str) -> None:
    """It is for sandboxes, by the owner of the tables."""
    with psycopg.connect(url) as own:
        own.execute("set role flux_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute("select flux.set_sequence('public.notes_id_seq', 'public.notes', 'id', 5)")


def test_defaults_drawn_at_random_or_from_the_time_come_out_as_recorded(url: str) -> None:
    """A key that another request names must be the key it named then; what was not recorded is drawn as ever."""
    known, when = "5eedf00d-0000-4000-8000-000000000001", "2020-02-02 02:02:02+00:00"
    with psycopg.connect(url) as connection:
        connection.execute(
            """
            create table "Odd tickets" (
                "Id" uuid default gen_random_uuid(),
                made_at timestamptz default now(),
                note text default md5(random()::text)
            );
            grant select, insert on "Odd tickets" to flux_app;
            select flux.recall_defaults()
            """
        )
    table = 'public."Odd tickets"'
    new = [{"Id": known, "made_at": when, "note": "it's \\"}, {"Id": known.replace("5eed", "feed"), "made_at": when}]
    drawn = [
        {"id": number, "span_id": 9, "table_name": table, "operation": "INSERT", "new_values": values}
        for number, values in enumerate(new)
    ]
    spans = [*SPANS[:2], {"span_id": 9, "parent_id": 2, "kind": "db", "name": 'insert "Odd tickets"'}]
    columns = [Column(table, name, None) for name in ("Id", "made_at", "note")]
    with request(url, far=False, keys=RecordedKeys(spans, drawn, columns)) as (db, _, _):
        db.execute("set local time zone 'UTC'")
        first, second, third = db.all(
            """insert into "Odd tickets" (note) values ('a'), ('b'), ('c') returning "Id"::text, made_at::text"""
        )
        later = db.one('insert into "Odd tickets" default values returning "Id"::text, note')

    assert first == {"Id": known, "made_at": "2020-02-02 02:02:02+00"}
    assert second["Id"] == known.replace("5eed", "feed")
    assert third["Id"] not in (first["Id"], second["Id"])
    assert later["Id"] not in (known, first["Id"], second["Id"])
    assert len(later["note"]) == 32

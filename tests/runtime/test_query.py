"""`ctx.db.query` and `ctx.db.table`: compiled, run and recorded inside the request's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import psycopg
import pytest

from flux.config import Queries as Limits
from flux.context import RequestContext
from flux.engine.pool import Database
from flux.engine.transaction import Transaction
from flux.errors import QueryRefused, UnknownName
from flux.record import Record
from flux.redaction import Redactor
from flux.runtime import query
from flux.runtime.database import RequestDatabase
from flux.runtime.query import Queries

TABLES = """
    create table users (id bigint generated always as identity primary key, name text, password_hash text, "x;" text);
    create table todos (
        id bigserial primary key, title text not null, done boolean default false, owner_id bigint references users
    );
    insert into users (name, password_hash) values ('Ann', 'secret-of-ann'), ('Bob', 'secret-of-bob');
    insert into todos (title, owner_id) values ('milk', 1), ('bread', 2), ('water', null);
    grant select, insert, update, delete on users, todos to flux_app;
    grant usage on all sequences in schema public to flux_app;
"""


@contextmanager
def request(
    url: str, limits: Limits | None = None, redact: tuple[str, ...] = ()
) -> Iterator[tuple[RequestDatabase, Record]]:
    """The database of a request."""
    database = Database(url, 2)
    database.open()
    record = Record(RequestContext(), Redactor(redact), 65536, Path("/nowhere"))
    record.open("function", "x")
    transaction = Transaction(database, record)
    limits = limits or Limits()
    transaction.timeout = limits.timeout
    try:
        yield RequestDatabase(transaction, record, queries=Queries(database, lambda: limits)), record
    finally:
        transaction.undo()
        transaction.release()
        database.close()


@pytest.fixture(scope="module")
def url(new_database) -> str:
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute(TABLES)
    return url


def told(value) -> object:
    """A recorded value as it is stored."""
    return json.loads(orjson.dumps(value))


def test_a_document_gives_rows_or_the_number_written(url):
    """As JSON text too, as guests send it."""
    with request(url) as (db, _):
        assert db.query({"table": "todos", "columns": ["title", "owner.name"], "limit": 1, "order": ["id"]}) == [
            {"title": "milk", "owner": {"name": "Ann"}}
        ]
        assert db.query('{"table": "todos", "operation": "insert", "data": {"title": "tea"}}') == 1
        assert db.query(b'{"table": "todos", "columns": ["count(*)"]}') == [{"count(*)": 4}]


def test_the_record_keeps_the_statement_and_the_form(url):
    """The statement that ran, its parameters, and the form without its values."""
    with request(url) as (db, record):
        db.query({"table": "todos", "columns": ["id"], "filters": [{"column": "title", "op": "in", "value": ["milk"]}]})

    span = record.spans[-1]
    assert span.name == "select todos"
    assert span.attributes["db.query.text"] == (
        "SELECT todos.id FROM todos WHERE todos.title = any(CAST(%s AS text[])) LIMIT %s"
    )
    assert told(span.attributes["flux.query"]) == {
        "table": "todos", "operation": "select", "columns": ["id"],
        "filters": [{"column": "title", "op": "in", "value": "?"}],
    }  # fmt: skip
    assert (told(span.input), told(span.output)) == ([["milk"], 100], [{"id": 1}])
    assert span.attributes["db.response.returned_rows"] == 1


def test_a_secret_column_is_hidden_whatever_it_is_called(url):
    """In parameters, under another name, in a related row, and in rows that are written."""
    hash_ = "users.password_hash"
    with request(url, redact=(hash_,)) as (db, record):
        db.query({"table": "todos", "columns": ["title", {"relation": "owner", "as": "o", "columns": [
            {"column": "password_hash", "as": "h"}, "name"]}], "order": ["id"], "limit": 1})  # fmt: skip
        db.query({"table": "todos", "filters": [{"column": "owner.password_hash", "op": "in", "value": ["secret-1"]}]})
        db.query({"table": "users", "operation": "insert", "data": [{"name": "Cy", "password_hash": "secret-2"}]})
        db.table("users").where(name="Bob").update(password_hash="secret-3")
        db.query({"table": "users", "columns": ["max(password_hash)"]})

    stored = orjson.dumps([[span.input, span.output, span.attributes] for span in record.spans]).decode()
    assert "secret" not in stored
    first, second, third = (
        told(part) for part in (record.spans[1].output, record.spans[2].input, record.spans[3].input)
    )
    assert first == [{"title": "milk", "o": {"h": "[redacted]", "name": "Ann"}}]
    assert second == ["[redacted]", 100]
    assert third == [[{"name": "Cy", "password_hash": "[redacted]"}]]


def test_the_builder_writes_the_same_documents(url):
    """A thin one: what it can say, the form can say."""
    with request(url) as (db, _):
        todos = db.table("todos")
        some = todos.where(done=False, title__ilike="%E%").order("-id")

        assert [row["title"] for row in some.limit(50).all()] == ["water", "bread"]
        assert some.columns("title").one() == {"title": "water"}
        assert some.limit(1).count() == 2
        assert todos.where(owner__name="Ann").count() == 1
        assert todos.where(owner_id=None).count() == 1
        assert todos.where({"or": [{"column": "id", "value": 1}, {"column": "id", "value": 2}]}, id__gt=1).count() == 1
        assert todos.where(id__in={1, 2}, owner_id__is_null=False).offset(1).order("id").one()["id"] == 2
        assert todos.where(title="none").one() is None


def test_the_builder_writes_rows(url):
    """A row gives the row, a list the list, an update or delete its number unless rows are asked for."""
    with request(url) as (db, _):
        todos = db.table("todos")
        one = todos.insert(title="a")
        two = todos.returning("title").insert([{"title": "b"}, {"title": "c"}])
        mine = todos.where(title__in=["a", "b", "c"])

        assert (one["title"], one["done"]) == ("a", False)
        assert two == [{"title": "b"}, {"title": "c"}]
        assert mine.update(done=True) == 3
        assert mine.returning("done").update({"done": None}) == [{"done": None}] * 3
        assert todos.upsert(id=one["id"], title="z")["title"] == "z"
        assert todos.upsert([{"id": one["id"], "title": "y"}], conflict=["id"])[0]["title"] == "y"
        assert mine.delete() == 2
        with pytest.raises(QueryRefused, match="delete without filters would meet every row of todos"):
            todos.delete()
        assert todos.every().delete() == 4


def test_what_a_query_wrote_is_undone_with_the_request(url):
    """The rows above were never there."""
    with request(url) as (db, _):
        assert db.table("todos").count() == 3


def test_a_column_that_came_later_is_known_at_once(database_url, monkeypatch):
    """A migration while the process runs needs no restart, and costs no failed request."""
    with psycopg.connect(database_url, autocommit=True) as owner, request(database_url) as (db, record):
        owner.execute(TABLES)
        db.query({"table": "todos"})
        db.commit()
        monkeypatch.setattr(query, "SETTLED", 0.0)
        owner.execute("alter table todos add colour text; alter table todos rename title to headline")

        fresh = db.query({"table": "todos", "columns": ["colour"], "limit": 1})

    assert fresh == [{"colour": None}]
    assert record.spans[-1].error is None


def test_a_column_that_is_gone_is_left_out(database_url):
    """What was compiled for the table as it was is compiled again, once."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(TABLES)
        with request(database_url) as (db, _):
            db.query({"table": "todos"})
            db.commit()
            owner.execute("alter table todos drop done")

            assert db.query({"table": "todos", "limit": 1, "order": ["id"]}) == [
                {"id": 1, "title": "milk", "owner_id": 1}
            ]
            with pytest.raises(UnknownName, match="has no column and no relation done"):
                db.query({"table": "todos", "columns": ["done"]})


def test_a_refused_query_reaches_no_database(url):
    """Limits are those of the project, at run time too."""
    told_so = pytest.raises(QueryRefused, match="max_limit: 11 rows are asked for, the project allows 10")
    with request(url, Limits(max_limit=10, default_limit=5)) as (db, record), told_so:
        db.table("todos").limit(11).all()

    assert [span.kind for span in record.spans] == ["function"]


def test_a_list_that_would_be_cut_is_an_error_and_the_request_goes_on(url):
    """Nobody notices ten comments in place of eleven."""
    with request(url, Limits(max_limit=1, default_limit=1)) as (db, record):
        db.table("todos").insert(title="more", owner_id=1)
        with pytest.raises(QueryRefused, match="max_limit: todos has more rows here than the 1"):
            db.table("users").columns("name", "todos.title").order("id").all()

        assert record.spans[-1].error.code == "XF404"
        assert db.table("users").columns("name", "count(todos)").where(id=1).one() == {"name": "Ann", "count(todos)": 2}


def test_a_statement_ends_at_the_timeout_and_the_record_does_not(url):
    """Of structured queries and of SQL text alike; what Flux itself does takes the time it takes."""
    with request(url, Limits(timeout=0.05)) as (db, _):
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            db.execute("select pg_sleep(5)")
        assert db.table("todos").count() == 3
    with request(url) as (db, _):
        assert db.value("show statement_timeout") == "0"


def test_the_commit_takes_the_time_it_takes(database_url):
    """A record must not be lost because statements are to be quick."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(TABLES)
        owner.execute("""
            create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return null; end';
            create constraint trigger slow after insert on todos deferrable initially deferred
                for each row execute function slow()
        """)
    with request(database_url, Limits(timeout=0.15)) as (db, _):
        db.table("todos").insert(title="kept")
        db.commit()

        assert db.table("todos").where(title="kept").count() == 1


def test_a_name_with_a_semicolon_is_no_second_statement(url):
    """Not to the runtime either, which reads texts before they are sent."""
    with request(url) as (db, _):
        assert db.query(
            {"table": "users", "columns": ["x;"], "filters": [{"column": "x;", "op": "is_null"}], "limit": 1}
        ) == [{"x;": None}]

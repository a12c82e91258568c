"""Structured queries of callers: what a policy hides or masks is told as such, before Postgres is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from flux.config import Project
from flux.config import Queries as Limits
from flux.context import RequestContext
from flux.engine.installer import install
from flux.engine.pool import Database
from flux.engine.transaction import Transaction
from flux.errors import BadValue, ColumnRefused, TransactionControl, UnknownName
from flux.record import Record
from flux.redaction import Redactor
from flux.runtime.database import RequestDatabase
from flux.runtime.database_role import as_refusal
from flux.runtime.query import Queries

TABLES = """
    create table people (id int primary key, name text, pin text);
    create table todos (
        id int primary key, title text, titles text, email text, secret text, owner_id int references people,
        checker_id int references people
    );
    create table notes (id int primary key, todo_id int references todos, body text);
    insert into people values (1, 'Ann', '0000'), (2, 'Bob', '1111');
    insert into todos values (1, 'milk', 'x', 'ann@x', 's', 1, 2), (2, 'bread', 'y', 'bob@x', 's', 2, 1);
    insert into notes values (1, 1, 'hi');
"""
POLICIES = """
    [roles.member]
    [tables.todos.member]
    rows   = "owner_id = claim('sub')::int"
    select = { columns = ["id", "title", "email", "owner_id"], mask = { email = "left(email, 1) || '…'" } }
    insert = { columns = ["id", "title", "email", "owner_id", "checker_id"] }
    update = { columns = ["title", "email", "owner_id", "checker_id"] }
    [tables.people.member]
    select = { columns = ["id", "name"] }
    [tables.notes.member]
    select = { columns = ["todo_id", "body"] }
"""


@pytest.fixture(scope="module")
def url(new_database, tmp_path_factory) -> str:
    root = tmp_path_factory.mktemp("roles")
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "db" / "migrations" / "0001.sql").write_text(TABLES)
    (root / "db" / "policies.toml").write_text(POLICIES)
    url: str = new_database()
    install(url, Project(root=root, name="roles"))
    return url


@contextmanager
def asked_by(url: str, role: str, limits: Limits | None = None) -> Iterator[RequestDatabase]:
    """The database of a request whose caller is person 1; what it writes is rolled back."""
    database = Database(url, 2)
    database.open()
    record = Record(RequestContext(claims={"sub": "1"}), Redactor(()), 65536, Path("/nowhere"))
    record.open("function", "x")
    transaction = Transaction(database, record)
    db = RequestDatabase(transaction, record, queries=Queries(database, lambda: limits or Limits()))
    db.become(role)
    try:
        yield db
    finally:
        transaction.undo()
        transaction.release()
        database.close()


@pytest.fixture
def member(url) -> Iterator[RequestDatabase]:
    """As the role that policies bind."""
    with asked_by(url, "member") as db:
        yield db


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"columns": ["secret"]}, r"^columns\[0\]: the role member may not read secret of todos$"),
        ({"columns": ["count(*)", "max(secret)"]}, r"^columns\[1\]: the role member may not read secret of todos$"),
        ({"columns": [{"column": "owner.pin", "as": "pin"}]}, r"^columns\[0\]: .* may not read pin of people$"),
        ({"columns": ["owner.pin"]}, r"^columns\[0\]: .* may not read pin of people$"),
        ({"columns": ["checker.name"]}, r"^columns\[0\]: .* may not read checker_id of todos$"),
        (
            {"filters": [{"column": "secret", "op": "eq", "value": "s"}]},
            r"^filters\[0\].column: .* read secret of todos$",
        ),
        ({"filters": [{"column": "owner.pin", "value": "0"}]}, r"^filters\[0\].column: .* read pin of people$"),
        ({"order": ["-secret"]}, r"^order\[0\]: the role member may not read secret of todos$"),
        ({"operation": "delete", "filters": [{"column": "secret", "op": "is_null"}]}, "may not read secret of todos"),
        (
            {"operation": "update", "data": {"title": "x"}, "all": True, "returning": ["secret"]},
            r"^returning\[0\]: .* may not read secret of todos$",
        ),
    ],
)
def test_a_hidden_column_is_named_with_its_table_and_the_role(member, asked, told):
    """Postgres says only `permission denied for table todos`, or that there is no such column."""
    with pytest.raises(ColumnRefused, match=told):
        member.query({"table": "todos", **asked})


def test_the_nearest_column_that_may_be_read_is_offered(member):
    """And never one that may not be: that would be another error, and tell of what is hidden."""
    with pytest.raises(ColumnRefused) as hidden:
        member.query({"table": "todos", "columns": ["titles"]})
    with pytest.raises(UnknownName) as mistyped:
        member.query({"table": "todos", "columns": ["secre"]})
    with pytest.raises(UnknownName) as unknown:
        member.query({"table": "todos", "columns": ["zzz"]})

    assert hidden.value.hint == "Did you mean title?"
    assert "secret" not in f"{mistyped.value.hint} {unknown.value.hint}"
    assert unknown.value.hint.startswith("Columns and relations: id, title, email, owner_id, ")


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"operation": "upsert", "data": {"id": 1, "title": "oat", "email": "new@x"}}, r"data\.email"),
        ({"operation": "upsert", "data": [{"id": 1, "email": "a"}, {"id": 3, "email": "b"}]}, r"data\[0\]\.email"),
        ({"operation": "insert", "data": {"id": 3, "owner_id": 1, "email": "new@x"}}, r"data\.email"),
        ({"operation": "update", "data": {"email": "new@x"}, "all": True}, r"data\.email"),
    ],
)
def test_a_masked_column_cannot_be_written_here_and_that_is_said(member, asked, place):
    """With the way that is open: Postgres would say what it thinks of a view that nobody made."""
    with pytest.raises(BadValue, match=f"^{place}: email of todos is masked for the role member") as raised:
        member.query({"table": "todos", **asked})

    assert raised.value.hint.startswith("Write public.todos with ctx.db.execute")
    assert member.execute("update public.todos set email = 'new@x' where id = 1") == 1


def test_a_row_with_masks_is_written_in_all_its_other_columns(member):
    """And the masked one comes back as it is read."""
    row = member.table("todos").returning("title", "email").upsert(id=1, title="oat", owner_id=1)

    assert row == {"title": "oat", "email": "a…"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"operation": "insert", "data": {"id": 3, "secret": "x"}},
            r"^data\.secret: the role member may not insert secret",
        ),
        (
            {"operation": "update", "data": {"id": 2}, "all": True},
            r"^data\.id: the role member may not update id of todos",
        ),
        (
            {"operation": "upsert", "data": [{"id": 1, "titles": "x"}]},
            r"^data\[0\]\.titles: .* not insert titles of todos",
        ),
        (
            {"operation": "upsert", "data": {"id": 1, "checker_id": 2}},
            r"^data\.checker_id: .* not read checker_id of todos",
        ),
    ],
)
def test_a_column_that_may_not_be_written_is_named(member, asked, told):
    """Postgres names the table only."""
    with pytest.raises(ColumnRefused, match=told):
        member.query({"table": "todos", **asked})


def test_a_caller_who_names_a_hidden_column_is_told_no_more_than_before(member):
    """The record has the names; the caller gets the 403 that Postgres's refusal gives."""
    with pytest.raises(ColumnRefused) as raised:
        member.query({"table": "todos", "columns": ["secret"]})

    refusal = as_refusal(raised.value, {"sub": "1"})
    assert (refusal.status, refusal.message) == (403, "the caller may not do this")


def test_what_may_be_read_is_read_and_the_service_reads_everything(member, url):
    """Lists of related rows whose key is hidden come in no order of their own."""
    assert member.query({"table": "todos", "columns": ["title", "email", "owner.name", "notes.body"]}) == [
        {"title": "milk", "email": "a…", "owner": {"name": "Ann"}, "notes": [{"body": "hi"}]}
    ]
    with asked_by(url, "service") as db:
        assert db.query({"table": "todos", "columns": ["secret"], "limit": 1}) == [{"secret": "s"}]


def test_a_caller_makes_nothing_temporary(member):
    """What is temporary belongs to the connection, which others have next."""
    with pytest.raises(
        TransactionControl, match="makes something temporary, which a caller may not: create temp table"
    ):
        member.execute("create temp table todos (title text)")


def test_what_a_caller_made_all_the_same_stands_before_no_table_and_is_gone_with_the_request(url):
    """Text that is put together at run time is not read."""
    made = "execute 'create temp table todos as select 1 as id, ''forged'' as title'"
    with asked_by(url, "member") as db:
        db.execute(f"do $$begin {made}; grant select on pg_temp.todos to public; end$$")
        for role in ("member", "service"):
            db.become(role)
            assert db.value("select title from todos where id = 1") == "milk"
        pid = db.value("select pg_backend_pid()")
        db.commit()

        assert db.value("select title from todos where id = 1") == "milk"
        assert db.value("select count(*) from pg_class where relnamespace = pg_my_temp_schema()") == 0
        assert db.value("select pg_backend_pid()") == pid


def test_a_column_that_came_to_be_allowed_is_read_at_once(database_url, tmp_path, monkeypatch):
    """What a process remembers of rights must not outlive the next migration."""
    (tmp_path / "db" / "migrations").mkdir(parents=True)
    (tmp_path / "db" / "migrations" / "0001.sql").write_text(TABLES)
    (tmp_path / "db" / "policies.toml").write_text(POLICIES)
    project = Project(root=tmp_path, name="roles")
    install(database_url, project)
    monkeypatch.setattr("flux.runtime.query.SETTLED", 0.0)
    with asked_by(database_url, "member") as db:
        with pytest.raises(ColumnRefused):
            db.query({"table": "people", "columns": ["pin"]})
        with psycopg.connect(database_url) as owner:
            owner.execute("grant select (pin) on people to flux_role_member")

        assert db.query({"table": "people", "columns": ["pin"], "limit": 1}) == [{"pin": "0000"}]

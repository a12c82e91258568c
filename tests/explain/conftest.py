"""What tests of queries share: a database with tables that lead to each other, some of them with odd names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from flux.config import Queries
from flux.explain.catalogue import Catalogue, read_catalogue
from flux.explain.compiler import Compiled, compile_form
from flux.explain.form import read_form
from flux.explain.results import handed_out

TABLES = """
    create schema app;
    create type mood as enum ('sad', 'ok', 'happy');
    create domain short as varchar(5);
    create table users (
        id bigint generated always as identity primary key, name text not null, email varchar(80) unique,
        manager_id bigint references users
    );
    create table todos (
        id bigserial primary key, title text not null, done boolean not null default false,
        owner_id bigint references users, tags text[] not null default '{}', meta jsonb, price numeric(10, 2),
        created_at timestamptz default '2026-01-01 12:00+00', code char(3), flags bit(4), key uuid, mood mood,
        during int4range, raw json, words tsvector generated always as (to_tsvector('english', title)) stored
    );
    create table comments (
        id bigserial primary key, todo_id bigint references todos, author_id bigint references users,
        editor_id bigint references users, body text, stars int
    );
    create table tags (id serial primary key, label text);
    create table todo_tags (todo_id bigint references todos, tag_id int references tags, primary key (todo_id, tag_id));
    create table profiles (user_id bigint primary key references users, bio text);
    create table app."Odd Table" (
        id int primary key, "; drop table" text, "a.b" int, "100%" int, "select" int, "o'brien" text, "x"" --" int,
        "%s" text, s short, mood mood, "count(*)" int, "*" int
    );
    insert into users (name, email, manager_id) values ('Ann', 'ann@x', null), ('Bob', 'bob@x', 1), ('Cy', null, 1);
    insert into todos (title, done, owner_id, tags, meta, price, code, flags, key, mood, during) values
        ('buy milk', false, 1, '{home,food}', '{"k": 1}', 1.5, 'abc', '1010',
            '00000000-0000-0000-0000-000000000001', 'ok', '[1,5)'),
        ('sell bread', true, 2, '{}', null, 2.25, null, null, null, 'sad', null),
        ('walking dogs', false, null, '{home}', '[1, 2]', null, null, null, null, null, '[7,9)');
    insert into comments (todo_id, author_id, editor_id, body, stars) values
        (1, 2, 1, 'hi', 5), (1, 1, null, 'yo', 3), (2, 1, 2, 'ok', null);
    insert into tags (label) values ('red'), ('blue');
    insert into todo_tags values (1, 1), (1, 2), (3, 2);
    insert into profiles values (1, 'first');
    insert into app."Odd Table" values (9, 'x', 1, 2, 3, 'q', 1, 'p', 's', 'ok', 4, 5);
"""


class Asking:
    """Compiles documents against the tables, and runs them in one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], catalogue: Catalogue) -> None:
        self.connection = connection
        self.catalogue = catalogue

    def compiled(self, limits: Queries | None = None, /, **document: Any) -> Compiled:
        """The statement of a document."""
        return compile_form(read_form(document), self.catalogue, limits or Queries())

    def __call__(self, table: str, **document: Any) -> Any:
        """The rows of a document, or the number of rows it wrote."""
        compiled = self.compiled(table=table, **document)
        cursor = self.connection.execute(compiled.sql, compiled.parameters or None)
        return cursor.fetchall() if compiled.returns else cursor.rowcount

    def handed_out(self, table: str, **document: Any) -> Any:
        """The rows as a function gets them."""
        compiled = self.compiled(table=table, **document)
        return handed_out(self.connection.execute(compiled.sql, compiled.parameters or None).fetchall(), compiled)

    def sql(self, statement: str) -> list[Any]:
        """What SQL says, for comparison."""
        return self.connection.execute(statement).fetchall()


@pytest.fixture(scope="module")
def _tables(new_database: Any) -> tuple[str, Catalogue]:
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute(TABLES)
        connection.execute("analyze")
        return url, read_catalogue(connection)


@pytest.fixture
def ask(_tables: tuple[str, Catalogue]) -> Iterator[Asking]:
    """Asks the tables; what it writes is rolled back."""
    url, catalogue = _tables
    with psycopg.connect(url, row_factory=dict_row) as connection:
        yield Asking(connection, catalogue)
        connection.rollback()

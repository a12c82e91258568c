"""What the tests of the sandbox share: a shop with one table of each difficult kind, and requests that saw it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

TABLES = """
    create type public.mood as enum ('calm', 'cross');
    create table public.users (
        id     bigint generated always as identity primary key,
        email  text not null unique,
        plan   text,
        n      numeric,
        loud   text generated always as (upper(email)) stored
    );
    create table public.orders (
        id       serial primary key,
        user_id  bigint references public.users on delete cascade,
        total    numeric check (total >= 0),
        made_at  timestamptz default now()
    );
    create table public."We ird" ("K y" text primary key, v jsonb, a int[], m public.mood);
    create table public.notes (t text, n numeric);
    create table public.parted (id int, t text, primary key (id)) partition by range (id);
    create table public.parted_low partition of public.parted for values from (0) to (10);
    create table public.parted_rest partition of public.parted default;
    create table public.animals (id int primary key, name text);
    create table public.cats (purrs boolean, primary key (id)) inherits (public.animals);
    create view public.payers as select id, email from public.users where plan <> 'free';

    insert into users (email, plan, n) select 'u' || i, 'free', i * 1.10 from generate_series(1, 5) as i;
    insert into orders (user_id, total) select i, i from generate_series(1, 5) as i;
    insert into "We ird" values ('a%', '{"x": 1.10}', '[2:3]={7,8}', 'calm'), ('b', 'null', '{}', null);
    insert into notes values ('x', 1.10), ('x', 1.1), ('x', 1.1), (null, null);
    insert into parted values (1, 'low'), (20, 'high');
    insert into animals values (1, 'Rex');
    insert into cats values (2, 'Tom', true);
"""
NAMES = ("users", "orders", '"We ird"', "notes", "parted", "animals", "cats")

#: Something happens to every table.
LATER = """
    update users set plan = 'pro', n = 2.0 where id = 1;
    update users set plan = 'max' where id = 1;
    delete from users where id = 2;
    insert into users (email) values ('new');
    update "We ird" set "K y" = 'c', v = null where "K y" = 'b';
    update "We ird" set m = 'cross', a = '{1}' where "K y" = 'a%';
    update notes set n = 1.1;
    insert into notes values ('y', 0);
    update parted set id = id + 5;
    delete from parted where id = 6;
    truncate cats;
    update only animals set name = 'Max';
"""

Content = dict[str, list[tuple[Any, ...]]]


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection in autocommit."""
    return psycopg.connect(url, autocommit=True)


def content(connection: psycopg.Connection[Any], names: Sequence[str] = NAMES) -> Content:
    """Every row of the tables as text, so that 1.10 is not 1.1."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return {
            name: cursor.execute(f"select row::text from only public.{name} as row order by 1").fetchall()
            if name != "parted"
            else cursor.execute("select row::text from public.parted as row order by 1").fetchall()
            for name in names
        }


def seen(connection: psycopg.Connection[Any], snapshot: bool = True) -> uuid.UUID:
    """A request that begins now, and sees what is there."""
    request = uuid.uuid4()
    connection.execute(
        "insert into flux.trace_requests (request_id, kind, outcome, started_at, snapshot) "
        "values (%s, 'http', 'ok', clock_timestamp(), case when %s then pg_current_snapshot() end)",
        (request, snapshot),
    )
    return request


def written(connection: psycopg.Connection[Any], *statements: str) -> uuid.UUID:
    """A request that runs these statements and commits."""
    request = uuid.uuid4()
    with connection.transaction():
        connection.execute(
            "select set_config('flux.request_id', %s, true), set_config('flux.span_id', '3', true)", (str(request),)
        )
        for statement in statements:
            connection.execute(statement)
        connection.execute(
            "insert into flux.trace_requests "
            "(request_id, kind, method, path, function, outcome, started_at, duration_us, xact_id) "
            "values (%s, 'http', 'POST', '/signup', 'signup', 'ok', clock_timestamp(), 1, pg_current_xact_id())",
            (request,),
        )
    return request


def mutations(connection: psycopg.Connection[Any], since: uuid.UUID) -> list[dict[str, Any]]:
    """What was written since a request began, as rows of the record in JSON."""
    rows = connection.execute(
        """
        select to_jsonb(mutation.*)
        from flux.state_mutations as mutation
        where not pg_visible_in_snapshot(
            mutation.xact_id, (select snapshot from flux.trace_requests where request_id = %s)
        )
        order by id
        """,
        (since,),
    ).fetchall()
    return [row for (row,) in rows]

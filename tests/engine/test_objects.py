"""Functions and views become what their files say, in any order and whatever is built on them, or nothing is lost."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
import pytest

from flux.engine.objects import Maker, definitions
from flux.engine.sql_files import SqlFile
from flux.errors import InstallFailed

Connection = psycopg.Connection[Any]


def function(name: str, arguments: str, returns: str, body: str) -> SqlFile:
    """A file that makes one function."""
    text = f"create or replace function flux.{name}({arguments}) returns {returns} language sql as $$ {body} $$;"
    return SqlFile("flux", f"functions/{name}.sql", text)


def view(name: str, query: str) -> SqlFile:
    """A file that makes one view."""
    return SqlFile("flux", f"views/{name}.sql", f"create or replace view flux.{name} as {query};")


def make(connection: Connection, *files: SqlFile, changed: list[SqlFile] | None = None) -> list[str]:
    """Make those that changed (all); the names of what was made."""
    connection.execute("set local check_function_bodies = off")
    maker = Maker(connection, files)
    maker.make(list(files) if changed is None else changed)
    return [file.object for file in maker.made]


def value(connection: Connection, query: str) -> Any:
    """The single value of a query."""
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    return row[0] if row else None


def test_any_order_will_do(connection: Connection) -> None:
    """Nobody has to keep a list of what comes first."""
    files = [
        function("x_base", "", "integer", "select 1"),
        view("x_view", "select flux.x_base() as n"),
        function("x_rows", "", "setof flux.x_view", "select * from flux.x_view"),
    ]

    for order in itertools.permutations(files):
        with connection.transaction(force_rollback=True):
            make(connection, *order)
            assert value(connection, "select n from flux.x_rows()") == 1


def test_what_is_missing_for_good_is_said(connection: Connection) -> None:
    """The first error that cannot be resolved names the file and the reason."""
    with pytest.raises(InstallFailed, match=r"flux/db/views/x_view\.sql: function flux\.nothing\(\) does not exist"):
        make(connection, view("x_view", "select flux.nothing()"))


def test_a_function_may_return_something_else(connection: Connection) -> None:
    """Postgres refuses to replace it, so it goes first, and with it what is built on it, which comes back."""
    base = function("x_base", "a integer", "integer", "select a")
    used = view("x_view", "select flux.x_base(1) as n")
    above = view("x_above", "select n from flux.x_view")
    make(connection, base, used, above)
    new = function("x_base", "b integer", "text", "select 'n' || b")

    made = make(connection, new, used, above, changed=[new])

    assert sorted(made) == ["x_above", "x_base", "x_view"]
    assert value(connection, "select n from flux.x_above") == "n1"


def test_a_view_may_lose_a_column(connection: Connection) -> None:
    """So may one that functions return."""
    wide = view("x_view", "select 1 as a, 2 as b")
    rows = function("x_rows", "", "setof flux.x_view", "select * from flux.x_view")
    make(connection, wide, rows)
    narrow = view("x_view", "select 3 as b")

    make(connection, narrow, rows, changed=[narrow])

    assert value(connection, "select b from flux.x_rows()") == 3


def test_an_overload_that_the_file_lost_goes(connection: Connection) -> None:
    """A call that fits two overloads fails, so the old one must not stay."""
    old = function("x_base", "a integer", "integer", "select a")
    used = view("x_view", "select flux.x_base(1) as n")
    make(connection, old, used)
    new = function("x_base", "a integer, b integer default 5", "integer", "select a + b")

    make(connection, new, used, changed=[new])

    assert connection.execute("select oid::regprocedure::text from pg_proc where proname = 'x_base'").fetchall() == [
        ("flux.x_base(integer,integer)",)
    ]
    assert value(connection, "select n from flux.x_view") == 6


def test_an_unchanged_overload_of_a_changed_file_stays(connection: Connection) -> None:
    """One file may make a function of two signatures."""
    one = function("x_base", "a integer", "integer", "select a")
    two = function("x_base", "a text", "text", "select a")
    both = SqlFile("flux", one.path, one.text + two.text)

    make(connection, both)
    make(connection, both)

    assert value(connection, "select count(*) from pg_proc where proname = 'x_base'") == 2


def test_what_others_built_on_it_is_not_dropped(connection: Connection) -> None:
    """A dashboard's view is not ours to drop; who made it is told instead."""
    old = function("x_base", "", "integer", "select 1")
    make(connection, old)
    connection.execute("create view public.dashboard as select flux.x_base()")
    new = function("x_base", "", "text", "select 'a'")

    with pytest.raises(InstallFailed, match="view dashboard depends on function"):
        make(connection, new)

    assert value(connection, "select * from public.dashboard") == 1


def test_a_function_of_a_trigger_is_replaced_under_it(connection: Connection) -> None:
    """Recorders must not be lost for a moment."""
    body = "begin new.n := 1; return new; end"
    text = f"create or replace function flux.x_note() returns trigger language plpgsql as $$ {body} $$"
    first = SqlFile("flux", "triggers/x_note.sql", text)
    make(connection, first)
    connection.execute("create table public.t (n int)")
    connection.execute("create trigger note before insert on public.t for each row execute function flux.x_note()")
    second = SqlFile("flux", first.path, first.text.replace(":= 1", ":= 2"))

    make(connection, second)

    connection.execute("insert into public.t values (0)")
    assert value(connection, "select n from public.t") == 2


def test_a_definition_changes_with_every_part_of_it(connection: Connection) -> None:
    """Body, comment and overloads are all part of what was installed."""
    file = function("x_base", "", "integer", "select 1")
    make(connection, file)
    seen = {definitions(connection, [file])[False, "x_base"]}

    for change in (
        "create or replace function flux.x_base() returns integer language sql as 'select 2'",
        "comment on function flux.x_base() is 'two'",
        "alter function flux.x_base() security definer",
        "create function flux.x_base(a text) returns integer language sql as 'select 3'",
    ):
        connection.execute(change)
        seen.add(definitions(connection, [file])[False, "x_base"])

    assert len(seen) == 5

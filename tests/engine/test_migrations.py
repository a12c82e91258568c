"""A project's migration that fails says where, and none can break out of the transaction that all share."""

from __future__ import annotations

import textwrap
from typing import Any

import psycopg
import pytest

from flux.engine.migrations import run_migration, statement_lines
from flux.engine.sql_files import SqlFile
from flux.errors import MigrationFailed


def migration(text: str) -> SqlFile:
    """A migration of a project."""
    return SqlFile("project", "migrations/0001_users.sql", textwrap.dedent(text))


def failure(connection: psycopg.Connection[Any], text: str) -> MigrationFailed:
    """What is said of a migration that fails."""
    with pytest.raises(MigrationFailed) as raised:
        run_migration(connection, migration(text))
    connection.rollback()
    return raised.value


def test_an_error_that_postgres_points_at_has_its_line(connection: psycopg.Connection[Any]) -> None:
    """Line 3 is where the editor must go."""
    said = failure(connection, "create table a (id int);\n\nselect nothing\nfrom a;\n")

    assert said.message == 'db/migrations/0001_users.sql:3: column "nothing" does not exist'


def test_an_error_without_a_place_has_the_line_of_its_statement(connection: psycopg.Connection[Any]) -> None:
    """Postgres does not say which of many statements broke a constraint."""
    said = failure(
        connection,
        """\
        create table a (id int primary key); -- ; 'not a statement
        /* nor; this */ insert into a values (1);
        select $body$ ; $body$, ';', e'it\\'s ; ';
        insert into a
            values (1);
        """,
    )

    assert said.message.startswith(
        'db/migrations/0001_users.sql:4: duplicate key value violates unique constraint "a_pkey"'
    )
    assert "Key (id)=(1) already exists" in said.message


@pytest.mark.parametrize("text", ["begin; select 1; commit;", "select 1; commit", "rollback", "savepoint a"])
def test_a_migration_does_not_end_the_transaction(connection: psycopg.Connection[Any], text: str) -> None:
    """A commit in the middle would leave half an installation behind."""
    said = failure(connection, text)

    assert "begins or ends a transaction" in said.message


def test_a_function_body_may_begin_and_end(connection: psycopg.Connection[Any]) -> None:
    """Words of PL/pgSQL and of SQL function bodies are no transaction control."""
    text = """
        create function public.one() returns int language plpgsql as $$ begin return 1; end; $$;
        create function public.two() returns int begin atomic select 2; end;
    """

    run_migration(connection, migration(text))

    assert connection.execute("select public.one() + public.two()").fetchone() == (3,)


def test_what_cannot_run_in_a_transaction_gets_a_way_out(connection: psycopg.Connection[Any]) -> None:
    """create index concurrently is a common wish."""
    said = failure(connection, "create table a (id int);\ncreate index concurrently on a (id);")

    assert "db/migrations/0001_users.sql:2" in said.message or "db/migrations/0001_users.sql:1" in said.message
    assert "flux db shell" in str(said.hint)


def test_copy_from_stdin_does_not_hang(connection: psycopg.Connection[Any]) -> None:
    """pg_dump writes such files, and only psql can read them."""
    said = failure(connection, "create table a (id int);\ncopy a from stdin;\n")

    assert ":2: " in said.message


def test_copy_to_stdout_does_not_hang(connection: psycopg.Connection[Any]) -> None:
    """Odd, and harmless."""
    run_migration(connection, migration("copy (select 1) to stdout; create table a (id int)"))

    assert connection.execute("select count(*) from a").fetchone() == (0,)


def test_statements_are_found_in_their_lines() -> None:
    """Comments, strings and bodies may hold anything."""
    text = "-- a;\n\nselect 1;;\n\n/* ; */ select ';',\n \"a;b\"\n;\nselect $x$\n;$x$ ; select 3"

    assert statement_lines(text) == [3, 5, 8, 9]

"""What is known of a statement from its text; a writer must never be taken for a reader."""

from __future__ import annotations

import pytest

from flux.engine.statements import (
    controls_transaction,
    describe,
    is_single,
    makes_temporary,
    may_write,
    outlives_transaction,
    tables,
)

READERS = frozenset({"count", "lower", "now", "max"})


@pytest.mark.parametrize(
    "statement",
    [
        "select * from users",
        "select count(*), max(id) from users where lower(email) = %s",
        "-- delete\nselect 'insert into x' as text, $$update$$ from users",
        "with recent as (select id from users) select * from recent where id in (select 1)",
        "values (1), (2)",
        "show search_path",
    ],
)
def test_a_plain_query_is_a_reader(statement):
    """It needs no savepoint before it as long as nothing was written."""
    assert not may_write(statement, READERS)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into users values (1)",
        "with gone as (delete from users returning *) select * from gone",
        "select * into copy from users",
        "select * from users for update",
        "select place_order(1)",
        "select nextval('s')",
        "select app.count(1)",
        'select "Odd"(1)',
        "explain analyze delete from users",
        "do $$ begin end $$",
        "call work()",
        "",
    ],
)
def test_what_may_write_or_lock_is_a_writer(statement):
    """Taken for a reader, what was written before it could not be kept when it fails."""
    assert may_write(statement, READERS)


@pytest.mark.parametrize(
    "statement",
    [
        "commit",
        "  ROLLBACK ",
        "/* x */ end",
        "select 1; commit",
        "-- x\nsavepoint a",
        "set role postgres",
        "select 1; SET LOCAL ROLE postgres",
        "reset role",
        "set session authorization postgres",
        "do $$begin perform set_config('role', 'postgres', true); end$$",
        "set local flux.request_id = 'x'",
        'set local "role" = flux_app',
        "set local flux . \"claims\" = '{}'",
        'reset "flux".claims',
        'set U&"r\\006fle" = flux_app',
        "set local session_authorization = postgres",
        "select set_config(/**/'role', 'flux_app', true)",
        "select set_config('ro' || 'le', 'flux_app', true)",
        "select set_config(E'r\\x6fle', 'flux_app', true)",
        "select set_config(setting_name => 'role', new_value => 'x', is_local => true)",
        "select \"set_config\"('flux.claims', '{}', true)",
        "select set_config(%s, %s, true)",
        "update pg_settings set setting = 'flux_app' where name = 'role'",
        'update pg_catalog."pg_settings" set setting = $$flux_app$$',
    ],
)
def test_control_of_the_transaction_is_seen(statement):
    """It would separate the data from its record."""
    assert controls_transaction(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "select 'commit'",
        "prepare p as select 1",
        "insert into rollback values (1)",
        "set local work_mem = '1MB'",
        "select set_config('work_mem', %s, true)",
    ],
)
def test_words_that_only_look_like_control_are_left_alone(statement):
    """Refusing what is harmless would change the user's SQL."""
    assert not controls_transaction(statement)


@pytest.mark.parametrize(
    ("statement", "outlives"),
    [
        ("set search_path = app", True),
        ("Set Session work_mem = '1MB'", True),
        ("select 1; set time zone 'UTC'", True),
        ("select set_config('work_mem', %s, false)", True),
        ("select set_config('a.b', lower(%s), true), set_config('a.c', 'x, true)', false)", True),
        ("select set_config('work_mem', %s, %s)", True),
        ("listen ch", True),
        ("set local search_path = app", False),
        ("set constraints all deferred", False),
        ("set transaction read only", False),
        ("select set_config('a.b', lower(%s), true), set_config('a.c', '', true)", False),
        ("update users set name = 'x'", False),
    ],
)
def test_what_is_set_for_a_whole_session_is_seen(statement, outlives):
    """The next request on that connection would find another search path, and perhaps another table."""
    assert outlives_transaction(statement) is outlives


@pytest.mark.parametrize(
    ("statement", "makes"),
    [
        ("create temp table todos (id int)", True),
        ("CREATE LOCAL TEMPORARY VIEW v as select 1", True),
        ("create or replace temp view v as select 1", True),
        ("select 1; create /* x */ temporary sequence s", True),
        ("select * into temp mine from todos", True),
        ("select * into temporary table mine from todos", True),
        ("create table pg_temp.todos (id int)", True),
        ('create table "pg_temp"."todos" (id int)', True),
        ("insert into temp (id) values (1)", False),
        ("insert into temp select 1", False),
        ("create table temperatures (id int)", False),
        ("select 'create temp table'", False),
    ],
)
def test_what_is_made_for_the_session_alone_is_seen(statement, makes):
    """It would stand before the table of its name, for whoever has the connection next."""
    assert makes_temporary(statement) is makes


def test_one_statement_is_told_from_several():
    """Several cannot go through the extended protocol, and one should."""
    assert is_single("select ';' ; ")
    assert not is_single("select 1; select 2")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("INSERT INTO app.users (a) VALUES (%s)", "insert app.users"),
        ("update only users set a = 1", "update users"),
        ("with x as (select 1) update users set a = 1", "update users"),
        ('delete from "Odd Name"', 'delete "Odd Name"'),
        ("select 1", "select"),
    ],
)
def test_a_span_is_named_by_operation_and_table(statement, name):
    """`flux trace` shows a tree of these."""
    assert describe(statement) == name


def test_tables_are_found_behind_joins_and_schemas():
    """A column is as secret in a result as it is in its table."""
    assert tables("select * from app.users u join orders on true where x = 'from nothing'") == ("users", "orders")


@pytest.mark.parametrize("name", ["; commit", "o'brien", "it''s; rollback", "/* x", "-- x", "$$", 'a""b; commit'])
def test_a_quoted_name_is_only_a_name(name):
    """Whatever it holds, it ends no statement and opens no string that would hide what follows."""
    reader = f'select "{name}" from users where "{name}" = %s'

    assert not controls_transaction(reader)
    assert is_single(reader)
    assert not may_write(reader, READERS)
    assert may_write(f'select "{name}", nextval(%s) from users', READERS)
    assert controls_transaction(f'select "{name}"; commit')
    assert tables(reader) == ("users",)

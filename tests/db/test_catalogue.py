"""What the compiler knows of a database: every table of the project with its columns, keys and indexes."""

from __future__ import annotations

import pytest

from flux.explain.catalogue import Catalogue, ForeignKey, Index, read_catalogue

TABLES = """
    create schema app;
    create type mood as enum ('sad', 'ok');
    create domain word as text check (value <> '');
    create domain short_word as word not null;
    create table users (
        id bigint generated always as identity primary key, email varchar(80) not null unique, mood mood,
        nick short_word, tag char(3), flags bit(4), notes text[], twice int generated always as (1 + 1) stored,
        seen timestamptz default clock_timestamp()
    );
    create table app."Odd.Table" (a int, b int, user_id bigint references users (id), primary key (b, a));
    create table app.child (b int, a int, foreign key (b, a) references app."Odd.Table" (b, a));
    create table users_hidden (id int) ;
    create table parted (id int, at date, primary key (id, at)) partition by range (at);
    create table parted_1 partition of parted for values from ('2026-01-01') to ('2027-01-01');
    create view seen as select id from users;
    create unique index on users (lower(email));
    create unique index users_tag on users (tag) where tag is not null;
    create unique index users_seen on users (seen) include (mood);
    insert into users (email, nick) values ('a', 'a'), ('b', 'b');
"""


@pytest.fixture
def catalogue(connection) -> Catalogue:
    connection.execute(TABLES)
    connection.execute("analyze users")
    return read_catalogue(connection)


def test_every_table_of_the_project_is_there_and_nothing_else(catalogue):
    """Partitions are parts of their table; Flux's own tables and Postgres's are nobody's to query."""
    assert set(catalogue.tables) == {
        "public.users", 'app."Odd.Table"', "app.child", "public.users_hidden", "public.parted", "public.seen",
    }  # fmt: skip
    assert {table.kind for table in catalogue.tables.values()} == {"table", "view"}
    assert catalogue.tables["public.users"].estimated_rows == 2
    assert catalogue.tables["public.users_hidden"].estimated_rows is None


def test_columns_have_the_types_that_a_cast_takes(catalogue):
    """A domain is the type below it; no length, which a cast would cut to."""
    columns = catalogue.tables["public.users"].columns

    assert {name: column.type for name, column in columns.items()} == {
        "id": "bigint", "email": "character varying", "mood": "public.mood", "nick": "text", "tag": "bpchar",
        "flags": '"bit"', "notes": "text[]", "twice": "integer", "seen": "timestamp with time zone",
    }  # fmt: skip
    assert columns["mood"].choices == ("sad", "ok")
    assert [name for name, column in columns.items() if column.generated] == ["id", "twice"]
    assert [name for name, column in columns.items() if not column.nullable] == ["id", "email"]
    assert [name for name, column in columns.items() if column.has_default] == ["id", "twice", "seen"]


def test_keys_and_indexes_are_told_in_their_order(catalogue):
    """A partial index or one over an expression is no key."""
    users, odd = catalogue.tables["public.users"], catalogue.tables['app."Odd.Table"']

    assert (users.primary_key, odd.primary_key) == (("id",), ("b", "a"))
    assert set(users.unique_keys) == {("id",), ("email",), ("seen",)}
    assert Index("users_tag", ("tag",), unique=True, partial=True) in users.indexes
    assert Index("users_lower_idx", ("",), unique=True) in users.indexes
    assert odd.foreign_keys == (ForeignKey("Odd.Table_user_id_fkey", ("user_id",), "public.users", ("id",)),)
    assert catalogue.tables["app.child"].foreign_keys[0].columns == ("b", "a")
    assert [table.name for table, _ in catalogue.referring(odd)] == ["child"]


def test_a_table_is_found_by_its_name_or_with_its_schema(catalogue):
    """Names may hold dots; the search path comes first."""
    assert catalogue.find("users").key == "public.users"
    assert catalogue.find("app.Odd.Table").key == 'app."Odd.Table"'
    assert catalogue.find("Odd.Table") is None
    assert catalogue.find("public.users").visible
    assert not catalogue.find("app.child").visible


def test_columns_a_role_may_not_read_are_marked(connection, catalogue):
    """Without names, a query asks for those it may read."""
    connection.execute("create role flux_test_reader; grant select (id, email) on users to flux_test_reader")

    columns = read_catalogue(connection, "flux_test_reader").tables["public.users"].columns

    assert [name for name, column in columns.items() if column.readable] == ["id", "email"]
    assert all(column.readable for column in catalogue.tables["public.users"].columns.values())


def test_another_table_is_another_version(connection, catalogue):
    """What was compiled for one is not used for the other."""
    same = read_catalogue(connection)
    connection.execute("alter table users alter column email drop not null")
    other = read_catalogue(connection)

    assert same == catalogue
    assert hash(same) == hash(catalogue)
    assert other != catalogue

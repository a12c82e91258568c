"""Sandboxes where not everything is as it should be: rights, leftovers, altered tables, tables that are left out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sandboxes import LATER, TABLES, connect, content, mutations, seen

from flux.config import Project
from flux.engine import choice, past
from flux.engine.binaries import wheel_binaries
from flux.engine.installer import install
from flux.engine.sandbox import Moment, Sandbox, drop_leftovers, drop_sandbox, make_sandbox, sandboxes_of
from flux.engine.sandbox_database import database_url as url_of
from flux.errors import CannotRebuild, NotFound, NotInstalled, NotPermitted, SandboxFailed

KILLED = """
import os, sys
from flux.engine.sandbox import Moment, make_sandbox
with make_sandbox(sys.argv[1], Moment()) as sandbox:
    if sys.argv[2] == "keep":
        sandbox.keep()
    print(sandbox.name, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), 9)
    if sys.argv[2] == "wait":
        sys.stdin.read()
"""


@pytest.fixture
def shop(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as connection:
        connection.execute(TABLES)
        connection.execute("select flux.track_all()")
        yield connection


@pytest.fixture
def owner(postgres: Any) -> Iterator[str]:
    """The URL of a database that belongs to a role which is no superuser, and which may make databases."""
    name = postgres.create()
    with psycopg.connect(postgres.url(), autocommit=True) as server:
        server.execute(f"create role owner_{name} login createdb")
        server.execute(f"grant flux_app, flux_reader to owner_{name}")
        server.execute(f"alter database {name} owner to owner_{name}")
    yield postgres.url(name).replace("postgres@", f"owner_{name}@")
    postgres.drop(name)
    with psycopg.connect(postgres.url(), autocommit=True) as server:
        server.execute(f"drop owned by owner_{name}")
        server.execute(f"drop role owner_{name}")


def there(connection: psycopg.Connection, name: str) -> bool:
    return connection.execute("select from pg_database where datname = %s", (name,)).fetchone() is not None


def run(url: str, how: str) -> str:
    """Make a sandbox in a process of its own; its name."""
    process = subprocess.run([sys.executable, "-c", KILLED, url, how], capture_output=True, text=True, check=False)
    return process.stdout.strip()


# Who may, and what is left


def test_a_sandbox_goes_with_its_block(shop: psycopg.Connection, database_url: str) -> None:
    """Also when the block fails, and whoever is connected to it."""
    with pytest.raises(ZeroDivisionError), make_sandbox(database_url, Moment()) as sandbox:
        other = psycopg.connect(sandbox.url)
        raise ZeroDivisionError

    other.close()
    assert not there(shop, sandbox.name)


def test_a_sandbox_that_is_kept_stays_and_can_be_dropped(shop: psycopg.Connection, database_url: str) -> None:
    """It is no leftover, however long it stays."""
    with make_sandbox(database_url, Moment()) as sandbox:
        sandbox.keep()

    assert drop_leftovers(database_url) == ()
    assert [(one["name"], one["keep"]) for one in sandboxes_of(database_url)] == [(sandbox.name, True)]
    drop_sandbox(database_url, sandbox.name)
    assert not there(shop, sandbox.name)
    for name in (sandbox.name, shop.info.dbname):
        with pytest.raises(NotFound):
            drop_sandbox(database_url, name)


def test_leftovers_of_a_killed_process_are_dropped(shop: psycopg.Connection, database_url: str) -> None:
    """The next sandbox clears up, and leaves alone those that are in use or were kept."""
    kept = run(database_url, "keep")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, database_url, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        in_use = process.stdout.readline().strip()
        left = run(database_url, "die")
        assert all(there(shop, name) for name in (left, kept, in_use))

        with make_sandbox(database_url, Moment(), tables=[]):
            assert [there(shop, name) for name in (left, kept, in_use)] == [False, True, True]
        process.communicate("")
    drop_sandbox(database_url, kept)


def test_who_may_not_create_databases_is_told_how(shop: psycopg.Connection, owner: str, postgres: Any) -> None:
    """The one thing an administrator has to do."""
    install(owner, Project(root=Path("/nowhere"), name="shop"))
    role = owner.split("//")[1].partition("@")[0]
    shop.execute(f"alter role {role} nocreatedb")

    with pytest.raises(NotPermitted, match="may not create databases") as refused, make_sandbox(owner, Moment()):
        pass

    assert f"alter role {role} createdb" in str(refused.value.hint)


def test_no_superuser_is_needed(owner: str) -> None:
    """Promise 5: foreign keys and triggers are got out of the way with an owner's rights alone, and are there after."""
    install(owner, Project(root=Path("/nowhere"), name="shop"))
    with connect(owner) as shop:
        shop.execute(TABLES)
        shop.execute("select flux.track_all()")
        before, request = content(shop), seen(shop)
        shop.execute(LATER)
        with make_sandbox(owner, Moment()) as sandbox, connect(sandbox.url) as inside:
            sandbox.restore(Moment(seen_by=request))
            assert content(inside) == before
            assert sandbox.apply(mutations(shop, request)) == ()
            assert content(inside) == content(shop)
            assert inside.execute("select count(*) from flux.state_mutations").fetchone() == (0,)
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                inside.execute("insert into public.orders (user_id) values (999)")


def test_a_database_without_flux_has_no_past(bare_url: str) -> None:
    """The hint says what to run."""
    with pytest.raises(NotInstalled, match="holds no record"), make_sandbox(bare_url, Moment()):
        pass


def test_a_sandbox_on_another_server(shop: psycopg.Connection, database_url: str, servers: Any, postgres: Any) -> None:
    """Also on a newer one, and roles that it does not have are no reason to fail."""
    before = content(shop)
    shop.execute("create role only_here; grant select on public.users to only_here")
    try:
        for binaries in (wheel_binaries(), postgres.cluster.binaries):
            other = servers(binaries).url()
            with make_sandbox(database_url, Moment(), server_url=other) as sandbox, connect(sandbox.url) as inside:
                assert content(inside) == before
                assert (inside.info.server_version // 10_000, sandbox.notes) == (binaries.major, ())
    finally:
        shop.execute("drop owned by only_here; drop role only_here")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40ss@h:5433/app?sslmode=require", "postgresql://u:p%40ss@h:5433/x?sslmode=require"),
        ("host=/tmp/s port=5433 dbname=app user=u", "postgresql://u@/x?host=%2Ftmp%2Fs&port=5433"),
        ("postgresql:///app", "postgresql:///x"),
        ("postgresql://h1:1,h2:2/app", "postgresql:///x?host=h1%2Ch2&port=1%2C2"),
    ],
)
def test_the_url_of_a_sandbox_is_that_of_its_source(url: str, expected: str) -> None:
    """Whatever way it was written, with everything but the database's name."""
    assert url_of(url, "x") == expected


# Which tables


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every database is too large to be copied whole."""
    monkeypatch.setattr(choice, "ALL_ROWS", -1)


def test_what_is_touched_comes_with_what_is_bound_to_it(
    shop: psycopg.Connection, database_url: str, large: None
) -> None:
    """Both ways along foreign keys; the rest is closed to functions, views over it included."""
    request = seen(shop)

    with (
        make_sandbox(database_url, Moment(seen_by=request), touched=["public.notes"]) as sandbox,
        connect(sandbox.url) as inside,
    ):
        assert sandbox.tables == ("public.notes",)
        assert "1 of 7 tables" in sandbox.choice
        inside.execute("set role flux_app")
        for name in ("users", "payers", "parted", "parted_low"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                inside.execute(f"select from public.{name}")

        sandbox.add_tables(["payers"], Moment(seen_by=request))

        assert sandbox.tables == ("public.notes", "public.orders", "public.users")
        inside.execute("select from public.payers")
        inside.execute("update public.users set plan = 'x'")
        inside.execute("reset role")
        names = ("notes", "orders", "users")
        sandbox.restore(Moment(seen_by=request))
        assert content(inside, names) == content(shop, names)
        with pytest.raises(NotFound):
            sandbox.add_tables(["nothing"], Moment(seen_by=request))


def test_tables_asked_for_are_those_copied(shop: psycopg.Connection, database_url: str) -> None:
    """A foreign key to a table that is not there holds for new rows only."""
    with make_sandbox(database_url, Moment(), tables=["Orders"]) as sandbox, connect(sandbox.url) as inside:
        assert (sandbox.tables, sandbox.notes) == (("public.orders",), ())
        assert content(inside, ["orders"]) == content(shop, ["orders"])
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            inside.execute("insert into public.orders (user_id) values (1)")

    with pytest.raises(NotFound), make_sandbox(database_url, Moment(), tables=["ordres"]):
        pass


# What cannot be rebuilt


def rebuilt(shop: psycopg.Connection, url: str, request: UUID, query: str) -> tuple[list[Any], Sandbox]:
    with make_sandbox(url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        return inside.execute(query).fetchall(), sandbox


def test_columns_are_matched_by_name(shop: psycopg.Connection, database_url: str) -> None:
    """One that came since has what it gave to the rows there were; one that went is not missed."""
    request = seen(shop)
    shop.execute("update users set plan = 'pro'; delete from users where id = 1")
    shop.execute("alter table users add column score int not null default 7, add column extra text, drop column n")

    rows, sandbox = rebuilt(shop, database_url, request, "select id, plan, score, extra from public.users order by id")

    assert rows == [(number, "free", 7, None) for number in range(1, 6)]
    assert sandbox.notes == ()


def test_rules_that_came_since_are_left_out_and_said(shop: psycopg.Connection, database_url: str) -> None:
    """Rows of then may break them; the rows matter more."""
    shop.execute("update orders set total = 500 where id = 1; insert into notes values (null, 3); insert into parted "
                 "values (60, 'x')")  # fmt: skip
    request = seen(shop)
    shop.execute("update orders set total = 1; update notes set t = 'y'; delete from parted where id > 9")
    shop.execute("alter table orders add constraint cheap check (total < 100); alter table notes alter t set not null")
    shop.execute("drop table parted_rest; alter table users add column phone text; update users set phone = '1'")

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        totals = inside.execute("select max(total) from public.orders").fetchone()
        texts = inside.execute("select count(*) from public.notes where t is null").fetchone()
        high = inside.execute("select id from public.parted where id > 9 order by id").fetchall()

    assert (totals, texts, high) == ((500,), (2,), [(20,), (60,)])
    assert [note.partition(",")[0] for note in sandbox.notes] == [
        "public.notes: not null of t is left out",
        "public.orders: constraint cheap is left out",
        "public.parted has a partition more",
    ]


def test_a_table_whose_past_is_lost_is_closed_and_said(shop: psycopg.Connection, database_url: str) -> None:
    """A truncate whose rows could not be kept, and a type that the old values do not fit, are not made up for."""
    shop.execute("update notes set t = 'word'")
    request = seen(shop)
    with shop.transaction():
        shop.execute("set transaction isolation level repeatable read")
        shop.execute("truncate parted")
    shop.execute("update notes set t = '7'; alter table notes alter t type int using t::int")

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        assert not {"public.parted", "public.notes"} & set(sandbox.tables)
        assert [note.partition(":")[0] for note in sandbox.notes] == [
            "public.parted cannot be rebuilt",
            "public.notes cannot be rebuilt",
        ]
        for table in ("parted", "notes"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                inside.execute(f"set role flux_app; select from public.{table}")
            inside.execute("reset role")
            with pytest.raises(CannotRebuild, match=f"public.{table}"):
                sandbox.add_tables([table], Moment(seen_by=request))


def test_an_untracked_table_is_as_it_is_now_and_said(shop: psycopg.Connection, database_url: str) -> None:
    """Promise 9: it may have been otherwise."""
    shop.execute("create table public.hidden (id int); select flux.untrack('hidden'); insert into hidden values (1)")
    request = seen(shop)
    shop.execute("insert into hidden values (2)")

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        assert inside.execute("select count(*) from public.hidden").fetchone() == (2,)
        assert sandbox.notes == ("public.hidden is as it is now: its past is not recorded",)
        inside.execute("delete from public.hidden")
        sandbox.restore(Moment(seen_by=request))
        assert inside.execute("select count(*) from public.hidden").fetchone() == (2,)
        assert inside.execute("select count(*) from flux.state_mutations").fetchone() == (0,)


def test_redacted_values_are_stood_in_for_and_said(shop: psycopg.Connection, database_url: str) -> None:
    """They are in no record; what is there now is nearer than anything made up."""
    shop.execute("""insert into flux.settings values ('redact', '["plan", "users.n"]'); select flux.track_all()""")
    request = seen(shop)
    shop.execute("update users set plan = 'secret', n = 5 where id = 1; delete from users where id = 2")

    rows, sandbox = rebuilt(shop, database_url, request, "select plan, n from public.users where id < 3 order by id")

    assert rows == [("secret", 5), ("[redacted]", None)]
    assert "public.users: values that were redacted" in sandbox.notes[0]


def test_a_sandbox_reaches_nothing_outside(shop: psycopg.Connection, database_url: str) -> None:
    """Event triggers, publications and foreign servers stay behind; the search path comes along."""
    shop.execute("create publication news for all tables; create foreign data wrapper elsewhere; "
                 "create server far foreign data wrapper elsewhere; "
                 "create foreign table public.away (id int) server far")  # fmt: skip
    shop.execute(f'alter database {shop.info.dbname} set search_path = "$user", odd, public')

    with make_sandbox(database_url, Moment()) as sandbox, connect(sandbox.url) as inside:
        found = inside.execute("select (select count(*) from pg_publication), (select count(*) from pg_event_trigger), "
                               "(select count(*) from pg_foreign_server), to_regclass('public.away')")  # fmt: skip
        assert found.fetchone() == (0, 0, 0, None)
        assert inside.execute("show search_path").fetchone() == ('"$user", odd, public',)
        assert {note.split(" is left out")[0] for note in sandbox.notes} == {"foreign server far", "foreign table away"}


def test_materialized_views_have_their_rows(shop: psycopg.Connection, database_url: str) -> None:
    """Made anew from the rows of then."""
    shop.execute("create materialized view public.plans as select plan, count(*) from users group by plan")
    request = seen(shop)
    shop.execute("update users set plan = 'pro'; refresh materialized view plans")

    rows, _ = rebuilt(shop, database_url, request, "select plan from public.plans")

    assert rows == [("free",)]


def test_materialized_views_follow_tables_that_come_later(shop: psycopg.Connection, database_url: str) -> None:
    """One left empty would be read as if there had been nothing then."""
    shop.execute("create materialized view public.plans as select plan, count(*) from users group by plan")
    request = seen(shop)

    with make_sandbox(database_url, Moment(request), tables=["public.orders"]) as sandbox:
        sandbox.add_tables(["public.plans"], Moment(request))
        with connect(sandbox.url) as inside:
            found = inside.execute("select plan from public.plans").fetchall()

    assert found == shop.execute("select plan from public.plans").fetchall() != []


def test_a_locked_table_is_not_waited_for_long(
    shop: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that hangs must not make a replay hang; no database is left of it."""
    monkeypatch.setattr(past, "PATIENCE", 1)
    with psycopg.connect(database_url) as migration:
        migration.execute("lock table public.users in access exclusive mode")

        with pytest.raises(SandboxFailed, match="locked by somebody else"), make_sandbox(database_url, Moment()):
            pass

    assert sandboxes_of(database_url) == []

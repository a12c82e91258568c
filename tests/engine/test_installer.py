"""An installation brings a database up to date in one transaction, or changes nothing at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from processes import wait_until

from flux.config import Project, Recording
from flux.engine.installer import LOCK, install, status
from flux.engine.sql_files import flux_migrations, flux_objects
from flux.errors import ConfigError, DatabaseUnavailable, InstallFailed, MigrationFailed

Write = Callable[[str, str], Path]

FLUX = Path(sys.executable).with_name("flux")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose database is given by the test."""
    return Project(root=tmp_path, name="shop")


@pytest.fixture
def write(project: Project) -> Write:
    """Writes a migration of the project."""

    def migration(name: str, text: str) -> Path:
        path = project.root / "db" / "migrations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return migration


def ask(url: str, query: str) -> list[Any]:
    """The rows of a query, or nothing for a statement that gives none."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


#: The version of every row of the catalogue that belongs to Flux, and of what the installer stores.
_VERSIONS = """
    select 'proc', oid::text, xmin::text from pg_proc where pronamespace = 'flux'::regnamespace
    union all select 'class', oid::text, xmin::text from pg_class
        where relnamespace = 'flux'::regnamespace and relkind in ('r', 'v', 'p')
    union all select 'trigger', oid::text, xmin::text from pg_trigger
    union all select 'file', path, xmin::text from flux.installed_files
    union all select 'setting', name, xmin::text from flux.settings
    order by 1, 2
"""


def test_an_empty_database_becomes_a_flux_database(bare_url: str, project: Project) -> None:
    """After one call everything that questions and recording need is there, and is reported."""
    before = status(bare_url, project)

    done = install(bare_url, project)

    assert not before.installed
    assert len(before.pending) == len(done.migrations) + len(done.made)
    assert list(done.migrations) == [file.label for file in flux_migrations()]
    assert sorted(done.made) == sorted(file.label for file in flux_objects())
    assert done.warnings == ()
    assert status(bare_url, project).current


def test_installing_twice_changes_nothing(bare_url: str, project: Project, write: Write) -> None:
    """Every start installs; a start must not rewrite the catalogue under running requests."""
    write("0001_users.sql", "create table users (id int primary key)")
    install(bare_url, project)
    before = ask(bare_url, _VERSIONS)

    again = install(bare_url, project)

    assert not again.changed
    assert ask(bare_url, _VERSIONS) == before


def test_nodes_that_start_at_once_do_not_meet(bare_url: str, project: Project, write: Write) -> None:
    """A deployment starts several nodes in the same second."""
    write("0001_users.sql", "create table users (id int primary key)")
    done, failed = [], []

    def node() -> None:
        try:
            done.append(install(bare_url, project))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
            failed.append(error)

    nodes = [threading.Thread(target=node) for _ in range(4)]
    for thread in nodes:
        thread.start()
    for thread in nodes:
        thread.join()

    assert failed == []
    assert sorted(len(one.migrations) for one in done)[:3] == [0, 0, 0]
    assert status(bare_url, project).current


def test_a_node_waits_for_one_that_installs(bare_url: str, project: Project) -> None:
    """Migrations that run side by side on the same tables would block or break each other."""
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    second = threading.Thread(target=install, args=(bare_url, project))
    with psycopg.connect(bare_url) as first:
        first.execute("select pg_advisory_xact_lock(%s)", (LOCK,))

        second.start()

        wait_until(lambda: ask(bare_url, waiting) == [(1,)])
        assert ask(bare_url, "select to_regnamespace('flux')") == [(None,)]
    second.join()
    assert status(bare_url, project).current


def test_a_migration_that_met_a_deadlock_is_begun_again_as_a_whole(
    bare_url: str, project: Project, write: Write
) -> None:
    """An autovacuum, or a request of the running service, may have the tables in another order."""
    write("0001_tables.sql", "create table users (id int primary key); create table orders (id int primary key)")
    install(bare_url, project)
    write("0002_first.sql", "insert into users values (1)")
    write("0003_both.sql", "lock table users;\nselect pg_sleep(0.5);\nalter table orders add total int;")
    (project.root / "flux.toml").write_text('[project]\nname = "shop"\n')
    holds_users = "select count(*) from pg_locks where relation = 'users'::regclass and mode = 'AccessExclusiveLock'"
    with psycopg.connect(bare_url) as other:
        other.execute("set local deadlock_timeout = '1min'")  # so that it is the migration that gives way
        other.execute("lock table orders in access share mode")
        migrating = subprocess.Popen(
            [FLUX, "db", "migrate"],
            cwd=project.root,
            env={**os.environ, "DATABASE_URL": bare_url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: ask(bare_url, holds_users) == [(1,)])

        other.execute("select * from users")
    said = migrating.communicate(timeout=30)[1]

    assert migrating.returncode == 0
    assert ask(bare_url, "select id from users") == [(1,)]
    assert "db/migrations/0003_both.sql:3: deadlock detected" in said
    assert "nothing of it has stayed, and it is begun again" in said


def test_a_failing_migration_leaves_nothing(bare_url: str, project: Project, write: Write) -> None:
    """Half an installation is worse than none."""
    write("0001_users.sql", "create table users (id int primary key)")
    write("0002_broken.sql", "create table orders (id int primary key);\ninsert into nowhere values (1)")

    with pytest.raises(MigrationFailed, match="0002_broken"):
        install(bare_url, project)

    assert ask(bare_url, "select to_regclass('users'), to_regclass('orders'), to_regnamespace('flux')") == [
        (None, None, None)
    ]


def test_status_changes_nothing(bare_url: str, project: Project, write: Write) -> None:
    """Whoever asks has not yet decided."""
    write("0001_users.sql", "create table users (id int primary key)")
    status(bare_url, project)
    assert ask(bare_url, "select to_regnamespace('flux')") == [(None,)]
    install(bare_url, project)
    write("0002_orders.sql", "create table orders (id int primary key)")
    before = ask(bare_url, _VERSIONS)

    pending = status(bare_url, project).pending

    assert pending == ("db/migrations/0002_orders.sql",)
    assert ask(bare_url, _VERSIONS) == before


def test_the_project_s_migrations_run_once_and_in_order(bare_url: str, project: Project, write: Write) -> None:
    """Names order them, and what ran is not run again."""
    write("0002_rows.sql", "insert into users values (1)")
    write("0001_users.sql", "create table users (id int)")
    first = install(bare_url, project)
    write("0003_more.sql", "insert into users values (2)")

    second = install(bare_url, project)

    assert first.migrations[-2:] == ("db/migrations/0001_users.sql", "db/migrations/0002_rows.sql")
    assert second.migrations == ("db/migrations/0003_more.sql",)
    assert ask(bare_url, "select id from users order by id") == [(1,), (2,)]


def test_tables_of_migrations_are_recorded(bare_url: str, project: Project, write: Write) -> None:
    """No step may lie between a table and its record."""
    write("0001_users.sql", "create table users (id int primary key)")
    done = install(bare_url, project)

    ask(bare_url, "insert into users values (7)")

    assert [table for table, _ in done.tables] == ["public.users"]
    assert ask(bare_url, "select table_name, new_values from flux.state_mutations") == [("public.users", {"id": 7})]


def test_records_have_a_partition_of_their_day(bare_url: str, project: Project) -> None:
    """Rows that fall into the default partition cannot be dropped by the day."""
    install(bare_url, project)

    assert ask(
        bare_url,
        "select to_regclass('flux.trace_requests_' || to_char(now() at time zone 'UTC', 'YYYY_MM_DD')) is null",
    ) == [(False,)]


@pytest.mark.parametrize("text", ["create table users (id bigint primary key)", None])
def test_a_migration_that_ran_is_not_to_be_changed(
    bare_url: str, project: Project, write: Write, text: str | None
) -> None:
    """Otherwise two databases of the same files would differ, and nobody would know."""
    path = write("0001_users.sql", "create table users (id int primary key)")
    install(bare_url, project)
    path.unlink() if text is None else path.write_text(text)

    found = status(bare_url, project)
    with pytest.raises(InstallFailed, match=r"db/migrations/0001_users\.sql") as raised:
        install(bare_url, project)

    assert found.unknown + found.changed == ("db/migrations/0001_users.sql",)
    assert not found.current
    assert "new migration" in str(raised.value.hint)


def test_a_database_of_a_newer_flux_is_left_alone(database_url: str, project: Project) -> None:
    """An old node in a rolling deployment must not undo what the new one did."""
    ask(
        database_url,
        "insert into flux.installed_files (scope, path, checksum) values ('flux', 'migrations/9999_x.sql', '')",
    )

    with pytest.raises(InstallFailed, match=r"holds a newer Flux: flux/db/migrations/9999_x\.sql"):
        install(database_url, project)


@pytest.mark.parametrize(
    ("change", "drifted"),
    [
        (
            "create or replace function flux.short_id(request uuid) returns text language sql as 'select 1::text'",
            "short_id",
        ),
        ("drop function flux.short_id(uuid) cascade", "short_id"),
        ("comment on view flux.errors is 'mine'", "errors"),
        ("drop view flux.errors cascade", "errors"),
        ("create function flux.short_id(text) returns text language sql as 'select $1'", "short_id"),
    ],
)
def test_what_was_changed_by_hand_is_told_and_repaired(
    database_url: str, project: Project, change: str, drifted: str
) -> None:
    """An answer from a function that somebody has edited is no answer."""
    ask(database_url, change)

    found = status(database_url, project)
    install(database_url, project)

    assert f"flux.{drifted}" in found.drifted
    assert not found.current
    assert status(database_url, project).current


def test_an_object_without_a_file_goes(database_url: str, project: Project) -> None:
    """What a newer version does without must not answer on."""
    ask(
        database_url,
        """
        create function flux.old_question() returns integer language sql as 'select 1';
        create view flux.old_view as select flux.old_question();
        insert into flux.installed_files (scope, path, checksum)
        values ('flux', 'functions/old_question.sql', ''), ('flux', 'views/old_view.sql', '')
        """,
    )
    assert status(database_url, project).unknown == ("flux/db/functions/old_question.sql", "flux/db/views/old_view.sql")

    done = install(database_url, project)

    assert sorted(done.dropped) == ["functions/old_question.sql", "views/old_view.sql"]
    assert ask(database_url, "select to_regproc('flux.old_question'), to_regclass('flux.old_view')") == [(None, None)]
    assert status(database_url, project).current


def test_settings_follow_flux_toml(bare_url: str, project: Project) -> None:
    """What is excluded or hidden is decided in the project, so the database must always hear of it."""
    recording = Recording(exclude=("sessions",), redact=("password",))
    changed = Project(root=project.root, name="shop", recording=recording)
    query = "select name, value from flux.settings order by name"

    install(bare_url, project)
    differs = status(bare_url, changed)
    install(bare_url, changed)
    given = ask(bare_url, query)
    install(bare_url, project)

    assert differs.settings == ("exclude", "redact")
    assert given == [("exclude", ["sessions"]), ("redact", ["password"])]
    assert ask(bare_url, query) == []


def test_a_redacted_column_is_hidden_from_the_first_row_on(bare_url: str, project: Project, write: Write) -> None:
    """A migration that brings both the table and its rows must not spill what the settings hide."""
    write(
        "0001_users.sql",
        "create table users (id int primary key, password text); insert into users values (1, 'hunter2')",
    )

    install(bare_url, Project(root=project.root, name="shop", recording=Recording(redact=("password",))))

    assert "hunter2" not in str(ask(bare_url, "select * from flux.state_mutations"))


def test_a_database_that_is_not_there_is_said(postgres, project: Project) -> None:
    """A typo in a URL must not look like a bug."""
    for url in (postgres.url("nothing_here"), "postgresql:///x?host=/nowhere", "postgresql://localhost:1/x"):
        with pytest.raises(DatabaseUnavailable) as raised:
            install(url, project)
        assert "DATABASE_URL" in str(raised.value.hint)


def test_a_url_that_cannot_be_read_is_said(project: Project) -> None:
    """The same for a URL that is none."""
    with pytest.raises(DatabaseUnavailable):
        install("nonsense", project)


def test_a_migration_in_another_encoding_is_named(bare_url: str, project: Project, write: Write) -> None:
    """A file saved by an old editor."""
    write("0001_users.sql", "").write_bytes("-- Müller".encode("latin-1"))

    with pytest.raises(ConfigError, match="0001_users"):
        install(bare_url, project)

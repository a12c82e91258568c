"""Installs Flux in a database and tells what is pending or drifted.

Everything happens in one transaction under an advisory lock, so that two nodes may start at once and a failure changes
nothing. Migrations are append-only and run once; functions, triggers and views are made anew whenever they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from flux.config import Project, Queue
from flux.engine import objects, policies
from flux.engine.binaries import OLDEST
from flux.engine.migrations import run_migration
from flux.engine.roles import ensure_roles
from flux.engine.sql_files import SqlFile, flux_migrations, flux_objects, project_migrations
from flux.errors import DatabaseUnavailable, FluxError, InstallFailed, MigrationFailed, NotPermitted
from flux.policies import read_policies

Connection = psycopg.Connection[Any]

LOCK = 0x666C7578  #: "flux" in ASCII; everybody who installs in this database waits for it

#: Times an installation is begun at most: another database of the same server may make the roles at the same moment.
_ATTEMPTS = 5
#: Checksum and definition of installed files, by scope and path.
_Done = dict[tuple[str, str], tuple[str, str | None]]

_NUMBERS = ("max_attempts", "payload_limit")
_SETTINGS = ("schemas", "exclude", "redact", *_NUMBERS)
_DEADLOCKS = ("40P01", "40001")  # another transaction stood in the way, such as an autovacuum
_COLLISIONS = ("42710", "23505", "XX000", *_DEADLOCKS)


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did: labels of files, what became of each table's tracking, how policies had differed."""

    migrations: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    tables: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether it changed anything but tracking."""
        return bool(self.migrations or self.made or self.dropped or self.policies)


@dataclass(frozen=True, slots=True)
class Status:
    """How a database differs from the files: labels of those to be run, of migrations edited after they ran, of objects
    changed by hand, and of what a newer Flux or another project has left."""

    installed: bool
    pending: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    @property
    def current(self) -> bool:
        """Whether an installation would change nothing."""
        return self.installed and not any(
            (self.pending, self.changed, self.drifted, self.unknown, self.settings, self.policies)
        )


def install(url: str, project: Project, say: Callable[[str], None] = lambda _said: None) -> Installed:
    """Bring a database up to date with Flux's files, the project's settings and its migrations.

    A deadlock is told to `say`, and all of it is begun again: it is one transaction, of which nothing has stayed.
    Raises DatabaseUnavailable, NotPermitted, InstallFailed, MigrationFailed, PolicyError.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _connected(url) as connection:
                return _install(connection, project)
        except (InstallFailed, MigrationFailed) as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if attempt == _ATTEMPTS or state not in (_DEADLOCKS if isinstance(error, MigrationFailed) else _COLLISIONS):
                raise
            if state in _DEADLOCKS:
                say(f"{error.message}; nothing of it has stayed, and it is begun again")
    raise AssertionError("unreachable")


def status(url: str, project: Project) -> Status:
    """Compare a database with the files and settings; changes nothing."""
    with _connected(url) as connection:
        connection.execute("set transaction read only; set local search_path = ''")
        return _status(connection, project)


def _install(connection: Connection, project: Project) -> Installed:
    warnings: list[str] = []
    connection.add_notice_handler(lambda said: _keep_warning(said, warnings))
    connection.execute("set transaction isolation level read committed read write")
    connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
    connection.execute("set local search_path = ''; set local check_function_bodies = off")
    ensure_roles(connection)

    done = _installed_files(connection)
    migrations = _pending(flux_migrations(), done, "flux")
    for file in migrations:
        _run(connection, file)
    made, dropped = _make_objects(connection, flux_objects(), done)
    _write_settings(connection, project)

    own = _pending(project_migrations(project), done, "project")
    wanted = read_policies(project.root)
    differing = policies.drift(connection, wanted)
    if own or differing:  # a column that a policy or a mask names can be neither changed nor dropped
        policies.withdraw(connection)
    connection.execute("set local search_path to default; set local check_function_bodies to default")
    for file in own:
        run_migration(connection, file)

    connection.execute("set local search_path = ''")
    connection.execute("select flux.make_partitions()")
    tables = tuple(connection.execute("select table_name, outcome from flux.track_all()").fetchall())
    if own or differing:
        connection.execute("set local search_path to default")
        policies.enforce(connection, wanted)
    _remember(connection, [*migrations, *own], made)
    return Installed(
        migrations=tuple(file.label for file in [*migrations, *own]),
        made=tuple(file.label for file in made),
        dropped=tuple(dropped),
        tables=tables,
        warnings=tuple(warnings),
        policies=tuple(differing),
    )


def _make_objects(connection: Connection, files: Sequence[SqlFile], done: _Done) -> tuple[list[SqlFile], list[str]]:
    """Make anew what differs and drop what has no file any more."""
    maker = objects.Maker(connection, files)
    known = {file.key for file in files}
    gone = [path for scope, path in done if scope == "flux" and not _is_migration(path) and (scope, path) not in known]
    there = objects.definitions(connection, files)
    now = {file.key: (file.checksum, there.get((file.is_view, file.object))) for file in files}
    maker.make([file for file in files if done.get(file.key) != now[file.key]])
    for path in gone:
        file = SqlFile("flux", path, "")
        maker.drop_all(file.object, is_view=file.is_view)
        connection.execute("delete from flux.installed_files where scope = 'flux' and path = %s", (path,))
    maker.make([])
    return list({file.key: file for file in maker.made}.values()), gone


def _remember(connection: Connection, migrations: Sequence[SqlFile], made: Sequence[SqlFile]) -> None:
    there = objects.definitions(connection, made)
    rows: list[tuple[str, str, str, str | None]] = [(*file.key, file.checksum, None) for file in migrations]
    rows += [(*file.key, file.checksum, there.get((file.is_view, file.object))) for file in made]
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into flux.installed_files (scope, path, checksum, definition)
            values (%s, %s, %s, %s)
            on conflict (scope, path) do update
            set checksum = excluded.checksum, definition = excluded.definition, installed_at = now()
            """,
            rows,
        )


def _status(connection: Connection, project: Project) -> Status:
    done = _installed_files(connection)
    if not done:
        return Status(installed=False, pending=tuple(file.label for file in [*flux_migrations(), *flux_objects()]))
    migrations = [*flux_migrations(), *project_migrations(project)]
    recreated = flux_objects()
    there = objects.definitions(connection, recreated)
    files = {file.key: file for file in [*migrations, *recreated]}
    return Status(
        installed=True,
        pending=tuple(
            file.label
            for file in files.values()
            if file.key not in done or (file in recreated and done[file.key][0] != file.checksum)
        ),
        changed=tuple(file.label for file in migrations if file.key in done and done[file.key][0] != file.checksum),
        drifted=tuple(
            f"flux.{file.object}"
            for file in recreated
            if file.key in done and done[file.key][1] != there.get((file.is_view, file.object))
        ),
        unknown=tuple(SqlFile(*key, "").label for key in done if key not in files),
        settings=tuple(_differing_settings(connection, project)),
        policies=tuple(policies.drift(connection, read_policies(project.root))),
    )


def _pending(files: Sequence[SqlFile], done: _Done, scope: str) -> list[SqlFile]:
    """The migrations to run; raises InstallFailed where those that ran are not those of the files."""
    known = {file.key for file in files}
    for file in files:
        if file.key in done and done[file.key][0] != file.checksum:
            raise InstallFailed(
                f"{file.label} was changed after it ran in this database",
                hint="Put it back as it was, and write the change as a new migration.",
            )
    for key in done:
        if key[0] == scope and _is_migration(key[1]) and key not in known:
            label = SqlFile(*key, "").label
            if scope == "flux":
                raise InstallFailed(
                    f"this database holds a newer Flux: {label} is not part of this one",
                    hint="Run `pip install --upgrade flux-runtime`.",
                )
            raise InstallFailed(
                f"{label} ran in this database and is not in the project",
                hint="Put the file back; to undo what it did, write a new migration.",
            )
    return [file for file in files if file.key not in done]


def _write_settings(connection: Connection, project: Project) -> None:
    for name in _differing_settings(connection, project):
        value = _setting(project, name)
        connection.execute("delete from flux.settings where name = %s", (name,))
        if value:
            connection.execute("insert into flux.settings (name, value) values (%s, %s)", (name, Jsonb(value)))


def _differing_settings(connection: Connection, project: Project) -> list[str]:
    """The settings that are not as in flux.toml; an empty list is stored as no row."""
    there = dict(connection.execute("select name, value from flux.settings").fetchall())
    return [name for name in _SETTINGS if there.get(name, []) != _setting(project, name)]


def _setting(project: Project, name: str) -> list[str] | int:
    """What flux.toml says; an empty list for nothing, and for a number that the database has by itself."""
    if name not in _NUMBERS:
        return list(getattr(project.recording, name))
    number: int = getattr(project.queue, name)
    return [] if number == getattr(Queue(), name) else number


def _installed_files(connection: Connection) -> _Done:
    """Checksum and definition of what is installed, by scope and path; empty without Flux."""
    if connection.execute("select to_regclass('flux.installed_files')").fetchone() == (None,):
        return {}
    rows = connection.execute("select scope, path, checksum, definition from flux.installed_files").fetchall()
    return {(scope, path): (checksum, definition) for scope, path, checksum, definition in rows}


def _is_migration(path: str) -> bool:
    return path.startswith("migrations/")


def _run(connection: Connection, file: SqlFile) -> None:
    try:
        connection.execute(file.text)
    except psycopg.Error as error:
        raise _refused(error, file.label) from error


def _keep_warning(said: psycopg.errors.Diagnostic, warnings: list[str]) -> None:
    if said.severity_nonlocalized == "WARNING" and said.message_primary:
        warnings.append(said.message_primary)


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """One transaction on a connection of its own; every error of Postgres becomes one of Flux."""
    try:
        with psycopg.connect(url, application_name="flux", connect_timeout=10, prepare_threshold=None) as connection:
            if connection.info.server_version < OLDEST * 10_000:
                version = connection.info.parameter_status("server_version")
                raise InstallFailed(f"PostgreSQL {version} is too old: flux needs {OLDEST} or newer")
            yield connection
    except psycopg.Error as error:
        raise _refused(error) from error


def _refused(error: psycopg.Error, where: str = "") -> FluxError:
    message = error.diag.message_primary or str(error).strip().removeprefix("connection is bad: ").partition("\n")[0]
    state = error.sqlstate
    if state is None or state.startswith(("08", "57P", "28", "3D")):
        return DatabaseUnavailable(message, hint="Look at [database] url in flux.toml, or at DATABASE_URL.")
    if state == "42501":
        return NotPermitted(
            message, hint="Install as the owner of the database, or as the role that installed Flux there before."
        )
    if state == "25006":
        return InstallFailed("this database is read-only", hint="Name the primary server, not a standby.")
    return InstallFailed(f"{where}: {message}" if where else message)

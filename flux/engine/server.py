"""The database of a project: the one its settings name, or an embedded Postgres that lives as long as it is used.

Every process that uses the embedded server holds a shared lock. The first starts the server, the last stops it; when
the last was killed, the keeper (flux.engine.keeper) does. The order of the locks is users, then start.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from flux.config import Project
from flux.engine import keeper
from flux.engine.binaries import Binaries
from flux.engine.cluster import SUPERUSER, Cluster, cannot_write
from flux.errors import DatabaseUnavailable

#: Servers begun here that others still use; kept so that they are not taken for forgotten ones.
_left_running: list[subprocess.Popen[bytes]] = []


@contextmanager
def database(project: Project) -> Iterator[str]:
    """The libpq URL of the project's database, which is there as long as the block runs.

    Starts the embedded Postgres when the project names no database and it is not running yet; stops it at the end when
    nobody else uses it. Raises CannotWrite, DatabaseUnavailable.
    """
    if project.database_url:
        yield project.database_url
        return
    prepare_state(project.state)
    with embedded(project.state / "postgres") as cluster:
        yield cluster.url(_database_of(cluster, project.name))


@contextmanager
def embedded(folder: Path, binaries: Binaries | None = None, settings: Sequence[str] = ()) -> Iterator[Cluster]:
    """The running cluster of a folder, shared with every process that uses the same folder."""
    use = _Use(folder)
    try:
        cluster = use.begin(binaries, settings)
        yield cluster
    finally:
        use.end()


def revive(project: Project) -> None:
    """Start the project's embedded Postgres again after it died under those who use it; nothing where it runs.

    Raises CannotWrite, DatabaseUnavailable.
    """
    folder = project.state / "postgres"
    if project.database_url or keeper.server_pid(folder / "data") is not None:
        return
    place = os.open(folder.parent / f"{folder.name}-locks" / "start", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        process = Cluster.at(folder).start()
    finally:
        os.close(place)
    if process is not None:
        _left_running.append(process)


def prepare_state(state: Path) -> None:
    """Make the project's state folder, which git does not look into; raises CannotWrite."""
    try:
        # The user that runs Postgres for root must be able to pass through.
        state.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        if os.geteuid() == 0 and state.stat().st_uid == 0:
            state.chmod(state.stat().st_mode | 0o111)
    except OSError as error:
        raise cannot_write(state, error) from error


class _Use:
    """One process's use of an embedded server."""

    def __init__(self, folder: Path) -> None:
        self.locks = folder.parent / f"{folder.name}-locks"
        self.folder = folder
        self.owner = os.getpid()
        self.users = -1
        self.cluster: Cluster | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.keeper: subprocess.Popen[bytes] | None = None

    def begin(self, binaries: Binaries | None, settings: Sequence[str]) -> Cluster:
        """Have the server running, by one process at a time."""
        try:
            self.locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.users = self._open("users")
            start = self._open("start")
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        try:
            fcntl.flock(self.users, fcntl.LOCK_SH)
            fcntl.flock(start, fcntl.LOCK_EX)
            self.cluster = Cluster.at(self.folder, binaries, settings)
            self._have_keeper()
            self.process = self.cluster.start()
        finally:
            os.close(start)
        return self.cluster

    def end(self) -> None:
        """Leave; the last one out stops the server. A forked process leaves that to the one that began."""
        if os.getpid() != self.owner or self.users < 0:
            return
        try:
            fcntl.flock(self.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Others use it, then this is had at once; or the keeper is stopping it, then this waits until it has.
            fcntl.flock(self.users, fcntl.LOCK_SH)
        else:
            if self.cluster is not None:
                self.cluster.stop()
        os.close(self.users)
        self.users = -1
        stopped = self.cluster is None or keeper.server_pid(self.cluster.data) is None
        for process in (self.process, self.keeper):
            if process is None:
                continue
            if stopped:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(keeper.PATIENCE)
            if process.poll() is None:
                _left_running.append(process)

    def _have_keeper(self) -> None:
        """Start a keeper, unless one is there."""
        place = self._open("keeper")
        try:
            fcntl.flock(place, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        finally:
            os.close(place)
        assert self.cluster is not None  # noqa: S101  # for the type checker
        self.keeper = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", keeper.__file__),
                *(str(self.locks / "users"), str(self.locks / "keeper"), str(self.cluster.data)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def _open(self, name: str) -> int:
        return os.open(self.locks / name, os.O_RDONLY | os.O_CREAT, 0o600)


def database_name(project_name: str) -> str:
    """A project's name as the name of a database: lower case, digits and underscores, at most 63 bytes."""
    name = re.sub(r"[^a-z0-9]+", "_", project_name.lower()).strip("_")[:63]
    return name if name and name not in ("template0", "template1") else f"{name or 'flux'}_app"


def _database_of(cluster: Cluster, project_name: str) -> str:
    """The database that this cluster was made for, made now if need be.

    Its name is kept, so that a project that is renamed keeps its data.
    """
    kept = cluster.folder / "database"
    with suppress(OSError):
        return kept.read_text().strip()
    name = database_name(project_name)
    until = time.monotonic() + 10
    while True:
        try:
            with psycopg.connect(cluster.url(SUPERUSER), autocommit=True, connect_timeout=5) as connection:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            break
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            break
        except psycopg.errors.ObjectInUse:  # another process has just done the same
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"cannot create the database {name}: {error}") from error
    try:
        kept.write_text(f"{name}\n")
    except OSError as error:
        raise cannot_write(cluster.folder, error) from error
    return name

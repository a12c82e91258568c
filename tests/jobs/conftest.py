"""A whole runtime with a worker on a database of its own: functions given as text, jobs pushed and run for real."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from market import Markets
from psycopg.rows import dict_row

from flux.config import Project
from flux.context import RequestContext
from flux.engine.installer import install
from flux.jobs.service import JobService
from flux.runtime.inflight import InflightTable
from flux.runtime.loader import load
from flux.runtime.runtime import Reply, Runtime

MIGRATION = """
    create table notes (
        id    bigint generated always as identity primary key,
        text  text not null
    );
"""

HEADER = "import time\nfrom flux import Discard, HTTPError, Retry, function, tool\n\n"


class Shop:
    """A project with its runtime; jobs are run by the worker that work() starts."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        self.project = Project.load(root)
        self.runtimes: list[Runtime] = []
        self.services: list[JobService] = []
        self.runtime = self.open()

    def open(self) -> Runtime:
        """A further runtime, as another process has."""
        registry = load(self.project)
        runtime = Runtime(
            self.project,
            self.url,
            registry,
            inflight=InflightTable(self.root / "inflight"),
            code_sha="abc123",
        )
        runtime.open()
        self.runtimes.append(runtime)
        return runtime

    def work(
        self, *, queues: list[str] | None = None, concurrency: int = 2, runtime: Runtime | None = None
    ) -> JobService:
        """Start a worker."""
        service = JobService(runtime or self.runtime, queues=queues, concurrency=concurrency)
        service.start()
        self.services.append(service)
        return service

    def call(self, name: str, /, **arguments: Any) -> Reply:
        """Run a function as a request of its own."""
        function = self.runtime.registry.functions[name]
        context = RequestContext(kind="http", method="POST", path=f"/{name}", route=f"/{name}", code_sha="abc123")
        return self.runtime.execute(context, function, function.bind_input(arguments))

    def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """What the database holds, seen from outside."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *parameters: Any) -> Any:
        """The one value of a query."""
        return next(iter(self.query(statement, *parameters)[0].values()))

    def until(self, statement: str, *parameters: Any, seconds: float = 10.0) -> list[dict[str, Any]]:
        """The rows of a query, waited for."""
        deadline = time.monotonic() + seconds
        while not (rows := self.query(statement, *parameters)):
            if time.monotonic() > deadline:
                raise AssertionError(f"never true: {statement} {parameters}; {self.query('select * from flux.queue')}")
            time.sleep(0.02)
        return rows

    def finished(self, job: int, seconds: float = 10.0) -> dict[str, Any]:
        """A job that ended, waited for."""
        return self.until("select * from flux.finished_jobs where job_id = %s", job, seconds=seconds)[0]

    def requests(self, job: int) -> list[dict[str, Any]]:
        """The records of a job's attempts, in order."""
        return self.query(
            "select * from flux.trace_requests where attributes -> 'job' ->> 'id' = %s order by started_at", str(job)
        )

    def stop(self) -> None:
        """End everything."""
        for service in self.services:
            service.stop()
        self.services.clear()
        for runtime in self.runtimes:
            runtime.close()
            runtime.inflight.close()
        self.runtimes.clear()


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Iterator[Callable[..., Shop]]:
    """Makes a Shop of functions given as the text of one module; `toml` is added to flux.toml."""
    opened: list[Shop] = []

    def make(functions: str, *, toml: str = "", migration: str = MIGRATION) -> Shop:
        (tmp_path / "functions").mkdir()
        (tmp_path / "inflight").mkdir()
        (tmp_path / "db" / "migrations").mkdir(parents=True)
        (tmp_path / "flux.toml").write_text(f'[project]\nname = "shop"\n{textwrap.dedent(toml)}')
        (tmp_path / "db" / "migrations" / "0001_tables.sql").write_text(textwrap.dedent(migration))
        (tmp_path / "functions" / "app.py").write_text(HEADER + textwrap.dedent(functions))
        install(database_url, Project.load(tmp_path))
        shop = Shop(tmp_path, database_url)
        opened.append(shop)
        assert not shop.runtime.registry.broken, shop.runtime.registry.broken
        return shop

    yield make
    for shop in opened:
        shop.stop()


@pytest.fixture
def market(tmp_path: Path, database_url: str) -> Iterator[Markets]:
    """Makes a Market of functions given as text."""
    markets = Markets(tmp_path, database_url)
    yield markets
    markets.close()

"""A whole runtime on a database of its own: functions given as text, requests made as the gateway makes them."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from flux.config import Project
from flux.context import RequestContext
from flux.engine.installer import install
from flux.runtime.inflight import InflightTable
from flux.runtime.loader import load
from flux.runtime.runtime import Reply, Runtime

MIGRATION = """
    create table users (
        id     bigint generated always as identity primary key,
        email  text not null unique,
        plan   text default 'free' check (plan <> 'bad')
    );
    create table orders (
        id       bigint generated always as identity primary key,
        user_id  bigint references users deferrable initially deferred,
        amount   numeric(10, 2)
    );
"""


class Bench:
    """A runtime under test, and the record it leaves."""

    def __init__(self, runtime: Runtime, url: str) -> None:
        self.runtime = runtime
        self.url = url

    def call(self, name: str, /, **arguments: Any) -> Reply:
        """Run a function as a request of its own."""
        function = self.runtime.registry.functions[name]
        context = RequestContext(kind="http", method="POST", path=f"/{name}", route=f"/{name}", code_sha="abc123")
        return self.runtime.execute(context, function, function.bind_input(arguments))

    def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """What the database holds, seen from outside."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()

    def request(self, reply: Reply) -> dict[str, Any]:
        """The recorded request, once the writer has stored it."""
        return self.recorded(reply.record.context.request_id)

    def recorded(self, request_id: UUID) -> dict[str, Any]:
        """The request of this id, waited for."""
        for _ in range(200):
            rows = self.query("select * from flux.trace_requests where request_id = %s", request_id)
            if rows:
                return rows[0]
            time.sleep(0.02)
        raise AssertionError(f"request {request_id} was not recorded")

    def spans(self, reply: Reply) -> list[dict[str, Any]]:
        """Its steps, in order."""
        self.request(reply)
        return self.query(
            "select * from flux.execution_spans where request_id = %s order by span_id", reply.record.context.request_id
        )

    def mutations(self, reply: Reply) -> list[dict[str, Any]]:
        """What it wrote, in order."""
        return self.query(
            "select * from flux.state_mutations where request_id = %s order by id", reply.record.context.request_id
        )


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Iterator[Callable[..., Bench]]:
    """Makes a Bench of functions given as the text of one module; `toml` is added to flux.toml."""
    opened: list[Runtime] = []

    def make(functions: str, *, toml: str = "", migration: str = MIGRATION) -> Bench:
        (tmp_path / "functions").mkdir()
        (tmp_path / "db" / "migrations").mkdir(parents=True)
        (tmp_path / "flux.toml").write_text(f'[project]\nname = "bench"\n{textwrap.dedent(toml)}')
        (tmp_path / "db" / "migrations" / "0001_tables.sql").write_text(textwrap.dedent(migration))
        header = "from flux import HTTPError, Response, function, tool\n\n"
        (tmp_path / "functions" / "app.py").write_text(header + textwrap.dedent(functions))
        project = Project.load(tmp_path)
        install(database_url, project)
        registry = load(project)
        assert not registry.broken, registry.broken
        inflight = tmp_path / "inflight"
        inflight.mkdir()
        runtime = Runtime(project, database_url, registry, inflight=InflightTable(inflight), code_sha="abc123")
        runtime.open()
        opened.append(runtime)
        return Bench(runtime, database_url)

    yield make
    for runtime in opened:
        runtime.close()
        runtime.inflight.close()

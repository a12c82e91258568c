"""A project for tests of what starts jobs, on a database of its own: functions are declared, and jobs run when told."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row

from flux.config import Project
from flux.context import RequestContext
from flux.engine.handoffs import declare_handoffs
from flux.engine.installer import install
from flux.engine.jobs import claim
from flux.jobs.attempt import Attempts
from flux.jobs.declarations import declared
from flux.runtime.inflight import InflightTable
from flux.runtime.loader import Registry, load
from flux.runtime.runtime import Reply, Runtime

HEADER = "from flux import Discard, Retry, function\n\n"

SCHEMA = """
    create table orders (
        id      bigint generated always as identity primary key,
        status  text not null default 'new',
        note    text
    );
    create table seen (
        id    bigint generated always as identity primary key,
        what  jsonb
    );
"""


class Market:
    """A project under test. Nothing runs by itself: `work` runs what is due, one job after another."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        self.project = Project.load(root)
        install(url, self.project)
        self.faults: dict[str, str] = {}
        registry = load(self.project)
        inflight = InflightTable(root / ".flux" / "inflight")
        self.runtime = Runtime(self.project, url, registry, inflight=inflight, code_sha="abc123")
        self.runtime.open()
        self.declare(registry)

    def declare(self, registry: Registry | None = None) -> None:
        """Load the functions as they are now, and tell the database."""
        registry = registry or load(self.project)
        self.runtime.reload(self.runtime.project, registry, "abc123")
        text = orjson.dumps(declared(registry, self.project.webhooks)).decode()
        self.faults = declare_handoffs(self.runtime.database, text)

    def write(self, text: str, name: str = "app.py") -> None:
        """Save a file of functions."""
        (self.root / "functions" / name).write_text(HEADER + textwrap.dedent(text))

    def call(self, name: str, /, **arguments: Any) -> Reply:
        """Run a function as a request of its own."""
        function = self.runtime.registry.functions[name]
        context = RequestContext(kind="http", method="POST", path=f"/{name}", route=f"/{name}", code_sha="abc123")
        return self.runtime.execute(context, function, function.bind_input(arguments))

    def work(self, most: int = 100) -> int:
        """Run every job that is due, also those that these push; how many attempts that took."""
        attempts, ran = Attempts(self.runtime), 0
        while ran < most:
            with self.runtime.database.connection() as connection:
                claimed = claim(connection, None, "test", 10, 30)
            if not claimed:
                return ran
            for one in claimed:
                attempts.run(one, lambda *_: None)
                ran += 1
            self._settle()
        return ran

    def _settle(self) -> None:
        """Wait for the records that are written off the way."""
        for _ in range(250):
            if not self.ask("select 1 from flux.jobs where worker is not null"):
                return
            time.sleep(0.02)
        raise AssertionError("a job is still claimed")

    def ask(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Run a statement from outside Flux, as psql does; its rows."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, query: str, *parameters: Any) -> Any:
        """The first column of the first row."""
        rows = self.ask(query, *parameters)
        return next(iter(rows[0].values())) if rows else None

    def seen(self) -> list[Any]:
        """What functions wrote into the table `seen`, in order."""
        return [row["what"] for row in self.ask("select what from seen order by id")]

    def jobs(self) -> list[dict[str, Any]]:
        """The unfinished jobs, in order."""
        return self.ask("select * from flux.jobs order by job_id")

    def close(self) -> None:
        """Let go of the database."""
        self.runtime.close()
        self.runtime.inflight.close()


class Markets:
    """Makes markets for one test."""

    def __init__(self, root: Path, url: str) -> None:
        self._root = root
        self._url = url
        self._made: list[Market] = []

    def __call__(self, functions: str, *, toml: str = "", schema: str = SCHEMA) -> Market:
        """A market of functions given as the text of one module; `toml` is added to flux.toml."""
        for folder in ("functions", "db/migrations", ".flux/inflight"):
            (self._root / folder).mkdir(parents=True)
        (self._root / "flux.toml").write_text(f'[project]\nname = "shop"\n{textwrap.dedent(toml)}')
        (self._root / "db" / "migrations" / "0001_tables.sql").write_text(textwrap.dedent(schema))
        (self._root / "functions" / "app.py").write_text(HEADER + textwrap.dedent(functions))
        self._made.append(Market(self._root, self._url))
        assert not self._made[-1].runtime.registry.broken, self._made[-1].runtime.registry.broken
        return self._made[-1]

    def close(self) -> None:
        """End them."""
        for market in self._made:
            market.close()

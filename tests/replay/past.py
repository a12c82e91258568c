"""A past to be replayed: a project served in this process, and a second database that is as it was before."""

from __future__ import annotations

import io
import json
import re
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg import sql

from flux.config import Project
from flux.context import RequestContext, new_request_id
from flux.engine.installer import install
from flux.gateway.app import Deployment, Gateway
from flux.record import Record
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Order, Ran, Runner
from flux.runtime.inflight import InflightTable
from flux.runtime.loader import load
from flux.runtime.runtime import Runtime

TABLES = """
    create table users (
        id     bigint generated always as identity primary key,
        email  text not null unique,
        plan   text default 'free'
    );
    create table charges (id serial primary key, user_id bigint references users, token text);
    insert into users (email) values ('first@b.c');
"""

HEADER = "from flux import HTTPError, Response, function, tool\n"

WHOLE = """
    select
        to_jsonb(request),
        (
            select coalesce(jsonb_agg(to_jsonb(span) order by span_id), '[]')
            from flux.execution_spans as span
            where span.request_id = request.request_id
        ),
        (
            select coalesce(jsonb_agg(to_jsonb(written) order by rolled_back, id), '[]')
            from flux.state_mutations as written
            where written.request_id = request.request_id
        )
    from flux.trace_requests as request
    where request_id = %s
"""


@dataclass(frozen=True)
class Column:
    """A generated column."""

    table: str
    column: str
    kind: str
    sequence: str | None


GENERATED = (
    Column("public.users", "id", "sequence", "public.users_id_seq"),
    Column("public.charges", "id", "sequence", "public.charges_id_seq"),
)


def recorded(url: str, request_id: UUID) -> RecordedRequest:
    """The whole record of a request, waited for."""
    for _ in range(200):
        with psycopg.connect(url) as connection:
            row = connection.execute(WHOLE, (request_id,)).fetchone()
        if row is not None:
            return RecordedRequest(row[0], tuple(row[1]), tuple(row[2]))
        time.sleep(0.02)
    raise AssertionError(f"request {request_id} was not recorded")


class Past:
    """A project that is asked things in this process, and replays of what it was asked."""

    def __init__(self, root: Path, url: str, sandbox: str) -> None:
        self.root = root
        self.url = url
        self.sandbox = sandbox
        self.runner: Runner | None = None

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Its functions can be called inside."""
        project = Project.load(self.root)
        registry = load(project)
        assert not registry.broken, registry.broken
        folder = self.root / ".inflight"
        folder.mkdir(exist_ok=True)
        inflight = InflightTable(folder)
        self.runtime = Runtime(project, self.url, registry, inflight=inflight, code_sha="then")
        self.runtime.open()
        self.records: list[Record] = []
        self.gateway = Gateway(self.runtime, Deployment.of(project, registry, "then"), self.records.append)
        try:
            yield
        finally:
            self.runtime.close()
            inflight.close()

    def ask(
        self, line: str, body: Any = None, *, headers: Mapping[str, str] | None = None, raw: bytes | None = None
    ) -> RecordedRequest:
        """Make an HTTP request such as `POST /signup`; what was recorded of it."""
        method, target = line.split(" ")
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": urlsplit(target).path,
            "QUERY_STRING": urlsplit(target).query,
            "RAW_URI": target,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": io.StringIO(),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
        }
        if content:
            environ |= {"CONTENT_LENGTH": str(len(content)), "CONTENT_TYPE": "application/json"}
        if kind := (headers or {}).get("content-type"):
            environ["CONTENT_TYPE"] = kind
            del environ["HTTP_CONTENT_TYPE"]
        list(self.gateway(environ, lambda *_: lambda _: None))  # type: ignore[arg-type,return-value]
        return recorded(self.url, self.records[-1].context.request_id)

    def invoke(self, name: str, **given: Any) -> RecordedRequest:
        """Call a function by name."""
        function = self.runtime.registry.find(name)
        context = RequestContext(kind="invoke", code_sha="then")
        self.runtime.execute(context, function, function.bind_input(given))
        return recorded(self.url, context.request_id)

    def change(self, old: str, new: str) -> None:
        """Change the code that replays run."""
        path = self.root / "functions" / "app.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def replay(
        self, request: RecordedRequest, *, timeout: float | None = None, **order: Any
    ) -> tuple[Ran, RecordedRequest]:
        """Run it again in the sandbox; how that went, and what was recorded."""
        if self.runner is None:
            self.runner = Runner(self.root, self.sandbox, code_sha="now").__enter__()
        order = {"generated": GENERATED, **order}
        ran = self.runner.run(Order(request, new_request_id(), **order), timeout)
        return ran, recorded(self.sandbox, ran.request_id)

    def close(self) -> None:
        """End the process of the replays."""
        if self.runner is not None:
            self.runner.__exit__(None, None, None)


def make_past(root: Path, url: str, clone: Callable[[str], str], functions: str, toml: str = "") -> Past:
    """A project of these functions, its database and a clone of it."""
    (root / "functions").mkdir()
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "flux.toml").write_text(f'[project]\nname = "past"\n{textwrap.dedent(toml)}')
    (root / "db" / "migrations" / "0001_tables.sql").write_text(textwrap.dedent(TABLES))
    (root / "functions" / "app.py").write_text(HEADER + textwrap.dedent(functions))
    install(url, Project.load(root))
    return Past(root, url, clone(url))


def clone_of(server_url: str, url: str, name: str) -> str:
    """A copy of a database."""
    source = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(source))
        )
    return re.sub(rf"/{source}(?=\?|$)", f"/{name}", url)


#: Attributes of a replay's own.
_OF_REPLAYS = ("flux.replay", "flux.replay.recorded_input")


def essence(record: RecordedRequest) -> dict[str, Any]:
    """What must be the same when the same code runs again: all but ids, times, durations and frames of libraries."""
    request = record.request
    names = (
        "method path query route function headers input output status outcome error_type error_message error_code "
        "error_location error_signature error_stack actor claims"
    ).split()
    return without_traces(
        {
            "request": {name: request[name] for name in names},
            "attributes": request["attributes"],
            "spans": [
                {
                    **{
                        name: span[name]
                        for name in ("span_id", "parent_id", "kind", "name", "input", "output", "error")
                    },
                    "attributes": {
                        name: value for name, value in (span["attributes"] or {}).items() if name not in _OF_REPLAYS
                    },
                }
                for span in record.spans
            ],
            "mutations": [
                {
                    name: row[name]
                    for name in "span_id table_name operation row_key new_values old_values rolled_back".split()
                }
                for row in record.mutations
            ],
        }
    )


def without_traces(value: Any) -> Any:
    """Without the header that names the request itself, and without what libraries call inside: a connection that
    counts as far away is asked in another way."""
    if isinstance(value, dict):
        return {name: without_traces(item) for name, item in value.items() if name != "traceparent"}
    if isinstance(value, list):
        return [without_traces(item) for item in value if not (isinstance(item, dict) and item.get("own") is False)]
    return value


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Where two values differ, leaf by leaf."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [line for key in {**a, **b} for line in differences(a.get(key), b.get(key), f"{path}.{key}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [
            line
            for index, (one, other) in enumerate(zip(a, b, strict=True))
            for line in differences(one, other, f"{path}[{index}]")
        ]
    return [] if a == b else [f"{path}: {a!r} → {b!r}"]


def unlike(request: RecordedRequest, replay: RecordedRequest) -> list[str]:
    """How a replay is not what it replayed."""
    return differences(essence(request), essence(replay))

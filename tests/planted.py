"""A shop in a real repository of 45 commits in which five faults of five kinds were planted, and who calls it at HEAD.

Two commits in a row cannot be loaded, and a branch with one of the faults was merged. Everything else is harmless.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import psycopg
from repository import Repository

from flux.config import Project
from flux.engine.installer import install
from flux.gateway.once import run_once

MIGRATION = """
create table items (
    id     bigint generated always as identity primary key,
    name   text   not null,
    price  int    not null
);
create table orders (
    id     bigint generated always as identity primary key,
    item   bigint not null references items,
    total  int    not null
);
insert into items (name, price) select 'item ' || number, number * 10 from generate_series(1, 12) as number;
"""

FUNCTIONS = '''"""A shop, edition {edition}."""

import os

from flux import function

CARRIER = os.environ["CARRIER_URL"]
PLANS = {{"free": 0, "pro": 29}}


@function(route="POST /subscribe")
def subscribe(ctx, plan: str) -> dict:
    return {{"price": {subscribe}}}


@function(route="GET /quote")
def quote(ctx, item: int, quantity: int) -> dict:
    found = ctx.db.one("select price from items where id = %s", item)
    return {{"total": {quote}}}


@function(route="POST /orders")
def order(ctx, item: int, quantity: int) -> dict:
    price = ctx.db.value("select price from items where id = %s", item)
    ctx.db.execute("insert into orders (item, total) values (%s, %s)", item, {order})
    return {{"ordered": quantity, "at": ctx.now().isoformat()}}


@function(route="POST /ship")
def ship(ctx, item: int) -> dict:
    for _ in range({ship}):
        answer = ctx.fetch(CARRIER + "/parcels", method="POST", json={{"item": item}})
    return answer.json()


@function(route="GET /report")
def report(ctx) -> list:
    {report}
'''

#: What stands in the functions before and after each fault was planted.
RIGHT = {
    "subscribe": "PLANS.get(plan, 0)",
    "quote": 'found["price"] * quantity',
    "order": "price * quantity",
    "ship": "1",
    "report": 'return ctx.db.all("select name, price from items order by id")',
}
WRONG = {
    "subscribe": "PLANS[plan]",
    "quote": 'found["price"] + quantity',
    "order": "price * quantity * 100",
    "ship": "2",
    "report": 'return [ctx.db.one("select name, price from items where id = %s", row["id"])\n'
    '            for row in ctx.db.all("select id from items order by id")]',
}


@dataclass
class Planted:
    """The repository, the commit of each fault, the request that shows it, and what was called outside."""

    repository: Repository
    project: Project
    url: str
    commits: dict[str, str] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    shas: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    merge: str = ""
    calls: list[str] = field(default_factory=list)

    def record(self, name: str, **given: Any) -> str:
        """Run a function on the tree as it is; the id of the request."""
        return str(run_once(self.project, self.url, name, given).record.context.request_id)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the database holds."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement, parameters or None).fetchall()  # type: ignore[arg-type]

    def replay_ids(self, request_id: str) -> set[UUID]:
        """The replays of a request that are recorded."""
        rows = self.query("select request_id from flux.trace_requests where replay_of = %s", request_id)
        return {row[0] for row in rows}


class _History:
    """Writes the commits, one edition after the other."""

    def __init__(self, planted: Planted) -> None:
        self.planted = planted
        self.repository = planted.repository
        self.now = dict(RIGHT)
        self.edition = 0

    def commit(self, message: str, **changes: str) -> str:
        self.now |= changes
        self.edition += 1
        text = FUNCTIONS.format(edition=self.edition, **self.now)
        sha = self.repository.commit({"functions/shop.py": text}, message)
        self.planted.shas.append(sha)
        return sha

    def quiet(self, commits: int) -> None:
        for _ in range(commits):
            self.commit(f"chore: edition {self.edition + 1}")

    def plant(self, name: str) -> None:
        self.planted.commits[name] = self.commit(f'feat: a better "{name}"', **{name: WRONG[name]})

    def tell(self) -> None:
        self.repository.write(
            {
                "flux.toml": '[project]\nname = "shop"\n',
                ".gitignore": ".flux/\n__pycache__/\n",
                "db/migrations/0001_shop.sql": MIGRATION,
            }
        )
        self.quiet(9)
        self.plant("subscribe")
        self.quiet(6)
        for number in range(2):  # an editor's accident, mended two commits later
            broken = self.repository.commit({"functions/shop.py": f"def half {number}\n"}, "wip")
            self.planted.broken.append(broken)
            self.planted.shas.append(broken)
        self.quiet(2)
        self.repository.git("switch", "-q", "-c", "quotes")
        self.quiet(2)
        self.plant("quote")
        self.quiet(1)
        self.repository.git("switch", "-q", "main")
        for number in range(3):
            self.planted.shas.append(self.repository.commit({f"docs/{number}.md": "words"}, "docs: more"))
        self.planted.merge = self.repository.merge("quotes", "merge: quotes")
        self.planted.shas.append(self.planted.merge)
        self.quiet(3)
        self.plant("order")
        self.quiet(4)
        self.plant("ship")
        self.quiet(3)
        self.plant("report")
        self.quiet(4)


@contextmanager
def planted(root: Any, url: str) -> Iterator[Planted]:
    """The shop with its past, installed in a database, and each fault recorded once at HEAD."""
    repository = Repository(root)
    made = Planted(repository, Project(root=root, name="shop", database_url=url), url)
    _History(made).tell()
    made.project = Project.load(root)
    install(url, made.project)
    with _carrier(made.calls) as address:
        os.environ["CARRIER_URL"] = address
        try:
            made.requests = {
                "subscribe": made.record("subscribe", plan="gold"),
                "quote": made.record("quote", item=3, quantity=4),
                "order": made.record("order", item=3, quantity=4),
                "ship": made.record("ship", item=3),
                "report": made.record("report"),
            }
            made.query("update items set price = price + 7 returning id")  # the state has moved on since
            made.calls.clear()
            yield made
        finally:
            del os.environ["CARRIER_URL"]


@contextmanager
def _carrier(calls: list[str]) -> Iterator[str]:
    """A server outside that answers, and remembers who called."""

    class Carrier(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            calls.append(self.path)
            body = json.dumps({"parcel": len(calls)}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Carrier)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

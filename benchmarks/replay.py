"""How many requests a second `flux incident replay` runs again, in order and each on its own state, and what ordering
a large window costs.

    python benchmarks/replay.py [--requests 500]

The traffic is real: a server on a Postgres of its own, half of the requests writing, a quarter reading, a quarter
without SQL. The sandbox is made once and counted apart.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from flux.config import Project
from flux.engine.questions import asking
from flux.engine.server import database
from flux.replay.incident import Way, replay_incident
from flux.replay.order import Snapshot, Transaction, in_order, steps_of
from flux.replay.verdicts import Totals

FUNCTIONS = """
from flux import function


@function(route="POST /users")
def signup(ctx, email: str) -> dict:
    user = ctx.db.one("insert into users (email) values (%s) returning id", email)
    ctx.db.execute("update users set plan = 'pro' where id = %s", user["id"])
    return user


@function(route="GET /users/{id}")
def show(ctx, id: int) -> dict:
    return ctx.db.one("select * from users where id = %s", id) or {}


@function(route="GET /hello")
def hello(ctx) -> str:
    return f"hello at {ctx.now()}"
"""

TABLE = "create table users (id bigint generated always as identity primary key, email text, plan text);"


class Quiet:
    """Who is told nothing, and notes when the sandbox was there."""

    def __init__(self) -> None:
        self.ready_at = 0.0

    def ready(self, stage: object) -> None:
        self.ready_at = time.monotonic()

    def __getattr__(self, name: str):
        return lambda *values: None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--requests", type=int, default=500)
    requests = options.parse_args().requests
    ordering()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder).resolve())
        with database(project) as url:
            began = datetime.now(UTC)
            traffic(project, url, requests)
            with asking(url) as questions:
                rows = questions.ask("requests_between", since=began, until=datetime.now(UTC))
            print(f"\n{os.cpu_count()} cores, {server_version(url)}, {len(rows)} requests")
            for name, way in (
                ("in order", Way()),
                ("in order, 2 at a time", Way(parallel=2)),
                ("each as of", Way(each_as_of=True)),
                ("each as of, 2 at a time", Way(each_as_of=True, parallel=2)),
            ):
                measure(name, project, url, rows, way)


def ordering(size: int = 10_000) -> None:
    """Requests and transactions of others in order, without a database."""
    chance = random.Random(1)
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    rows, transactions = [], []
    for number in range(size):
        at = noon + timedelta(milliseconds=number)
        rows.append(
            {
                "request_id": UUID(int=number + 1), "started_at": at, "duration_us": chance.randint(500, 50_000),
                "snapshot": f"{1000 + number}:{1000 + number}:", "error_code": None,
            }
        )  # fmt: skip
        owner = UUID(int=number + 1) if number % 2 else None
        transactions.append(Transaction(1000 + number, owner, None, at, at, number, 1, frozenset({"public.users"})))
    assert Snapshot.parse(rows[0]["snapshot"]).xmin
    pairs = [(1000 + number, 1001 + number) for number in range(0, size - 1, 3)]
    started = time.monotonic()
    ordered = in_order(steps_of(rows, transactions), pairs)
    print(
        f"ordering {size:,} requests and {size:,} transactions: {time.monotonic() - started:.2f} s, "
        f"{len(ordered):,} steps"
    )


def make_project(root: Path) -> Project:
    (root / "functions").mkdir()
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "flux.toml").write_text('[project]\nname = "bench"\n')
    (root / "functions" / "bench.py").write_text(FUNCTIONS)
    (root / "db" / "migrations" / "0001_users.sql").write_text(TABLE)
    return Project.load(root)


def traffic(project: Project, url: str, requests: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [Path(sys.executable).parent / "flux", "serve", "--workers", "1", "--bind", f"127.0.0.1:{port}"],
        cwd=project.root, env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(port)
        client = http.client.HTTPConnection("127.0.0.1", port)
        for number in range(requests):
            method, path, body = (
                ("POST", "/users", json.dumps({"email": f"{number}@b.c"})),
                ("GET", f"/users/{number // 4 + 1}", None),
                ("POST", "/users", json.dumps({"email": f"again{number}@b.c"})),
                ("GET", "/hello", None),
            )[number % 4]
            client.request(method, path, body, {"content-type": "application/json"} if body else {})
            client.getresponse().read()
    finally:
        server.terminate()
        server.wait(20)


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            client.request("GET", "/readyz")
            if client.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit("the server did not start")


def measure(name: str, project: Project, url: str, rows: list[dict], way: Way) -> None:
    quiet, started = Quiet(), time.monotonic()
    replayed = replay_incident(project, url, rows, way, quiet)
    ended = time.monotonic()
    totals = Totals.of(replayed)
    assert totals.count("same") == len(rows), totals
    rate = len(rows) / (ended - quiet.ready_at)
    print(f"{name:24s} {rate:6.0f} requests/s; until the sandbox was there {quiet.ready_at - started:.2f} s")


def server_version(url: str) -> str:
    with psycopg.connect(url) as connection:
        return f"Postgres {connection.info.server_version // 10_000}.{connection.info.server_version % 10_000}"


if __name__ == "__main__":
    main()

"""What recording adds to a request: the same SQL behind the same server, with Flux and without it, in one run.

Both sides are gunicorn gthread with one worker and eight threads on one Postgres, asked in turn over keep-alive
connections, so that what else the machine does falls on both. Prints p50 and p99 in microseconds and what Flux adds,
the ratio of requests per second at 16 clients with its spread over rounds, and bytes stored per request.

    python benchmarks/request.py [--requests 2000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg

from flux.config import Project
from flux.context import RequestContext
from flux.engine.server import database
from flux.runtime.loader import load
from flux.runtime.routes import RouteTable

FUNCTIONS = """
from flux import function


@function(route="POST /signup")
def signup(ctx, email: str) -> dict:
    ctx.db.one("select count(*) as n from users where email = %s", email)
    user = ctx.db.one("insert into users (email) values (%s) returning id", email)
    ctx.db.execute("update users set plan = %s where id = %s", "pro", user["id"])
    return user


@function(route="POST /insert")
def insert(ctx, email: str) -> dict:
    return ctx.db.one("insert into users (email) values (%s) returning id", email)


@function(route="POST /hello")
def hello(ctx, email: str) -> dict:
    return {"hello": email}
"""

BARE = """
import json
import os

import falcon
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

pool = ConnectionPool(os.environ["BENCH_URL"], min_size=1, max_size=9, kwargs={"row_factory": dict_row}, open=True)


class Signup:
    def on_post(self, request, response):
        email = request.get_media()["email"]
        with pool.connection() as connection:
            cursor = connection.cursor()
            cursor.execute("select count(*) as n from bare_users where email = %s", (email,)).fetchone()
            user = cursor.execute("insert into bare_users (email) values (%s) returning id", (email,)).fetchone()
            cursor.execute("update bare_users set plan = %s where id = %s", ("pro", user["id"]))
        response.media = user


class Insert:
    def on_post(self, request, response):
        email = request.get_media()["email"]
        with pool.connection() as connection:
            response.media = connection.execute(
                "insert into bare_users (email) values (%s) returning id", (email,)
            ).fetchone()


class Hello:
    def on_post(self, request, response):
        response.media = {"hello": request.get_media()["email"]}


app = falcon.App()
app.add_route("/signup", Signup())
app.add_route("/insert", Insert())
app.add_route("/hello", Hello())
"""

TABLE = """
create table {name} (id bigint generated always as identity primary key, email text, plan text);
create index on {name} (email);
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--requests", type=int, default=2000, help="requests a side and kind, for latency")
    options.add_argument("--rounds", type=int, default=5, help="rounds a side, for throughput")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder).resolve())
        with database(project) as url, serving(project, url) as (flux_port, bare_port):
            print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {server_version(url)}\n")
            routing(project)
            for path in ("/hello", "/insert", "/signup"):
                latency(path, flux_port, bare_port, chosen.requests)
            for path in ("/hello", "/signup"):
                throughput(path, flux_port, bare_port, chosen.rounds)
            size(url)


def make_project(root: Path) -> Project:
    (root / "functions").mkdir()
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "flux.toml").write_text('[project]\nname = "bench"\n\n[recording]\nexclude = ["bare_users"]\n')
    (root / "functions" / "bench.py").write_text(FUNCTIONS)
    (root / "bare.py").write_text(BARE)
    tables = "".join(TABLE.format(name=name) for name in ("users", "bare_users"))
    (root / "db" / "migrations" / "0001_tables.sql").write_text(tables)
    return Project.load(root)


class serving:
    """Both servers, up and answering."""

    def __init__(self, project: Project, url: str) -> None:
        self.root, self.url = project.root, url
        self.ports = (free_port(), free_port())
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> tuple[int, int]:
        programs = Path(sys.executable).parent
        one = ["--workers", "1", "--threads", "8", "--bind"]
        environment = {**os.environ, "BENCH_URL": self.url, "DATABASE_URL": self.url}
        flux = [programs / "flux", "serve", *one, f"127.0.0.1:{self.ports[0]}"]
        bare = [programs / "gunicorn", *one, f"127.0.0.1:{self.ports[1]}", "--worker-class", "gthread", "bare:app"]
        with (self.root / "log").open("wb") as log:
            for command in (flux, bare):
                self.processes.append(subprocess.Popen(command, cwd=self.root, env=environment, stdout=log, stderr=log))
                time.sleep(3)  # the first one migrates
        for port in self.ports:
            Client(port).post("/insert", "warm")
        return self.ports

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, email: str) -> None:
        self.connection.request(
            "POST", path, json.dumps({"email": email}).encode(), {"content-type": "application/json"}
        )
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body


def routing(project: Project) -> None:
    """The gateway's own lookup, in this process: 200 routes, half of them with parameters."""
    registry = load(project)
    table = RouteTable(registry)
    times = []
    for _ in range(20_000):
        started = time.perf_counter_ns()
        table.match("POST", "/signup")
        times.append(time.perf_counter_ns() - started)
    context = []
    for _ in range(20_000):
        started = time.perf_counter_ns()
        RequestContext(method="POST", path="/signup")
        context.append(time.perf_counter_ns() - started)
    print(f"routing      match {us(times, 50):6.1f} µs p50 {us(times, 99):6.1f} µs p99; ", end="")
    print(f"request context {us(context, 50):.1f} µs p50\n")


def latency(path: str, flux_port: int, bare_port: int, requests: int) -> None:
    """One client that asks both sides in turn."""
    sides = {"bare": Client(bare_port), "flux": Client(flux_port)}
    times: dict[str, list[int]] = {"bare": [], "flux": []}
    for number in range(requests + 200):
        for side, client in sides.items():
            started = time.perf_counter_ns()
            client.post(path, f"user{number}@example.com")
            times[side].append(time.perf_counter_ns() - started)
    times = {side: taken[200:] for side, taken in times.items()}
    print(f"{path:12s} ", end="")
    for percent in (50, 99):
        bare, flux = us(times["bare"], percent), us(times["flux"], percent)
        print(f"p{percent} bare {bare:7.0f} µs, flux {flux:7.0f} µs, added {flux - bare:6.0f} µs   ", end="")
    print()


def throughput(path: str, flux_port: int, bare_port: int, rounds: int) -> None:
    """Sixteen clients at once against one side, then the other, round by round."""
    ratios, rates = [], {"bare": [], "flux": []}
    for _ in range(rounds):
        for side, port in (("bare", bare_port), ("flux", flux_port)):
            rates[side].append(rate(path, port))
        ratios.append(rates["flux"][-1] / rates["bare"][-1])
    bare, flux = statistics.median(rates["bare"]), statistics.median(rates["flux"])
    print(
        f"{path:12s} 16 clients: bare {bare:.0f}/s, flux {flux:.0f}/s, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def rate(path: str, port: int, seconds: float = 2.0, clients: int = 16) -> float:
    done = [0] * clients
    until = time.monotonic() + seconds

    def ask(number: int) -> None:
        client = Client(port)
        while time.monotonic() < until:
            client.post(path, "someone@example.com")
            done[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def size(url: str) -> None:
    """Bytes that one recorded request takes, indexes included."""
    with psycopg.connect(url) as connection:
        requests, mutations, total = connection.execute(
            """
            select
                (select count(*) from flux.trace_requests),
                (select count(*) from flux.state_mutations),
                (
                    select sum(pg_total_relation_size(inhrelid))
                    from pg_inherits
                    where inhparent in (
                        'flux.trace_requests'::regclass, 'flux.execution_spans'::regclass,
                        'flux.state_mutations'::regclass
                    )
                )
            """
        ).fetchone()
    print(f"\nsize         {total / requests:.0f} bytes a request, with {mutations / requests:.1f} mutations each")


def server_version(url: str) -> str:
    with psycopg.connect(url) as connection:
        return f"Postgres {connection.info.server_version // 10_000}.{connection.info.server_version % 10_000}"


def us(times: list[int], percent: int) -> float:
    return sorted(times)[len(times) * percent // 100] / 1_000


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()

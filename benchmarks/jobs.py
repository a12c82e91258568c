"""No-op jobs a second, run by one and by four worker processes: Flux, which records each run, beside other queues.

    python benchmarks/jobs.py [--jobs 10000] [--rounds 3] [--rivals PYTHON]

PYTHON is that of an environment with procrastinate and pgqueuer (pip install procrastinate pgqueuer asyncpg); without
it only Flux is measured. All sides have the same Postgres, in turn, a database each, and each as it is fastest with
documented options. The time is from the first job that is gone to the last, so the start of a process does not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from flux.config import Project
from flux.engine.installer import install
from flux.engine.server import database

FUNCTIONS = """
from flux import function


@function
def nothing(ctx) -> None:
    pass
"""

PROCRASTINATE = """
import asyncio, os, sys
import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["URL"]))

@app.task(name="nothing")
async def nothing():
    pass

async def main():
    async with app.open_async():
        if sys.argv[1] == "install":
            await app.schema_manager.apply_schema_async()
        elif sys.argv[1] == "push":
            for _ in range(int(sys.argv[2]) // 1000):
                await nothing.batch_defer_async(*({} for _ in range(1000)))
        else:
            await app.run_worker_async(concurrency=20, delete_jobs="always", install_signal_handlers=False)

asyncio.run(main())
"""

PGQUEUER = """
import asyncio, os, sys
import asyncpg
from pgqueuer import AsyncpgPoolDriver, QueueManager
from pgqueuer.queries import Queries

async def main():
    pool = await asyncpg.create_pool(os.environ["URL"], min_size=2, max_size=8)
    driver = AsyncpgPoolDriver(pool)
    if sys.argv[1] == "install":
        await Queries(driver).install()
    elif sys.argv[1] == "push":
        many = 1000
        for _ in range(int(sys.argv[2]) // many):
            await Queries(driver).enqueue(["nothing"] * many, [None] * many, [0] * many)
    else:
        manager = QueueManager(Queries(driver))

        @manager.entrypoint("nothing")
        async def nothing(job):
            pass

        await manager.run(batch_size=100)

asyncio.run(main())
"""


@dataclass(frozen=True)
class Side:
    """One queue: how its jobs are pushed, its workers started, and what is left counted."""

    name: str
    install: Callable[[str], None]
    push: Callable[[str, int], None]
    worker: Callable[[str], subprocess.Popen[bytes]]
    left: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("DATABASE_URL"), help="default: an embedded server")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rivals", help="python of an environment with the other queues")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flux-bench-", dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        with database(Project(root=root, name="benchmark", database_url=given.url)) as url:
            sides = [_flux(root), *(_rivals(given.rivals) if given.rivals else [])]
            measure(sides, url, given.jobs, given.rounds)


def measure(sides: list[Side], url: str, jobs: int, rounds: int) -> None:
    """Every side in turn, round after round, so that what else the machine does falls on all."""
    found: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds):
        for side in sides:
            for workers in (1, 4):
                with _own_database(url, f"bench_{side.name}_{number}_{workers}") as own:
                    found.setdefault((side.name, workers), []).append(jobs_a_second(side, own, jobs, workers))
    print(f"{'no-op jobs a second':24}{'1 worker':>12}{'4 workers':>12}   (best of {rounds}; median)")
    for side in sides:
        rates = [found[side.name, workers] for workers in (1, 4)]
        shown = "".join(f"{max(rate):12,.0f}" for rate in rates)
        print(f"{side.name:24}{shown}   ({', '.join(f'{statistics.median(rate):,.0f}' for rate in rates)})")


def jobs_a_second(side: Side, url: str, jobs: int, workers: int) -> float:
    side.install(url)
    side.push(url, jobs)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum analyze")
        processes = [side.worker(url) for _ in range(workers)]
        try:
            begun = None
            while left := connection.execute(side.left).fetchone()[0]:
                if begun is None and left < jobs:
                    begun, done = time.perf_counter(), jobs - left
                time.sleep(0.02)
                if any(process.poll() is not None for process in processes):
                    raise SystemExit(f"a worker of {side.name} ended")
            return (jobs - done) / (time.perf_counter() - begun)
        finally:
            for process in processes:
                process.kill()
                process.wait()


class _own_database:  # reads like the function it is
    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name

    def __enter__(self) -> str:
        self._run("drop database if exists {} with (force)")
        self._run("create database {}")
        return make_conninfo(self.url, dbname=self.name)

    def __exit__(self, *_: object) -> None:
        self._run("drop database if exists {} with (force)")

    def _run(self, command: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL(command).format(sql.Identifier(self.name)))


def _flux(root: Path) -> Side:
    project = root / "project"
    (project / "functions").mkdir(parents=True)
    (project / "flux.toml").write_text('[project]\nname = "benchmark"\n')
    (project / "functions" / "app.py").write_text(FUNCTIONS)

    def push(url: str, jobs: int) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("select count(flux.enqueue('nothing')) from generate_series(1, %s)", (jobs,))

    return Side(
        "flux (recording each)",
        lambda url: install(url, Project.load(project)) and None,
        push,
        lambda url: subprocess.Popen(
            [Path(sys.executable).with_name("flux"), "worker"],
            cwd=project,
            env={**os.environ, "DATABASE_URL": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ),
        "select count(*) from flux.jobs",
    )


def _rivals(python: str) -> list[Side]:
    def side(name: str, script: str, left: str) -> Side:
        def run(url: str, *words: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [python, "-c", script, *words],
                env={**os.environ, "URL": _as_url(url)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        def wait(url: str, *words: str) -> None:
            if run(url, *words).wait():
                raise SystemExit(f"{name} {words[0]} failed")

        return Side(
            name,
            lambda url: wait(url, "install"),
            lambda url, jobs: wait(url, "push", str(jobs)),
            lambda url: run(url, "work"),
            left,
        )

    return [
        side("procrastinate", PROCRASTINATE, "select count(*) from procrastinate_jobs"),
        side("pgqueuer", PGQUEUER, "select count(*) from pgqueuer"),
    ]


def _as_url(conninfo: str) -> str:
    """asyncpg reads URLs only."""
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    user, host, port = parts.get("user", ""), parts.get("host", "localhost"), parts.get("port", "5432")
    return f"postgresql://{user}@/{parts['dbname']}?host={host}&port={port}"


if __name__ == "__main__":
    main()

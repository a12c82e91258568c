"""Kills workers, gateways and Postgres at random moments while jobs are pushed and run, and counts what came of them.

    python tests/jobs/crash.py --jobs 20000

Each request writes a row and pushes a job, each job writes a row. Every request that was answered must have its job
run exactly once in the database, whatever was killed when; those that were not answered, once or not at all. Prints
figures; exit code 1 when one is wrong, or too little was answered or killed to show anything.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from flux.engine.binaries import wheel_binaries
from flux.engine.cluster import Cluster
from flux.engine.server import embedded

FUNCTIONS = """
from flux import function


@function(route="POST /order")
def order(ctx, number: int) -> dict:
    ctx.db.execute("insert into orders (number) values (%s)", number)
    return {"job": ctx.queue.push("ship", {"number": number})}


@function
def ship(ctx, number: int) -> None:
    ctx.db.execute("insert into parcels (number, request_id) values (%s, %s)", number, ctx.request.id)
"""

SCHEMA = """
create table orders (number bigint not null);
create table parcels (number bigint not null, request_id uuid not null);
"""

SETTINGS = """
[project]
name = "crash"
[queue]
lease = "3s"
max_attempts = 1000
"""

FLUX = str(Path(sys.executable).parent / "flux")

#: What must be so at the end, each as a count that must be 0.
FAULTS = {
    "answered and not run": """
        select count(*) from unnest(%(answered)s::bigint[]) as number
        where not exists (select from parcels where parcels.number = number.number)
    """,
    "answered and not there": """
        select count(*) from unnest(%(answered)s::bigint[]) as number
        where not exists (select from orders where orders.number = number.number)
    """,
    "run more than once": """
        select count(*) from (select number from parcels group by number having count(*) > 1) as twice
    """,
    "pushed and not run": "select count(*) from orders where number not in (select number from parcels)",
    "run without having been pushed": "select count(*) from parcels where number not in (select number from orders)",
    "left in the queue": "select count(*) from flux.jobs",
    "ended otherwise than done": "select count(*) from flux.finished_jobs where state <> 'done'",
    "done and not run": """
        select abs((select count(*) from flux.finished_jobs) - (select count(*) from parcels))
    """,
    "run without the record of it": """
        select count(*) from parcels
        where not exists (
            select from flux.trace_requests as request
            where request.request_id = parcels.request_id and request.kind = 'job' and request.outcome = 'ok'
        )
    """,
    "recorded as run and not run": """
        select count(*) from flux.trace_requests as request
        where request.kind = 'job' and request.outcome = 'ok'
            and not exists (select from parcels where parcels.request_id = request.request_id)
    """,
    "requests recorded twice": """
        select count(*) from (
            select request_id from flux.trace_requests group by request_id having count(*) > 1
        ) as twice
    """,
    "attempts that ended without a record": """
        select count(*)
        from flux.finished_jobs as job
        left join (
            select attributes -> 'job' ->> 'id' as job_id, count(*) as runs
            from flux.trace_requests where kind = 'job' group by 1
        ) as recorded on recorded.job_id = job.job_id::text
        where job.attempt > coalesce(recorded.runs, 0)
    """,
}


@dataclass
class Figures:
    """What was done, and what came of it."""

    sent: int = 0
    answered: list[int] = field(default_factory=list)
    unanswered: int = 0
    killed: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    retried: int = 0
    crashed: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"requests sent      {self.sent:>8,}"
        yield f"answered           {len(self.answered):>8,}"
        yield f"not answered       {self.unanswered:>8,}"
        for what, times in self.killed.items():
            yield f"killed {what:<12}{times:>8,}"
        yield f"recorded crashed   {self.crashed:>8,}"
        yield f"jobs tried again   {self.retried:>8,}"
        yield f"seconds            {self.seconds:>8,.1f}"
        for what, count in self.faults.items():
            yield f"{'✔' if count == 0 else '✗'} {what}: {count}"


class Party:
    """A gateway and four workers, which are started again whenever they die, on a Postgres that dies too."""

    def __init__(self, root: Path, cluster: Cluster, workers: int) -> None:
        self.root = root
        self.cluster = cluster
        self.url = cluster.url("postgres")
        self.bind = f"unix:{root.parent}/gateway.sock"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.servers: list[subprocess.Popen[bytes]] = []
        self.commands = [
            [FLUX, "serve", "--bind", self.bind, "--workers", "2", "--no-worker"],
            *([FLUX, "worker", "--concurrency", "4"] for _ in range(workers)),
        ]
        self.processes = [self._start(command) for command in self.commands]

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env={**os.environ, "DATABASE_URL": self.url},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def kill_worker(self) -> None:
        """One that runs jobs; another takes its place."""
        number = random.randrange(1, len(self.processes))
        self.processes[number].kill()
        self.processes[number].wait()
        self.processes[number] = self._start(self.commands[number])

    def kill_gateway(self) -> None:
        """One of the processes that answer; gunicorn starts another."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.processes[0].pid)], capture_output=True, check=False, text=True
        ).stdout.split()
        if found:
            with suppress(ProcessLookupError):
                os.kill(int(random.choice(found)), signal.SIGKILL)

    def kill_postgres(self) -> None:
        """As `pg_ctl stop -m immediate` does: no checkpoint, no word to anyone."""
        pid = int((self.cluster.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text():
            time.sleep(0.01)
        for server in self.servers:
            server.poll()
        started = self.cluster.start()
        if started is not None:
            self.servers.append(started)

    def revive(self) -> None:
        """Start again what ended by itself, as a supervisor would; a worker cannot start without its database."""
        for number, process in enumerate(self.processes):
            if process.poll() is not None:
                self.processes[number] = self._start(self.commands[number])

    def stop(self) -> None:
        """End all."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def crash(jobs: int, seed: int | None = None, workers: int = 4, clients: int = 8) -> Figures:
    """Push so many jobs, killing all the while, and look what came of them."""
    seed = random.randrange(1_000_000) if seed is None else seed
    print(f"seed {seed}", flush=True)
    random.seed(seed)
    figures = Figures(killed={"worker": 0, "gateway": 0, "postgres": 0})
    begun = time.monotonic()
    with _party(workers) as party:
        numbers = itertools.count()
        done = threading.Event()
        pushers = [
            threading.Thread(target=_push, args=(party, numbers, jobs, figures), daemon=True) for _ in range(clients)
        ]
        killer = threading.Thread(target=_kill, args=(party, figures, done), daemon=True)
        for thread in (*pushers, killer):
            thread.start()
        for thread in pushers:
            thread.join()
        done.set()
        killer.join()
        _drain(party)
        figures.seconds = time.monotonic() - begun
        _count(party, figures)
    return figures


@contextmanager
def _party(workers: int) -> Iterator[Party]:
    home = Path(tempfile.mkdtemp(prefix="flux-crash-"))
    home.chmod(0o711)
    root = home / "project"
    (root / "functions").mkdir(parents=True)
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "flux.toml").write_text(SETTINGS)
    (root / "functions" / "app.py").write_text(FUNCTIONS)
    (root / "db" / "migrations" / "0001_tables.sql").write_text(SCHEMA)
    # fsync off loses nothing when Postgres alone dies: the machine still has what was written.
    with embedded(home / "pg", wheel_binaries(), ("fsync=off", "max_connections=200")) as cluster:
        party = Party(root, cluster, workers)
        try:
            _until(lambda: _ready(party), 60, "the gateway does not answer")
            yield party
        finally:
            party.stop()
    for server in party.servers:
        server.wait(10)
    shutil.rmtree(home)


def _push(party: Party, numbers: Iterator[int], jobs: int, figures: Figures) -> None:
    with _client(party) as client:
        while (number := next(numbers)) < jobs:
            figures.sent += 1
            try:
                answered = client.post("/order", json={"number": number}).status_code == 200
            except httpx.HTTPError:
                answered = False
            if answered:
                figures.answered.append(number)
            else:
                figures.unanswered += 1
                time.sleep(0.05)


def _kill(party: Party, figures: Figures, done: threading.Event) -> None:
    kills = (("worker", party.kill_worker), ("gateway", party.kill_gateway), ("postgres", party.kill_postgres))
    bag = [*[kills[0]] * 6, *[kills[1]] * 3, kills[2]]
    first = list(kills)  # each once, however short the run
    while not done.wait(random.uniform(0.3, 1.5)):
        what, kill = first.pop(0) if first else random.choice(bag)
        kill()
        figures.killed[what] += 1
        party.revive()


def _drain(party: Party) -> None:
    def empty() -> bool:
        party.revive()
        try:
            with psycopg.connect(party.url, connect_timeout=2) as connection:
                return connection.execute("select count(*) from flux.jobs").fetchone() == (0,)
        except psycopg.OperationalError:
            return False

    _until(empty, 300, "the queue does not empty")
    time.sleep(2)  # what the last ones left is recorded within a second


def _count(party: Party, figures: Figures) -> None:
    with psycopg.connect(party.url) as connection:
        for what, query in FAULTS.items():
            row = connection.execute(query, {"answered": figures.answered}).fetchone()
            figures.faults[what] = row[0]
        figures.crashed, figures.retried = connection.execute("""
            select
                (select count(*) from flux.trace_requests where outcome = 'crashed'),
                (select count(*) from flux.finished_jobs where attempt > 1)
        """).fetchone()


def _client(party: Party) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=party.bind.removeprefix("unix:"))
    return httpx.Client(transport=transport, base_url="http://gateway", timeout=20)


def _ready(party: Party) -> bool:
    try:
        with _client(party) as client:
            return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def _until(true, seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(otherwise)
        time.sleep(0.1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    figures = crash(given.jobs, given.seed, given.workers)
    print("\n".join(figures.lines()))
    shown_nothing = len(figures.answered) < given.jobs / 2 or not figures.killed["worker"]
    sys.exit(1 if any(figures.faults.values()) or shown_nothing else 0)


if __name__ == "__main__":
    main()

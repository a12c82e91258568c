"""flux worker: processes that run jobs, how they end, and what becomes of the jobs of one that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

FUNCTIONS = """
import time
from flux import function


@function
def note(ctx, text: str, seconds: float = 0.0) -> None:
    ctx.db.execute("insert into notes (text) values (%s)", text)
    time.sleep(seconds)
"""


class Workers:
    """Worker processes of one project, and its database."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        self.processes: list[subprocess.Popen[str]] = []
        (root / "functions").mkdir()
        (root / "db" / "migrations").mkdir(parents=True)
        (root / "flux.toml").write_text('[project]\nname = "shop"\n')
        (root / "functions" / "app.py").write_text(FUNCTIONS)
        (root / "db" / "migrations" / "0001_notes.sql").write_text(
            "create table notes (id bigint generated always as identity primary key, text text);"
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """One more, that is at work."""
        process = subprocess.Popen(
            [Path(sys.executable).with_name("flux"), "worker", *words],
            cwd=self.root,
            env={**os.environ, "DATABASE_URL": self.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        while "works for" not in (line := process.stderr.readline()):
            assert line, "the worker ended"
        return process

    def push(self, text: str, seconds: float = 0.0, options: str = "") -> int:
        """As psql does."""
        return self.ask(
            f"select flux.enqueue('note', jsonb_build_object('text', %s::text, 'seconds', %s){options})", text, seconds
        )[0][0]

    def ask(self, query: str, *parameters: object) -> list[tuple]:
        """Rows from the database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, parameters).fetchall()

    def until(self, query: str, *parameters: object, seconds: float = 10.0) -> list[tuple]:
        """Rows, waited for."""
        end = time.monotonic() + seconds
        while not (rows := self.ask(query, *parameters)):
            assert time.monotonic() < end, f"never true: {query}"
            time.sleep(0.02)
        return rows


@pytest.fixture
def workers(tmp_path, database_url):
    """Workers on a database of the test's own."""
    from flux.config import Project
    from flux.engine.installer import install

    workers = Workers(tmp_path, database_url)
    install(database_url, Project.load(tmp_path))
    yield workers
    for process in workers.processes:
        process.kill()
        process.communicate()


def test_a_worker_runs_jobs_of_its_queues_and_prints_each(workers):
    """What it does is seen where it runs, as with a server."""
    workers.push("mail", options=", queue => 'mail'")
    workers.push("default")
    process = workers.start("--queues", "mail")

    workers.until("select * from notes")
    time.sleep(0.4)

    assert workers.ask("select text from notes") == [("mail",)]
    assert " job    note " in process.stdout.readline()


def test_sigterm_lets_a_job_finish_and_hands_back_the_rest(workers):
    """A deployment loses nothing and repeats nothing."""
    jobs = [workers.push(str(number), 1.0) for number in range(3)]
    process = workers.start("--concurrency", "1")
    workers.until("select from pg_stat_activity where state = 'idle in transaction' and application_name = 'flux'")

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    assert workers.ask("select text from notes") == [("0",)]
    assert workers.ask("select job_id, attempt, worker from flux.jobs order by 1") == [
        (jobs[1], 0, None),
        (jobs[2], 0, None),
    ]


def test_the_jobs_of_a_killed_worker_are_taken_up_at_once_by_another(workers):
    """The lease is half a minute; whoever finds the dead one's table need not wait for it."""
    job = workers.push("slow", 30.0)
    waiting = workers.push("waiting")
    process = workers.start("--concurrency", "1")
    workers.until("select from pg_stat_activity where state = 'idle in transaction' and application_name = 'flux'")
    process.kill()
    process.wait()
    workers.ask("update flux.jobs set input = input - 'seconds' returning 1")

    workers.start()

    workers.until("select from notes having count(*) = 2", seconds=8)
    assert workers.ask("select job_id, attempt from flux.finished_jobs order by 1") == [(job, 2), (waiting, 1)]
    assert workers.ask(
        "select outcome, attempt from flux.trace_requests where attributes -> 'job' ->> 'id' = %s order by attempt",
        str(job),
    ) == [("crashed", 1), ("ok", 2)]

"""What compiling a structured query costs beside the statement itself: read, compiled anew, from the cache, and run.

Each query is read from its document, compiled (cached and not) and run on a Postgres of its own, in turn and in rounds,
so that what else the machine does falls on all of them. Prints medians in microseconds with their spread over rounds,
and what the cached compile adds to the statement as a ratio.

    python benchmarks/compile.py [--rounds 15] [--each 200]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from flux.config import Project, Queries
from flux.engine.installer import install
from flux.engine.server import database
from flux.explain.catalogue import read_catalogue
from flux.explain.compiler import _template, compile_form
from flux.explain.form import read_form

TABLES = """
    create table users (id bigint generated always as identity primary key, name text, email text);
    create table todos (id bigserial primary key, title text, done boolean, owner_id bigint references users,
        created_at timestamptz default now());
    create table comments (id bigserial primary key, todo_id bigint references todos,
        author_id bigint references users, body text);
    insert into users (name, email) select 'user ' || n, n || '@x' from generate_series(1, 1000) as n;
    insert into todos (title, done, owner_id)
        select 'todo ' || n, n % 3 = 0, 1 + n % 1000 from generate_series(1, 20000) as n;
    insert into comments (todo_id, author_id, body)
        select 1 + n % 20000, 1 + n % 1000, 'comment ' || n from generate_series(1, 60000) as n;
    create index on todos (owner_id);
    create index on comments (todo_id);
    analyze;
"""

DOCUMENTS = {
    "one row by its key": {"table": "todos", "filters": [{"column": "id", "value": 77}]},
    "a page": {
        "table": "todos",
        "columns": ["id", "title", "done"],
        "filters": [
            {"column": "owner_id", "op": "in", "value": [7, 8, 9]},
            {"or": [{"column": "done", "value": False}, {"column": "title", "op": "ilike", "value": "%7%"}]},
        ],
        "order": ["-created_at", "id"],
        "limit": 20,
    },
    "three relations": {
        "table": "todos",
        "columns": [
            "id",
            "title",
            "owner.name",
            "owner.email",
            "comments.body",
            "comments.author.name",
            "count(comments)",
        ],
        "filters": [{"column": "owner_id", "value": 7}],
        "order": ["id"],
        "limit": 20,
    },
    "an insert": {
        "table": "todos",
        "operation": "insert",
        "data": {"title": "x", "done": False, "owner_id": 7},
        "returning": ["id"],
    },
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--each", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flux-bench-") as folder:
        root = Path(folder)
        root.chmod(0o711)
        (root / "flux.toml").write_text('[project]\nname = "bench"\n')
        project = Project.load(root)
        with database(project) as url:
            install(url, project)
            with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:
                connection.execute(TABLES)
                measure(connection, options.rounds, options.each)


def measure(connection: psycopg.Connection, rounds: int, each: int) -> None:
    """The documents, each step in turn within a round."""
    catalogue, limits = read_catalogue(connection), Queries()
    print(_line("µs, median (spread of rounds)", ["read", "cached", "uncached", "statement"], "adds"))
    for name, document in DOCUMENTS.items():
        form = read_form(document)
        compiled = compile_form(form, catalogue, limits)
        steps: dict[str, Callable[[], object]] = {
            "read": lambda document=document: read_form(document),
            "cached": lambda form=form: compile_form(form, catalogue, limits),
            "uncached": lambda form=form: _template.__wrapped__(form.shape, catalogue, limits),
            "statement": lambda compiled=compiled: connection.execute(compiled.sql, compiled.parameters).fetchall(),
        }
        times: dict[str, list[float]] = {step: [] for step in steps}
        for _ in range(rounds):
            for step, call in steps.items():
                times[step].append(timed(call, max(each // 10, 5) if step == "uncached" else each))
        middle = {step: statistics.median(found) for step, found in times.items()}
        adds = (middle["read"] + middle["cached"]) / middle["statement"]
        cells = [f"{middle[step]:.1f} ({min(found):.1f}–{max(found):.1f})" for step, found in times.items()]
        print(_line(name, cells, f"{adds:.1%}"))
    started = time.perf_counter()
    read_catalogue(connection)
    took = (time.perf_counter() - started) * 1e3
    print(f"reading the catalogue, once a minute for each process and role: {took:.1f} ms")


def _line(name: str, cells: list[str], adds: str) -> str:
    return f"{name:<30}{''.join(f'{cell:>24}' for cell in cells)}{adds:>8}"


def timed(call: Callable[[], object], times: int) -> float:
    """Microseconds a call."""
    started = time.perf_counter_ns()
    for _ in range(times):
        call()
    return (time.perf_counter_ns() - started) / times / 1_000


if __name__ == "__main__":
    main()

"""What recording a row costs: time and bytes of writes with the recorder and without, side by side.

    python benchmarks/recorder.py [URL]

runs on an embedded Postgres of its own, or in the empty database of the URL. Single-row writes are prepared statements,
each its own transaction over a Unix socket with synchronous_commit off. Rounds with and without alternate, and the best
round's p50 counts for each, so that what else the machine does hits neither side.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from flux.config import Project
from flux.engine.installer import install
from flux.engine.server import database

ROWS = 20_000
BULK = 10_000
ROUNDS = 7
WRITES = 1_500

TABLE = """
    drop table if exists public.flux_benchmark;
    create table public.flux_benchmark (
        id bigint primary key, name text, email text, plan text, price numeric, meta jsonb, tags text[],
        active boolean, created_at timestamptz, updated_at timestamptz
    );
    insert into public.flux_benchmark
    select
        n, 'name' || n, 'e' || n || '@x.example', 'free', n * 1.10, '{"a": 1, "b": [1, 2]}', '{x,y}', true, now(), now()
    from generate_series(1, %d) as n;
    analyze public.flux_benchmark;
    """

UPDATE = b"update public.flux_benchmark set plan = $1 where id = $2"
INSERT = (
    b"insert into public.flux_benchmark values ($1, 'n', 'e', 'free', 1.10, '{\"a\": 1}', '{x}', true, now(), now())"
)
BULK_UPDATE = "update public.flux_benchmark set plan = 'x' || plan where id <= %d"
BULK_INSERT = """
    insert into public.flux_benchmark
    select 1000000 + n, 'n', 'e', 'free', 1.10, '{"a": 1}', '{x}', true, now(), now()
    from generate_series(1, %d) as n
    """


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="an empty database; absent: an embedded one")
    with installed(parser.parse_args().url) as url, psycopg.connect(url, autocommit=True) as connection:
        print(f"PostgreSQL {connection.info.parameter_status('server_version')}, µs and bytes a row")
        figures = measure(connection)
    print(f"{'':12}{'bare':>10}{'recorded':>10}{'added':>10}")
    for name in ("update", "insert", "bulk update", "bulk insert", "update bytes", "insert bytes"):
        bare, recorded = (min(figures[name, tracked]) for tracked in (False, True))
        print(f"{name:12}{bare:10.1f}{recorded:10.1f}{recorded - bare:10.1f}")


@contextmanager
def installed(url: str | None) -> Iterator[str]:
    """The URL of a database with Flux in it."""
    # A socket's path is short, and the server may run as another user.
    with tempfile.TemporaryDirectory(prefix="flux-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        project = Project(root=Path(folder), name="benchmark", database_url=url)
        with database(project) as ready:
            install(ready, project)
            yield ready


def measure(connection: psycopg.Connection) -> dict[tuple[str, bool], list[float]]:
    connection.execute("set synchronous_commit = off")
    connection.execute(TABLE % ROWS)
    connection.pgconn.prepare(b"flux_update", UPDATE)
    connection.pgconn.prepare(b"flux_insert", INSERT)
    connection.execute("set flux.request_id = '4f9a3b2c-4f9a-4f9a-8f9a-4f9a3b2c4f9a'")
    connection.execute("set flux.span_id = '1'")

    figures: dict[tuple[str, bool], list[float]] = {}
    for _ in range(ROUNDS):
        for tracked in (False, True):
            change_tracking(connection, tracked)
            for name, took in one_round(connection).items():
                figures.setdefault((name, tracked), []).append(took)
    connection.execute("drop table public.flux_benchmark")
    connection.execute("delete from flux.state_mutations where table_name = 'public.flux_benchmark'")
    return figures


def change_tracking(connection: psycopg.Connection, tracked: bool) -> None:
    connection.execute(f"select flux.{'track' if tracked else 'untrack'}('public.flux_benchmark')")
    connection.execute("delete from public.flux_benchmark where id > %s", (ROWS,))
    connection.execute("vacuum public.flux_benchmark")
    connection.execute("truncate flux.state_mutations")


def one_round(connection: psycopg.Connection) -> dict[str, float]:
    figures = {}
    figures["update"] = typical(lambda n: run(connection, b"flux_update", str(n), str(n % ROWS + 1)))
    figures["insert"] = typical(lambda n: run(connection, b"flux_insert", str(2_000_000 + n)))
    connection.execute("delete from public.flux_benchmark where id > %s", (ROWS,))
    for name, statement in (("update", BULK_UPDATE), ("insert", BULK_INSERT)):
        connection.execute("truncate flux.state_mutations")
        started = time.perf_counter()
        connection.execute(statement % BULK)
        figures[f"bulk {name}"] = (time.perf_counter() - started) / BULK * 1e6
        figures[f"{name} bytes"] = size(connection) / BULK
    return figures


def typical(write: Callable[[int], None]) -> float:
    for number in range(100):
        write(number)
    times = []
    for number in range(100, WRITES):
        started = time.perf_counter_ns()
        write(number)
        times.append(time.perf_counter_ns() - started)
    return statistics.median(times) / 1e3


def run(connection: psycopg.Connection, statement: bytes, *values: str) -> None:
    result = connection.pgconn.exec_prepared(statement, [value.encode() for value in values])
    if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise SystemExit(result.error_message.decode())


def size(connection: psycopg.Connection) -> float:
    row = connection.execute(
        "select sum(pg_total_relation_size(relid)) from pg_partition_tree('flux.state_mutations')"
    ).fetchone()
    return float(row[0]) if row else 0.0


if __name__ == "__main__":
    main()

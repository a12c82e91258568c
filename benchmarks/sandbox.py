"""What a sandbox costs: seconds to make one, against rows in a table and against mutations since the moment.

    python benchmarks/sandbox.py [URL] [--most ROWS]

runs on an embedded Postgres of its own, or in databases that it makes beside that of the URL and drops. Each line is a
table of so many rows, of which so many were updated since the moment; columns are the making of the whole sandbox, its
rows alone, and going back to the moment after a replay that wrote ten rows. One run each: the figures
say how it grows, not the last tenth.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from flux.config import Project
from flux.engine.installer import install
from flux.engine.sandbox import Moment, make_sandbox
from flux.engine.server import database

TABLE = """
    create table public.customers (
        id bigint generated always as identity primary key, name text, email text unique, plan text, price numeric,
        meta jsonb, tags text[], active boolean, created_at timestamptz, updated_at timestamptz
    );
    select flux.untrack('public.customers');
    insert into public.customers (name, email, plan, price, meta, tags, active, created_at, updated_at)
    select 'name' || n, 'e' || n || '@x.example', 'free', n * 1.10, '{"a": 1, "b": [1, 2]}', '{x,y}', true, now(), now()
    from generate_series(1, %d) as n;
    select flux.track('public.customers');
    analyze public.customers;
    """
SHARES = (0, 0.01, 0.1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="a database of a server; absent: an embedded one")
    parser.add_argument("--most", type=int, default=1_000_000, help="rows of the largest table")
    options = parser.parse_args()
    with server(options.url) as url:
        print(f"{'rows':>10}{'mutations':>11}{'made s':>9}{'rows s':>9}{'restored s':>12}")
        for rows in (10_000, 100_000, 1_000_000):
            if rows <= options.most:
                measure(url, rows)


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The URL of an empty database with Flux in it."""
    # A socket's path is short, and the server may run as another user.
    with tempfile.TemporaryDirectory(prefix="flux-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        project = Project(root=Path(folder), name="benchmark", database_url=url)
        with database(project) as ready:
            install(ready, project)
            yield ready


def measure(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute("drop table if exists public.customers")
        connection.execute("truncate flux.state_mutations, flux.trace_requests")
        connection.execute(TABLE % rows)
        for share in SHARES:
            connection.execute("update public.customers set price = id * 1.10 where price <> id * 1.10")
            moment = connection.execute("select clock_timestamp()").fetchone()
            assert moment is not None
            touched = int(rows * share)
            connection.execute("truncate flux.state_mutations")
            connection.execute("update public.customers set plan = 'pro', price = price + 1 where id <= %s", (touched,))
            connection.execute("analyze flux.state_mutations")
            made, poured, restored = sandbox(url, Moment(at=moment[0]), rows)
            print(f"{rows:>10,}{touched:>11,}{made:>9.2f}{poured:>9.2f}{restored:>12.3f}", flush=True)
            connection.execute("vacuum public.customers")


def sandbox(url: str, moment: Moment, rows: int) -> tuple[float, float, float]:
    """Seconds to make one, those of them from the first to the last row, and to restore it after ten writes."""
    times: list[float] = []
    began = time.perf_counter()
    with make_sandbox(
        url, moment, tables=["all"], on_progress=lambda table, done, total: times.append(time.perf_counter())
    ) as made:
        ready, poured = time.perf_counter(), times[-1] - times[0]
        with psycopg.connect(made.url) as connection:
            found = connection.execute("select count(*) from public.customers where price = id * 1.10").fetchone()
            assert found == (rows,), f"{found} rows are as they were"
            connection.execute("update public.customers set plan = 'replayed' where id <= 10")
        before = time.perf_counter()
        made.restore(moment)
        return ready - began, poured, time.perf_counter() - before


if __name__ == "__main__":
    main()

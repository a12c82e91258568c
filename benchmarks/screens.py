"""The full screen over a request of 5,000 steps: how long it takes to open, and how soon each key is answered.

    python benchmarks/screens.py [--steps 5000] [--rounds 20]

Opening is from the first question until the first step stands there with its values; a key from the moment it is
pressed until what it asks for is painted. The terminal is textual's headless one, so what the terminal itself takes to
draw does not count, nor does the start of the interpreter, which is told apart. A `select 1` on the same server stands
beside them, for scale.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psycopg
from textual import events

from flux.config import Project
from flux.engine.installer import install
from flux.engine.server import database
from flux.screens.app import DebugApp
from flux.screens.debug import WalkScreen
from flux.screens.detail import Detail
from flux.screens.lines import Terminal
from flux.screens.reader import Reader

KEYS = ("down", "up", "pagedown", "end", "home", "e", "e", "f", "s", "s", "m", "m", "left", "right", "n")


def record(url: str, steps: int) -> str:
    """A request of so many steps: a function that calls others, their statements, and a log line here and there."""
    request = str(uuid4())
    began = "2026-03-10T12:00:00Z"
    rows = [{"kind": "gateway", "name": "POST /import", "parent_id": None}]
    for number in range(2, steps + 1):
        nth = (number - 2) % 10
        if nth == 0:
            span = {"kind": "function", "name": f"import_part_{number}", "parent_id": 1}
        elif nth == 9:
            span = {"kind": "log", "name": f"part {number} done", "parent_id": number - 9}
        else:
            span = {"kind": "db", "name": "insert items", "parent_id": number - 1 - (nth - 1)}
        rows.append(span)
    spans = [
        {
            "request_id": request, "span_id": number, "started_at": began, "duration_us": 900,
            "input": [number, "x" * 400], "output": [{"id": number, "name": "y" * 400}],
            "attributes": {"db.query.text": "insert into items (id, name) values (%s, %s)"},
            "error": {"type": "ValueError", "message": "no"} if number == steps // 2 else None, **span,
        }
        for number, span in enumerate(rows, start=1)
    ]  # fmt: skip
    row = {
        "request_id": request, "kind": "http", "method": "POST", "path": "/import", "route": "/import",
        "function": "import_all", "status": 200, "outcome": "ok", "started_at": began, "duration_us": 900 * steps,
        "attempt": 1,
    }  # fmt: skip
    with psycopg.connect(url) as connection:
        connection.execute("select flux.record_request(%s::jsonb, %s::jsonb)", (json.dumps(row), json.dumps(spans)))
        connection.execute("analyze flux.execution_spans")
    return request


class Watched(DebugApp):
    """Knows when it painted first after what it shows was last changed."""

    painted = changed = 0.0

    def _display(self, screen, renderable):
        super()._display(screen, renderable)
        if self.painted <= self.changed:
            self.painted = time.perf_counter()

    async def quiet(self):
        """Until every question was answered and nothing was painted for a while."""
        await self.workers.wait_for_complete()
        await asyncio.sleep(0.08)


give = Detail.give


def gave(detail, given):
    """Another step's values are shown."""
    detail.app.changed = time.perf_counter()
    give(detail, given)


Detail.give = gave


async def measure(project: Project, url: str, request: str, rounds: int) -> None:
    """Open it some times; press each key some times in the last one."""
    asked, opened, keys = [], [], {key: [] for key in KEYS}
    for nth in range(rounds):
        reader = Reader(project, url)
        began = time.perf_counter()
        walk = reader.walk(request)
        asked.append(time.perf_counter() - began)
        app = Watched(reader, lambda walk=walk: WalkScreen(walk), Terminal())
        async with app.run_test(size=(120, 40)) as pilot:
            await app.quiet()
            opened.append(app.painted - began)
            if nth == rounds - 1:
                await press(app, pilot, keys, rounds)
        reader.close()
    told("ask for all steps", asked)
    told(f"open {len(walk.steps):,} steps", opened)
    for key, times in keys.items():
        told(f"key {key}", times)


async def press(app, pilot, keys, rounds):
    """Each key, again and again."""
    await pilot.press("slash", *"import_part_2", "enter")
    await app.quiet()
    for _ in range(rounds):
        for key in KEYS:
            app.changed = began = time.perf_counter()
            app.post_message(events.Key(key, key if len(key) == 1 else None))
            await app.quiet()
            keys[key].append(max(0.0, app.painted - began))


def started() -> float:
    """Seconds that a process takes until the screens are there, less those of an empty one."""
    times = []
    for code in ("", "import flux.screens.debug, flux.screens.app"):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - began)
    return times[1] - times[0]


def told(what: str, seconds: list[float]) -> None:
    """A line of the answer."""
    ms = sorted(second * 1000 for second in seconds)
    print(f"{what:<20} median {statistics.median(ms):7.1f} ms   most {ms[-1]:7.1f} ms   ({len(ms)} times)")


def main() -> None:
    """Measure on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5600, help="spans; one in ten is a log line")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        project = Project(root=Path(folder), name="bench")
        with database(project) as url:
            install(url, project)
            request = record(url, given.steps)
            with psycopg.connect(url, autocommit=True) as connection:
                times = []
                for _ in range(given.rounds):
                    began = time.perf_counter()
                    connection.execute("select 1").fetchone()
                    times.append(time.perf_counter() - began)
            told("select 1", times)
            told("import the screens", [started()])
            asyncio.run(measure(project, url, request, given.rounds))


if __name__ == "__main__":
    main()

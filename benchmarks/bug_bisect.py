"""How long it takes to find one commit of many: a real repository, a real request, each commit checked out and run.

The request reads a row and fails; the fault was planted after two thirds of the history. Prints the time of the whole
search with and without a good commit given, how many runs it took, and what of a run is checkout, loading and replay.

    python benchmarks/bug_bisect.py [--commits 1000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flux.config import Project
from flux.deploy.commits import Commits
from flux.engine.installer import install
from flux.engine.questions import asking
from flux.engine.server import database
from flux.gateway.once import run_once
from flux.replay import rehearsal
from flux.replay.culprit import Culprit, Way, find_culprit
from flux.replay.recorded import RecordedRequest

FUNCTION = '''"""Edition {edition}."""

from flux import function


@function(route="GET /price")
def price(ctx, item: int) -> dict:
    row = ctx.db.one("select price from items where id = %s", item)
    return {{"price": row[{column}]}}
'''

MIGRATION = """
create table items (id bigint generated always as identity primary key, price int not null);
insert into items (price) select number from generate_series(1, 10000) as number;
"""


class Silence:
    """A listener for nobody."""

    def __getattr__(self, name: str) -> object:
        return lambda *values: None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--commits", type=int, default=1000, help="length of the history")
    options.add_argument("--rounds", type=int, default=3, help="searches of each kind")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        planted = chosen.commits * 2 // 3
        write_history(root, chosen.commits, planted)
        project = Project.load(root)
        with database(project) as url:
            install(url, project)
            request_id = run_once(project, url, "price", {"item": 7}).record.context.request_id
            with asking(url) as questions:
                recorded = RecordedRequest.of(questions, request_id)
            print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {chosen.commits} commits\n")
            commits = Commits(root)
            first = commits.backwards(commits.find("HEAD"), chosen.commits)[-1]
            for name, way in (("good commit given", Way(good=first)), ("none given", Way())):
                measure(name, project, url, recorded, way, chosen.rounds, planted)


def measure(
    name: str, project: Project, url: str, recorded: RecordedRequest, way: Way, rounds: int, planted: int
) -> None:
    took, parts = [], {"checkout": 0.0, "load": 0.0, "replay": 0.0}
    for _ in range(rounds):
        started = time.perf_counter()
        with timed(parts):
            culprit = find_culprit(project, url, recorded, way, Silence())
        took.append(time.perf_counter() - started)
        check(culprit, planted)
    runs = culprit.found.runs
    shares = ", ".join(f"{part} {1_000 * spent / runs / rounds:.0f} ms" for part, spent in parts.items())
    print(f"{name:18s} {statistics.median(took):5.1f} s, {runs} runs of {len(culprit.found.trials)}; a run: {shares}")


@contextmanager
def timed(parts: dict[str, float]) -> Iterator[None]:
    """Adds up what each part takes, by standing around the real ones."""
    checkout, enter, replay = rehearsal.checkout, rehearsal.Runner.__enter__, rehearsal.Stage.replay

    @contextmanager
    def timed_checkout(*arguments):
        started = time.perf_counter()
        with checkout(*arguments) as tree:
            parts["checkout"] += time.perf_counter() - started
            yield tree

    def around(part, call):
        def timed_call(*arguments, **named):
            started = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                parts[part] += time.perf_counter() - started

        return timed_call

    rehearsal.checkout = timed_checkout
    rehearsal.Runner.__enter__ = around("load", enter)
    rehearsal.Stage.replay = around("replay", replay)
    try:
        yield
    finally:
        rehearsal.checkout, rehearsal.Runner.__enter__, rehearsal.Stage.replay = checkout, enter, replay


def check(culprit: Culprit, planted: int) -> None:
    assert culprit.found.result == "found", culprit.found
    assert culprit.found.first_bad.subject == f"edition {planted}", culprit.found.first_bad


def write_history(root: Path, commits: int, planted: int) -> None:
    """A line of commits of which each changes the function's file, by one stream to git."""
    files = {
        "flux.toml": '[project]\nname = "bench"\n',
        ".gitignore": ".flux/\n__pycache__/\n",
        "db/migrations/0001.sql": MIGRATION,
    }
    stream = []
    for number in range(commits):
        files["functions/price.py"] = FUNCTION.format(
            edition=number, column='"price"' if number < planted else '"cost"'
        )
        message = f"edition {number}"
        stream += [
            "commit refs/heads/main", f"committer Alice <alice@example.com> {1772355600 + number * 3600} +0000",
            f"data {len(message)}\n{message}",
        ]  # fmt: skip
        stream += [f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}" for path, text in files.items()]
        files = {}
    for command in (["init", "-q", "-b", "main"], ["fast-import", "--quiet"], ["reset", "-q", "--hard", "main"]):
        text = "\n".join(stream) if command[0] == "fast-import" else ""
        subprocess.run(["git", *command], cwd=root, input=text, text=True, check=True)


if __name__ == "__main__":
    main()

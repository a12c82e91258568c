"""Mixed traffic in every language at once, failing and timing-out requests among it: nothing leaks, nothing mixes.

    python tests/guests/soak.py [--requests 100000] [--threads 8] [--languages rust,go]

All languages run in one process, as they do in a worker: a runtime each, on one database. Every answer is checked
against what was asked, every request against its record; processes, file descriptors and memory are looked at on the
way. Exit code 1 when something of it is not as it should be.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "conformance"), str(HERE.parent / "replay")]

import orjson  # noqa: E402
import psycopg  # noqa: E402
from languages import Language, languages  # noqa: E402
from outside import answering  # noqa: E402
from past import TABLES  # noqa: E402

from flux.config import Project  # noqa: E402
from flux.context import RequestContext  # noqa: E402
from flux.engine.installer import install  # noqa: E402
from flux.engine.server import database  # noqa: E402
from flux.runtime.inflight import InflightTable  # noqa: E402
from flux.runtime.loader import load  # noqa: E402
from flux.runtime.runtime import Runtime  # noqa: E402

#: Looks at the process on the way; the first is after this part of the requests, when everything has been used once.
LOOKS = 8

#: What becomes of one that takes all memory: its limit, or on a busy machine its timeout, stops it.
GROWN = (500, 503, 504)

#: MiB that memory may grow between the second look and the last, and by how many parts of itself.
GROWTH_MIB, GROWTH = 48, 0.15


@dataclass(frozen=True)
class Look:
    """The process and its children at a moment; memory in MiB, of all of them."""

    requests: int
    memory: float
    files: int
    children: int


@dataclass
class Found:
    """What came of a soak."""

    wrong: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    took: float = 0.0


class Soak:
    """Languages under load."""

    def __init__(self, runtimes: dict[str, Runtime], cannot: dict[str, dict[str, str]], outside_url: str) -> None:
        self.runtimes = runtimes
        self.cannot = cannot
        self.outside_url = outside_url
        self.found = Found()
        self._left = 0
        self._lock = threading.Lock()

    def run(self, requests: int, threads: int) -> Found:
        """So many requests, by so many threads."""
        began = time.monotonic()
        for part in range(LOOKS):
            self._left = requests // LOOKS
            workers = [threading.Thread(target=self._work, args=(part * threads + one,)) for one in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            for runtime in self.runtimes.values():
                runtime.writer.wait_until_written(30)
            self.found.looks.append(_look((part + 1) * (requests // LOOKS)))
        self.found.took = time.monotonic() - began
        self._judge_growth()
        return self.found

    def _work(self, seed: int) -> None:
        chance = random.Random(seed)
        names = list(self.runtimes)
        while True:
            with self._lock:
                if not self._left:
                    return
                self._left -= 1
            language = chance.choice(names)
            try:
                self._one(language, chance)
            except Exception as error:  # noqa: BLE001  # one more thing that is wrong
                self._complain(f"{language}: {type(error).__name__}: {error}")

    def _one(self, language: str, chance: random.Random) -> None:
        mark = f"{language} {chance.getrandbits(64):x} ☂"
        kind = chance.choices(
            ("echo", "rows", "fail", "refuse", "outside", "many", "invoke", "recurse", "grow", "spin"),
            (400, 200, 100, 50, 60, 30, 100, 4, 2, 0.5),
        )[0]
        if kind == "grow" and "ends_at_its_memory_limit" in self.cannot[language]:
            kind = "echo"
        if kind == "echo":
            self._expect(language, 200, {"do": "echo", "value": [mark, mark * 40]}, gives=[mark, mark * 40])
        elif kind == "rows":
            self._expect(language, 200, {"do": "insert", "email": mark}, {"do": "read", "email": mark})
        elif kind == "fail":
            self._expect(language, 500, {"do": "insert", "email": mark}, {"do": "fail", "message": mark})
        elif kind == "refuse":
            self._expect(language, 404, {"do": "http_error", "status": 404, "message": mark})
        elif kind == "outside":
            self._expect(language, 200, {"do": "tool", "name": "soak.call", "url": f"{self.outside_url}/soak"})
        elif kind == "many":
            self._expect(language, 200, {"do": "many", "count": 20}, gives=20)
        elif kind == "invoke":
            number = chance.randrange(1_000_000)
            step = {"do": "invoke", "function": "add", "input": {"a": number, "b": 1}}
            self._expect(language, 200, step, gives={"sum": number + 1})
        elif kind == "recurse":
            self._expect(language, 500, {"do": "recurse"})
        elif kind == "grow":
            self._expect(language, GROWN, {"do": "grow"})
        else:
            self._expect(language, 504, {"do": "insert", "email": mark}, {"do": "spin"})

    def _expect(self, language: str, status: int | tuple[int, ...], *steps: dict[str, Any], gives: Any = None) -> None:
        runtime = self.runtimes[language]
        function = runtime.registry.find("act")
        context = RequestContext(kind="http", method="POST", path=f"/{language}", route="/act", code_sha="soak")
        while True:
            reply = runtime.execute(context, function, function.bind_input({"steps": list(steps)}))
            # an innocent neighbour of one that had to be killed is told to try again, and does
            if reply.status == 503 and status != GROWN:
                self.found.statuses[503] += 1
                context = RequestContext(kind="http", method="POST", path=f"/{language}", route="/act", code_sha="soak")
                continue
            break
        self.found.statuses[reply.status] += 1
        if reply.status not in (status if isinstance(status, tuple) else (status,)):
            self._complain(f"{language} {steps[-1]['do']}: {reply.status}, not {status}: {reply.record.failure}")
        elif gives is not None and orjson.loads(reply.body) != {"results": [gives]}:
            self._complain(f"{language} {steps[-1]['do']}: {reply.body[:200]!r}, not {gives}")
        elif steps[0]["do"] == "insert" and status == 200:
            row, rows = orjson.loads(reply.body)["results"]
            if rows != [row] or row["email"] != steps[0]["email"]:
                self._complain(f"{language}: {rows} is not what {steps[0]} wrote")
        elif len(reply.record.spans) < 2 or reply.record.duration_us is None:
            self._complain(f"{language}: the record of {context.request_id} is not whole")

    def _complain(self, what: str) -> None:
        with self._lock:
            self.found.wrong.append(what)

    def _judge_growth(self) -> None:
        _, warm, *_, last = self.found.looks
        if last.memory > warm.memory + max(GROWTH_MIB, warm.memory * GROWTH):
            self.found.wrong.append(f"memory grew from {warm.memory:.0f} to {last.memory:.0f} MiB")
        if last.files > warm.files + 16:
            self.found.wrong.append(f"open files grew from {warm.files} to {last.files}")
        if last.children > warm.children + 2:
            self.found.wrong.append(f"processes grew from {warm.children} to {last.children}")


def records_are_whole(url: str, found: Found) -> None:
    """Compare what is in the database with what was answered."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select status, count(*) from flux.trace_requests where code_sha = 'soak' group by status"
        ).fetchall()
        stored = Counter({status: count for status, count in rows})
        if stored != found.statuses:
            found.wrong.append(f"recorded {dict(stored)}, answered {dict(found.statuses)}")
        row = connection.execute("""
            select count(*)
            from flux.trace_requests as request
            where code_sha = 'soak'
                and (duration_us is null or (
                    select count(*) from flux.execution_spans as span where span.request_id = request.request_id
                ) < 2)
        """).fetchone()
        if row and row[0]:
            found.wrong.append(f"{row[0]} records without their end or their spans")
        row = connection.execute("select count(*) from users where email like '%☂'").fetchone()
        kept = connection.execute("""
            select count(*) from flux.state_mutations where not rolled_back and new_values ->> 'email' like '%☂'
        """).fetchone()
        if row != kept:
            found.wrong.append(f"{row} rows, {kept} mutations that were committed")


@contextmanager
def soaking(url: str, root: Path, chosen: list[Language], threads: int) -> Iterator[Soak]:
    """Runtimes of these languages on a database."""
    with ExitStack() as stack:
        outside = stack.enter_context(answering())
        runtimes: dict[str, Runtime] = {}
        for language in chosen:
            place = root / language.folder
            language.copy(place)
            (place / "db" / "migrations").mkdir(parents=True)
            (place / "db" / "migrations" / "0001_tables.sql").write_text(TABLES)
            if not runtimes:
                install(url, Project.load(place))
            project = Project.load(place)
            registry = load(project)
            assert not registry.broken, registry.broken
            folder = place / "inflight"
            folder.mkdir()
            inflight = InflightTable(folder, slots=64)
            runtime = Runtime(project, url, registry, inflight=inflight, code_sha="soak", pool_size=threads + 1)
            runtime.open()
            stack.callback(inflight.close)
            stack.callback(runtime.close)
            runtimes[language.folder] = runtime
        yield Soak(runtimes, {language.folder: language.cannot for language in chosen}, outside.url)


def memory_of_all() -> float:
    """Private MiB of this process and its children, but for those of Postgres."""
    gc.collect()
    return sum(map(_memory, [os.getpid(), *_children(os.getpid())]))


def _look(requests: int) -> Look:
    children = _children(os.getpid())
    return Look(requests, memory_of_all(), len(list(Path("/proc/self/fd").iterdir())), len(children))


def _memory(pid: int) -> float:
    """Private memory in MiB: what is shared would be counted once a process."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) / 1024


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            direct = [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in direct:
            if _name(child) != "postgres":
                found += [child, *_children(child)]
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def main() -> None:
    """The soak by hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--languages", help="names of folders, with commas; default: all that can be run here")
    given = parser.parse_args()
    wanted = given.languages.split(",") if given.languages else None
    chosen = [one for one in languages() if (wanted is None or one.folder in wanted) and not one.missing()]
    with tempfile.TemporaryDirectory(prefix="flux-soak-", dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        with database(Project(root=root, name="soak")) as url:
            with soaking(url, root, chosen, given.threads) as soak:
                found = soak.run(given.requests, given.threads)
            records_are_whole(url, found)
    print(f"{', '.join(language.name for language in chosen)}: {given.requests:,} requests in {found.took:.0f} s")
    print(f"{'requests':>10} {'MiB':>7} {'files':>6} {'processes':>10}")
    for look in found.looks:
        print(f"{look.requests:>10,} {look.memory:>7.0f} {look.files:>6} {look.children:>10}")
    print("answered:", ", ".join(f"{status} {count:,}" for status, count in sorted(found.statuses.items())))
    for wrong, count in Counter(found.wrong).most_common(20):
        print(f"wrong: {wrong}" + (f" ({count} times)" if count > 1 else ""))
    sys.exit(1 if found.wrong else 0)


if __name__ == "__main__":
    main()

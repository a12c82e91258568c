"""What a function costs in each language: the same functions, the same runtime, native Python beside them, in one run.

Each round measures every language in turn, so that what else the machine does falls on all. Figures are medians over
rounds with their spread. A whole call is Runtime.execute: validated arguments in, reply and record out, in this
process, without HTTP. The projects are those of the conformance suite.

    python benchmarks/guests.py [--rounds 5] [--calls 400] [--languages rust,typescript]

- load: a process that has never seen the project until its function has answered once: without and with what was
  compiled before (for TypeScript, Deno's cache; for wasm, Cranelift's).
- new: a TypeScript module that was never seen, imported into a running process, until it has answered once, in ms.
- instance: a fresh instance of a core module made and dropped, in µs.
- call: `add`, p50 and p99 in µs, and how much that is beside native Python.
- ctx call: what one of 200 calls of ctx.now() adds, in µs.
- throughput: `add` a second by 8 threads.
- memory: private MiB that the project adds to the process and its children: after the first call, and for each
  function in use at once beyond it.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests" / "guests"
sys.path[:0] = [str(TESTS), str(TESTS / "conformance")]

from languages import Language, languages  # noqa: E402
from soak import memory_of_all, soaking  # noqa: E402

from flux.config import Project  # noqa: E402
from flux.context import RequestContext  # noqa: E402
from flux.engine.server import database  # noqa: E402
from flux.runtime.functions import Function  # noqa: E402
from flux.runtime.runtime import Runtime  # noqa: E402

THREADS = 8
STEPS = 200

Figures = dict[str, list[float]]

_LOAD = """
import sys, time
began = time.perf_counter()
from flux.config import Project
from flux.gateway.once import run_once
project = Project.load(__import__("pathlib").Path(sys.argv[1]))
ready = time.perf_counter()
reply = run_once(project, sys.argv[2], "add", {"a": 1})
assert reply.status == 200, reply.record.failure
print(time.perf_counter() - ready)
"""


_NEW = """
import { defineFunction } from "flux";

/** What an order of so many pieces costs, with a discount for many, and what of it is tax. */
interface Quote {
  readonly pieces: number;
  readonly price: number;
  readonly tax: number;
}

const PRICE = 12.5;
const TAX = 0.19;
const DISCOUNTS: ReadonlyArray<readonly [number, number]> = [[1000, 0.7], [100, 0.8], [10, 0.95], [0, 1]];

function priced(pieces: number): Quote {
  const [, part] = DISCOUNTS.find(([least]) => pieces >= least) ?? [0, 1];
  const price = Math.round(pieces * PRICE * part * 100) / 100;
  return { pieces, price, tax: Math.round(price * TAX * 100) / 100 };
}

export default defineFunction({
  name: "NAME",
  input: { type: "object", required: ["a"], properties: { a: { type: "integer" } } },
  handler: async (ctx, input) => ({ ...priced(input.a), at: await ctx.now() }),
});
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--languages", help="names of folders, with commas; native Python is always there")
    given = parser.parse_args()
    wanted = {"python", *given.languages.split(",")} if given.languages else None
    chosen = []
    for language in languages():
        if wanted is not None and language.folder not in wanted:
            continue
        if missing := language.missing():
            print(f"{language.name}: {missing}", file=sys.stderr)
        else:
            chosen.append(language)
    with tempfile.TemporaryDirectory(prefix="flux-bench-", dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        with database(Project(root=root, name="benchmark")) as url:
            os.environ["XDG_CACHE_HOME"] = str(root / "cache")
            (root / "cache").mkdir()
            found = measure(url, root, chosen, given.rounds, given.calls)
    report(chosen, found)


def measure(url: str, root: Path, chosen: list[Language], rounds: int, calls: int) -> dict[str, Figures]:
    """Every figure of every language."""
    found: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    before = memory_of_all()
    with soaking(url, root / "projects", chosen, THREADS) as soak:
        for language in chosen:
            cold(url, root / "projects" / language.folder, language, found[language.folder])
        for folder, runtime in soak.runtimes.items():
            before = memory_of_all()
            call(runtime, 1)
            after = memory_of_all()
            side_by_side(runtime, THREADS * 2)
            found[folder]["memory"].append(after - before)
            found[folder]["each"].append((memory_of_all() - after) / (THREADS - 1))
            call(runtime, 200)
        for _ in range(rounds):
            for folder, runtime in soak.runtimes.items():
                figures = found[folder]
                times = call(runtime, calls)
                figures["p50"].append(statistics.median(times) * 1e6)
                figures["p99"].append(sorted(times)[int(len(times) * 0.99)] * 1e6)
                figures["ctx"].append(ctx_call(runtime) * 1e6)
                figures["throughput"].append(side_by_side(runtime, calls * 2))
                figures["instance"] += instances(runtime)
                figures["new"] += new_functions(runtime)
                figures["ratio"].append(figures["p50"][-1] / found["python"]["p50"][-1])
    return found


def cold(url: str, project: Path, language: Language, figures: Figures) -> None:
    """The first answer of a process: the first ever, and the second."""
    for name in ("first", "loaded"):
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, str(project), url], check=True, capture_output=True, text=True
        )
        figures[name].append(float(done.stdout) * 1e3)


def call(runtime: Runtime, times: int) -> list[float]:
    """Seconds of each of so many whole calls."""
    function = runtime.registry.find("add")
    taken = []
    for number in range(times):
        context = RequestContext(kind="http", method="GET", path="/add/1", route="/add/{a}", code_sha="bench")
        began = time.perf_counter()
        runtime.execute(context, function, function.bind({"a": str(number)}, {}))
        taken.append(time.perf_counter() - began)
    return taken


def ctx_call(runtime: Runtime) -> float:
    """Seconds that one call of the host adds to a request."""
    function = runtime.registry.find("act")

    def once(count: int) -> float:
        given = {"steps": [{"do": "now"}] * count}
        context = RequestContext(kind="http", method="POST", path="/act", route="/act", code_sha="bench")
        began = time.perf_counter()
        reply = runtime.execute(context, function, function.bind_input(given))
        assert reply.status == 200, reply.record.failure
        return time.perf_counter() - began

    many, none = ([once(count) for _ in range(15)] for count in (STEPS, 0))
    return (statistics.median(many) - statistics.median(none)) / STEPS


def side_by_side(runtime: Runtime, times: int) -> float:
    """Whole calls a second by all threads together."""
    began = time.perf_counter()
    threads = [threading.Thread(target=call, args=(runtime, times // THREADS)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times // THREADS * THREADS / (time.perf_counter() - began)


def instances(runtime: Runtime) -> list[float]:
    """µs of making and dropping an instance, where the language is a core module."""
    make = _maker(runtime)
    if make is None:
        return []
    taken = []
    for _ in range(300):
        began = time.perf_counter()
        make()
        taken.append((time.perf_counter() - began) * 1e6)
    return [statistics.median(taken)]


def _maker(runtime: Runtime) -> Callable[[], object] | None:
    from flux.runtime.guests.wasm.core import CoreModule
    from flux.runtime.guests.wasm.guest import WasmGuest
    from flux.runtime.guests.wasm.run import Limits, Run
    from flux.runtime.guests.wasm.wasi import System

    class Tape:
        is_replay = False

        def time_ns(self) -> int:
            return 0

        def seed(self) -> bytes:
            return bytes(16)

    for guest in runtime.registry.generation.guests:
        if isinstance(guest, WasmGuest):
            module = guest.ready("add")
            if isinstance(module, CoreModule):
                run = Run(lambda request: b"", System(Tape(), lambda *line: None), Limits(), time.monotonic() + 3600)
                return lambda: module.inside(run, lambda instance: b"")
    return None


def new_functions(runtime: Runtime, count: int = 20) -> list[float]:
    """ms until a new module in TypeScript has answered its first request; nothing for other languages."""
    from flux.runtime.guests.deno.guest import DenoGuest

    taken: list[float] = []
    for guest in runtime.registry.generation.guests:
        if isinstance(guest, DenoGuest) and guest._fleet is not None:
            folder = Path(tempfile.mkdtemp(prefix="new_", dir=runtime.project.root / "functions"))
            isolate = guest._fleet.take()
            for number in range(count):
                file = folder / f"one_{number}.ts"
                file.write_text(_NEW.replace("NAME", f"{folder.name}_{number}"))
                began = time.perf_counter()
                [told] = isolate.load(file, 10)["functions"]
                functions: list[Function] = []
                guest._define(file, told, functions, [])
                runtime.registry.functions[functions[0].name] = functions[0]
                context = RequestContext(kind="http", method="POST", path="/new", route="/new", code_sha="bench")
                reply = runtime.execute(context, functions[0], functions[0].bind_input({"a": number}))
                taken.append((time.perf_counter() - began) * 1e3)
                assert reply.status == 200, reply.record.failure
            guest._fleet.give_back(isolate)
    return taken


def report(chosen: list[Language], found: dict[str, Figures]) -> None:
    """The table."""
    print(f"load average {os.getloadavg()[0]:.1f}")
    for language in chosen:
        if new := found[language.folder]["new"]:
            first, last = statistics.median(new), statistics.quantiles(new, n=10)[-1]
            print(f"{language.name}: a new module and its first answer {first:.1f} ms, p90 {last:.1f} ms")
    print(
        f"{'':<16}{'first ms':>9}{'load ms':>9}{'instance':>10}{'p50':>8}{'p99':>8}{'beside Python':>20}"
        f"{'ctx call':>10}{'a second':>10}{'MiB':>7}{'each':>6}"
    )
    for language in chosen:
        figures = found[language.folder]
        middle = {name: statistics.median(values) for name, values in figures.items() if values}
        ratios = figures["ratio"]
        ratio = f"{middle['ratio']:.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        instance = f"{middle['instance']:.1f}" if "instance" in middle else "–"
        print(
            f"{language.name:<16}{middle['first']:>9.1f}{middle['loaded']:>9.1f}{instance:>10}{middle['p50']:>8.0f}"
            f"{middle['p99']:>8.0f}{ratio:>20}{middle['ctx']:>10.1f}{middle['throughput']:>10,.0f}"
            f"{middle['memory']:>7.1f}{middle['each']:>6.1f}"
        )
    gc.collect()


if __name__ == "__main__":
    main()

"""A process of Deno that ends takes no request with it but the one that is to blame."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import marks
from past import recorded

from flux.config import Project
from flux.context import RequestContext
from flux.runtime.guests.deno.fleet import Fleet
from flux.runtime.guests.found import guests_of


class Running:
    """Requests under way."""

    def __init__(self, past):
        self.past = past
        self.threads = []
        self.ids = {}

    def start(self, label, name, **given):
        function = self.past.runtime.registry.find(name)
        context = RequestContext(kind="invoke", code_sha="then")
        self.ids[label] = context.request_id
        bound = function.bind_input(given)
        thread = threading.Thread(target=self.past.runtime.execute, args=(context, function, bound))
        self.threads.append(thread)
        thread.start()

    def records(self):
        for thread in self.threads:
            thread.join()
        return {label: recorded(self.past.url, request_id) for label, request_id in self.ids.items()}


def steady(running, count, steps=10):
    """Innocent neighbours, well on their way."""
    for number in range(count):
        running.start(number, "steady", who=f"n{number}-{time.monotonic_ns()}", steps=steps)
    time.sleep(0.2)


def whole(records, count, steps=10):
    """Each neighbour did each of its steps, and did it once."""
    for number in range(count):
        asked = records[number]
        assert asked.request["status"] == 200, asked.request["error_message"]
        assert [int(seen) for seen in asked.request["output"][4::2]] == list(range(1, steps + 1))
        assert len(asked.mutations) == 0 or len(asked.mutations) == steps
        kinds = [span["kind"] for span in asked.spans]
        assert (kinds.count("log"), kinds.count("db")) == (steps, 2 * steps)


def test_a_loop_ends_alone(served, guest):
    """Eight requests share a process; the one that loops must not be the end of seven."""
    running = Running(served)
    steady(running, 3)
    running.start("spin", "spin")

    records = running.records()

    whole(records, 3)
    spin = records["spin"]
    assert (spin.request["status"], spin.request["error_type"]) == (504, "FunctionTimeout")
    assert [span["name"] for span in spin.spans if span["kind"] == "log"] == ["about to spin"]
    assert marks(served.url, "spin") == []


def test_a_leak_ends_alone(served, guest):
    """V8's own limit does not count buffers; what the process takes does."""
    running = Running(served)
    steady(running, 3)
    running.start("hog", "hog")

    records = running.records()

    whole(records, 3)
    hog = records["hog"]
    assert (hog.request["status"], hog.request["error_type"]) == (500, "GuestLimit")
    assert "hog was stopped: it used more than 256 MiB of memory" in hog.request["error_message"]
    assert marks(served.url, "hog") == []


def test_a_process_that_is_killed_is_gone_on_from(served, guest):
    """An operator's kill, or the kernel's, is nobody's fault here."""
    running = Running(served)
    steady(running, 2, steps=8)
    os.kill(guest.pids[0], signal.SIGKILL)

    records = running.records()

    whole(records, 2, steps=8)
    assert served.replay(records[0], generated=())[1].request["status"] == 200


def test_a_request_that_computes_does_not_hold_up_others_for_long(served, guest):
    """One thread of JavaScript is shared; soon it is left to the one who needs it."""
    guest.prepare()
    running = Running(served)
    running.start("busy", "busy", ms=3_000)
    time.sleep(0.3)
    began = time.monotonic()

    running.start("pid", "pid")
    running.threads[1].join()
    waited = time.monotonic() - began
    records = running.records()

    assert [asked.request["status"] for asked in records.values()] == [200, 200]
    assert waited < 2


def test_a_function_that_only_waits_ends_at_its_timeout_and_harms_no_process(served, guest):
    """Slow is not stuck."""
    before = guest.pids[:1]

    asked = served.invoke("wait")

    assert (asked.request["status"], asked.request["error_type"]) == (504, "FunctionTimeout")
    assert guest.pids[:1] == before
    assert [row["rolled_back"] for row in asked.mutations] in ([], [True])


def test_a_spare_takes_the_place_of_what_ends(served, guest):
    """The next request should not pay for the last one."""
    guest.prepare()
    deadline = time.monotonic() + 20
    while len(guest.pids) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    first, spare = guest.pids[0], guest.pids[-1]
    assert first != spare

    os.kill(first, signal.SIGKILL)
    while first in guest.pids:
        time.sleep(0.005)
    answered = served.invoke("pid").request["output"]

    assert answered == spare


def test_nothing_is_left_of_a_worker_that_was_killed(tmp_path):
    """A spinning process that nobody owns any more would spin for ever."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "flux.toml").write_text('[project]\nname = "orphan"\n')
    (tmp_path / "functions" / "a.ts").write_text(
        'import { defineFunction } from "flux";\nexport default defineFunction({ handler: () => { for (;;); } });\n'
    )
    worker = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from flux.config import Project
        from flux.runtime.guests.deno.frames import INVOKE
        from flux.runtime.guests.found import guests_of
        [guest] = guests_of(Project.load(Path(sys.argv[1])))
        assert not guest.load().broken
        connection = guest._fleet.take().connect()
        key = sys.argv[1] + "/functions/a.ts#default"
        connection.send(INVOKE, 0, b'{"key": "%b", "kind": "live"}' % key.encode())
        print(guest.pids[0], guest._fleet._folder, flush=True)
        time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", worker, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with process:
        pid, folder = process.stdout.readline().split()
        time.sleep(0.2)
        process.kill()

    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()
    Fleet(tmp_path, 1, 2**28).close()
    assert not Path(folder).exists()


@pytest.fixture
def small(tmp_path):
    """A project with one small function."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "flux.toml").write_text('[project]\nname = "small"\n[typescript]\nisolates = 2\n')
    (tmp_path / "functions" / "a.ts").write_text(
        'import { defineFunction } from "flux";\nexport default defineFunction({ handler: () => 1 });\n'
    )
    return Project.load(tmp_path)


def test_a_project_has_as_many_processes_as_it_says_and_a_spare(small):
    """Who computes much wants a process for each core, and requests spread over them."""
    [guest] = guests_of(small)
    assert not guest.load().broken
    guest.prepare()

    first, second = guest._fleet.take(), guest._fleet.take()
    pids = guest.pids
    guest._fleet.give_back(first)
    guest._fleet.give_back(second)
    guest.close()

    assert first is not second
    assert {first.pid, second.pid} == set(pids[:2])
    assert len(set(pids)) == 3


def test_a_guest_that_is_closed_leaves_nothing(small):
    """Each reload makes another one."""
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for _ in range(2):
        [guest] = guests_of(small)
        assert not guest.load().broken
        guest.prepare()
        pids = guest.pids

        guest.close()

        assert len(pids) == 3
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert not guest._fleet._folder.exists()
    time.sleep(0.2)
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) <= before

"""However a guest goes wrong, its request gets an error that says how, and no other request notices.

Each is tried on the fast driver and on the one that stands in for it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import wasmtime
from wat import DRIVERS, ECHO, Told, answering, guest, ran

from flux.runtime.deadline import Interrupted
from flux.runtime.guests.wasm import capi
from flux.runtime.guests.wasm.core import CoreModule
from flux.runtime.guests.wasm.engine import MOST_INSTANCES, core_engine
from flux.runtime.guests.wasm.run import Limits, Run
from flux.runtime.guests.wasm.traps import Ended
from flux.runtime.guests.wasm.wasi import System

FOREVER = "(loop $again (br $again)) (unreachable)"

#: How it goes wrong, what it is called, and a part of what is said.
WRONGS = {
    "unreachable": (guest("unreachable"), "Unreachable", "stopped itself"),
    "recursion": (
        guest(
            "(call $deep (i64.const 1))",
            "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (i64.const 1)))",
        ),
        "StackOverflow",
        "too deeply",
    ),
    "growth": (
        guest("(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable"),
        "MemoryLimit",
        "of 64 MiB of memory in use",
    ),
    "address": (guest("(i64.load (i32.const 0x70000000))"), "OutOfBounds", "outside of its memory"),
    "division": (guest("(i64.div_s (i64.const 1) (i64.const 0))"), "DivisionByZero", "divided by zero"),
    "reply outside": (guest("(i64.const 0x7000000000000010)"), "BadAddress", "16 bytes at 1879048192"),
    "reply too large": (guest("(i64.const 0x0000001070000000)"), "OutputLimit", "may have 16777216"),
    "request outside": (guest("(call $call (i32.const -16) (i32.const 64))"), "BadAddress", "64 bytes at 4294967280"),
    "request too large": (guest("(call $call (i32.const 0) (i32.const -1))"), "OutputLimit", "a request to the host"),
    "null call": (
        guest("(call_indirect (result i64) (i32.const 0))", "(table 1 funcref)"),
        "BadCall",
        "not there",
    ),
    "start": (guest("(i64.const 0)", "(func $start unreachable) (start $start)"), "Unreachable", "stopped itself"),
    "objects": (
        guest(
            "(local $all (ref null $s)) (loop $more"
            " (local.set $all (struct.new $s (i64.const 1) (local.get $all))) (br $more)) unreachable",
            "(type $s (struct (field i64) (field (ref null $s))))",
        ),
        "MemoryLimit",
        "GC heap out of memory",
    ),
    "exception": (
        guest("(throw $t (i32.const 1))", "(tag $t (param i32))"),
        "Uncaught",
        "an exception that nothing caught",
    ),
    "chance": (
        guest(
            "(drop (memory.grow (i32.const 16)))"
            "(drop (call $random_get (i32.const 0) (i32.const 1048577))) (i64.const 0)",
            wasi=["random_get"],
        ),
        "OutputLimit",
        "1048577 bytes of chance at once",
    ),
    "exit": (guest("(call $proc_exit (i32.const 3)) (i64.const 0)", wasi=["proc_exit"]), "Exit", "status 3"),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("wrong", WRONGS)
def test_a_guest_that_goes_wrong_says_how(wrong: str, driver: str) -> None:
    """Otherwise its writer has a 500 and nothing to look for."""
    wasm, kind, part = WRONGS[wrong]

    outcome = ran(wasm, driver=driver)

    assert isinstance(outcome.error, Ended)
    assert outcome.error.type == kind
    assert part in outcome.error.message
    assert ran(ECHO, driver=driver).reply == b'{"ok":null}'


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_loop_without_end_is_interrupted_at_the_deadline(driver: str) -> None:
    """The thread would be lost, and the worker with it."""
    began = time.monotonic()

    outcome = ran(guest(FOREVER), driver=driver, seconds=0.1)

    assert isinstance(outcome.error, Interrupted)
    assert 0.09 <= time.monotonic() - began < 2


@pytest.mark.parametrize("driver", DRIVERS)
def test_computing_is_limited_and_the_time_of_the_host_is_not_counted(driver: str) -> None:
    """A slow query is no fault of the guest's."""

    def slow(request: bytes) -> bytes:
        time.sleep(0.15)
        return b'{"ok":1}'

    waits = ran(ECHO, driver=driver, answer=slow, compute=0.1)
    began = time.monotonic()
    computes = ran(guest(FOREVER), driver=driver, compute=0.1)

    assert waits.reply == b'{"ok":1}'
    assert computes.error.type == "ComputeLimit"
    assert "0.1 s" in computes.error.message
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("driver", DRIVERS)
def test_sleeping_is_not_computing(driver: str) -> None:
    """In a replay it takes no time, so a limit that counted it would end one of the two only."""
    sleeps = guest(
        "(i64.store (i32.const 24) (i64.const 250000000))"
        "(drop (call $poll_oneoff (i32.const 0) (i32.const 512) (i32.const 1) (i32.const 600)))"
        "(call $call (local.get $at) (local.get $size))",
        wasi=["poll_oneoff"],
    )

    assert ran(sleeps, driver=driver, compute=0.1).reply == b'{"ok":null}'


def test_what_is_left_of_computing_is_counted_over_the_calls_of_the_host() -> None:
    """A guest that asks in between would compute for ever."""

    def slow(request: bytes) -> bytes:
        time.sleep(0.1)
        return b""

    run = Run(slow, System(Told(), lambda *_: None), Limits(compute=1.0), time.monotonic() + 60)

    first = run.epochs()
    run.answer(b"")
    second = run.epochs()
    time.sleep(0.2)
    run.answer(b"")
    third = run.epochs()

    assert first - second < 8
    assert 20 <= second - third < 28


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_the_host_raises_ends_the_guest_and_is_raised_again(driver: str) -> None:
    """A cancelled statement is no trap."""
    mine = KeyError("mine")

    def fail(request: bytes) -> bytes:
        raise mine

    outcome = ran(ECHO, driver=driver, answer=fail)

    assert outcome.error is mine


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_allocator_may_have_no_room(driver: str) -> None:
    """What is larger than the guest's memory is not written over something else."""
    full = ran(ECHO, b" " * 100_000, driver=driver)

    assert full.error.type == "BadAddress"
    assert "100000 bytes at 1024" in full.error.message


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", ["start", "initialize"])
def test_the_host_can_be_asked_before_the_instance_is_made(name: str, driver: str) -> None:
    """Statements outside of functions run there in some languages; the process must not end by it."""
    entry = {"start": "(func $s {}) (start $s)", "initialize": '(func (export "_initialize") {})'}[name]
    asked: list[bytes] = []
    asks = "(drop (call $call (i32.const 16) (i32.const 2)))"
    wasm = guest("(call $call (local.get $at) (local.get $size))", entry.format(asks) + answering("[]", at=16)[1])

    outcome = ran(wasm, b"{}", driver=driver, answer=lambda request: asked.append(request) or b'{"ok":1}')

    assert outcome.reply == b'{"ok":1}'
    assert asked == [b"[]", b"{}"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_allocator_that_asks_the_host_for_ever_is_stopped(driver: str) -> None:
    """The host asks it for room for its reply, for which it asks the host."""
    wasm = bytes(
        wasmtime.wat2wasm(
            """(module (import "flux" "call" (func $call (param i32 i32) (result i64))) (memory (export "memory") 1)
            (func (export "flux_alloc") (param i32) (result i32)
              (drop (call $call (i32.const 0) (i32.const 2))) (i32.const 1024))
            (func (export "flux_handle") (param i32 i32) (result i64) (call $call (local.get 0) (local.get 1))))"""
        )
    )

    outcome = ran(wasm, driver=driver)

    assert outcome.error.type == "StackOverflow"
    assert ran(ECHO, driver=driver).reply


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_guest_that_stopped_itself_says_its_last_words(driver: str) -> None:
    """A language tells its panic on stderr before it traps."""
    _, data = answering("panic: no such thing\n", at=64)
    said = "(i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (i32.const 21))"
    wasm = guest(
        f"{said} (drop (call $fd_write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 40))) unreachable",
        data,
        wasi=["fd_write"],
    )

    outcome = ran(wasm, driver=driver)

    assert "panic: no such thing" in outcome.error.message
    assert outcome.lines == [("error", "panic: no such thing")]


def test_the_stack_of_a_trap_is_told() -> None:
    """A name is where the search begins."""
    outcome = ran(guest("(call $inner)", "(func $inner (result i64) unreachable)"))

    assert "at inner" in outcome.error.stack


@pytest.mark.parametrize("driver", DRIVERS)
def test_threads_do_not_get_each_others_replies_or_errors(driver: str) -> None:
    """The package keeps an exception of a callback in one place for all threads; nothing may be raised there."""
    engine = core_engine()
    module = DRIVERS[driver](engine, wasmtime.Module(engine.engine, ECHO))
    wrong: list[str] = []

    def answer(request: bytes) -> bytes:
        number = int(request)
        time.sleep(0.0005 * (number % 2))
        if number % 3 == 0:
            raise KeyError(number)
        return request

    def ask(start: int) -> None:
        for number in range(start, start + 100):
            run = Run(answer, System(Told(), lambda *_: None), Limits(), time.monotonic() + 10)
            try:
                reply: object = int(module.handle(b"%d" % number, run))
            except KeyError as error:
                reply = -error.args[0]
            if reply != (number if number % 3 else -number):
                wrong.append(f"{number}: {reply}")

    threads = [threading.Thread(target=ask, args=(1_000 * number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_guests_inside_guests_are_limited() -> None:
    """Each takes a share of the thread's stack; without a limit the process would end."""
    engine = core_engine()
    module = CoreModule(engine, wasmtime.Module(engine.engine, ECHO))
    depths: list[int] = []

    def deeper(request: bytes) -> bytes:
        depths.append(len(depths))
        run = Run(deeper, System(Told(), lambda *_: None), Limits(), time.monotonic() + 5)
        return module.handle(request, run)

    outcome = ran(ECHO, answer=deeper)

    assert outcome.error.type == "TooDeep"
    assert len(depths) == 8
    assert ran(ECHO).reply


def test_a_deep_recursion_of_python_is_refused_before_it_enters_wasm() -> None:
    """An error in the first step of a callback could not be caught."""

    def deep() -> None:
        outcome = ran(ECHO)
        if outcome.error is not None:
            raise outcome.error
        deep()

    with pytest.raises(RecursionError):
        deep()

    assert ran(ECHO).reply


def test_instances_are_given_back() -> None:
    """The pool has only so many; a failed request must not keep one."""
    engine = core_engine()
    module = CoreModule(engine, wasmtime.Module(engine.engine, WRONGS["start"][0]))
    wat = wasmtime.Module(engine.engine, WRONGS["unreachable"][0])

    for number in range(2 * MOST_INSTANCES):
        used = module if number % 2 else CoreModule(engine, wat)
        with pytest.raises(Ended, match="stopped itself"):
            used.handle(b"{}", Run(lambda _: b"", System(Told(), lambda *_: None), Limits(), time.monotonic() + 5))

    assert ran(ECHO).reply


def test_this_wasmtime_is_the_one_that_the_fast_path_was_written_for() -> None:
    """With another the slow path would stand in, and nobody would know why it is slow."""
    assert capi.missing == []
    assert core_engine().pooled


@pytest.mark.parametrize(("gibibytes", "pooled"), [(24, True), (3, True), (1, False)])
def test_few_addresses_make_a_smaller_pool_or_none(gibibytes: int, pooled: bool) -> None:
    """Wasmtime would end the process: a machine with `ulimit -v` could run no guest."""
    code = (
        "import resource; from pathlib import Path\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({gibibytes << 30},) * 2)\n"
        "from wat import ECHO, ran; from flux.runtime.guests.wasm.engine import core_engine\n"
        f"assert core_engine().pooled is {pooled}\n"
        "assert ran(ECHO).reply == b'{\"ok\":null}'\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


@pytest.mark.parametrize("driver", DRIVERS)
def test_tables_and_memories_are_limited_without_a_pool_too(driver: str) -> None:
    """The limit of memory is that of each memory, and a table takes eight bytes an element."""
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30,) * 2)\n"
        "from wat import guest, ran\n"
        "grow = '(i64.extend_i32_s (table.grow (ref.null func) (i32.const 200000)))'\n"
        f"print(ran(guest(grow, '(table 1 funcref)'), driver={driver!r}).error.message)\n"
        f"print(ran(guest('(i64.const 0)', '(memory 1)'), driver={driver!r}).error.message)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=Path(__file__).parent, capture_output=True, text=True
    )

    table, memory = done.stdout.splitlines()
    assert "4294967295 bytes" in table  # -1: it did not grow
    assert "memory count too high" in memory


#: Goes down so far that a few more steps would be too many, and asks the host from there.
DEEP = guest(
    "(global.set $in (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))"
    " (i64.extend_i32_u (local.get $size)))) (call $down (i32.const {steps}))".replace("{steps}", "10000"),
    """(global $in (mut i64) (i64.const 0))
    (func $down (param $left i32) (result i64)
      (if (result i64) (i32.eqz (local.get $left))
        (then (call $call (i32.wrap_i64 (i64.shr_u (global.get $in) (i64.const 32))) (i32.wrap_i64 (global.get $in))))
        (else (i64.add (call $down (i32.sub (local.get $left) (i32.const 1))) (i64.const 0)))))""",
)


def test_as_many_guests_as_may_nest_fit_into_the_stack_of_a_thread() -> None:
    """Each deep in a recursion of its own; a stack that is too small would end the process."""
    engine = core_engine()
    module = CoreModule(engine, wasmtime.Module(engine.engine, DEEP))
    deeper = ran(DEEP.replace(b"\x41\x90\xce\x00", b"\x41\x90\xce\x01"))
    ended: list[BaseException | bytes] = []

    def nest(request: bytes) -> bytes:
        return module.handle(request, Run(nest, System(Told(), lambda *_: None), Limits(), time.monotonic() + 5))

    def ask() -> None:
        ended.append(ran(DEEP, answer=nest).error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

    assert deeper.error.type == "StackOverflow"
    (error,) = ended
    assert isinstance(error, Ended)
    assert error.type == "TooDeep"

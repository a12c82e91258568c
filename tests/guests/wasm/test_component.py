"""A component is asked and answers as a core module does, and what ends one of them says how."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from wasmtime import component as wit
from wasmtime.component import _enter
from wat import Outcome, Told

from flux.runtime.deadline import Interrupted
from flux.runtime.guests.wasm import component
from flux.runtime.guests.wasm.component import ComponentModule
from flux.runtime.guests.wasm.engine import component_engine
from flux.runtime.guests.wasm.run import Limits, Run
from flux.runtime.guests.wasm.signatures import BadModule
from flux.runtime.guests.wasm.wasi import System

#: A component by hand: one module for memory, one for what it does, `{does}`, with $at and $size of the input.
WORLD = """
(component
  (import "flux:runtime/ctx@0.1.0" (instance $ctx (export "call" (func (param "request" string) (result string)))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (core module $Memory
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $m))
  (alias core export $memory "realloc" (core func $realloc))
  (alias export $ctx "call" (func $call))
  (alias export $random "get-random-u64" (func $number))
  (alias export $random "get-random-bytes" (func $bytes))
  (alias export $clock "now" (func $now))
  (core func $low-call (canon lower (func $call) (memory $m) (realloc $realloc)))
  (core func $low-number (canon lower (func $number)))
  (core func $low-bytes (canon lower (func $bytes) (memory $m) (realloc $realloc)))
  (core func $low-now (canon lower (func $now)))
  (core module $Main
    (import "host" "call" (func $call (param i32 i32 i32)))
    (import "host" "number" (func $number (result i64)))
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (import "host" "now" (func $now (result i64)))
    (import "memory" "memory" (memory 1))
    (data (i32.const 64) "{\\"ok\\":1}")
    (func (export "handle") (param $at i32) (param $size i32) (result i32)
      {does}))
  (core instance $main (instantiate $Main
    (with "memory" (instance $memory))
    (with "host" (instance
      (export "call" (func $low-call)) (export "number" (func $low-number))
      (export "bytes" (func $low-bytes)) (export "now" (func $low-now))))))
  (func (export "handle") (param "input" string) (result string)
    (canon lift (core func $main "handle") (memory $m) (realloc $realloc))))
"""

ASK = "(call $call (local.get $at) (local.get $size) (i32.const 16)) (i32.const 16)"


def module(does: str) -> ComponentModule:
    """A component that does this and gives the address of its reply's address and size."""
    engine = component_engine()
    return ComponentModule(engine, wit.Component(engine.engine, WORLD.replace("{does}", does)))


def ran(
    component: ComponentModule,
    data: bytes = b"{}",
    *,
    answer: Callable[[bytes], bytes] = lambda request: b'{"ok":null}',
    seconds: float = 5.0,
    tape: Told | None = None,
    **limits: Any,
) -> Outcome:
    """Run it once."""
    outcome = Outcome()
    system = System(tape or Told(), lambda level, line: outcome.lines.append((level, line)))
    try:
        outcome.reply = component.handle(data, Run(answer, system, Limits(**limits), time.monotonic() + seconds))
    except BaseException as error:  # noqa: BLE001  # how it ends is what is asked
        outcome.error = error
    return outcome


@pytest.fixture(scope="module")
def echo() -> ComponentModule:
    """Asks the host what it was asked."""
    return module(ASK)


def test_a_component_asks_the_host_and_answers(echo: ComponentModule) -> None:
    """The same JSON in another wrapping."""
    asked: list[bytes] = []

    outcome = ran(echo, '{"op":"ä"}'.encode(), answer=lambda request: asked.append(request) or '{"ok":"ö"}'.encode())

    assert asked == ['{"op":"ä"}'.encode()]
    assert outcome.reply == '{"ok":"ö"}'.encode()


def test_what_the_host_raises_ends_a_component_and_is_raised_again(echo: ComponentModule) -> None:
    """Wasmtime's package keeps other exceptions for whatever thread comes next."""
    mine = KeyError("mine")

    def fail(request: bytes) -> bytes:
        raise mine

    assert ran(echo, answer=fail).error is mine
    assert ran(echo).reply


def test_a_component_is_stopped_at_its_deadline() -> None:
    """As any guest."""
    forever = module("(loop $again (br $again)) (i32.const 0)")

    assert isinstance(ran(forever, seconds=0.1).error, Interrupted)
    assert ran(forever, compute=0.05).error.type == "ComputeLimit"


@pytest.mark.parametrize(
    ("does", "kind"),
    [
        ("unreachable", "Unreachable"),
        ("(i32.div_s (i32.const 1) (i32.const 0))", "DivisionByZero"),
        ("(i32.store (i32.const 0x70000000) (i32.const 1)) (i32.const 0)", "OutOfBounds"),
        (f"(drop (call $number)) {ASK} (drop) unreachable", "Unreachable"),
    ],
)
def test_a_component_that_traps_says_how(does: str, kind: str) -> None:
    """By the same words as a core module."""
    outcome = ran(module(does))

    assert outcome.error.type == kind


def test_clock_and_chance_of_a_component_are_on_the_tape() -> None:
    """Wasmtime's own would be the machine's."""
    draws = module(
        "(call $bytes (i64.const 8) (i32.const 32))"
        "(i64.store (i32.const 128) (i64.and (i64.load (i32.load (i32.const 32))) (i64.const 0x0f0f0f0f0f0f0f0f)))"
        "(i64.store (i32.const 136) (i64.and (call $number) (i64.const 0x0f0f0f0f0f0f0f0f)))"
        "(i64.store (i32.const 144) (i64.and (call $now) (i64.const 0x0f0f0f0f0f0f0f0f)))"
        "(i32.store (i32.const 16) (i32.const 128)) (i32.store (i32.const 20) (i32.const 24)) (i32.const 16)"
    )

    once, again, other = (ran(draws, tape=tape) for tape in (Told(), Told(), Told(byte=b"\x02")))

    assert once.error is None
    assert once.reply == again.reply
    assert once.reply[:16] != other.reply[:16]
    assert once.reply[16:] == other.reply[16:]


def test_a_component_that_is_none_of_ours_is_refused() -> None:
    """It would fail at its first request, in words of wasmtime's."""
    engine = component_engine()

    with pytest.raises(BadModule, match="does not export the function handle"):
        ComponentModule(engine, wit.Component(engine.engine, "(component)"))
    with pytest.raises(BadModule, match="imports other:thing/host, which is not there"):
        imports = '(component (import "other:thing/host" (instance (export "f" (func)))))'
        ComponentModule(engine, wit.Component(engine.engine, imports))


def test_signatures_of_a_component_are_checked_when_it_is_made() -> None:
    """By the build, and not by the first request."""
    engine = component_engine()
    handle = """(component
        (core module $M (func (export "handle") (param i32) (result i32) (local.get 0)))
        (core instance $m (instantiate $M))
        (func (export "handle") (param "n" u32) (result u32) (canon lift (core func $m "handle"))))"""
    call = WORLD.replace("{does}", ASK).replace('(param "request" string) (result string)', "(result string)")
    call = call.replace("(param i32 i32 i32)", "(param i32)").replace(ASK, "(call $call (i32.const 16)) (i32.const 16)")

    with pytest.raises(BadModule, match=re.escape("its export handle is (u32) -> (u32), not (string) -> (string)")):
        ComponentModule(engine, wit.Component(engine.engine, handle))
    with pytest.raises(BadModule, match=re.escape("ctx@0.1.0 call is () -> (string), not (string) -> (string)")):
        ComponentModule(engine, wit.Component(engine.engine, call))
    with pytest.raises(BadModule, match=r"its import flux:runtime/ctx@0\.1\.0 ask is not there"):
        asks = WORLD.replace("{does}", ASK).replace('(export "call" (func (param', '(export "ask" (func (param')
        ComponentModule(engine, wit.Component(engine.engine, asks.replace('export $ctx "call"', 'export $ctx "ask"')))


def test_the_memory_of_a_component_is_one() -> None:
    """The limit is that of each memory."""
    two = WORLD.replace("{does}", ASK).replace(
        "(core instance $memory", "(core instance (instantiate $Memory)) (core instance $memory"
    )
    engine = component_engine()

    outcome = ran(ComponentModule(engine, wit.Component(engine.engine, two)))

    assert "memory count too high" in outcome.error.message


def test_output_that_is_not_recorded_takes_no_memory() -> None:
    """A loop around print would fill the machine's before its deadline."""
    outcome = Outcome()
    system = System(Told(), lambda level, line: outcome.lines.append((level, line)))
    call = component._Call(Run(lambda _: b"", system, Limits(), time.monotonic() + 5), component_engine())
    stream = call._streams[2]

    os.write(stream, b"begin\n" + b"-" * 8_000_000 + b"the end")
    call._free()
    taken = os.fstat(stream).st_blocks * 512
    call.read_streams()
    os.write(stream, b"\nmore")
    call.read_streams()
    call.close()
    system.finish()

    assert taken < 200_000
    assert outcome.lines[0] == ("error", "begin")
    assert outcome.lines[-1] == ("warning", f"{8_000_018 - 65_536} more bytes of output are not recorded")
    assert system.tail.endswith(b"-the end\nmore")


def thirds(request: bytes) -> bytes:
    """Every third request fails, with its number; some take longer than others."""
    time.sleep(0.0005 * (int(request) % 2))
    if int(request) % 3 == 0:
        raise KeyError(int(request))
    return request


def test_components_of_many_threads_do_not_mix(echo: ComponentModule) -> None:
    """The callback finds its call by the thread."""
    wrong: list[str] = []

    def ask(start: int) -> None:
        for number in range(start, start + 60):
            outcome = ran(echo, b"%d" % number, answer=thirds)
            good = outcome.reply == b"%d" % number if number % 3 else outcome.error.args == (number,)
            if not good:
                wrong.append(f"{number}: {outcome}")

    threads = [threading.Thread(target=ask, args=(1_000 * number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_what_is_raised_does_not_pass_through_where_all_threads_put_it(
    echo: ComponentModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wasmtime package has one place for the exception of a callback, and raises it in whatever thread looks."""
    found: list[object] = []
    monkeypatch.setattr(_enter, "maybe_raise_last_exn", lambda: found.append(_enter.LAST_EXCEPTION))

    ran(echo, b"3", answer=thirds)

    assert found == [None]

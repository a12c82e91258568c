"""Guests written by hand for the tests of the machinery, and how one is run without a project around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import wasmtime

from flux.runtime.guests.wasm.core import CoreModule
from flux.runtime.guests.wasm.engine import core_engine
from flux.runtime.guests.wasm.public import PublicModule
from flux.runtime.guests.wasm.run import Limits, Run
from flux.runtime.guests.wasm.wasi import FUNCTIONS, MODULE, System

#: What each guest has: one page of memory, and an allocator that never takes back.
ABI = """
  (import "flux" "call" (func $call (param i32 i32) (result i64)))
  {imports}
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func (export "flux_alloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (global.get $next) (local.get $size)))
    (local.get $at))
"""


def guest(handle: str, more: str = "", wasi: Sequence[str] = ()) -> bytes:
    """A guest whose flux_handle (parameters $at and $size) does this; `wasi` are functions that it imports as $name."""
    imports = "".join(
        f'(import "{MODULE}" "{name}" (func ${name} (param {_words(FUNCTIONS[name][0])}) '
        f"{'' if name == 'proc_exit' else '(result i32)'}))\n"
        for name in wasi
    )
    body = f'(func (export "flux_handle") (param $at i32) (param $size i32) (result i64) {handle})'
    return bytes(wasmtime.wat2wasm(f"(module {ABI.replace('{imports}', imports)} {more} {body})"))


def answering(text: str, at: int = 16) -> tuple[str, str]:
    """A handler that gives this text, and the data segment where it lies."""
    escaped = "".join(f"\\{byte:02x}" for byte in text.encode())
    return f"(i64.const {at << 32 | len(text.encode())})", f'(data (i32.const {at}) "{escaped}")'


ECHO = guest("(call $call (local.get $at) (local.get $size))")


def _words(types: str) -> str:
    return " ".join("i64" if kind == "I" else "i32" for kind in types)


@dataclass
class Told:
    """A tape of the tests' own: time stands still, chance is a byte."""

    is_replay: bool = False
    moment: int = 1_700_000_000_000_000_000
    byte: bytes = b"\x01"
    looks: int = 0

    def time_ns(self) -> int:
        self.looks += 1
        return self.moment

    def seed(self) -> bytes:
        return self.byte * 32


@dataclass
class Outcome:
    """How a guest ended."""

    reply: bytes = b""
    error: Any = None
    lines: list[tuple[str, str]] = field(default_factory=list)


DRIVERS = {"core": CoreModule, "public": PublicModule}


def ran(
    wasm: bytes,
    data: bytes = b"{}",
    *,
    driver: str = "core",
    answer: Callable[[bytes], bytes] = lambda request: b'{"ok":null}',
    seconds: float = 5.0,
    tape: Told | None = None,
    **limits: Any,
) -> Outcome:
    """Run a guest once."""
    engine = core_engine()
    outcome = Outcome()
    system = System(tape or Told(), lambda level, line: outcome.lines.append((level, line)))
    run = Run(answer, system, Limits(**limits), time.monotonic() + seconds)
    module = DRIVERS[driver](engine, wasmtime.Module(engine.engine, wasm))
    try:
        outcome.reply = module.handle(data, run)
    except BaseException as error:  # noqa: BLE001  # how it ends is what is asked
        outcome.error = error
    finally:
        system.finish()
    return outcome

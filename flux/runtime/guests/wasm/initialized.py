"""Runs what a module does once, before any request, so that a snapshot can be made of what it leaves.

What is drawn of chance meanwhile is the same in every request, so the seed is made of the module itself: the same build
gives the same module, and two modules share no seed. There is no host to ask yet.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import orjson
import wasmtime

from flux.runtime.guests.wasm import signatures
from flux.runtime.guests.wasm.engine import core_engine
from flux.runtime.guests.wasm.public import PublicInstance, PublicModule
from flux.runtime.guests.wasm.run import Limits, Run
from flux.runtime.guests.wasm.signatures import BadModule
from flux.runtime.guests.wasm.snapshot import INSTEAD, START, globals_of, snapshot, tables_of
from flux.runtime.guests.wasm.traps import Ended
from flux.runtime.guests.wasm.wasi import System

#: Seconds that an initialization may take.
MOST_SECONDS = 60.0

#: 2024-01-01; the clock while a module is initialized.
_MOMENT_NS = 1_704_067_200_000_000_000

_NO_HOST = b'{"error":{"type":"TooEarly","message":"the host cannot be asked before the first request"}}'


class SourceError(Exception):
    """An interpreter refused the source; `line` is where, if it said so."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


class _Fixed:
    """A clock that stands and chance that is known."""

    is_replay = True

    def __init__(self, data: bytes) -> None:
        self._seed = hashlib.sha256(data).digest()

    def time_ns(self) -> int:
        return _MOMENT_NS

    def seed(self) -> bytes:
        return self._seed


def initialized(data: bytes, limits: Limits, source: bytes | None = None) -> bytes:
    """The module after `_initialize`, and of an interpreter after it has loaded `source`.

    Raises BadModule where it cannot be kept or ends meanwhile, SourceError.
    """
    signatures.check(data, limits.memory)
    engine = core_engine()
    said: list[str] = []

    def start(opened: bytes) -> tuple[bytes, dict[int, Any]]:
        module = PublicModule(engine, wasmtime.Module(engine.engine, opened))
        system = System(_Fixed(data), lambda level, line: said.append(line))
        run = Run(lambda request: _NO_HOST, system, limits, time.monotonic() + MOST_SECONDS)
        kept: dict[int, Any] = {}
        names = [str(export.name) for export in module.module.exports]
        tables: list[list[object]] = []

        def begin(instance: PublicInstance) -> None:
            tables.extend(tables_of(instance.store, instance.exports, names))
            if START in names:
                instance.call(START)

        def use(instance: PublicInstance) -> bytes:
            if source is not None:
                _load(instance, source)
            if tables_of(instance.store, instance.exports, names) != tables:
                raise BadModule("no snapshot can be made of it: its tables change while it is initialized", INSTEAD)
            kept.update(globals_of(instance.store, instance.exports, names))
            memory = instance.memory()
            return memory.read(0, memory.size)

        return module.inside(run, use, begin), kept

    try:
        return snapshot(data, start)
    except Ended as ended:
        told = f": {said[-1]}" if said else ""
        raise BadModule(f"it ended while it was initialized: {ended.message}{told}") from None
    except wasmtime.WasmtimeError as error:
        raise BadModule(f"it cannot be compiled: {' '.join(str(error).split())}") from None


def _load(instance: PublicInstance, source: bytes) -> None:
    for name in ("flux_init", "flux_load"):
        if name not in instance.exports:
            raise BadModule(f"it is no interpreter: it does not export the function {name}")
    status = instance.call("flux_init")
    if status:
        raise BadModule(f"the interpreter does not start: status {status}")
    reply = instance.bytes(instance.call("flux_load", instance.put(source), len(source)), "its reply")
    try:
        told = orjson.loads(reply)
    except orjson.JSONDecodeError:
        told = None
    if isinstance(told, dict) and "ok" in told:
        return
    error = told.get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict):
        raise BadModule(f"the interpreter says {reply[:200]!r} of the source, which is no reply")
    line = error.get("line")
    raise SourceError(str(error.get("message") or error.get("type")), line if isinstance(line, int) else None)

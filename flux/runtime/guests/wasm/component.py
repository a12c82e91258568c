"""Components, which some tools make only: the same JSON, as text between functions of a WIT world.

Their WASI 0.2 is wasmtime's own, with nothing behind it but streams; what it says of clock and chance is replaced by
ours. A component is not instantiated from a pool: it takes 0.5 to 0.9 ms whichever way.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import Any

import wasmtime
from wasmtime import component as wit

from flux.runtime.guests.wasm import capi, wasi
from flux.runtime.guests.wasm.engine import MOST_TABLE_ELEMENTS, Engine
from flux.runtime.guests.wasm.run import Run, enter, leave
from flux.runtime.guests.wasm.signatures import BadModule
from flux.runtime.guests.wasm.traps import Ended, trap_of

_HOST = "flux:runtime/ctx@"

_NO_SLEEP = "a component cannot wait for its clock, which is recorded; the operation sleep can"

#: What may come from wasmtime: none of it reaches further than the streams and the empty tables given below.
_WASI = ("wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/")


#: Linux' fallocate(2), which the standard library has in part only: keep the size, and free what lies there.
_fallocate = ctypes.CDLL(None).fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_PUNCH_HOLE = 0x01 | 0x02
_PAGE = 4096


class ComponentModule:
    """A compiled component, linked to the host. It may be used by all threads of its process."""

    def __init__(self, engine: Engine, component: wit.Component) -> None:
        self.engine, self._component = engine, component
        _check(component, engine)
        imports = [str(name) for name in component.type.imports(engine.engine)]
        self._linker = linker = wit.Linker(engine.engine)
        linker.allow_shadowing = True
        linker.add_wasip2()
        with linker.root() as root:
            for name in imports:
                functions = _functions(name)
                if functions:
                    with root.add_instance(name) as interface:
                        for function, does in functions.items():
                            if does in _SOURCES:
                                capi.define_bytes_source(interface, function, does)
                            else:
                                interface.add_func(function, does)

    def handle(self, data: bytes, run: Run) -> bytes:
        """The reply of a fresh instance; raises Ended, and what ended the run from our side."""
        enter(run)
        self.engine.enter()
        call = _Call(run, self.engine)
        try:
            reply = call.result(self._linker, self._component, data.decode())
        finally:
            call.close()
            self.engine.leave()
            leave(run)
        if len(reply) > run.limits.output:
            raise run.too_much("its reply", len(reply))
        return reply


def _check(component: wit.Component, engine: Engine) -> None:
    """Raise BadModule unless its imports and exports are those of the world."""
    for name, imported in component.type.imports(engine.engine).items():
        if not name.startswith((_HOST, *_WASI)):
            raise BadModule(f"it imports {name}, which is not there", "Components import flux:runtime/ctx and WASI.")
        if name.startswith(_HOST):
            for function, extern in _interface(imported.ty, engine).items():
                _check_text(f"its import {name} {function}", extern.ty, known=function == "call")
    exported = component.type.exports(engine.engine).get("handle")
    if exported is None:
        raise BadModule("it does not export the function handle")
    _check_text("its export handle", exported.ty, known=True)


def _interface(kind: Any, engine: Engine) -> dict[str, Any]:
    """What an imported interface has; nothing where it is none."""
    return dict(kind.exports(engine.engine)) if isinstance(kind, wit.ComponentInstanceType) else {}


def _check_text(what: str, kind: Any, *, known: bool) -> None:
    """Raise BadModule unless this is a function that takes text and gives text."""
    if not known:
        raise BadModule(f"{what} is not there", "The interface has the function call.")
    if not isinstance(kind, wit.FuncType):
        raise BadModule(f"{what} is not a function")
    taken, given = [named[1] for named in kind.params], kind.result
    if taken != [wit.String()] or given != wit.String():
        told = ", ".join(type(part).__name__.lower() for part in taken)
        raise BadModule(f"{what} is ({told}) -> ({type(given).__name__.lower()}), not (string) -> (string)")


class _Thread(threading.local):
    """The innermost call of this thread."""

    call: _Call | None = None


_thread = _Thread()


class _Call:
    """One instance and its one call. Its two streams are files in memory, read whenever the host is asked.

    What is more than is recorded is given back to the machine at each epoch: no limit of the guest's counts it.
    """

    def __init__(self, run: Run, engine: Engine) -> None:
        self.run, self._engine = run, engine
        self.store = store = wasmtime.Store(engine.engine)
        self._streams = {number: os.memfd_create(f"flux-{number}") for number in (1, 2)}
        self._read = dict.fromkeys(self._streams, 0)
        self._freed = dict.fromkeys(self._streams, wasi.MOST_OUTPUT)
        self._closing = threading.Lock()
        engine.looks.add(self._free)
        store.set_limits(memory_size=run.limits.memory, table_elements=MOST_TABLE_ELEMENTS, memories=1)
        config = wasmtime.WasiConfig()
        config.stdout_file = f"/proc/self/fd/{self._streams[1]}"
        config.stderr_file = f"/proc/self/fd/{self._streams[2]}"
        store.set_wasi(config)
        self._around, _thread.call = _thread.call, self

    def result(self, linker: wit.Linker, component: wit.Component, data: str) -> bytes:
        """What `handle` gives."""
        self.store.set_epoch_deadline(self.run.epochs())
        try:
            function = linker.instantiate(self.store, component).get_func(self.store, "handle")
            if function is None:
                raise BadModule("it does not export the function handle")
            reply = function(self.store, data)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            self.read_streams()
            raise self.run.ended(trap_of(error), 0) from None
        except TypeError as error:
            raise Ended("BadReply", f"its function handle takes something else: {error}") from None
        self.read_streams()
        if not isinstance(reply, str):
            raise Ended("BadReply", "its function handle does not give text")
        return reply.encode()

    def read_streams(self) -> None:
        """What was written since the last look becomes log lines."""
        for number, stream in self._streams.items():
            size = os.fstat(stream).st_size
            new = size - self._read[number]
            if new <= 0:
                continue
            data = os.pread(stream, min(new, wasi.MOST_OUTPUT), self._read[number])
            self.run.system.write(number, data)
            if new > len(data):
                last = min(new - len(data), wasi.TAIL)
                self.run.system.leave_out(number, new - len(data), os.pread(stream, last, size - last))
            self._read[number] = size

    def _free(self) -> None:
        """Give back the middle of a long stream, but for its last bytes. Called by the clock's thread."""
        with self._closing:
            for number, stream in self._streams.items():
                begin, end = self._freed[number], (os.fstat(stream).st_size - wasi.TAIL) // _PAGE * _PAGE
                if end > begin and _fallocate(stream, _PUNCH_HOLE, begin, end - begin) == 0:
                    self._freed[number] = end

    def close(self) -> None:
        """Drop the instance with all its memory."""
        _thread.call = self._around
        self.store.close()
        self._engine.looks.discard(self._free)
        with self._closing:  # or another file of the same number would lose its middle
            streams, self._streams = self._streams, {}
        for stream in streams.values():
            os.close(stream)


def _guarded(does: Callable[..., Any]) -> Callable[..., Any]:
    """A function that a component calls. What it raises is kept with the run, and a trap stands for it."""

    def called(store: object, *arguments: Any) -> Any:
        call = _thread.call
        try:
            assert call is not None, "a component calls outside of a call"  # noqa: S101
            if call.run.error is not None:  # from outside, such as Ctrl-C
                raise call.run.error
            return does(call, *arguments)
        except BaseException as error:  # noqa: BLE001  # the run raises it again
            if call is not None:
                call.run.error = error
            raise wasmtime.WasmtimeError("the run has ended") from None  # the only one kept for this thread alone

    return called


def _call(call: _Call, request: str) -> str:
    call.read_streams()
    reply = call.run.answer(request.encode())
    call.store.set_epoch_deadline(call.run.epochs())
    return reply.decode()


def _moment(nanoseconds: int) -> wit.Record:
    moment: Any = wit.Record()
    moment.seconds, moment.nanoseconds = divmod(nanoseconds, 1_000_000_000)
    return moment  # type: ignore[no-any-return]


def _no_sleep(call: _Call, when: int) -> None:
    raise Ended("Unsupported", _NO_SLEEP)


def _number(call: _Call) -> int:
    return int.from_bytes(call.run.system.chance(8), "little")


_guarded_chance = _guarded(lambda call, size: call.run.system.chance(size))
_chance_source = capi.bytes_source(lambda size: _guarded_chance(None, size))


def _interfaces() -> dict[str, dict[str, Any]]:
    """Every function of the interfaces that are ours; an interface is replaced as a whole."""
    number = _guarded(_number)
    return {
        _HOST: {"call": _guarded(_call)},
        "wasi:clocks/wall-clock@": {
            "now": _guarded(lambda call: _moment(call.run.system.time_ns())),
            "resolution": _guarded(lambda call: _moment(1_000)),
        },
        "wasi:clocks/monotonic-clock@": {
            "now": _guarded(lambda call: call.run.system.monotonic_ns()),
            "resolution": _guarded(lambda call: 1_000),
            "subscribe-instant": _guarded(_no_sleep),
            "subscribe-duration": _guarded(_no_sleep),
        },
        "wasi:random/random@": {"get-random-bytes": _chance_source, "get-random-u64": number},
        "wasi:random/insecure@": {
            "get-insecure-random-bytes": _chance_source,
            "get-insecure-random-u64": number,
        },
        "wasi:random/insecure-seed@": {"insecure-seed": _guarded(lambda call: (_number(call), _number(call)))},
    }


_INTERFACES = _interfaces()

#: Those that wasmtime calls by a way of their own.
_SOURCES = (_chance_source,)


def _functions(name: str) -> dict[str, Any] | None:
    """The functions that stand in for those of an interface, None where it is wasmtime's own."""
    return next((functions for known, functions in _INTERFACES.items() if name.startswith(known)), None)

"""Core modules, driven by wasmtime's C API: linked once, a fresh instance for each request.

The way of a call costs microseconds, so it is written for that: values go through arrays that a thread keeps, exports
are looked up by name only, and nothing is checked twice.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from ctypes import byref, c_void_p
from typing import Any

import wasmtime

from flux.runtime.guests.wasm import capi, wasi
from flux.runtime.guests.wasm.engine import MOST_TABLE_ELEMENTS, MOST_TABLES, Engine
from flux.runtime.guests.wasm.memory import Memory
from flux.runtime.guests.wasm.run import Run, enter, leave
from flux.runtime.guests.wasm.traps import Ended, trap_of

_LOW = 0xFFFFFFFF

_TYPES = {"i": wasmtime.ValType.i32(), "I": wasmtime.ValType.i64()}


class CoreModule:
    """A compiled module, linked to the host. It may be used by all threads of its process."""

    def __init__(self, engine: Engine, module: wasmtime.Module) -> None:
        self.engine = engine
        self._module = module
        self._pre = _linker(engine).instantiate_pre(module)
        self.pre = capi.address(self._pre.ptr())
        self.initializes = any(export.name == "_initialize" for export in module.exports)

    def handle(self, data: bytes, run: Run) -> bytes:
        """The reply of a fresh instance; raises Ended, and what ended the run from our side."""
        return self.inside(run, lambda instance: instance.handle(data))

    def inside(self, run: Run, use: Callable[[Instance], bytes]) -> bytes:
        """What `use` makes of a fresh instance, which is dropped then."""
        enter(run)
        self.engine.enter()
        try:
            instance = Instance(self, run)
            try:
                return use(instance)
            finally:
                instance.close()
        finally:
            self.engine.leave()
            leave(run)


class _Frame:
    """Room for what wasmtime fills in about one instance; a thread uses it again and again."""

    __slots__ = ("alloc", "args", "handle", "instance", "memory", "trap")

    def __init__(self) -> None:
        self.instance = capi.Instance()
        self.memory, self.alloc, self.handle = capi.Extern(), capi.Extern(), capi.Extern()
        self.args = capi.Values()
        self.trap = c_void_p()


class _Thread(threading.local):
    """What this thread holds: the innermost instance, and frames that wait to be used."""

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.frames: list[_Frame] = []


_thread = _Thread()


class Instance:
    """A guest in the middle of a request: its memory and its exports. Belongs to the thread that made it."""

    __slots__ = ("_alloc", "_around", "_context", "_frame", "_handle", "_memory", "_store", "_view", "run")

    def __init__(self, module: CoreModule, run: Run) -> None:
        frames = _thread.frames
        self._frame = frame = frames.pop() if frames else _Frame()
        self.run = run
        self._view = Memory()
        self._memory = None
        self._store = store = capi.store_new(module.engine.pointer, None, None)
        self._context = context = capi.store_context(store)
        capi.store_limiter(store, run.limits.memory, MOST_TABLE_ELEMENTS, -1, MOST_TABLES, 1)
        capi.set_epoch_deadline(context, run.epochs())
        self._around, _thread.instance = _thread.instance, self
        try:
            instance = byref(frame.instance)
            error = capi.instance_pre_instantiate(module.pre, context, instance, byref(frame.trap))
            if error or frame.trap:
                raise run.ended(self._failure(error), 0)
            self._memory = self._export(b"memory", frame.memory)
            self._alloc = self._export(b"flux_alloc", frame.alloc)
            self._handle = self._export(b"flux_handle", frame.handle)
            if module.initializes:
                extern = capi.Extern()  # kept while it is called: the address is of its inside
                self._call(self._export(b"_initialize", extern), 0)
        except BaseException:
            self.close()
            raise

    def handle(self, data: bytes) -> bytes:
        """What flux_handle gives for this input."""
        address = self._put(data)
        args = self._frame.args
        args[0], args[2] = address, len(data)
        reply = self._call(self._handle, 2)
        return self._bytes(reply, "its reply")

    def memory(self) -> Memory:
        """The memory as it is now."""
        view, context = self._view, self._context
        view.base = capi.memory_data(context, self._memory)
        view.size = capi.memory_data_size(context, self._memory)
        return view

    def close(self) -> None:
        """Drop the instance with all its memory."""
        if self._store is not None:
            _thread.instance = self._around
            capi.store_delete(self._store)
            self._store = None
            _thread.frames.append(self._frame)

    def _go_on(self) -> None:
        """Raise what came from outside while the guest ran."""
        if self.run.error is not None:
            raise self.run.error

    def _export(self, name: bytes, extern: Any) -> int:
        capi.instance_export_get(self._context, byref(self._frame.instance), name, len(name), byref(extern))
        return ctypes.addressof(extern.of)

    def _call(self, function: int, count: int) -> int:
        """Call an export with what stands in the frame's arguments."""
        frame = self._frame
        error = capi.func_call(self._context, function, frame.args, count or 1, byref(frame.trap))
        if error or frame.trap:
            raise self.run.ended(self._failure(error), self.memory().size)
        return frame.args[0]

    def _failure(self, error: int | None) -> BaseException:
        """What went wrong in a call that gave an error, or a trap."""
        if error:
            return trap_of(capi.error_of(error))
        pointer, self._frame.trap.value = c_void_p(self._frame.trap.value), None
        return trap_of(capi.trap_of(pointer))

    def _put(self, data: bytes) -> int:
        """Where the guest has taken these bytes."""
        size = len(data)
        self._frame.args[0] = size
        address = self._call(self._alloc, 1) & _LOW
        memory = self.memory()
        if not address or address + size > memory.size:
            if not address:
                raise self.run.ended(Ended("Unreachable", f"flux_alloc has no {size} bytes"), memory.size)
            raise Ended(
                "BadAddress",
                f"flux_alloc gave {size} bytes at {address}, and its memory has {memory.size} bytes",
            )
        ctypes.memmove(memory.base + address, data, size)
        return address

    def _bytes(self, where: int, what: str) -> bytes:
        """The bytes that an i64 of the guest's stands for."""
        size = where & _LOW
        if size > self.run.limits.output:
            raise self.run.too_much(what, size)
        return self.memory().read(where >> 32, size)

    def host_call(self, caller: int, args: Any) -> None:
        """flux.call: ask the host with the guest's bytes, and leave the reply in its memory."""
        self._go_on()
        self._begin(caller)
        reply = self.run.answer(self._bytes((args[0] & _LOW) << 32 | args[2] & _LOW, "a request to the host"))
        capi.set_epoch_deadline(self._context, self.run.epochs())
        args[0] = self._put(reply) << 32 | len(reply)

    def system_call(self, caller: int, function: wasi.Function, arguments: list[int]) -> int:
        """A function of WASI."""
        self._go_on()
        self._begin(caller)
        system = self.run.system
        slept = system.slept
        error = wasi.call(function, self.memory(), system, arguments)
        if system.slept != slept:
            self.run.waited(system.slept - slept)
            capi.set_epoch_deadline(self._context, self.run.epochs())
        return error

    def _begin(self, caller: int) -> None:
        """Ask the caller for its exports while it is still being made: its start function may call already."""
        if self._memory is None:
            frame = self._frame
            capi.caller_export_get(caller, b"memory", 6, byref(frame.memory))
            capi.caller_export_get(caller, b"flux_alloc", 10, byref(frame.alloc))
            self._memory, self._alloc = ctypes.addressof(frame.memory.of), ctypes.addressof(frame.alloc.of)


def _call_host(environment: int | None, caller: int, args: Any, count: int) -> int:
    """flux.call, as wasm calls it: a trap if it went wrong, and why is kept with the run."""
    instance = _thread.instance
    try:
        instance.host_call(caller, args)  # type: ignore[union-attr]  # there is one, or nothing would call
    except BaseException as error:  # noqa: BLE001  # none may go through C; the run raises it again
        instance.run.error = error  # type: ignore[union-attr]
        return capi.trap_new(b"host", 4)  # type: ignore[no-any-return]
    return 0


_host_call = capi.Callback(_call_host)


def _system_call(types: str, function: wasi.Function) -> Any:
    """A function of WASI, as wasm calls it."""
    places = [(2 * index, 0xFFFFFFFFFFFFFFFF if kind == "I" else _LOW) for index, kind in enumerate(types)]

    def called(environment: int | None, caller: int, args: Any, count: int) -> int:
        instance = _thread.instance
        try:
            args[0] = instance.system_call(caller, function, [args[place] & mask for place, mask in places])  # type: ignore[union-attr]
        except BaseException as error:  # noqa: BLE001  # as above
            instance.run.error = error  # type: ignore[union-attr]
            return capi.trap_new(b"host", 4)  # type: ignore[no-any-return]
        return 0

    return capi.Callback(called)


_HOST_CALL_TYPE = wasmtime.FuncType([_TYPES["i"]] * 2, [_TYPES["I"]])
_SYSTEM_CALLS = {name: _system_call(types, function) for name, (types, function) in wasi.FUNCTIONS.items()}


@functools.cache
def _linker(engine: Engine) -> wasmtime.Linker:
    """What modules of this engine may import."""
    linker = wasmtime.Linker(engine.engine)
    capi.define(linker, "flux", "call", _HOST_CALL_TYPE, _host_call)
    for name, (types, _) in wasi.FUNCTIONS.items():
        capi.define(linker, wasi.MODULE, name, system_type(name, types), _SYSTEM_CALLS[name])
    return linker


def system_type(name: str, types: str) -> wasmtime.FuncType:
    """The type of a function of WASI."""
    return wasmtime.FuncType([_TYPES[kind] for kind in types], [] if name == "proc_exit" else [_TYPES["i"]])

"""Core modules, driven by the classes of the wasmtime package alone: what stands in for flux.runtime.guests.wasm.core.

Ten times slower for a call of the host, and the same in all else. Snapshots are made here, since they need globals.
What is raised in a callback the package keeps in one place for all threads, so that another request may get it: it is
always the same that is raised, it says nothing, and why stands in the run.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import wasmtime

from flux.runtime.guests.wasm import wasi
from flux.runtime.guests.wasm.core import system_type
from flux.runtime.guests.wasm.engine import MOST_TABLE_ELEMENTS, MOST_TABLES, Engine
from flux.runtime.guests.wasm.memory import Memory
from flux.runtime.guests.wasm.run import Run, enter, leave
from flux.runtime.guests.wasm.traps import Ended, trap_of

_LOW = 0xFFFFFFFF


class _Stopped(Exception):
    """Ends a guest from inside a callback, this one or, by that fault, another thread's that trapped meanwhile."""


class PublicModule:
    """A compiled module. It may be used by all threads of its process."""

    def __init__(self, engine: Engine, module: wasmtime.Module) -> None:
        self.engine, self.module = engine, module

    def handle(self, data: bytes, run: Run) -> bytes:
        """The reply of a fresh instance; raises Ended, and what ended the run from our side."""
        return self.inside(run, lambda instance: instance.handle(data))

    def inside(
        self,
        run: Run,
        use: Callable[[PublicInstance], bytes],
        begin: Callable[[PublicInstance], None] = lambda instance: None,
    ) -> bytes:
        """What `use` makes of a fresh instance, which is dropped then; `begin` sees it before it is initialized."""
        enter(run)
        self.engine.enter()
        try:
            instance = PublicInstance(self, run)
            try:
                begin(instance)
                if "_initialize" in instance.exports:
                    instance.call("_initialize")
                return use(instance)
            finally:
                instance.close()
        finally:
            self.engine.leave()
            leave(run)


class PublicInstance:
    """A guest in the middle of a request: its memory and its exports."""

    def __init__(self, module: PublicModule, run: Run) -> None:
        self.run = run
        self.store = wasmtime.Store(module.engine.engine)
        self.store.set_limits(
            memory_size=run.limits.memory, table_elements=MOST_TABLE_ELEMENTS, tables=MOST_TABLES, memories=1
        )
        self.store.set_epoch_deadline(run.epochs())
        self.exports: Any = {}
        self._linker = wasmtime.Linker(module.engine.engine)
        self._define(self._linker)
        try:
            self.exports = self._linker.instantiate(self.store, module.module).exports(self.store)
        except (_Stopped, wasmtime.WasmtimeError, wasmtime.Trap) as error:
            self.close()
            raise self._ended(error, 0) from None
        except BaseException:
            self.close()
            raise

    def handle(self, data: bytes) -> bytes:
        """What flux_handle gives for this input."""
        return self.bytes(self.call("flux_handle", self.put(data), len(data)), "its reply")

    def close(self) -> None:
        """Drop the instance now: callbacks hold it, and it them."""
        self.exports = {}
        self.store.close()
        self._linker.close()

    def call(self, name: str, *arguments: int) -> int:
        """What an export gives; raises as handle does."""
        try:
            return self.exports[name](self.store, *arguments) or 0
        except (_Stopped, wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise self._ended(error, self.memory().size) from None

    def put(self, data: bytes) -> int:
        """Where the guest has taken these bytes."""
        address = self.call("flux_alloc", len(data)) & _LOW
        if not address:
            raise self.run.ended(Ended("Unreachable", f"flux_alloc has no {len(data)} bytes"), self.memory().size)
        self.memory().write(address, data)
        return address

    def bytes(self, where: int, what: str) -> bytes:
        """The bytes that an i64 of the guest's stands for."""
        size = where & _LOW
        if size > self.run.limits.output:
            raise self.run.too_much(what, size)
        return self.memory().read((where >> 32) & _LOW, size)

    def memory(self, caller: Any = None) -> Memory:
        """The memory as it is now."""
        memory = (caller or self.exports).get("memory")
        if memory is None:
            return Memory()
        store = caller or self.store
        return Memory(ctypes.addressof(memory.data_ptr(store).contents), memory.data_len(store))

    def _define(self, linker: wasmtime.Linker) -> None:
        i32, i64 = wasmtime.ValType.i32(), wasmtime.ValType.i64()
        linker.define_func("flux", "call", wasmtime.FuncType([i32, i32], [i64]), self._host_call, access_caller=True)
        for name, (types, function) in wasi.FUNCTIONS.items():
            called = functools.partial(self._system_call, function, [_LOW if t == "i" else ~(~0 << 64) for t in types])
            linker.define_func(wasi.MODULE, name, system_type(name, types), called, access_caller=True)

    def _host_call(self, caller: Any, address: int, size: int) -> int:
        """flux.call, as wasm calls it; a start function does so before there is an instance."""
        try:
            self._go_on()
            self.exports = self.exports or {name: caller[name] for name in ("memory", "flux_alloc")}
            reply = self.run.answer(self.bytes((address & _LOW) << 32 | size & _LOW, "a request to the host"))
            self.store.set_epoch_deadline(self.run.epochs())
            where = self.put(reply) << 32 | len(reply)
            return where - (1 << 64) if where >> 63 else where
        except BaseException as error:  # noqa: BLE001  # the run raises it again
            self.run.error = error
            raise _Stopped from None

    def _system_call(self, function: wasi.Function, masks: list[int], caller: Any, *arguments: int) -> int:
        """A function of WASI, as wasm calls it."""
        try:
            self._go_on()
            given = [argument & mask for argument, mask in zip(arguments, masks, strict=True)]
            system = self.run.system
            slept = system.slept
            error = wasi.call(function, self.memory(caller), system, given)
            if system.slept != slept:
                self.run.waited(system.slept - slept)
                self.store.set_epoch_deadline(self.run.epochs())
            return error
        except BaseException as error:  # noqa: BLE001  # as above
            self.run.error = error
            raise _Stopped from None

    def _go_on(self) -> None:
        """Raise what came from outside while the guest ran."""
        if self.run.error is not None:
            raise self.run.error

    def _ended(self, error: Exception, memory_size: int) -> BaseException:
        """Why it really ended."""
        if isinstance(error, wasmtime.WasmtimeError | wasmtime.Trap):
            return self.run.ended(trap_of(error), memory_size)
        return self.run.ended(Ended("Trap", "it trapped, and another request's end hid how"), memory_size)

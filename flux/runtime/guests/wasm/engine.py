"""The process's two engines: one whose core modules get their memory from a pool, one for components.

Made at first use, so after gunicorn has forked: threads and reserved memory of an engine do not survive a fork. A
thread counts epochs while something runs, by which guests notice that their time is over.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import resource
import threading
import time
from collections.abc import Callable
from typing import Any

import wasmtime

from flux.runtime.guests.wasm import capi

#: Seconds of an epoch; a guest that computes is stopped this much late at most.
EPOCH = 0.01

#: Instances at a time, over all threads of the process.
MOST_INSTANCES = 256

#: Bytes of linear memory that a function may be given at most.
MOST_MEMORY = 1024**3

MOST_TABLE_ELEMENTS = 100_000
MOST_TABLES = 4

#: Bytes of stack for wasm; at a depth of 8 guests half of a thread's usual 8 MiB.
STACK = 512 * 1024

#: Addresses a full pool takes; where fewer may be reserved, it has smaller slots, and less of them.
_ADDRESSES = 4 * 1024**4
_SMALL_SLOT = 64 * 1024**2
_SMALL_GUARD = 64 * 1024
_LEAST_INSTANCES = 16

#: Per instance: bytes kept resident between requests, reset by writing, which is cheaper than mapping anew.
_KEEP_RESIDENT = 128 * 1024

#: What decides whether two configurations make the same machine code.
_SETTINGS: dict[str, Any] = {
    "epoch_interruption": True,
    "wasm_exceptions": True,
    "wasm_gc": True,
    "wasm_function_references": True,
    "cranelift_nan_canonicalization": True,
    "wasm_relaxed_simd_deterministic": True,
    "max_wasm_stack": STACK,
}


class Engine:
    """An engine and its clock of epochs. `pooled` says where instances come from, `identity` what code it makes.

    What stands in `looks` is called at each epoch, on the thread of the clock.
    """

    def __init__(self, *, pooled: bool) -> None:
        self.pooled = False
        if pooled and not capi.missing:
            try:
                self.engine, self.identity = _pooled()
                self.pooled = True
            except (wasmtime.WasmtimeError, AttributeError):
                self.engine, self.identity = _plain()
        else:
            self.engine, self.identity = _plain()
        self.pointer = ctypes.cast(self.engine.ptr(), ctypes.c_void_p)
        self.looks: set[Callable[[], None]] = set()
        self._running = 0
        self._lock = threading.Lock()
        self._busy = threading.Event()
        threading.Thread(target=self._count, name="flux-epochs", daemon=True).start()

    def enter(self) -> None:
        """Epochs count from now on."""
        with self._lock:
            self._running += 1
            if self._running == 1:
                self._busy.set()

    def leave(self) -> None:
        """One less needs epochs."""
        with self._lock:
            self._running -= 1
            if not self._running:
                self._busy.clear()

    def _count(self) -> None:
        pause = threading.Event()
        while True:
            self._busy.wait()
            told = time.monotonic()
            while self._busy.is_set():
                pause.wait(EPOCH)
                while told + EPOCH <= time.monotonic():  # this thread may have come late
                    told += EPOCH
                    self.engine.increment_epoch()
                for look in tuple(self.looks):
                    look()


_lock = threading.Lock()
_engines: dict[tuple[int, bool], Engine] = {}


def core_engine() -> Engine:
    """The engine of core modules in this process."""
    return _engine(pooled=True)


def component_engine() -> Engine:
    """The engine of components in this process: a pool does not help them, and costs addresses."""
    return _engine(pooled=False)


def _engine(*, pooled: bool) -> Engine:
    key = (os.getpid(), pooled)
    found = _engines.get(key)
    if found is None:
        with _lock:
            found = _engines.get(key)
            if found is None:
                found = _engines[key] = Engine(pooled=pooled)
    return found


def _plain() -> tuple[wasmtime.Engine, str]:
    """An engine that maps memory as it is needed."""
    config, addresses = _config(), _addresses()
    if addresses is not None:
        config.memory_reservation = config.memory_reservation_for_growth = 0
        config.memory_guard_size = _SMALL_GUARD
    return wasmtime.Engine(config), _identity("on demand" if addresses is None else "on demand, few addresses")


def _pooled() -> tuple[wasmtime.Engine, str]:
    """An engine with a pool. Wasmtime ends the process when it cannot reserve addresses: the limit is asked first."""
    config, addresses = _config(), _addresses()
    slot, instances = MOST_MEMORY, MOST_INSTANCES
    if addresses is not None:
        slot, instances = _SMALL_SLOT, min(MOST_INSTANCES, addresses // 2 // _SMALL_SLOT)
        if instances < _LEAST_INSTANCES:
            raise wasmtime.WasmtimeError("too few addresses for a pool")
        config.memory_reservation = slot
        config.memory_guard_size = _SMALL_GUARD
    capi.use_pool(
        config,
        {
            "total_core_instances": instances,
            "total_memories": instances,
            "total_tables": 2 * instances,
            "total_gc_heaps": instances,
            "total_stacks": 0,
            "max_memory_size": slot,
            "table_elements": MOST_TABLE_ELEMENTS,
            "max_tables_per_module": MOST_TABLES,
            "max_core_instance_size": 1024**2,
            "linear_memory_keep_resident": _KEEP_RESIDENT,
            "table_keep_resident": _KEEP_RESIDENT,
        },
    )
    return wasmtime.Engine(config), _identity(f"pool {slot}")


def _addresses() -> int | None:
    """How many this process may reserve, None where a whole pool fits."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY or limit >= _ADDRESSES else limit


def _config() -> wasmtime.Config:
    config = wasmtime.Config()
    for name, value in _SETTINGS.items():
        setattr(config, name, value)
    return config


@functools.cache
def _identity(memory: str) -> str:
    """Sixteen hex digits of what the machine code depends on."""
    parts = (capi.VERSION, memory, repr(sorted(_SETTINGS.items())), *os.uname()[3:])
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]

"""Wasmtime's C API, as far as each request needs it: the one file that an upgrade of wasmtime may break.

The Python package's own classes take 46 to 60 µs for a call of the host that costs 3 to 5 µs here: they wrap each value
and look up each type. These are prototypes of our own, on the same library that the package brings, with plain
pointers. Such calls are not checked by wasmtime: signatures are those that flux.runtime.guests.wasm.signatures has seen
to. Where the library is another version than the one these prototypes were written for, or one of them is missing,
`missing` says so and flux.runtime.guests.wasm.public stands in, slower.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_bool, c_char_p, c_int64, c_size_t, c_uint64, c_void_p
from importlib.metadata import version
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime.component import LinkerInstance

#: The version whose header these prototypes were taken from.
WRITTEN_FOR = "50.0.1"

VERSION = version("wasmtime")

#: What the library lacks of what is needed here.
missing: list[str] = [] if VERSION == WRITTEN_FOR else [f"wasmtime {VERSION} in place of {WRITTEN_FOR}"]


def _prototype(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the library, apart from the package's own object for it, whose types are checked."""
    try:
        found = ffi.dll[name]
    except AttributeError:
        missing.append(name)
        return None
    found.restype, found.argtypes = result, list(arguments)
    return found


_POINTERS = (c_void_p, c_void_p, c_void_p)

store_new = _prototype("wasmtime_store_new", c_void_p, *_POINTERS)
store_delete = _prototype("wasmtime_store_delete", None, c_void_p)
store_context = _prototype("wasmtime_store_context", c_void_p, c_void_p)
store_limiter = _prototype("wasmtime_store_limiter", None, c_void_p, *[c_int64] * 5)
set_epoch_deadline = _prototype("wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64)
increment_epoch = _prototype("wasmtime_engine_increment_epoch", None, c_void_p)
instance_pre_instantiate = _prototype("wasmtime_instance_pre_instantiate", c_void_p, c_void_p, *_POINTERS)
instance_export_get = _prototype(
    "wasmtime_instance_export_get", c_bool, c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)
caller_export_get = _prototype("wasmtime_caller_export_get", c_bool, c_void_p, c_char_p, c_size_t, c_void_p)
func_call = _prototype("wasmtime_func_call_unchecked", c_void_p, *_POINTERS, c_size_t, c_void_p)
memory_data = _prototype("wasmtime_memory_data", c_void_p, c_void_p, c_void_p)
memory_data_size = _prototype("wasmtime_memory_data_size", c_size_t, c_void_p, c_void_p)
trap_new = _prototype("wasmtime_trap_new", c_void_p, c_char_p, c_size_t)
_linker_define_func = _prototype(
    "wasmtime_linker_define_func_unchecked",
    *(c_void_p, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, *_POINTERS, c_void_p),
)

#: What wasm calls: the environment, the caller, raw values of 16 bytes each for arguments and results, their number.
#: What is returned is a trap, or 0. No exception may leave it: ctypes would return what happens to lie there.
Callback = ctypes.CFUNCTYPE(c_size_t, c_void_p, c_void_p, ctypes.POINTER(c_uint64), c_size_t)

Extern: Any = ffi.wasmtime_extern_t
Instance: Any = ffi.wasmtime_instance_t

#: Raw values of a call: four of them, two words each.
Values = c_uint64 * 8


def address(pointer: Any) -> c_void_p:
    """A pointer of the package's as a plain one."""
    return ctypes.cast(pointer, c_void_p)


def error_of(pointer: int) -> wasmtime.WasmtimeError | wasmtime.Trap | wasmtime.ExitTrap:
    """The exception of an error that the library returned, which it owns from now on."""
    error: Any = wasmtime.WasmtimeError._from_ptr(ctypes.cast(pointer, ctypes.POINTER(ffi.wasmtime_error_t)))
    return error  # type: ignore[no-any-return]


def trap_of(pointer: Any) -> wasmtime.Trap:
    """The exception of a trap that the library returned, which it owns from now on."""
    return wasmtime.Trap._from_ptr(ctypes.cast(pointer, ctypes.POINTER(ffi.wasm_trap_t)))


def define(linker: wasmtime.Linker, module: str, name: str, kind: wasmtime.FuncType, callback: Any) -> None:
    """Give a linker a function that is called without checks; the caller keeps `callback` alive."""
    pointer = _linker_define_func(
        address(linker.ptr()),
        module.encode(),
        len(module),
        name.encode(),
        len(name),
        address(kind.ptr()),
        ctypes.cast(callback, c_void_p),
        None,
        None,
    )
    if pointer:
        raise error_of(pointer)


def use_pool(config: wasmtime.Config, settings: dict[str, int]) -> None:
    """Let instances come from a pool that is laid out once; the settings are those of PoolingAllocationConfig.

    Raises AttributeError where the library has no such setting.
    """
    setters: list[tuple[Callable[[Any, int], None], int]] = [
        (getattr(ffi, f"wasmtime_pooling_allocation_config_{name}_set"), value) for name, value in settings.items()
    ]
    pool = ffi.wasmtime_pooling_allocation_config_new()
    for setter, value in setters:
        setter(pool, value)
    ffi.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    ffi.wasmtime_pooling_allocation_config_delete(pool)


_nothing = ctypes.CFUNCTYPE(None, c_void_p)(lambda environment: None)

#: A byte as an element of a component's list, for each byte: the package makes an object for each of them.
_ELEMENTS: list[bytes] = []


def bytes_source(give: Callable[[int], bytes]) -> Any:
    """A callback of components for a function of a size that gives as many bytes; `give` may raise WasmtimeError."""
    if not _ELEMENTS:
        for value in range(256):
            element = ffi.wasmtime_component_val_t()
            element.kind = ffi.WASMTIME_COMPONENT_U8
            element.of.u8 = value
            _ELEMENTS.append(bytes(element))

    def called(environment: object, context: object, kind: object, args: Any, count: int, results: Any, _: int) -> int:
        try:
            given = give(args[0].of.u64)
        except wasmtime.WasmtimeError as error:
            return address(error._consume()).value or 0
        filled = ffi.wasmtime_component_vallist_t()
        ffi.wasmtime_component_vallist_new_uninit(filled, len(given))
        ctypes.memmove(filled.data, b"".join([_ELEMENTS[byte] for byte in given]), len(given) * len(_ELEMENTS[0]))
        results[0].kind = ffi.WASMTIME_COMPONENT_LIST
        results[0].of.list = filled
        return 0

    return ffi.wasmtime_component_func_callback_t(called)


def define_bytes_source(interface: LinkerInstance, name: str, source: Any) -> None:
    """Give an interface such a function; the caller keeps `source` alive."""
    pointer = ffi.wasmtime_component_linker_instance_add_func(
        interface.ptr(), name.encode(), len(name), source, None, _nothing
    )
    if pointer:
        raise error_of(address(pointer).value or 0)

"""Whether a module keeps to the ABI: looked at once, before it is compiled, since calls are not checked any more.

docs/guests/abi.md says what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from flux.runtime.guests.wasm import wasi
from flux.runtime.guests.wasm.binary import (
    FUNCTION_KIND,
    I32,
    I64,
    MEMORY,
    MEMORY_KIND,
    Core,
    Import,
    Malformed,
    Reader,
    Signature,
    is_component,
    read,
)

_HINT = "`docs/guests/abi.md` says what a module exports and imports; the SDKs do so."
_PAGE = 65_536
_WIDTHS = {"i": I32, "I": I64}

EXPORTS: Mapping[str, Signature] = {
    "flux_alloc": Signature((I32,), (I32,)),
    "flux_handle": Signature((I32, I32), (I64,)),
}

OPTIONAL: Mapping[str, Signature] = {
    "_initialize": Signature((), ()),
    "flux_init": Signature((), (I32,)),
    "flux_load": Signature((I32, I32), (I64,)),
}

IMPORTS: Mapping[tuple[str, str], Signature] = {
    ("flux", "call"): Signature((I32, I32), (I64,)),
    **{
        (wasi.MODULE, name): Signature(tuple(_WIDTHS[kind] for kind in types), () if name == "proc_exit" else (I32,))
        for name, (types, _) in wasi.FUNCTIONS.items()
    },
}


class BadModule(Exception):
    """A module that cannot be a guest, and why; `hint` says what to do."""

    def __init__(self, message: str, hint: str = _HINT) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def check(data: bytes, memory: int) -> None:
    """Raise BadModule unless this is a guest that fits into so many bytes of memory.

    What a component has is known only when it is compiled.
    """
    if is_component(data):
        return
    if data[:4] != b"\0asm":
        raise BadModule("it is not WebAssembly", "`flux build` makes the module from its source.")
    try:
        core = read(data)
        _check_exports(core)
        for imported in core.imports:
            _check_import(imported)
        least = _least_memory(core)
    except Malformed as error:
        raise BadModule(f"it is not a whole WebAssembly module: {error}", "`flux build` makes it anew.") from None
    if least > memory:
        raise BadModule(
            f"it begins with {least // 1024} KiB of memory, and may have {memory // 1024}",
            f'Set `memory = "{-(-least // 1024**2)}MiB"` or more under [wasm].',
        )


def _check_exports(core: Core) -> None:
    exported = core.exported("memory")
    if exported is None or exported[0] != MEMORY_KIND:
        raise BadModule("it does not export its memory")
    for name, wanted in {**EXPORTS, **OPTIONAL}.items():
        exported = core.exported(name)
        if exported is None or exported[0] != FUNCTION_KIND:
            if name in EXPORTS:
                raise BadModule(f"it does not export the function {name}")
            continue
        signature = core.signature(exported[1])
        if signature != wanted:
            raise BadModule(f"its export {name} is {signature}, not {wanted}")


def _check_import(imported: Import) -> None:
    wanted = IMPORTS.get((imported.module, imported.name))
    if wanted is None:
        raise BadModule(
            f"it imports {imported.module}.{imported.name}, which is not there",
            f"Guests import flux.call and functions of {wasi.MODULE} only.",
        )
    if imported.signature != wanted:
        raise BadModule(f"its import {imported.module}.{imported.name} is {imported.signature}, not {wanted}")


def _least_memory(core: Core) -> int:
    """Bytes of the memory that it begins with."""
    section = core.section(MEMORY)
    if section is None:
        return 0
    part = Reader(section)
    return sum(part.limits()[1] for _ in range(part.number())) * _PAGE

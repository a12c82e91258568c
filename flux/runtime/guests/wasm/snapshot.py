"""A module that has been initialized already: its memory and globals, written back into it.

Done as wizer does it (bytecodealliance/wizer), with the host's own imports: every mutable global is exported under a
name of its own, the module is started as in a request, and what memory and globals hold then becomes its data segments
and their initial values. The start section goes, and so do the exports that were called.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import wasmtime

from flux.runtime.guests.wasm import binary
from flux.runtime.guests.wasm.binary import F32, F64, I32, I64, Core, Reader, signed, unsigned
from flux.runtime.guests.wasm.signatures import BadModule

#: Of a memory; zeros are looked for and left out by it.
_PAGE = 4096
_WASM_PAGE = 65_536

_PREFIX, _TABLE_PREFIX = "flux_global_", "flux_table_"

#: By which a module is started that has a start function.
START = "flux_start"
_CONSTANTS = {I32: 0x41, I64: 0x42, F32: 0x43, F64: 0x44}
_CUSTOM = 0
_CALLED = ("_initialize", "flux_init", "flux_load")

#: What helps where no snapshot can be made.
INSTEAD = "Leave `snapshot` out of [wasm]."


def snapshot(data: bytes, start: Callable[[bytes], tuple[bytes, dict[int, Any]]]) -> bytes:
    """The module with what `start` leaves; raises BadModule where that cannot be kept.

    `start` gets the module to start, by its export START if it has one, and gives its memory and the values of its
    mutable globals by their number. That `tables_of` it are the same before and after is for it to see.
    """
    core = binary.read(data)
    _check(core)
    memory, values = start(_opened(core))
    return _closed(core, memory, values)


def globals_of(store: wasmtime.Store, exports: Any, names: Iterable[str]) -> dict[int, Any]:
    """The values of the globals that were exported for `start`, by their number."""
    return {int(name.removeprefix(_PREFIX)): exports[name].value(store) for name in names if name.startswith(_PREFIX)}


def tables_of(store: wasmtime.Store, exports: Any, names: Iterable[str]) -> list[list[object]]:
    """What stands in the tables that were exported for `start`; equal where nothing has changed."""
    tables = [exports[name] for name in names if name.startswith(_TABLE_PREFIX)]
    return [[_identity(table.get(store, at)) for at in range(table.size(store))] for table in tables]


def _identity(element: Any) -> object:
    """What two looks at one element have in common; of what is no function nothing can be said."""
    if isinstance(element, wasmtime.Val) and element.value is None:
        return None
    return bytes(element._func) if isinstance(element, wasmtime.Func) else object()


def _check(core: Core) -> None:
    if core.memories != 1 or core.imported(binary.MEMORY_KIND):
        raise BadModule("no snapshot can be made of it: it has not one memory of its own", INSTEAD)
    if core.imported(binary.GLOBAL_KIND):
        raise BadModule("no snapshot can be made of it: it imports globals", INSTEAD)
    if any(variable.mutable and variable.type not in _CONSTANTS for variable in core.globals):
        raise BadModule("no snapshot can be made of it: it keeps references in globals", INSTEAD)
    if any(_passive(core)):
        raise BadModule("no snapshot can be made of it: it has passive data segments", INSTEAD)


def _passive(core: Core) -> Iterable[bool]:
    part = Reader(core.section(binary.DATA) or b"\0")
    for _ in range(part.number()):
        kind = part.number()
        if kind == 2:
            part.number()
        if kind != 1:
            part.expression()
        part.take(part.number())
        yield kind == 1


def _opened(core: Core) -> bytes:
    """The module with its mutable globals and its tables exported, and its start function in place of being run."""
    start, tables = core.section(binary.START), core.section(binary.TABLE)
    exports = [
        *core.exports,
        *([(START, binary.FUNCTION_KIND, Reader(start).number())] if start else []),
        *(
            (f"{_TABLE_PREFIX}{number}", binary.TABLE_KIND, number)
            for number in range(Reader(tables).number() if tables else 0)
        ),
        *(
            (f"{_PREFIX}{number}", binary.GLOBAL_KIND, number)
            for number, variable in enumerate(core.globals)
            if variable.mutable
        ),
    ]
    return binary.write(
        (number, _exports(exports) if number == binary.EXPORT else content)
        for number, content in core.sections
        if number not in (_CUSTOM, binary.START)
    )


def _closed(core: Core, memory: bytes, values: dict[int, Any]) -> bytes:
    """The module as it is after its start."""
    segments = _segments(memory)
    replaced = {
        binary.MEMORY: _memory(core, len(memory)),
        binary.GLOBAL: unsigned(len(core.globals))
        + b"".join(
            bytes([variable.type, variable.mutable])
            + (_constant(variable.type, values[number]) if number in values else variable.initial)
            for number, variable in enumerate(core.globals)
        ),
        binary.EXPORT: _exports([export for export in core.exports if export[0] not in _CALLED]),
        binary.DATA_COUNT: unsigned(len(segments)),
        binary.DATA: unsigned(len(segments))
        + b"".join(b"\0\x41" + signed(address) + b"\x0b" + unsigned(len(part)) + part for address, part in segments),
    }
    sections = [
        (number, replaced.get(number, content) if number != _CUSTOM else content)
        for number, content in core.sections
        if number != binary.START
    ]
    if core.section(binary.DATA) is None:
        last = max((at for at, (number, _) in enumerate(sections) if number != _CUSTOM), default=-1)
        sections.insert(last + 1, (binary.DATA, replaced[binary.DATA]))
    return binary.write(sections)


def _exports(exports: Sequence[tuple[str, int, int]]) -> bytes:
    return unsigned(len(exports)) + b"".join(
        unsigned(len(name.encode())) + name.encode() + bytes([kind]) + unsigned(index) for name, kind, index in exports
    )


def _memory(core: Core, size: int) -> bytes:
    part = Reader(core.section(binary.MEMORY) or b"")
    part.number()
    flags, _, most = part.limits()
    return unsigned(1) + bytes([flags]) + unsigned(size // _WASM_PAGE) + (b"" if most is None else unsigned(most))


def _constant(kind: int, value: Any) -> bytes:
    encoded = signed(value) if kind in (I32, I64) else struct.pack("<f" if kind == F32 else "<d", value)
    return bytes([_CONSTANTS[kind]]) + encoded + b"\x0b"


def _segments(memory: bytes) -> list[tuple[int, bytes]]:
    """What is not zero, by address: pages that are not empty and follow each other, without the zeros at either end."""
    empty = bytes(_PAGE)
    spans: list[list[int]] = []
    for at in range(0, len(memory), _PAGE):
        if memory[at : at + _PAGE] == empty:
            continue
        if spans and spans[-1][1] == at:
            spans[-1][1] = at + _PAGE
        else:
            spans.append([at, at + _PAGE])
    segments = []
    for start, end in spans:
        part = memory[start:end]
        begun = part.lstrip(b"\0")
        segments.append((start + len(part) - len(begun), begun.rstrip(b"\0")))
    return segments

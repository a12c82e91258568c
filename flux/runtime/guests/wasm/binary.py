"""The WebAssembly binary format, as far as it must be read before anything is compiled, and written for a snapshot.

Sections and their numbers are those of the core specification 3.0, chapter 5 (Binary Format). Function bodies are not
looked at: whether they are valid is for the compiler to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

CORE, COMPONENT = b"\0asm\1\0\0\0", b"\0asm\x0d\0\1\0"

TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, DATA, DATA_COUNT = 1, 2, 3, 4, 5, 6, 7, 8, 11, 12
FUNCTION_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND, TAG_KIND = range(5)

I32, I64, F32, F64 = 0x7F, 0x7E, 0x7D, 0x7C
_NAMES = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", 0x7B: "v128", 0x70: "funcref", 0x6F: "externref"}

#: Bytes that follow the operations of constant expressions: a LEB128 number, or so many.
_NUMBERED = frozenset({0x41, 0x42, 0x23, 0xD0, 0xD2})
_FIXED = {0x43: 4, 0x44: 8}
#: Numbers that follow operations on references, where it is not one: array.new_fixed, two conversions, ref.i31.
_OF_REFERENCES = {0x08: 2, 0x1A: 0, 0x1B: 0, 0x1C: 0}
_ARITHMETIC = frozenset({0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E})


class Malformed(ValueError):
    """Bytes that are not a module; the message says where they stop being one."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The type of a function: bytes of value types."""

    parameters: tuple[int, ...]
    results: tuple[int, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(_type_name, self.parameters))}) -> ({', '.join(map(_type_name, self.results))})"


@dataclass(frozen=True, slots=True)
class Import:
    """What a module wants; `signature` is None for what is not a function."""

    module: str
    name: str
    kind: int
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Global:
    """A global of the module's own, with its initial expression."""

    type: int
    mutable: bool
    initial: bytes


@dataclass(slots=True)
class Core:
    """A core module as its sections say. `exports` are (name, kind, index)."""

    sections: list[tuple[int, bytes]]
    imports: list[Import] = field(default_factory=list)
    exports: list[tuple[str, int, int]] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    memories: int = 0
    _types: list[Signature | None] = field(default_factory=list)
    _functions: list[int] = field(default_factory=list)

    def section(self, number: int) -> bytes | None:
        """The bytes of a section, None where there is none."""
        return next((content for known, content in self.sections if known == number), None)

    def imported(self, kind: int) -> list[Import]:
        """The imports of a kind, in order of their indices."""
        return [imported for imported in self.imports if imported.kind == kind]

    def exported(self, name: str) -> tuple[int, int] | None:
        """Kind and index of an export."""
        return next(((kind, index) for known, kind, index in self.exports if known == name), None)

    def signature(self, index: int) -> Signature | None:
        """The type of the function of this index, imported ones counted first; None where that is no function's."""
        imported = self.imported(FUNCTION_KIND)
        if index < len(imported):
            return imported[index].signature
        index -= len(imported)
        if index >= len(self._functions) or self._functions[index] >= len(self._types):
            raise Malformed(f"function {index + len(imported)} is not there, or its type")
        return self._types[self._functions[index]]


class Reader:
    """Reads numbers and names from bytes; raises Malformed at their end."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def byte(self) -> int:
        """The next byte."""
        try:
            value = self.data[self.at]
        except IndexError:
            raise Malformed(f"it ends at byte {self.at}, in the middle of something") from None
        self.at += 1
        return value

    def number(self) -> int:
        """An unsigned LEB128."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
            if shift > 70:
                raise Malformed(f"the number at byte {self.at} does not end")

    def take(self, size: int) -> bytes:
        """So many bytes."""
        taken = self.data[self.at : self.at + size]
        if len(taken) != size:
            raise Malformed(f"it ends at byte {len(self.data)}, and {size} bytes from {self.at} on were announced")
        self.at += size
        return taken

    def name(self) -> str:
        """A name."""
        return self.take(self.number()).decode("utf-8", "replace")

    def limits(self) -> tuple[int, int, int | None]:
        """Flags, least and most of a table or memory."""
        flags = self.byte()
        return flags, self.number(), self.number() if flags & 1 else None

    def value_type(self) -> int:
        """A value type; of a reference, what it begins with."""
        kind = self.byte()
        if kind in (0x63, 0x64):
            self.number()
        return kind

    def storage_type(self) -> None:
        """A field of a struct or array."""
        self.value_type()
        self.byte()

    def expression(self) -> bytes:
        """A constant expression, with its end."""
        start = self.at
        while (operation := self.byte()) != 0x0B:
            if operation in _NUMBERED:
                self.number()
            elif operation in _FIXED:
                self.take(_FIXED[operation])
            elif operation == 0xFB:
                for _ in range(_OF_REFERENCES.get(self.number(), 1)):
                    self.number()
            elif operation == 0xFD and self.number() == 0x0C:  # v128.const
                self.take(16)
            elif operation not in _ARITHMETIC:
                raise Malformed(f"operation {operation:#x} at byte {self.at} is not known in a constant")
        return self.data[start : self.at]


def is_component(data: bytes) -> bool:
    """Whether these bytes begin as a component does."""
    return data.startswith(COMPONENT)


def read(data: bytes) -> Core:
    """The core module in these bytes; raises Malformed."""
    if not data.startswith(CORE):
        raise Malformed("it does not begin as a WebAssembly module does")
    reader, core = Reader(data, len(CORE)), Core([])
    while reader.at < len(data):
        core.sections.append((reader.byte(), reader.take(reader.number())))
    for number, content in core.sections:
        part = Reader(content)
        if number == TYPE:
            _types(part, core)
        elif number == IMPORT:
            core.imports = [_import(part, core) for _ in range(part.number())]
        elif number == FUNCTION:
            core._functions = [part.number() for _ in range(part.number())]
        elif number == MEMORY:
            core.memories = part.number()
        elif number == GLOBAL:
            core.globals = [_global(part) for _ in range(part.number())]
        elif number == EXPORT:
            core.exports = [(part.name(), part.byte(), part.number()) for _ in range(part.number())]
    return core


def write(sections: Iterable[tuple[int, bytes]]) -> bytes:
    """The module of these sections."""
    return CORE + b"".join(bytes([number]) + unsigned(len(content)) + content for number, content in sections)


def unsigned(value: int) -> bytes:
    """A number as LEB128."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def signed(value: int) -> bytes:
    """A number with a sign as LEB128."""
    encoded = bytearray()
    while not -0x40 <= value < 0x40:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value & 0x7F])


def _types(part: Reader, core: Core) -> None:
    """The type section: types, and groups of them."""
    for _ in range(part.number()):
        if part.data[part.at : part.at + 1] == b"\x4e":
            part.byte()
            for _ in range(part.number()):
                _type(part, core)
        else:
            _type(part, core)


def _type(part: Reader, core: Core) -> None:
    """One type."""
    kind = part.byte()
    if kind in (0x4F, 0x50):
        for _ in range(part.number()):
            part.number()
        kind = part.byte()
    if kind == 0x60:
        parameters = tuple(part.value_type() for _ in range(part.number()))
        core._types.append(Signature(parameters, tuple(part.value_type() for _ in range(part.number()))))
        return
    if kind == 0x5F:
        for _ in range(part.number()):
            part.storage_type()
    elif kind == 0x5E:
        part.storage_type()
    else:
        raise Malformed(f"type {kind:#x} is not known")
    core._types.append(None)


def _import(part: Reader, core: Core) -> Import:
    module, name, kind = part.name(), part.name(), part.byte()
    signature = None
    if kind == FUNCTION_KIND:
        index = part.number()
        if index >= len(core._types):
            raise Malformed(f"the import {module}.{name} has a type that is not there")
        signature = core._types[index]
    elif kind == TABLE_KIND:
        part.value_type()
        part.limits()
    elif kind == MEMORY_KIND:
        part.limits()
    elif kind == GLOBAL_KIND:
        part.value_type()
        part.byte()
    elif kind == TAG_KIND:
        part.byte()
        part.number()
    else:
        raise Malformed(f"the import {module}.{name} is of kind {kind}, which is not known")
    return Import(module, name, kind, signature)


def _global(part: Reader) -> Global:
    return Global(part.value_type(), part.byte() == 1, part.expression())


def _type_name(kind: int) -> str:
    return _NAMES.get(kind, "ref")

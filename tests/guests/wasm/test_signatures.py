"""What is not a guest is refused before it is compiled, in words that its writer can act on."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import wasmtime
from wat import ABI, ECHO, ran

from flux.runtime.guests.wasm import signatures
from flux.runtime.guests.wasm.binary import CORE, TYPE, unsigned
from flux.runtime.guests.wasm.folder import KEYS
from flux.runtime.guests.wasm.signatures import BadModule

MEMORY = 64 * 1024**2
WHOLE = f'{ABI.replace("{imports}", "")}(func (export "flux_handle") (param i32 i32) (result i64) (i64.const 0))'

#: What is changed in a whole guest, and what is said then.
CHANGES = {
    "no memory": ('(export "memory")', '(export "mem")', "it does not export its memory"),
    "memory is a function": (
        '(memory (export "memory") 1)',
        '(memory 1) (func (export "memory"))',
        "it does not export its memory",
    ),
    "no flux_handle": ('"flux_handle"', '"handle"', "it does not export the function flux_handle"),
    "no flux_alloc": ('"flux_alloc"', '"alloc"', "it does not export the function flux_alloc"),
    "32-bit reply": (
        "(param i32 i32) (result i64) (i64.const 0)",
        "(param i32 i32) (result i32) (i32.const 0)",
        "its export flux_handle is (i32, i32) -> (i32), not (i32, i32) -> (i64)",
    ),
    "unknown import": ('"flux" "call"', '"env" "abort"', "it imports env.abort, which is not there"),
    "wrong import": (
        "(func $call (param i32 i32) (result i64))",
        "(func $call (param i64) (result i64))",
        "its import flux.call is (i64) -> (i64), not (i32, i32) -> (i64)",
    ),
    "unknown WASI": (
        '"flux" "call"',
        '"wasi_snapshot_preview1" "sock_open"',
        "it imports wasi_snapshot_preview1.sock_open",
    ),
    "imported memory": (
        '(import "flux" "call" (func $call (param i32 i32) (result i64)))',
        '(import "env" "table" (table 1 funcref))',
        "it imports env.table",
    ),
    "much memory": ('"memory") 1', '"memory") 2000', "it begins with 128000 KiB of memory, and may have 65536"),
}


def wat(old: str, new: str) -> bytes:
    """A whole guest with one change."""
    assert old in WHOLE
    return bytes(wasmtime.wat2wasm(f"(module {WHOLE.replace(old, new)})"))


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_a_guest_is_refused(change: str) -> None:
    """A call of another type than it has would read what lies there."""
    old, new, message = CHANGES[change]

    with pytest.raises(BadModule, match=re.escape(message)) as refused:
        signatures.check(wat(old, new), MEMORY)

    assert refused.value.hint.endswith(".")


def test_a_whole_guest_is_not_refused() -> None:
    """Also with all that WASI has."""
    signatures.check(wat("", ""), MEMORY)
    signatures.check(ECHO, MEMORY)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF", "ä".encode()])
def test_what_is_not_wasm_is_refused(data: bytes) -> None:
    """A wrong path in flux.toml is the first mistake."""
    with pytest.raises(BadModule, match="it is not WebAssembly"):
        signatures.check(data, MEMORY)


@pytest.mark.parametrize("size", range(8, len(ECHO), 7))
def test_half_a_module_is_refused(size: int) -> None:
    """A build that was interrupted leaves one; it must be an error, and not a crash."""
    with pytest.raises(BadModule):
        signatures.check(ECHO[:size], MEMORY)


def test_a_damaged_module_is_refused_or_left_to_the_compiler() -> None:
    """Any other exception would take the whole project down with it."""
    chance = random.Random(1)
    refused = set()

    for _ in range(4_000):
        damaged = bytearray(ECHO)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
        try:
            signatures.check(bytes(damaged), MEMORY)
        except BadModule as error:
            refused.add(error.message.partition(":")[0])

    assert "it is not a whole WebAssembly module" in refused


def test_groups_of_types_inside_each_other_are_refused() -> None:
    """There are none; one that is five thousand deep would be a recursion of Python's."""
    section = b"\1" + b"\x4e\1" * 5_000

    with pytest.raises(BadModule, match="type 0x4e is not known"):
        signatures.check(CORE + bytes([TYPE]) + unsigned(len(section)) + section, MEMORY)


@pytest.mark.parametrize(
    "constant",
    [
        "v128 (v128.const i32x4 1 2 3 11)",
        "i31ref (ref.i31 (i32.const 11))",
        "funcref (ref.null func)",
        "f64 (f64.const 11)",
    ],
)
def test_globals_of_every_type_are_read(constant: str) -> None:
    """What compiles must not be refused; 11 is the byte that ends a constant."""
    signatures.check(wat('(memory (export "memory") 1)', f'(memory (export "memory") 1) (global {constant})'), MEMORY)


def test_a_module_of_another_version_is_refused() -> None:
    """The format may change under the same name."""
    with pytest.raises(BadModule, match="does not begin as"):
        signatures.check(b"\0asm\x02\0\0\0", MEMORY)


def test_the_guest_of_the_documentation_is_one() -> None:
    """What is copied from the page must work."""
    page = (Path(__file__).parents[3] / "docs" / "guests" / "abi.md").read_text()
    (wat_of_page,) = re.findall(r"```wat\n(.*?)```", page, re.DOTALL)
    wasm = bytes(wasmtime.wat2wasm(wat_of_page))

    signatures.check(wasm, MEMORY)

    assert ran(wasm, b'{"op":"now"}', answer=lambda request: b'{"ok":%b}' % request).reply == b'{"ok":{"op":"now"}}'


def test_every_key_of_a_functions_folder_is_documented() -> None:
    """A setting that nobody knows of is not there."""
    page = (Path(__file__).parents[3] / "docs" / "guests" / "abi.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) >= set(KEYS)

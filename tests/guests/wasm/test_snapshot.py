"""A snapshot is what the module is after its start; what cannot be kept is refused."""

from __future__ import annotations

import pytest
import wasmtime
from wat import answering, guest, ran

from flux.runtime.guests.wasm import binary
from flux.runtime.guests.wasm.initialized import SourceError, initialized
from flux.runtime.guests.wasm.run import Limits
from flux.runtime.guests.wasm.signatures import BadModule

REPLY, DATA = answering('{"ok":"............"}', at=2048)

#: Counts in memory and in globals of each type when it is initialized, and gives what it counted.
COUNTS = guest(
    "(i64.store8 (i32.const 2055) (i64.add (i64.const 48) (i64.load (i32.const 70000))))"
    "(i32.store8 (i32.const 2056) (i32.add (i32.const 48) (global.get $i)))"
    "(i64.store8 (i32.const 2057) (i64.add (i64.const 48) (global.get $l)))"
    "(i32.store8 (i32.const 2058) (i32.add (i32.const 48) (i32.trunc_f32_s (global.get $f))))"
    "(i32.store8 (i32.const 2059) (i32.add (i32.const 48) (i32.trunc_f64_s (global.get $d))))"
    "(i32.store8 (i32.const 2060) (i32.add (i32.const 48) (memory.size)))" + REPLY,
    f"""(global $i (mut i32) (i32.const 0)) (global $l (mut i64) (i64.const 0))
    (global $f (mut f32) (f32.const 0)) (global $d (mut f64) (f64.const 0)) (global i32 (i32.const 7)) {DATA}
    (func (export "_initialize")
      (drop (memory.grow (i32.const 2)))
      (i64.store (i32.const 70000) (i64.add (i64.load (i32.const 70000)) (i64.const 1)))
      (global.set $i (i32.sub (i32.add (global.get $i) (i32.const 2)) (i32.const 0)))
      (global.set $l (i64.add (global.get $l) (i64.const 3)))
      (global.set $f (f32.add (global.get $f) (f32.const 4)))
      (global.set $d (f64.add (global.get $d) (f64.const 5))))""",
)

#: Loads a source of one character, and answers with it.
INTERPRETS = guest(
    REPLY,
    DATA
    + answering('{"ok":null}', at=3000)[1]
    + answering('{"error":{"message":"no","line":7}}', at=3100)[1]
    + """
    (func (export "flux_init") (result i32) (i32.const 0))
    (func (export "flux_load") (param $at i32) (param $size i32) (result i64)
      (i32.store8 (i32.const 2055) (i32.load8_u (local.get $at)))
      (if (result i64) (i32.eq (i32.load8_u (local.get $at)) (i32.const 33))
        (then (i64.const 0xc1c00000023)) (else (i64.const 0xbb80000000b))))""",
)


def test_a_snapshot_answers_as_the_module_does_after_its_start() -> None:
    """Memory, its size, and globals of every type."""
    kept = initialized(COUNTS, Limits())

    assert ran(COUNTS).reply == ran(kept).reply == b'{"ok":"123453......"}'
    assert ran(kept, driver="public").reply == ran(kept).reply
    assert b"_initialize" not in kept


def test_a_snapshot_of_a_snapshot_is_itself() -> None:
    """A build that is run twice must not start twice."""
    kept = initialized(COUNTS, Limits())

    assert ran(initialized(kept, Limits())).reply == ran(kept).reply


def test_the_same_module_gives_the_same_snapshot() -> None:
    """Its hash names the code that ran, and its machine code is kept under it."""
    draws = guest(
        REPLY,
        DATA + '(func (export "_initialize") (drop (call $random_get (i32.const 4096) (i32.const 64))))',
        wasi=["random_get"],
    )

    assert initialized(draws, Limits()) == initialized(draws, Limits())


def test_requests_on_a_snapshot_do_not_see_each_other() -> None:
    """A warm instance would leak what one left to the next."""
    kept = initialized(
        guest(
            "(i32.store8 (i32.const 2055) (i32.add (i32.const 1) (i32.load8_u (i32.const 2055))))" + REPLY,
            DATA + '(func (export "_initialize") (i32.store8 (i32.const 2055) (i32.const 48)))',
        ),
        Limits(),
    )

    assert {ran(kept).reply for _ in range(3)} == {b'{"ok":"1..........."}'}


def test_an_interpreter_starts_with_its_source() -> None:
    """Compiling it in each request would take most of it."""
    kept = initialized(INTERPRETS, Limits(), b"x")

    assert ran(kept).reply == b'{"ok":"x..........."}'
    assert b"flux_load" not in kept


def test_a_source_that_the_interpreter_refuses_is_named_by_its_line() -> None:
    """A syntax error belongs to the build."""
    with pytest.raises(SourceError, match="no") as refused:
        initialized(INTERPRETS, Limits(), b"!")

    assert refused.value.line == 7


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (guest("(i64.const 0)", '(data $p "passive")'), "passive data segments"),
        (guest("(i64.const 0)", "(global (mut funcref) (ref.null func))"), "references in globals"),
        (guest("(i64.const 0)", "(memory 1)"), "not one memory of its own"),
        (guest("(i64.const 0)", '(func (export "_initialize") unreachable)'), "it ended while it was initialized"),
        (
            guest(
                "(i64.const 0)",
                '(func (export "_initialize") (drop (call $call (i32.const 0) (i32.const 2))) unreachable)',
            ),
            "it ended while it was initialized",
        ),
        (bytes(wasmtime.wat2wasm("(module)")), "does not export its memory"),
    ],
)
def test_what_cannot_be_kept_is_refused(wasm: bytes, reason: str) -> None:
    """A snapshot that is not whole would fail in production only."""
    with pytest.raises(BadModule, match=reason):
        initialized(wasm, Limits())


TABLE = "(table $t 2 10 funcref) (elem (i32.const 1) $one) (func $one) (func $two)"


@pytest.mark.parametrize(
    "changes",
    [
        "(table.set $t (i32.const 0) (ref.func $one))",
        "(table.set $t (i32.const 1) (ref.func $two))",
        "(drop (table.grow $t (ref.null func) (i32.const 1)))",
    ],
)
@pytest.mark.parametrize("entry", ['(func (export "_initialize") {})', "(func $s {}) (start $s)"])
def test_a_table_that_changes_is_refused(changes: str, entry: str) -> None:
    """The snapshot would have the table of before, and call another function than it was told."""
    wasm = guest("(i64.const 0)", f"{TABLE} (elem declare func $one $two) {entry.format(changes)}")

    with pytest.raises(BadModule, match="its tables change while it is initialized"):
        initialized(wasm, Limits())


def test_tables_that_stay_are_kept() -> None:
    """Most modules have one; what a start function does is kept like what _initialize does."""
    text = answering('{"ok":"."}', at=2048)
    wasm = guest(
        "(call_indirect $t (i32.const 1)) " + text[0],
        "(table $t 2 10 funcref) (elem (i32.const 1) $one) (func $one (i32.store8 (i32.const 2055) (global.get $g)))"
        f"(global $g (mut i32) (i32.const 48)) {text[1]} (func $s (global.set $g (i32.const 55))) (start $s)",
    )

    assert ran(initialized(wasm, Limits())).reply == ran(wasm).reply == b'{"ok":"7"}'


def test_what_is_no_interpreter_loads_no_source() -> None:
    """Named by the export that it lacks."""
    with pytest.raises(BadModule, match="flux_init"):
        initialized(COUNTS, Limits(), b"x")


@pytest.mark.parametrize("number", [0, 1, -1, 63, 64, -64, -65, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)])
def test_numbers_are_written_as_they_are_read(number: int) -> None:
    """A memory that begins a byte off is another memory."""
    wat = f"(module (global i64 (i64.const {number})))"

    (found,) = binary.read(bytes(wasmtime.wat2wasm(wat))).globals

    assert found.initial == b"\x42" + binary.signed(number) + b"\x0b"

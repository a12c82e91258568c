"""How a guest ends that does not answer: each way has a name of its own in the record."""

from __future__ import annotations

import re
from typing import Any

import wasmtime

#: Frames of a guest's stack that are told.
MOST_FRAMES = 20

_KINDS = {
    wasmtime.TrapCode.STACK_OVERFLOW: ("StackOverflow", "it called itself too deeply"),
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: ("OutOfBounds", "it used an address outside of its memory"),
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: ("OutOfBounds", "it called a function outside of its table"),
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: ("DivisionByZero", "it divided by zero"),
    wasmtime.TrapCode.INTEGER_OVERFLOW: ("IntegerOverflow", "an integer division went over"),
    wasmtime.TrapCode.BAD_CONVERSION_TO_INTEGER: ("BadConversion", "it made an integer of what is none"),
    wasmtime.TrapCode.INDIRECT_CALL_TO_NULL: ("BadCall", "it called a function that is not there"),
    wasmtime.TrapCode.BAD_SIGNATURE: ("BadCall", "it called a function by another type than it has"),
    wasmtime.TrapCode.UNREACHABLE: ("Unreachable", "it stopped itself (unreachable)"),
}

_WORDS = {
    "wasm trap: interrupt": wasmtime.TrapCode.INTERRUPT,
    "wasm trap: call stack exhausted": wasmtime.TrapCode.STACK_OVERFLOW,
    "wasm trap: wasm `unreachable` instruction executed": wasmtime.TrapCode.UNREACHABLE,
    "wasm trap: out of bounds memory access": wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS,
    "wasm trap: integer divide by zero": wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO,
}
_FRAME = re.compile(r"^\s*\d+:\s+0x[0-9a-f]+ - (.+)$", re.MULTILINE)


class Ended(Exception):
    """A guest ended without an answer. `type` names the way, `stack` are its frames as text."""

    def __init__(self, type_name: str, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.type, self.message, self.stack = type_name, message, stack


class Exit(Exception):
    """The guest called proc_exit."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it exited with status {status}")
        self.status = status


class OutOfTime(Ended):
    """A guest was stopped at an epoch: whose time it was, the request's or its own, its run knows."""


def trap_of(error: wasmtime.WasmtimeError | wasmtime.Trap) -> Ended:
    """What wasmtime says as a Ended. A component's traps are told in words only."""
    text = str(error).strip()
    if isinstance(error, wasmtime.Trap):
        code, stack = error.trap_code, _stack(error)
    else:
        code = next((code for words, code in _WORDS.items() if words in text), None)
        stack = "\n".join(f"at {name}" for name in _FRAME.findall(text)[:MOST_FRAMES])
    if code is wasmtime.TrapCode.INTERRUPT:
        return OutOfTime("Timeout", "it computed for too long", stack)
    if code in _KINDS:
        return Ended(*_KINDS[code], stack)
    if "concurrent limit" in text:
        return Ended("TooManyInstances", _last_line(text), stack)
    if "thrown Wasm exception" in text:
        return Ended("Uncaught", "it threw an exception that nothing caught", stack)
    if "exceeds memory limit" in text or "GC heap out of memory" in text:
        return Ended("MemoryLimit", _last_line(text), stack)
    return Ended("Trap", _last_line(text) or "it ended without saying why", stack)


def _last_line(text: str) -> str:
    """What an error is, below what wasmtime was doing meanwhile."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("0: ").removeprefix("wasm trap: ") if lines else ""


def _stack(error: wasmtime.Trap) -> str:
    frames: list[Any] = list(error.frames)[:MOST_FRAMES]
    return "\n".join(
        f"at {frame.func_name or f'function {frame.func_index}'} (+{frame.module_offset:#x})" for frame in frames
    )

"""WASI preview 1 as guests meet it: a clock, chance, two streams that are logs, and nothing else.

Wasmtime's own would read the machine's clock and chance past the record. Here clock and chance are drawn through the
request's tape, once the guest asks for them, so that a replay gives them back. Between two calls of the host the clock
advances by a microsecond for each look at it, so that guests whose runtimes look often fill no tape. Sleeping takes its
time, but none in a replay. Of files there are none, and each function says so by its usual error.

Numbers of errors and layouts are those of the WASI snapshot preview 1 (wasi_snapshot_preview1.witx).
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from flux.runtime.guests.wasm.memory import Memory, OutOfBounds
from flux.runtime.guests.wasm.traps import Ended, Exit

MODULE = "wasi_snapshot_preview1"

OK, BAD_FILE, FAULT, INVALID, NO_ENTRY, NOT_SUPPORTED, SPIPE, NOT_CAPABLE = 0, 8, 21, 28, 44, 58, 70, 76

#: Bytes of output that become log lines; what is more is counted.
MOST_OUTPUT = 64 * 1024

#: Bytes that one call may write or draw of chance: the host does that, and nothing could interrupt it.
MOST_AT_ONCE = 1024**2

#: Of a line of output.
MOST_LINE = 8 * 1024

#: Bytes of stderr that are told with an exit.
TAIL = 2_000

_STREAMS = {1: "info", 2: "error"}
_MICROSECOND = 1_000


class Tape(Protocol):
    """Where time and chance come from."""

    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""

    def seed(self) -> bytes:
        """32 bytes of chance."""

    @property
    def is_replay(self) -> bool:
        """Whether sleeping takes no time."""


class System:
    """What one invocation knows of the world. `log(level, line)` gets its output."""

    __slots__ = (
        "_counter",
        "_last",
        "_left_out",
        "_lines",
        "_log",
        "_mono",
        "_seed",
        "_stale",
        "_tape",
        "_written",
        "slept",
        "tail",
    )

    def __init__(self, tape: Tape, log: Callable[[str, str], None]) -> None:
        self._tape, self._log = tape, log
        self._last, self._mono, self._stale = 0, 0, True
        self._seed: bytes | None = None
        self._counter = 0
        self._lines: dict[int, bytearray] = {}
        self.tail = b""
        self.slept = 0.0
        self._written = self._left_out = 0

    def host_was_called(self) -> None:
        """Time went by; the next look at the clock is a real one."""
        self._stale = True

    def time_ns(self) -> int:
        """Nanoseconds since the epoch; never less than before."""
        if self._stale:
            told = self._tape.time_ns()
            if not self._mono:
                self._mono = told - 1_000_000_000
            self._last, self._stale = max(told, self._last + _MICROSECOND), False
        else:
            self._last += _MICROSECOND
        return self._last

    def monotonic_ns(self) -> int:
        """Nanoseconds since one second before the first look."""
        return self.time_ns() - self._mono

    def sleep_until(self, moment_ns: int) -> None:
        """Wait until this moment of time_ns, or only say so in a replay."""
        now = self.time_ns()
        if moment_ns > now:
            if not self._tape.is_replay:
                seconds = (moment_ns - now) / 1_000_000_000
                time.sleep(seconds)
                self.slept += seconds
            self._last = moment_ns

    def chance(self, size: int) -> bytes:
        """Bytes of a generator that is seeded from the tape (SHA-256 of seed and counter); raises Ended."""
        if size > MOST_AT_ONCE:
            raise Ended("OutputLimit", f"it asked for {size} bytes of chance at once, and may for {MOST_AT_ONCE}")
        if self._seed is None:
            self._seed = self._tape.seed()
        made = bytearray()
        while len(made) < size:
            made += hashlib.sha256(self._seed + struct.pack("<Q", self._counter)).digest()
            self._counter += 1
        return bytes(made[:size])

    def write(self, stream: int, data: bytes) -> None:
        """Output; whole lines become log lines at once."""
        if stream == 2:
            self.tail = (self.tail + data)[-TAIL:]
        kept = data[: max(0, MOST_OUTPUT - self._written)]
        self._written += len(kept)
        self._left_out += len(data) - len(kept)
        if not kept:
            return
        pending = self._lines.setdefault(stream, bytearray())
        pending += kept
        while (end := pending.find(b"\n")) >= 0 or len(pending) > MOST_LINE:
            end = end if 0 <= end <= MOST_LINE else MOST_LINE
            self._say(stream, bytes(pending[:end]))
            del pending[: end + (pending[end : end + 1] == b"\n")]

    def leave_out(self, stream: int, size: int, tail: bytes) -> None:
        """So much more output that nobody kept, and its last bytes."""
        self._left_out += size
        if stream == 2:
            self.tail = (self.tail + tail)[-TAIL:]

    def finish(self) -> None:
        """Lines that did not end become log lines too, and what was left out is named."""
        for stream, pending in self._lines.items():
            if pending:
                self._say(stream, bytes(pending))
                pending.clear()
        if self._left_out:
            self._log("warning", f"{self._left_out} more bytes of output are not recorded")
            self._left_out = 0

    def _say(self, stream: int, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").rstrip("\r"):
            self._log(_STREAMS[stream], text)


#: What a function does with memory, system and its arguments, unsigned; gives the number of an error.
Function = Callable[..., int]

#: Each function by name: types of its arguments, `i` for 32 bits and `I` for 64, and what it does.
FUNCTIONS: dict[str, tuple[str, Function]] = {}


def _function(name: str, types: str) -> Callable[[Function], Function]:
    def enter(function: Function) -> Function:
        FUNCTIONS[name] = (types, function)
        return function

    return enter


@_function("clock_time_get", "iIi")
def _clock_time_get(memory: Memory, system: System, clock: int, precision: int, at: int) -> int:
    if clock > 3:
        return INVALID
    memory.put_long(at, system.time_ns() if clock == 0 else system.monotonic_ns())
    return OK


@_function("clock_res_get", "ii")
def _clock_res_get(memory: Memory, system: System, clock: int, at: int) -> int:
    if clock > 3:
        return INVALID
    memory.put_long(at, _MICROSECOND)
    return OK


@_function("random_get", "ii")
def _random_get(memory: Memory, system: System, at: int, size: int) -> int:
    if at + size > memory.size:
        return FAULT
    memory.write(at, system.chance(size))
    return OK


@_function("fd_write", "iiii")
def _fd_write(memory: Memory, system: System, stream: int, vectors: int, count: int, at: int) -> int:
    if stream not in _STREAMS:
        return BAD_FILE
    if count > 1024:
        return INVALID
    written = 0
    for vector in range(vectors, vectors + 8 * count, 8):
        size = memory.word(vector + 4)
        data = memory.read(memory.word(vector), min(size, MOST_AT_ONCE - written))
        system.write(stream, data)
        written += len(data)
        if len(data) < size:  # the guest calls again for the rest
            break
    memory.put_word(at, written)
    return OK


@_function("fd_read", "iiii")
def _fd_read(memory: Memory, system: System, stream: int, vectors: int, count: int, at: int) -> int:
    if stream != 0:
        return BAD_FILE
    memory.put_word(at, 0)
    return OK


@_function("fd_fdstat_get", "ii")
def _fd_fdstat_get(memory: Memory, system: System, stream: int, at: int) -> int:
    if stream > 2:
        return BAD_FILE
    memory.write(at, struct.pack("<BxHxxxxQQ", 2, 0, 0x1FFFFFFF, 0))  # a character device
    return OK


@_function("poll_oneoff", "iiii")
def _poll_oneoff(memory: Memory, system: System, subscriptions: int, events: int, count: int, at: int) -> int:
    """The earliest clock of 48-byte subscriptions fires; to read or write is never waited for."""
    clocks = []
    now = system.time_ns()
    monotonic = system.monotonic_ns() - now
    for subscription in range(subscriptions, subscriptions + 48 * min(count, 1024), 48):
        user, kind, clock, moment, _, flags = struct.unpack("<QBxxxxxxxIxxxxQQH", memory.read(subscription, 42))
        if kind == 0:
            absolute = moment - (monotonic if clock else 0) if flags & 1 else now + moment
            clocks.append((absolute, user))
    if not clocks:
        return NOT_SUPPORTED
    moment, user = min(clocks)
    system.sleep_until(moment)
    memory.write(events, struct.pack("<QHBxxxxxQHxxxxxx", user, 0, 0, 0, 0))
    memory.put_word(at, 1)
    return OK


@_function("proc_exit", "i")
def _proc_exit(memory: Memory, system: System, status: int) -> int:
    raise Exit(status)


@_function("args_sizes_get", "ii")
@_function("environ_sizes_get", "ii")
def _sizes_get(memory: Memory, system: System, count: int, size: int) -> int:
    """There are neither arguments nor an environment."""
    memory.put_word(count, 0)
    memory.put_word(size, 0)
    return OK


def _always(error: int) -> Function:
    return lambda memory, system, *arguments: error


#: What needs files, sockets or processes, and with which error it says so.
_ABSENT: Sequence[tuple[int, str]] = (
    (OK, "args_get:ii environ_get:ii sched_yield: fd_close:i fd_advise:iIIi fd_datasync:i fd_sync:i"),
    (OK, "fd_fdstat_set_flags:ii fd_fdstat_set_rights:iII"),
    (SPIPE, "fd_seek:iIii fd_tell:ii"),
    (BAD_FILE, "fd_prestat_get:ii fd_prestat_dir_name:iii fd_filestat_get:ii fd_filestat_set_size:iI"),
    (BAD_FILE, "fd_filestat_set_times:iIIi fd_pread:iiiIi fd_pwrite:iiiIi fd_readdir:iiiIi fd_renumber:ii"),
    (NO_ENTRY, "path_filestat_get:iiiii path_open:iiiiiIIii path_readlink:iiiiii"),
    (NOT_CAPABLE, "path_create_directory:iii path_filestat_set_times:iiiiIIi path_link:iiiiiii"),
    (NOT_CAPABLE, "path_remove_directory:iii path_rename:iiiiii path_symlink:iiiii path_unlink_file:iii"),
    (NOT_SUPPORTED, "fd_allocate:iII proc_raise:i sock_accept:iii sock_recv:iiiiii sock_send:iiiii sock_shutdown:ii"),
)

for _error, _names in _ABSENT:
    for _name, _, _types in (_entry.partition(":") for _entry in _names.split()):
        FUNCTIONS[_name] = (_types, _always(_error))


def call(function: Function, memory: Memory, system: System, arguments: Sequence[int]) -> int:
    """Call a function as a guest does; raises Exit, and what time.sleep and the tape raise."""
    try:
        return function(memory, system, *arguments)
    except OutOfBounds:
        return FAULT

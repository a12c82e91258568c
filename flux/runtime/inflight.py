"""What a process is doing right now, in a file mapped into memory, so that its death loses no record.

One file a process. Its slots hold the requests that run; its ring holds records that are finished but not yet written
to Postgres. The kernel keeps what was stored in a mapped file when the process is killed, and gives up the lock on it:
a file that can be locked belongs to a process that is gone, whatever its pid means by now. Nothing here is synced: a
machine that loses power loses the requests it was running.

A payload becomes valid by one aligned 8-byte store that comes after it (an item of a `memoryview` of 64-bit words), so
that a kill between any two instructions leaves the old state or the new one. Disk blocks are taken at the start: a
mapped page without a block would be a SIGBUS on a full disk. Reading is in flux.runtime.leftovers.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from flux.context import RequestContext
from flux.engine.server import prepare_state
from flux.errors import CannotWrite

SUFFIX = ".inflight"

MAGIC = 0x31584C46  # "FLX1"
WORD = 8

# The file begins with these words, and after them one for each slot: the bytes used in it, 0 for a free one.
MAGIC_AT, SLOTS_AT, HEAD_AT, TAIL_AT, USED_AT = range(5)

#: Room in a slot. A larger payload goes behind the mapped part, at LARGE_BYTES a slot; a larger one still is cut.
SLOT_BYTES = 16 * 1024
LARGE_BYTES = 2 * 1024**2

#: Room for finished records that wait for the background writer.
RING_BYTES = 4 * 1024**2

#: An entry of the ring begins with its state, the bytes of its request and the bytes of its spans.
ENTRY = struct.Struct("3Q8x")
ENTRY_BYTES = ENTRY.size
WAITING, SKIP = 1, 2

#: What claim() returns when every slot is taken.
NO_SLOT = -1


def inflight_folder(state: Path) -> Path:
    """Where a project's tables are: below its state folder or, where that cannot be written, the temporary folder.

    Raises CannotWrite.
    """
    folder = state / "inflight"
    with suppress(OSError, CannotWrite):
        prepare_state(state)
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    name = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"flux-{os.getuid()}-{name}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
            raise CannotWrite(f"{folder} belongs to another user")
    except OSError as error:
        raise CannotWrite(f"cannot write {folder}: {error.strerror}") from error
    return folder


def round_up(size: int, multiple: int) -> int:
    """The smallest multiple that is not less than size."""
    return -(-size // multiple) * multiple


def slots_start(slots: int) -> int:
    """Where the first slot is, in bytes from the start of the file."""
    return round_up((USED_AT + slots) * WORD, mmap.PAGESIZE)


def next_entry(position: int, state: int, size: int) -> int:
    """Where the entry after this one is. Positions only grow; modulo RING_BYTES they are places in the ring."""
    if state == SKIP:
        return position + RING_BYTES - position % RING_BYTES
    return position + ENTRY_BYTES + round_up(size, ENTRY_BYTES)


class InflightTable:
    """The table of this process, made after the fork. `slots` requests may run at once; further ones are not held.

    Raises CannotWrite.
    """

    def __init__(self, folder: Path, *, slots: int = 64) -> None:
        self._slots = slots
        self._slots_start = slots_start(slots)
        self._ring_start = self._slots_start + slots * SLOT_BYTES
        self._size = self._ring_start + RING_BYTES
        self._free = list(range(slots))
        self._lock = threading.Lock()
        self._large: set[int] = set()
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.path = folder / f"{name}{SUFFIX}"
        try:
            self._create(folder / f"{name}.new")
        except OSError as error:
            raise CannotWrite(f"cannot write {folder}: {error.strerror}") from error

    def _create(self, draft: Path) -> None:
        """Make the file under a name that nobody looks for, until it is locked and whole."""
        self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file, 0, self._size)
            else:
                os.write(self._file, bytes(self._size))
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._map = mmap.mmap(self._file, self._size)
            self._words = memoryview(self._map)[: self._slots_start].cast("Q")
            self._words[SLOTS_AT] = self._slots
            self._words[MAGIC_AT] = MAGIC
            draft.rename(self.path)
        except OSError:
            draft.unlink(missing_ok=True)
            os.close(self._file)
            raise

    def claim(self, context: RequestContext, function: str | None, input_json: bytes | orjson.Fragment | None) -> int:
        """Note that a request begins, with its redacted input; returns its slot, NO_SLOT when there is none."""
        try:
            slot = self._free.pop()
        except IndexError:
            return NO_SLOT
        payload = _describe(context, function, input_json)
        if len(payload) > SLOT_BYTES and not self._put_large(slot, payload):
            payload = _describe_shortly(context, function)
        if len(payload) <= SLOT_BYTES:
            start = self._slots_start + slot * SLOT_BYTES
            self._map[start : start + len(payload)] = payload
        self._words[USED_AT + slot] = len(payload)
        return slot

    def release(self, slot: int) -> None:
        """Note that the request has ended and its record is safe: committed, or kept in the ring."""
        if slot == NO_SLOT:
            return
        self._words[USED_AT + slot] = 0
        if slot in self._large:
            self._drop_large(slot)
        self._free.append(slot)

    def keep(self, request: bytes, spans: bytes) -> bool:
        """Hold a finished record until flushed() is called for it; False when there is no room."""
        size = ENTRY_BYTES + round_up(len(request) + len(spans), ENTRY_BYTES)
        words = self._words
        with self._lock:
            head, tail = words[HEAD_AT], words[TAIL_AT]
            left = RING_BYTES - head % RING_BYTES
            skipped = left if size > left else 0
            if head + skipped + size - tail > RING_BYTES:
                return False
            if skipped:
                ENTRY.pack_into(self._map, self._ring_start + head % RING_BYTES, SKIP, 0, 0)
                head += skipped
            entry = self._ring_start + head % RING_BYTES
            middle = entry + ENTRY_BYTES + len(request)
            self._map[entry + ENTRY_BYTES : middle] = request
            self._map[middle : middle + len(spans)] = spans
            ENTRY.pack_into(self._map, entry, WAITING, len(request), len(spans))
            words[HEAD_AT] = head + size
        return True

    def flushed(self, count: int = 1) -> None:
        """Let go of the oldest kept records: they are in Postgres."""
        words = self._words
        with self._lock:
            head, tail = words[HEAD_AT], words[TAIL_AT]
            while tail < head and count:
                state, request, spans = ENTRY.unpack_from(self._map, self._ring_start + tail % RING_BYTES)
                tail = next_entry(tail, state, request + spans)
                count -= state == WAITING
            words[TAIL_AT] = tail
            if tail == head:  # begin again at the start, whose pages are warm
                words[HEAD_AT] = words[TAIL_AT] = round_up(head, RING_BYTES)

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return self._slots - len(self._free)

    def close(self) -> None:
        """Give the file up; it stays for the next process when anything in it is not in Postgres."""
        empty = self._words[HEAD_AT] == self._words[TAIL_AT] and not self.running
        self._words.release()
        self._map.close()
        if empty:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    # Payloads larger than a slot

    def _put_large(self, slot: int, payload: bytes) -> bool:
        if len(payload) > LARGE_BYTES:
            return False
        with self._lock:
            self._large.add(slot)
            try:
                return os.pwrite(self._file, payload, self._size + slot * LARGE_BYTES) == len(payload)
            except OSError:
                return False

    def _drop_large(self, slot: int) -> None:
        with self._lock:
            self._large.discard(slot)
            if not self._large:
                os.ftruncate(self._file, self._size)


def _describe(context: RequestContext, function: str | None, input_json: bytes | orjson.Fragment | None) -> bytes:
    """The row of flux.trace_requests as far as it is known when a request begins."""
    row = _row(context, function)
    row["input"] = orjson.Fragment(input_json) if isinstance(input_json, bytes) else input_json
    row["query"] = context.query
    row["headers"] = context.headers
    row["claims"] = context.claims
    return orjson.dumps(row, _plain)


def _describe_shortly(context: RequestContext, function: str | None) -> bytes:
    """The same without what may be large."""
    row = _row(context, function)
    for name, value in row.items():
        if isinstance(value, str):
            row[name] = value[:1000]
    return orjson.dumps(row, _plain)


def _row(context: RequestContext, function: str | None) -> dict[str, Any]:
    return {
        "request_id": context.request_id,
        "kind": context.kind,
        "started_ns": context.started_ns,
        "function": function,
        "method": context.method,
        "path": context.path,
        "route": context.route,
        "caller_request_id": context.caller_request_id,
        "trace_id": context.trace_id,
        "actor": context.actor,
        "code_sha": context.code_sha,
        "parent_request_id": context.parent_request_id,
        "parent_span_id": context.parent_span_id,
        "replay_of": context.replay_of,
        "attempt": context.job.attempt if context.job else 1,
        "job_id": context.job.job_id if context.job else None,
        "attributes": {"job": context.job.as_attribute()} if context.job else None,
    }


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else str(value)

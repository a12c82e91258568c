"""What dead processes left in their in-flight tables, made into records: requests that crashed, and finished ones.

Whoever can lock a table owns what is in it, so any number of processes may look at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from flux.engine.recording import Written
from flux.errors import Crashed
from flux.record import timestamp
from flux.runtime.inflight import (
    ENTRY,
    ENTRY_BYTES,
    LARGE_BYTES,
    MAGIC,
    RING_BYTES,
    SLOT_BYTES,
    SUFFIX,
    USED_AT,
    WAITING,
    WORD,
    next_entry,
    slots_start,
)

CRASHED = Crashed().message


@dataclass(slots=True)
class Leftovers:
    """What one dead process left, as records. Locked against other finders until discard() or leave() is called."""

    path: Path
    file: int
    records: list[Written] = field(default_factory=list)

    def discard(self) -> None:
        """Delete the table: all its records are in Postgres."""
        self.path.unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        """Leave the table for another try."""
        os.close(self.file)


def leftovers(folder: Path) -> list[Leftovers]:
    """The tables of processes that are gone, each locked from now on."""
    return [left for path in sorted(folder.glob(f"*{SUFFIX}")) if (left := _take(path)) is not None]


def _take(path: Path) -> Leftovers | None:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(file)
        left = Leftovers(path, file)
        if status.st_nlink == 0:  # another finder was done with it between open and lock
            os.close(file)
            return None
        if status.st_size > USED_AT * WORD:
            with mmap.mmap(file, 0, prot=mmap.PROT_READ) as content:
                left.records.extend(_records(content))
    except OSError:
        os.close(file)
        return None
    return left


def _records(content: mmap.mmap) -> Iterator[Written]:
    magic, slots, head, tail = struct.unpack_from("4Q", content)
    ring_start = slots_start(slots) + slots * SLOT_BYTES
    mapped = ring_start + RING_BYTES
    if magic != MAGIC or len(content) < mapped:
        return
    while tail < head:
        state, request, spans = ENTRY.unpack_from(content, ring_start + tail % RING_BYTES)
        if state == WAITING:
            start = ring_start + tail % RING_BYTES + ENTRY_BYTES
            middle = start + request
            yield Written(content[start:middle], content[middle : middle + spans])
        tail = next_entry(tail, state, request + spans)
    for slot, used in enumerate(struct.unpack_from(f"{slots}Q", content, USED_AT * WORD)):
        slot_start = slots_start(slots) + slot * SLOT_BYTES
        start = mapped + slot * LARGE_BYTES if used > SLOT_BYTES else slot_start
        with suppress(orjson.JSONDecodeError):
            yield from _crashed(content[start : start + used])


def _crashed(payload: bytes) -> Iterator[Written]:
    """The record of a request that was running, with the two steps it must have been in."""
    if not payload:
        return
    row = orjson.loads(payload)
    started_at = timestamp(row.pop("started_ns"))
    error = {"type": Crashed.__name__, "message": CRASHED, "code": Crashed.code}
    request = {
        **row,
        "started_at": started_at,
        "status": 500,
        "outcome": "crashed",
        "error_type": error["type"],
        "error_message": error["message"],
        "error_code": error["code"],
        "error_signature": hashlib.sha256(f"crashed|{row['function']}".encode()).hexdigest()[:12],
    }
    root = f"{row['method']} {row['route'] or row['path']}" if row["kind"] == "http" else row["kind"]
    spans: list[dict[str, Any]] = [
        {"span_id": 1, "parent_id": None, "kind": "gateway", "name": root},
        {"span_id": 2, "parent_id": 1, "kind": "function", "name": row["function"]},
    ]
    for span in spans:
        span.update({"started_at": started_at, "input": row.get("input"), "error": error})
    yield Written(orjson.dumps(request), orjson.dumps(spans))

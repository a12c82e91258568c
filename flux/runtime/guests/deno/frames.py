"""Frames between a worker and a Deno process: a little-endian header, then JSON.

To the isolate: u32 length of the rest, u8 type, u32 call. From it: the same, then u32 deliveries and u32 length of the
tape, which lies before the rest. `flux/sdk/typescript/host/frames.ts` is the other end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

INVOKE, REPLY, LOAD, PING = 1, 2, 3, 4
CALL, LOG, RESULT, ERROR, LOADED, PONG = 16, 17, 18, 19, 20, 21

#: Bytes of the largest frame that is sent.
MOST_BYTES = 32 * 1024**2

_TO = struct.Struct("<IBI")
_FROM = struct.Struct("<IBIII")

#: What the length in a header does not count: itself.
_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the isolate's. `deliveries` and `tape` (JSON, or empty) say how far its invocation has come."""

    type: int
    call: int
    deliveries: int
    tape: bytes
    text: bytes


def packed(kind: int, call: int, text: bytes) -> bytes:
    """A frame to the isolate."""
    return _TO.pack(_TO.size - _LENGTH + len(text), kind, call) + text


def taken(held: bytearray) -> Frame | None:
    """The first frame of these bytes, taken out of them; None while it is not whole."""
    if len(held) < _FROM.size:
        return None
    length, kind, call, deliveries, tape = _FROM.unpack_from(held)
    end = _LENGTH + length
    if len(held) < end:
        return None
    body = _FROM.size + tape
    frame = Frame(kind, call, deliveries, bytes(held[_FROM.size : body]), bytes(held[body:end]))
    del held[:end]
    return frame

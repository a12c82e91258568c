"""The linear memory of an instance, as the host reads and writes it: each address that a guest gives is checked."""

from __future__ import annotations

import struct
from ctypes import memmove, string_at

from flux.runtime.guests.wasm.traps import Ended


class OutOfBounds(Ended):
    """An address that a guest gave lies outside of its memory."""

    def __init__(self, address: int, size: int, length: int) -> None:
        super().__init__("BadAddress", f"it gave {size} bytes at {address}, and its memory has {length} bytes")


class Memory:
    """`size` bytes at `base` of this process; valid until the guest runs again."""

    __slots__ = ("base", "size")

    def __init__(self, base: int = 0, size: int = 0) -> None:
        self.base, self.size = base, size

    def read(self, address: int, size: int) -> bytes:
        """So many bytes; raises OutOfBounds."""
        if address + size > self.size:
            raise OutOfBounds(address, size, self.size)
        return string_at(self.base + address, size)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes there; raises OutOfBounds."""
        if address + len(data) > self.size:
            raise OutOfBounds(address, len(data), self.size)
        memmove(self.base + address, data, len(data))

    def word(self, address: int) -> int:
        """The 32 bits there, unsigned."""
        return int.from_bytes(self.read(address, 4), "little")

    def put_word(self, address: int, value: int) -> None:
        """Write 32 bits."""
        self.write(address, struct.pack("<I", value & 0xFFFFFFFF))

    def put_long(self, address: int, value: int) -> None:
        """Write 64 bits."""
        self.write(address, struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF))

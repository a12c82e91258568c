"""One connection to a Deno process, which carries one invocation at a time and is read by the thread of its request."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import threading
from contextlib import suppress
from pathlib import Path

from flux.runtime.guard import machinery
from flux.runtime.guests.deno.frames import MOST_BYTES, Frame, packed, taken

_PIECE = 256 * 1024


class Gone(Exception):
    """The process at the other end is there no more."""


class Connection:
    """Raises OSError where nobody listens yet.

    `serves` is set while the worker does what the isolate asked for. `waited` says that the isolate was not at what
    this connection carries when it was killed.
    """

    def __init__(self, path: Path) -> None:
        self.serves = False
        self.waited = False
        self._held = bytearray()
        self._writing = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with machinery():
                self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def send(self, kind: int, call: int, text: bytes) -> None:
        """Send a frame, from any thread; raises ValueError when it is too large."""
        if len(text) > MOST_BYTES:
            raise ValueError(f"a frame of {len(text)} bytes")
        try:
            with self._writing:
                self._socket.sendall(packed(kind, call, text))
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone from error

    def receive(self, seconds: float) -> Frame:
        """The next frame; raises TimeoutError, Gone."""
        while (frame := taken(self._held)) is None:
            try:
                self._socket.settimeout(max(seconds, 0.001))
                piece = self._socket.recv(_PIECE)
            except TimeoutError:
                raise
            except OSError as error:
                raise Gone from error
            if not piece:
                raise Gone
            self._held += piece
        return frame

    def note_whether_it_waits(self) -> None:
        """Set `waited`: the worker is at it, or the isolate has not read what it was told. Not known is no."""
        unread = 0
        with suppress(OSError, ValueError):  # it is closed, or this system cannot tell
            [unread] = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)))
        self.waited = self.serves or unread > 0

    def close(self) -> None:
        """Hang up, which ends the invocation at the other end."""
        self._socket.close()

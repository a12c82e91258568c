"""One process of Deno: started, watched to its end, and ended by a signal, since nothing else stops a loop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import orjson

from flux.errors import GuestDied
from flux.runtime.guard import machinery
from flux.runtime.guests.deno.connection import Connection, Gone
from flux.runtime.guests.deno.frames import LOAD, LOADED, PING
from flux.runtime.guests.deno.program import command, environment

Reason = Literal["", "memory", "stuck", "closed"]

#: Seconds that a process may take until it listens, on a machine that has other things to do.
START_PATIENCE = 30.0

#: What a process said last that is kept, in bytes.
_TAIL = 4_000

_OUT_OF_MEMORY = re.compile(r"heap limit|out of memory|OOM", re.IGNORECASE)


class Isolate:
    """A process that has imported a project's functions. `number` is its own among those of a fleet.

    `running` are the invocations it has under way; who changes it holds the fleet's lock. `crowd` is how many there
    were when it ended. `retiring`: it takes no new ones.
    """

    def __init__(self, root: Path, folder: Path, number: int, heap: int, on_end: Callable[[Isolate], None]) -> None:
        self.root = root
        self.running = 0
        self.crowd = 0
        self.retiring = False
        self.reason: Reason = ""
        self.ended = threading.Event()
        self._socket = folder / f"{number}.sock"
        self._command = command(root, self._socket, heap)
        self._on_end = on_end
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()
        self._watched: Connection | None = None
        self._tail = b""
        self._started = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        # PDEATHSIG comes when the thread ends that started the process: this one lives as long as the process
        threading.Thread(target=self._live, name=f"flux-deno-{number}", daemon=True).start()

    def open(self) -> None:
        """Wait until it listens; raises GuestDied."""
        deadline = time.monotonic() + START_PATIENCE
        self._started.wait(START_PATIENCE)
        while True:
            with suppress(OSError, Gone):
                self._idle.append(Connection(self._socket))
                return
            if self.ended.is_set() or time.monotonic() > deadline:
                self.kill("closed")
                raise GuestDied(f"deno did not start: {self.said() or self._failure or 'it said nothing'}")
            self.ended.wait(0.002)

    def load(self, file: Path, patience: float) -> Mapping[str, Any]:
        """Import a module; what it defines, or `{"error": …}`. Raises TimeoutError, Gone."""
        connection = self.connect()
        try:
            connection.send(LOAD, 0, orjson.dumps({"file": str(file)}))
            frame = connection.receive(patience)
        except BaseException:
            self.hang_up(connection)
            raise
        self.put_back(connection)
        told = orjson.loads(frame.text)
        return told if frame.type == LOADED else {"error": told}

    def connect(self) -> Connection:
        """A connection that carries nothing; raises Gone."""
        try:
            connection = self._idle.pop()
        except IndexError:
            try:
                connection = Connection(self._socket)
            except OSError as error:
                raise Gone from error
        self._used.add(connection)
        return connection

    def put_back(self, connection: Connection) -> None:
        """Keep a connection whose invocation has ended."""
        self._used.discard(connection)
        self._idle.append(connection)
        if self.ended.is_set():
            connection.close()

    def hang_up(self, connection: Connection) -> None:
        """Let go of a connection whose invocation has not ended, which ends it."""
        self._used.discard(connection)
        connection.close()

    def answers(self, seconds: float) -> bool:
        """Whether its event loop still turns."""
        try:
            connection = self.connect()
        except Gone:
            return False
        try:
            connection.send(PING, 0, b"null")
            connection.receive(seconds)
        except (Gone, TimeoutError):
            self.hang_up(connection)
            return False
        self.put_back(connection)
        return True

    def turns(self) -> bool:
        """Whether its event loop has turned since the last time this was asked; comes back at once."""
        try:
            if self._watched is None:
                self._watched = self.connect()
            else:
                self._watched.receive(0)
            self._watched.send(PING, 0, b"null")
        except TimeoutError:
            return False
        except Gone:
            pass  # it has ended, which is told otherwise
        return True

    def memory(self) -> int:
        """Bytes of its memory that lie in RAM; 0 where that is not known."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def computed(self) -> float:
        """Seconds for which it has had a processor; the time of day where that is not known."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return time.monotonic()

    @property
    def pid(self) -> int:
        """The process's id; 0 before it has one."""
        return self._process.pid if self._process else 0

    def kill(self, reason: Reason) -> None:
        """End it now. Whose invocations only waited for it, their connections say then."""
        if not self.ended.is_set():
            if reason == "stuck":
                for connection in tuple(self._used):
                    connection.note_whether_it_waits()
            self.reason = self.reason or reason
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it, and wait for that."""
        self.kill("closed")
        self.ended.wait(5)

    def said(self) -> str:
        """What it wrote before it ended."""
        return self._tail.decode("utf-8", "replace").strip()

    def _live(self) -> None:
        """Start the process, and be there until it has ended."""
        try:
            with machinery():
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self.root,
                    env=environment(self.root),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            self._failure = error
            self._started.set()
            self.ended.set()
            return
        self._started.set()
        with self._process as process:
            if self.reason:  # killed before there was anything to kill
                process.kill()
            while process.stdout is not None and (piece := os.read(process.stdout.fileno(), _TAIL)):
                self._tail = (self._tail + piece)[-_TAIL:]
            process.wait()
        if not self.reason and _OUT_OF_MEMORY.search(self.said()):
            self.reason = "memory"
        with suppress(OSError):
            self._socket.unlink()
        self._on_end(self)
        self.ended.set()
        for connection in (*self._idle, *([self._watched] if self._watched else [])):
            connection.close()

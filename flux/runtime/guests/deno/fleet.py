"""The processes of Deno that serve one tree of code, and the one that stands by for the next that ends.

Any of them may be killed at any moment: because it is stuck, because it has grown too large, because its machine says
so. What it had under way is told by `Gone`, and goes on elsewhere (see invocation.py); a spare one, which has imported
everything already, takes its place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from flux.errors import GuestDied
from flux.runtime.guests.deno.connection import Gone
from flux.runtime.guests.deno.process import Isolate

#: Seconds between two looks at what runs.
PERIOD = 0.1

#: Seconds of its processor's time without a turn of its event loop after which an isolate is left to the one that keeps
#: it busy.
STALLED = 0.5

#: Seconds that an isolate may take to answer when a function in it did not end in time.
PING_PATIENCE = 0.25

#: Seconds that the import of one module may take when it has been imported before.
LOAD_PATIENCE = 30.0

#: The part of what an isolate may use of memory that lets it finish what it has under way, and take nothing new.
FULL = 0.8

_PREFIX = "flux-deno-"


class Fleet:
    """Isolates for the project at `root`: `size` of them, each using up to `memory` bytes; more for as long as some are
    busy. `files` are imported in each."""

    def __init__(self, root: Path, size: int, memory: int) -> None:
        self.memory = memory
        self.files: Sequence[Path] = ()
        self._root = root
        self._size = size
        self._folder = _own_folder()
        self._numbers = count(1)
        self._lock = threading.Condition()
        self._isolates: list[Isolate] = []
        self._alone: set[Isolate] = set()
        self._spare: Isolate | None = None
        self._keeps_spare = False
        self._replacing = False
        self._starting = False
        self._closed = False
        self._watching = False

    def start(self) -> Isolate:
        """A new isolate that has imported nothing, and is not of the fleet yet; raises GuestDied."""
        isolate = Isolate(self._root, self._folder, next(self._numbers), self.memory, self._on_end)
        isolate.open()
        return isolate

    def add(self, isolate: Isolate) -> None:
        """Take an isolate in that has imported everything."""
        with self._lock:
            self._isolates.append(isolate)

    def prepare(self) -> None:
        """Start all isolates, and keep a spare one from now on."""
        self._keeps_spare = True
        self._replace()

    def take(self, alone: bool = False) -> Isolate:
        """An isolate to run something in, to be given back; `alone` one that runs nothing else. Raises GuestDied."""
        with self._lock:
            isolate = self._there(alone)
            while isolate is None and not alone and self._starting:
                self._lock.wait()
                isolate = self._there(alone)
            if isolate is not None:
                isolate.running += 1
                self._watch()
            elif not alone:
                self._starting = True
        if isolate is None:
            isolate = self._started(alone)
        self._replace_soon()
        return isolate

    def give_back(self, isolate: Isolate) -> None:
        """What was taken."""
        with self._lock:
            isolate.running -= 1
            extra = sum(not one.retiring for one in self._isolates) > self._size
            over = not isolate.running and (isolate.retiring or isolate in self._alone or extra)
            if over:
                self._remove(isolate)
        if over:
            isolate.close()

    def overdue(self, isolate: Isolate) -> None:
        """What runs in this isolate did not end in time; if that has it stuck, it ends now."""
        if not isolate.answers(PING_PATIENCE):
            isolate.kill("stuck")

    def close(self) -> None:
        """End every process."""
        with self._lock:
            self._closed = True
            every = [*self._isolates, *self._alone, *([self._spare] if self._spare else [])]
            self._isolates, self._spare = [], None
            self._lock.notify_all()
        for isolate in every:
            isolate.kill("closed")
        for isolate in every:
            isolate.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes there are, the spare one last."""
        with self._lock:
            spare = [self._spare] if self._spare else []
            return tuple(isolate.pid for isolate in (*self._isolates, *self._alone, *spare))

    def _there(self, alone: bool) -> Isolate | None:
        """An isolate that need not be started."""
        isolate = None if alone else self._least_busy()
        if isolate is None and self._spare is not None:
            isolate, self._spare = self._spare, None
            self._place(isolate, alone)
        return isolate

    def _started(self, alone: bool) -> Isolate:
        """One that had to be, for one who waits for it; raises GuestDied."""
        isolate: Isolate | None = None
        try:
            isolate = self._loaded()
        finally:
            with self._lock:
                if not alone:
                    self._starting = False
                if isolate is not None:
                    isolate.running += 1
                    self._place(isolate, alone)
                    self._watch()
                self._lock.notify_all()
        return isolate

    def _least_busy(self) -> Isolate | None:
        usable = [isolate for isolate in self._isolates if not isolate.retiring and not isolate.ended.is_set()]
        return min(usable, key=lambda isolate: isolate.running, default=None)

    def _place(self, isolate: Isolate, alone: bool) -> None:
        if alone:
            self._alone.add(isolate)
        else:
            self._isolates.append(isolate)

    def _remove(self, isolate: Isolate) -> None:
        self._alone.discard(isolate)
        with suppress(ValueError):
            self._isolates.remove(isolate)
        if self._spare is isolate:
            self._spare = None

    def _on_end(self, isolate: Isolate) -> None:
        with self._lock:
            isolate.crowd = isolate.running
            self._remove(isolate)
        self._replace_soon()

    def _loaded(self) -> Isolate:
        """A new isolate that has imported everything; raises GuestDied."""
        isolate = self.start()
        try:
            for file in self.files:
                isolate.load(file, LOAD_PATIENCE)
        except (Gone, TimeoutError) as error:
            isolate.close()
            raise GuestDied(f"deno could not load the functions again: {isolate.said() or 'it ended'}") from error
        return isolate

    # What goes on beside the requests

    def _replace_soon(self) -> None:
        with self._lock:
            wanted = self._lacks() and not self._replacing
            self._replacing = self._replacing or wanted
        if wanted:
            threading.Thread(target=self._replace, name="flux-deno-spare", daemon=True).start()

    def _lacks(self) -> bool:
        usable = sum(not isolate.retiring for isolate in self._isolates)
        return self._keeps_spare and not self._closed and (self._spare is None or usable < self._size)

    def _replace(self) -> None:
        """Start what is missing."""
        try:
            while True:
                with self._lock:
                    self._replacing = True
                    if not self._lacks():
                        return
                isolate = self._loaded()
                with self._lock:
                    closed = self._closed
                    if not closed and sum(not one.retiring for one in self._isolates) < self._size:
                        self._isolates.append(isolate)
                    elif not closed and self._spare is None:
                        self._spare = isolate
                    else:
                        closed = True
                if closed:
                    isolate.close()
        except GuestDied:
            pass  # the next request starts one itself, and says what is wrong
        finally:
            with self._lock:
                self._replacing = False

    def _watch(self) -> None:
        """Have somebody look at what runs, while there is anything; the lock is held."""
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._look, name="flux-deno-watch", daemon=True).start()
        self._lock.notify_all()

    def _look(self) -> None:
        asked: dict[Isolate, float] = {}
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or any(one.running for one in self._all()))
                if self._closed:
                    return
                every = [isolate for isolate in self._all() if isolate.running]
            for isolate in every:
                self._look_at(isolate, asked)
            asked = {isolate: since for isolate, since in asked.items() if isolate in every}
            time.sleep(PERIOD)

    def _look_at(self, isolate: Isolate, asked: dict[Isolate, float]) -> None:
        used = isolate.memory()
        if used > self.memory:
            isolate.kill("memory")
        elif used > FULL * self.memory:
            self._retire(isolate)
        if isolate.turns():
            asked.pop(isolate, None)
        elif isolate.computed() - asked.setdefault(isolate, isolate.computed()) > STALLED:
            self._retire(isolate)
            if isolate.running > 1:
                isolate.kill("stuck")

    def _retire(self, isolate: Isolate) -> None:
        """Have an isolate finish what it runs, and no more."""
        with self._lock:
            isolate.retiring = True
            over = not isolate.running and isolate in self._isolates
            if over:
                self._remove(isolate)
        if over:
            isolate.close()
        self._replace_soon()

    def _all(self) -> tuple[Isolate, ...]:
        return (*self._isolates, *self._alone)


def _own_folder() -> Path:
    """A folder that only this user can open, for sockets: their paths may have 107 bytes only."""
    home = Path(tempfile.gettempdir())
    for left in home.glob(f"{_PREFIX}[0-9]*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))

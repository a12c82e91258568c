"""Says whether TypeScript is right by its types while it is worked on, without stopping what serves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from flux.errors import FluxError, ToolMissing, TypesWrong
from flux.runtime.guests.deno.check import type_faults


class TypeChecker(threading.Thread):
    """Checks a project when it begins, and whenever it is told to; `on_error` is told what is wrong."""

    def __init__(self, root: Path, on_error: Callable[[FluxError], None]) -> None:
        super().__init__(name="flux-types", daemon=True)
        self._root = root
        self._on_error = on_error
        self._wanted = threading.Event()
        self._wanted.set()
        self._stopping = False

    def run(self) -> None:
        """Check until stopped; what changes during a check is seen by the next."""
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping:
                return
            error = self._checked()
            if error is not None and not self._wanted.is_set():
                self._on_error(error)

    def check(self) -> None:
        """Check again; comes back at once."""
        self._wanted.set()

    def stop(self) -> None:
        """Check no more."""
        self._stopping = True
        self._wanted.set()

    def _checked(self) -> FluxError | None:
        try:
            faults = type_faults(self._root)
        except ToolMissing:
            return None  # every function has said so
        except FluxError as error:
            return error
        if not faults:
            return None
        found = "".join(f"\n  {fault}" for fault in faults)
        count = f"{len(faults)} type error{'' if len(faults) == 1 else 's'}"
        return TypesWrong(f"{count}, with which the functions run all the same{found}")

"""What of a project cannot be used, and why: told by the loader and by guests, shown by whoever serves its routes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Broken:
    """A module or function that cannot be used. `file` is relative to the project; `traceback` is
    the user's part of it.

    `routes` are the (method, path) pairs and `names` the functions that would have been there.
    """

    file: str
    line: int
    message: str
    hint: str | None = None
    traceback: str = ""
    routes: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"

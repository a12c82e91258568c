"""Whether a project's TypeScript is right by its types, which running it does not ask: `deno check`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flux.errors import GuestUnusable
from flux.runtime.guests.deno.program import dying_with_parent, environment, find_deno, loading
from flux.runtime.guests.found import sources

#: Seconds that a check may take; a large project takes a few.
PATIENCE = 120

_ERROR = re.compile(
    r"^(?P<code>TS\d+) \[ERROR\]: (?P<message>.*?)$.*?^ +at (?P<file>\S+?):(?P<line>\d+):(?P<column>\d+)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class TypeFault:
    """One error of the type checker. `file` is relative to the project."""

    file: str
    line: int
    column: int
    message: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message} ({self.code})"


def type_faults(root: Path) -> tuple[TypeFault, ...]:
    """The type errors of the functions below root, and of what they import of it; none where there are no functions.

    Raises ToolMissing, and GuestUnusable when the check came to no result.
    """
    files = sources(root).typescript
    if not files:
        return ()
    command = [*dying_with_parent(), find_deno(), "check", "--quiet", *loading(root), *map(str, files)]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment(root), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise GuestUnusable(f"`deno check` had not ended after {PATIENCE} s") from None
    if done.returncode == 0:
        return ()
    said = done.stderr.strip()
    faults = tuple(_faults(said, root))
    if not faults:
        raise GuestUnusable(f"`deno check` failed: {said[-500:]}")
    return faults


def _faults(said: str, root: Path) -> Iterator[TypeFault]:
    for found in _ERROR.finditer(said):
        file = found["file"].removeprefix("file://").removeprefix(f"{root}/")
        yield TypeFault(file, int(found["line"]), int(found["column"]), found["message"].strip(), found["code"])

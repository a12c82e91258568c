"""Whether a project's TypeScript is right by its types, which running it does not ask: `deno check`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from flux.errors import GuestUnusable
from flux.runtime.guests.deno.program import dying_with_parent, environment, find_deno, loading
from flux.runtime.guests.found import sources

#: Seconds that a check may take; a large project takes a few.
PATIENCE = 120

_ERROR = re.compile(
    r"^(?P<code>TS\d+) \[ERROR\]: (?P<message>.*?)$.*?^ +at (?P<file>\S+?):(?P<line>\d+):(?P<column>\d+)$",
    re.MULTILINE | re.DOTALL,
)


#: What Deno misses when something imports from node: and it may take types from node_modules only.
_NODE_TYPES = "npm:@types/node"

_BACKTRACE = "\nStack backtrace:"


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
    done = _checked(root, files, loading(root))
    if _NODE_TYPES in done.stderr and not (root / "node_modules").exists():
        done = _checked(root, files, [*loading(root), "--node-modules-dir=none"])  # with those that Deno has itself
    if done.returncode == 0:
        return ()
    said = done.stderr.strip()
    faults = tuple(_faults(said, root))
    if not faults:
        raise _unchecked(said)
    return faults


def _checked(root: Path, files: Iterable[Path], how: Iterable[str]) -> subprocess.CompletedProcess[str]:
    command = [*dying_with_parent(), find_deno(), "check", "--quiet", *how, *map(str, files)]
    try:
        return subprocess.run(
            command, cwd=root, env=environment(root), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise GuestUnusable(f"`deno check` had not ended after {PATIENCE} s") from None


def _unchecked(said: str) -> GuestUnusable:
    if _NODE_TYPES in said:
        return GuestUnusable(
            "`deno check` needs the types of node:, which are not in node_modules",
            hint="Run `deno add npm:@types/node` in the project.",
        )
    return GuestUnusable(f"`deno check` failed: {unquote(said.partition(_BACKTRACE)[0])[:500].strip()}")


def _faults(said: str, root: Path) -> Iterator[TypeFault]:
    for found in _ERROR.finditer(said):
        file = unquote(found["file"].removeprefix("file://")).removeprefix(f"{root}/")
        yield TypeFault(file, int(found["line"]), int(found["column"]), found["message"].strip(), found["code"])

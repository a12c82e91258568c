"""Errors on their way to a guest and back: an exception as the guest is told it, and what a guest raised."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flux.errors import Discard, FluxError, GuestError, HTTPError, InvalidInput, Retry
from flux.runtime.deadline import Interrupted
from flux.runtime.raised import FRAMES

#: Frames kept of a stack, from its end.
MOST_FRAMES = 50

#: Folders in a project that hold what others wrote.
_FOREIGN = frozenset({"node_modules", ".flux", "target", "vendor", "site-packages"})

#: A line of a stack that names a place: `at f (file.ts:3:7)`, `File "app.py", line 3, in f`, `src/lib.rs:3:7`.
_PLACE = re.compile(
    r"""(?: at \s+ (?:async\s+)? (?P<function>[^()\s][^()]*?) \s* \( )?
        (?:file://|File\s")? (?P<file>/?[\w@.~+-]+(?:/[\w@.~+-]+)*\.[A-Za-z]\w*)
        (?: :(?P<line>\d+)(?::(?P<column>\d+))? | ",\sline\s(?P<pyline>\d+)(?:,\sin\s(?P<pyfunction>\S+))? )""",
    re.VERBOSE,
)


def told(error: BaseException) -> dict[str, Any]:
    """What a guest is told of an exception: type and message, and what else is known of it."""
    if isinstance(error, Interrupted):
        return {"type": "Timeout", "message": "the function ran longer than its timeout", "code": "XF203"}
    diagnosis: Any = getattr(error, "diag", None)
    known = {
        "type": error.type if isinstance(error, GuestError) else type(error).__name__,
        "message": getattr(diagnosis, "message_primary", None) or str(error) or type(error).__name__,
        "code": getattr(error, "sqlstate", None) or (error.code if isinstance(error, FluxError) else None),
        "hint": getattr(diagnosis, "message_hint", None) or getattr(error, "hint", None),
        "detail": getattr(diagnosis, "message_detail", None),
        "table": getattr(diagnosis, "table_name", None),
        "column": getattr(diagnosis, "column_name", None),
        "constraint": getattr(diagnosis, "constraint_name", None),
    }
    if isinstance(error, HTTPError):
        known |= {"status": error.status, "members": dict(error.members)}
    if isinstance(error, InvalidInput):
        known["problems"] = error.problems
    return {name: value for name, value in known.items() if value is not None}


def raised(error: Mapping[str, Any], root: Path, folder: Path) -> FluxError:
    """The exception for an error that a guest answered with.

    `root` is the project, `folder` that of the function, which files are relative to.
    """
    kind, message = str(error.get("type") or "Error"), str(error.get("message") or "")
    status = error.get("status")
    made: FluxError
    if kind == "HTTPError" and isinstance(status, int) and 400 <= status <= 599:
        members = error.get("members")
        own = {str(name): value for name, value in members.items()} if isinstance(members, dict) else {}
        made = HTTPError(status, message or None)
        made.members = own
    elif kind == "Retry":
        made = _retry(error.get("after"), message)
    elif kind == "Discard":
        made = Discard(message or None)
    else:
        hint = error.get("hint")
        made = GuestError(message or kind, type=kind, hint=hint if isinstance(hint, str) else None)
    locate(made, error, root, folder)
    return made


def locate(made: BaseException, error: Mapping[str, Any], root: Path, folder: Path) -> None:
    """Give an exception the frames that the guest says it was raised in."""
    frames = tuple(_frames(error, root, folder))[-MOST_FRAMES:]
    if frames:
        vars(made)[FRAMES] = frames


def _retry(after: Any, message: str) -> FluxError:
    try:
        return Retry(after or None, message or None)
    except ValueError:
        return GuestError(f"a retry after {after!r}, which is no duration", type="Retry")


def _frames(error: Mapping[str, Any], root: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Frames outermost first: those of `frames`, those that stand in the text `stack`, or the one of `file`."""
    frames, stack = error.get("frames"), error.get("stack")
    if isinstance(frames, list) and frames:
        found = [frame for frame in frames if isinstance(frame, dict)]
    elif isinstance(stack, str) and stack:
        found = list(_places(stack))
    else:
        found = []
    if not found and error.get("file"):
        found = [{name: error.get(name) for name in ("file", "line", "column", "function")}]
    for frame in found:
        line, column = frame.get("line"), frame.get("column")
        file, own = _file(str(frame.get("file") or ""), root, folder)
        line = line if isinstance(line, int) else 0
        source = _source(root / file, line) if own and line else ""
        kept = {"file": file, "line": line, "function": str(frame.get("function") or ""), "source": source, "own": own}
        yield {**kept, "column": column} if isinstance(column, int) else kept


def _source(path: Path, line: int) -> str:
    linecache.checkcache(str(path))  # another generation may have read another text
    return linecache.getline(str(path), line).strip()


def _places(stack: str) -> Iterator[dict[str, Any]]:
    """The frames of a stack as text, which nearly every language writes with the innermost first."""
    found = []
    for line in stack.splitlines():
        place = _PLACE.search(line)
        if place:
            number = place["line"] or place["pyline"]
            found.append(
                {
                    "file": place["file"],
                    "line": int(number) if number else 0,
                    "column": int(place["column"]) if place["column"] else None,
                    "function": (place["function"] or place["pyfunction"] or "").strip(),
                }
            )
    yield from found if stack.startswith("Traceback") else reversed(found)


def _file(name: str, root: Path, folder: Path) -> tuple[str, bool]:
    """A file relative to the project if it is of it, and whether it is the user's own."""
    name = name.removeprefix("file://")
    for path in (Path(name),) if name.startswith("/") else (folder / name, root / name):
        if path.is_relative_to(root) and os.path.isfile(path):  # noqa: PTH113  # Path raises for a name that is too long
            relative = path.relative_to(root)
            return relative.as_posix(), not _FOREIGN.intersection(relative.parts)
    return name, False

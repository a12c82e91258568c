"""An exception as the record keeps it: type, message, code, where in the user's code, what it shares with others."""

from __future__ import annotations

import hashlib
import linecache
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from flux.errors import FluxError, GuestError
from flux.record import Failure, Record
from flux.runtime.raised import FRAMES

#: Frames kept of a stack, from its end: a recursion of a thousand calls tells no more than its last fifty.
MOST_FRAMES = 50

_FLUX = str(Path(__file__).resolve().parent.parent)
_VALUES = re.compile(
    r"""[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}   # ids
      | 0x[0-9a-f]+ | \d+(?:\.\d+)?                                    # addresses, numbers
      | "[^"]*@[^"]*" | '[^']*'                                        # quoted values; "names" stay
    """,
    re.VERBOSE | re.IGNORECASE,
)


def failure_of(error: BaseException, record: Record) -> Failure:
    """The failure to record for an exception, without the secrets known of this request.

    It is located at the innermost line of the user's code, or else at the line of theirs that called what raised it.
    """
    frames = (*_frames(_walk(error.__traceback__), record.root), *getattr(error, FRAMES, ()))
    details = getattr(error, "diag", None)
    message = _message(error, details)
    name = _type_name(error)
    code = getattr(error, "sqlstate", None) or (error.code if isinstance(error, FluxError) else None)
    own = next((frame for frame in reversed(frames) if frame["own"]), None)
    return Failure(
        type=name,
        message=record.text(message),
        code=code,
        location=f"{own['file']}:{own['line']}" if own else calling_line(record),
        stack=frames,
        signature=signature(record.function, name, code, own, message),
        table=getattr(details, "table_name", None),
        column=getattr(details, "column_name", None),
        constraint=getattr(details, "constraint_name", None),
        detail=_known(getattr(details, "message_detail", None), record),
        hint=_known(getattr(details, "message_hint", None) or getattr(error, "hint", None), record),
    )


def failure_of_thread(thread_id: int, record: Record, message: str) -> Failure:
    """A failure for a thread that does not come back: where it stands now."""
    frame = sys._current_frames().get(thread_id)
    frames = tuple(_frames(_outermost_first(frame), record.root))
    own = next((entry for entry in reversed(frames) if entry["own"]), None)
    return Failure(
        type="FunctionTimeout",
        message=message,
        code="XF203",
        location=f"{own['file']}:{own['line']}" if own else None,
        stack=frames,
        signature=signature(record.function, "FunctionTimeout", "XF203", own, message),
    )


def calling_line(record: Record) -> str | None:
    """file:line of the user's code that is being run, relative to the project."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_own(frame.f_code.co_filename, record.root):
            return f"{frame.f_code.co_filename.removeprefix(f'{record.root}/')}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def signature(function: str | None, type_name: str, code: str | None, own: dict[str, Any] | None, message: str) -> str:
    """12 hex digits that errors of one cause share: values and line numbers do not count."""
    place = f"{own['file']}:{own['function']}" if own else ""
    parts = (function or "", type_name, code or "", place, _VALUES.sub("?", message))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def _message(error: BaseException, details: Any) -> str:
    primary = getattr(details, "message_primary", None)
    return str(primary or error) or type(error).__name__


def _type_name(error: BaseException) -> str:
    if isinstance(error, GuestError):
        return error.type
    kind = type(error)
    module = kind.__module__.partition(".")[0]
    return kind.__qualname__ if module in ("builtins", "psycopg", "flux") else f"{kind.__module__}.{kind.__qualname__}"


def _known(text: str | None, record: Record) -> str | None:
    return None if text is None else record.text(text)


def _walk(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _outermost_first(frame: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    if frame is not None:
        yield from _outermost_first(frame.f_back)
        yield frame, frame.f_lineno


def _frames(walk: Iterator[tuple[FrameType, int]], root: Path) -> Iterator[dict[str, Any]]:
    """Frames from the user's first on, without the runtime's own that lie around it."""
    known = list(walk)[-MOST_FRAMES:]
    project = f"{root}/"
    for frame, line in known:
        file = frame.f_code.co_filename
        if file.startswith(_FLUX):
            continue
        own = _is_own(file, root)
        yield {
            "file": file.removeprefix(project) if own else file,
            "line": line,
            "function": frame.f_code.co_qualname,
            "source": linecache.getline(file, line, frame.f_globals).strip(),
            "own": own,
        }


def _is_own(file: str, root: Path) -> bool:
    """Whether a file is the user's: of the project, and not installed into it."""
    return file.startswith(f"{root}/") and "/site-packages/" not in file

"""Log lines of a request as spans of its record: those of `ctx.log`, and those of Python's `logging`.

`logging` is listened to where a logger hands a line to its handlers, and not by a handler of ours: one on the root
logger would make the user's `logging.basicConfig` do nothing, silence the warnings Python prints by itself, and be
thrown out by `logging.config.dictConfig`.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import wrapt

from flux.record import Record
from flux.runtime.execution import current_execution
from flux.runtime.failures import failure_of

#: Loggers whose lines say what other spans of the record say already.
SILENT = frozenset({"flux", "gunicorn", "httpcore", "httpx", "psycopg", "requests", "urllib3"})

#: Characters of a line that are its span's name; a longer line is whole among the span's input.
NAME_LENGTH = 500


class Log:
    """`ctx.log`: lines with fields, such as `ctx.log.info("charged", amount=12)`."""

    __slots__ = ()

    def debug(self, message: str, /, **fields: Any) -> None:
        """A line for whoever looks for a fault."""
        _line("debug", message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        """A line that says what happened."""
        _line("info", message, fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        """A line about something that should not be."""
        _line("warning", message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        """A line about something that failed."""
        _line("error", message, fields)

    def exception(self, message: str, /, **fields: Any) -> None:
        """A line about the exception being handled, which is kept with it."""
        _line("error", message, fields, sys.exception())


def record_logs() -> None:
    """Make Python's `logging` record itself inside requests, in this process; calling it again changes nothing.

    Where nobody has set a level, lines from INFO on are made at all; on the terminal Python still shows warnings only.
    """
    if not isinstance(vars(logging.Logger)["callHandlers"], wrapt.FunctionWrapper):
        wrapt.wrap_function_wrapper(logging.Logger, "callHandlers", _call_handlers)
    root = logging.getLogger()
    if root.level == logging.WARNING and not root.handlers:
        root.setLevel(logging.INFO)


def _line(level: str, message: str, fields: dict[str, Any], error: BaseException | None = None) -> None:
    execution = current_execution()
    if execution is None:
        return
    caller = sys._getframe(2)
    logger = caller.f_globals.get("__name__", "")
    place = f"{_relative(caller.f_code.co_filename, execution.record.root)}:{caller.f_lineno}"
    record_line(execution.record, level, logger, str(message), fields, place, error)


def _call_handlers(call: Any, logger: logging.Logger, args: Any, kwargs: Any) -> Any:
    execution = current_execution()
    if execution is not None:
        line: logging.LogRecord = args[0] if args else kwargs["record"]
        if line.name.partition(".")[0] not in SILENT:
            error = line.exc_info[1] if line.exc_info else None
            place = f"{_relative(line.pathname, execution.record.root)}:{line.lineno}"
            record_line(execution.record, line.levelname.lower(), line.name, _message(line), _extra(line), place, error)
    return call(*args, **kwargs)


def record_line(
    record: Record,
    level: str,
    logger: str,
    message: str,
    fields: dict[str, Any],
    place: str | None,
    error: BaseException | None = None,
) -> None:
    """A line as a span of the record; `place` is file:line, the file relative to the project."""
    message = record.text(message)
    around = record.current
    span = record.open("log", message[:NAME_LENGTH])
    record.current = around
    if fields or len(message) > NAME_LENGTH:
        span.input = record.json({"message": message, **fields} if len(message) > NAME_LENGTH else fields)
    if error is not None:
        span.error = failure_of(error, record)
    span.attributes = {"level": level, "logger": logger}
    if place is not None:
        span.attributes["location"] = place


def _message(line: logging.LogRecord) -> str:
    try:
        return line.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit: logging itself says so on stderr
        return str(line.msg)


_KNOWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


def _extra(line: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(line).items() if name not in _KNOWN}


def _relative(file: str, root: Path) -> str:
    return file.removeprefix(f"{root}/")

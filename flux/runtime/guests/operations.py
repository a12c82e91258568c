"""The operations of the host, each by its name: what a guest may ask, done by `ctx`."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flux.errors import GuestProtocol
from flux.runtime.deadline import Interrupted, stops_itself
from flux.runtime.failures import failure_of
from flux.runtime.fetch import FetchResponse, begin_fetch
from flux.runtime.guests.asked import Args
from flux.runtime.guests.marks import placed
from flux.runtime.guests.wire import bytes_of, decoded
from flux.runtime.logs import record_line
from flux.runtime.tools import close_leaf, open_leaf, silenced

if TYPE_CHECKING:
    from flux.runtime.guests.host import Host

_LEVELS = {"debug": "debug", "info": "info", "log": "info", "warn": "warning", "warning": "warning", "error": "error"}

#: The options of queue.push beside function and input.
_PUSH = ("delay", "run_at", "key", "unique_for", "priority", "queue", "max_attempts", "ordering_key")


def perform(host: Host, op: object, given: object) -> Any:
    """What an operation gives; raises what it raises."""
    operation = _OPERATIONS.get(op) if isinstance(op, str) else None
    if operation is None:
        raise GuestProtocol(f"there is no operation {op}", hint=f"There are {', '.join(_OPERATIONS)}.")
    if host.ended is not None or not host.remaining():
        raise Interrupted
    args = Args(str(op), given)
    return operation(host, args)


def begin(host: Host, op: object, given: object) -> Callable[[], Any] | None:
    """An operation begun on the thread of the request that may be finished on another."""
    if op != "fetch":
        return None
    if host.ended is not None or not host.remaining():
        raise Interrupted
    return _begin_fetch(host, Args("fetch", given))


def log(host: Host, level: str, message: str, fields: Mapping[str, Any], place: str | None) -> None:
    """A log line as a span."""
    record_line(host.record, _LEVELS.get(level, "info"), host.function, message, dict(fields), place)


# The database


def _statement(args: Args) -> tuple[str, list[Any]]:
    statement, parameters = args.take("sql", str), args.find("parameters", list) or []
    args.end()
    return placed(statement, [decoded(value) for value in parameters])


def _execute(host: Host, args: Args) -> int:
    statement, parameters = _statement(args)
    return host.ctx.db.execute(statement, *parameters)


def _one(host: Host, args: Args) -> Any:
    statement, parameters = _statement(args)
    return host.ctx.db.one(statement, *parameters)


def _all(host: Host, args: Args) -> Any:
    statement, parameters = _statement(args)
    return host.ctx.db.all(statement, *parameters)


def _value(host: Host, args: Args) -> Any:
    statement, parameters = _statement(args)
    return host.ctx.db.value(statement, *parameters)


def _query(host: Host, args: Args) -> Any:
    form = args.take("query", dict)
    args.end()
    return host.ctx.db.query(form)


def _commit(host: Host, args: Args) -> None:
    args.end()
    host.ctx.db.commit()


# The outside


def _begin_fetch(host: Host, args: Args) -> Callable[[], dict[str, Any]]:
    url, method = args.take("url", str), args.find("method", str) or "GET"
    headers, timeout = args.find("headers", dict), args.find("timeout", int, float)
    body, encoded = args.find("body", str), args.find("body_base64", str)
    json, within = args.find("json"), args.find("tool", int)
    args.end()
    data = bytes_of(encoded) if encoded is not None else body.encode() if body is not None else None
    options: dict[str, Any] = {"method": method, "headers": headers, "json": json, "data": data, "timeout": timeout}
    if within is None:
        waiting = begin_fetch(url, **options)
        return lambda: _answered(waiting())

    def made_inside() -> dict[str, Any]:
        with silenced(host.execution):
            return _answered(begin_fetch(url, **options)())

    return made_inside


def _answered(answer: FetchResponse) -> dict[str, Any]:
    known: dict[str, Any] = {"status": answer.status, "headers": answer.headers}
    try:
        return {**known, "body": answer.body.decode()}
    except UnicodeDecodeError:
        return {**known, "body_base64": base64.b64encode(answer.body).decode()}


def _fetch(host: Host, args: Args) -> dict[str, Any]:
    return _begin_fetch(host, args)()


def _tool_begin(host: Host, args: Args) -> dict[str, Any]:
    name, arguments = args.take("name", str), args.find("arguments")
    args.end()
    execution, record = host.execution, host.record
    span = open_leaf(execution, name)
    span.input = record.json(arguments)
    if execution.recalled is None:
        host.tools[span.span_id] = span
        return {"call": span.span_id}
    try:
        value = execution.recalled.value(record, span)
    except BaseException as error:
        close_leaf(span, failure_of(error, record))
        raise
    span.output = record.json(value)
    close_leaf(span)
    return {"answer": value}


def _tool_end(host: Host, args: Args) -> None:
    call, answer, error = args.take("call", int), args.find("answer"), args.find("error", dict)
    args.end()
    span = host.tools.pop(call, None)
    if span is None:
        raise GuestProtocol(f"there is no tool call {call} under way")
    if error is None:
        span.output = host.record.json(answer)
        close_leaf(span)
    else:
        raised = host.error_of(error)
        close_leaf(span, failure_of(raised, host.record))


def _secret(host: Host, args: Args) -> str | None:
    name, default = args.take("name", str), args.find("default", str)
    args.end()
    return host.ctx.secrets.get(name, default)


# What is handed on


def _push(host: Host, args: Args) -> int:
    function, given = args.take("function", str), args.find("input", dict)
    options = {name: value for name in _PUSH if (value := args.find(name)) is not None}
    args.end()
    if "run_at" in options:
        options["run_at"] = _moment(options["run_at"])
    return host.ctx.queue.push(function, given, **options)


def _moment(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise GuestProtocol(f"run_at of queue.push is {value!r}, which is no ISO 8601 time") from None


def _publish(host: Host, args: Args) -> Any:
    type_, data, subject = args.take("type", str), args.find("data"), args.find("subject", str)
    args.end()
    return host.ctx.events.publish(type_, data, subject=subject)


def _invoke(host: Host, args: Args) -> Any:
    function, given = args.take("function", str), args.find("input", dict)
    args.end()
    with stops_itself(host.execution, False):
        return host.ctx.invoke(function, **(given or {}))


# What a function sees of its request, clock and chance


def _log(host: Host, args: Args) -> None:
    level, message = args.find("level", str) or "info", args.take("message", str)
    fields, file, line = args.find("fields", dict), args.find("file", str), args.find("line", int)
    args.end()
    log(host, level, message, fields or {}, f"{file}:{line}" if file and line else file)


def _now(host: Host, args: Args) -> datetime:
    args.end()
    return host.ctx.now()


def _uuid(host: Host, args: Args) -> Any:
    args.end()
    return host.ctx.uuid()


def _random(host: Host, args: Args) -> float:
    args.end()
    return host.ctx.random.random()


def _sleep(host: Host, args: Args) -> None:
    seconds = args.find("seconds", int, float) or 0
    args.end()
    if host.execution.recalled is None:
        time.sleep(max(0, seconds))


def _raise(host: Host, args: Args) -> None:
    """End the request with this error, for guests that cannot unwind their stack: they are not returned to."""
    host.ended = host.error_of(args.rest())


def _request(host: Host, args: Args) -> dict[str, Any]:
    args.end()
    request = host.ctx.request
    public = host.record.context.headers
    members = ("id", "kind", "method", "path", "query")
    return {**{name: getattr(request, name) for name in members}, "headers": dict(public)}


def _header(host: Host, args: Args) -> str | None:
    name = args.take("name", str)
    args.end()
    return host.ctx.request.headers.get(name.lower())


_OPERATIONS: Mapping[str, Callable[[Host, Args], Any]] = {
    "db.execute": _execute,
    "db.one": _one,
    "db.all": _all,
    "db.value": _value,
    "db.query": _query,
    "db.commit": _commit,
    "fetch": _fetch,
    "tool.begin": _tool_begin,
    "tool.end": _tool_end,
    "queue.push": _push,
    "events.publish": _publish,
    "invoke": _invoke,
    "log": _log,
    "secrets.get": _secret,
    "now": _now,
    "uuid": _uuid,
    "random": _random,
    "sleep": _sleep,
    "raise": _raise,
    "request": _request,
    "request.header": _header,
}

#: The names of all operations.
OPERATIONS = tuple(_OPERATIONS)

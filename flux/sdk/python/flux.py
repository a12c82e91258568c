"""Flux for functions in Python that run as WebAssembly: what a function may ask of its host, and how it answers.

    from flux import function

    @function
    def hello(ctx, name): …

The modules that are imported at the top are part of the module that is built, and are not imported again in a request.
`docs/guests/protocol.md` says what becomes of Postgres' values.
"""

import base64
import json
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from wit_world.imports import ctx as host


class Error(Exception):
    """An error of the host. `type` names it, `more` is what else is known: code, constraint, status …

    Each type is a class: `from flux import UniqueViolation`.
    """

    type = "Error"

    def __init__(self, message: str = "", **more: Any) -> None:
        super().__init__(message)
        self.more = more

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.more.get(name)


class HTTPError(Error):
    """Ends the request with this status."""

    type = "HTTPError"

    def __init__(self, status: int, message: str = "", **more: Any) -> None:
        super().__init__(message, status=status, **more)


class Retry(Error):
    """Asks for the job to be tried again after so many seconds, or text such as "5m"."""

    type = "Retry"

    def __init__(self, after: float | str | None = None, message: str = "", **more: Any) -> None:
        super().__init__(message, after=after, **more)


_classes: dict[str, type[Error]] = {"Error": Error, "HTTPError": HTTPError, "Retry": Retry}


def __getattr__(name: str) -> type[Error]:
    """The class of an error of the host, by its type."""
    if not name[:1].isupper():
        raise AttributeError(name)
    return _class_of(name)


def _class_of(name: str) -> type[Error]:
    if name not in _classes:
        _classes[name] = type(name, (Error,), {"type": name})
    return _classes[name]


class Response:
    """A whole HTTP response, for functions whose answer is not only JSON."""

    def __init__(self, body: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.body, self.status, self.headers = body, status, headers or {}


def call(op: str, **args: Any) -> Any:
    """Any operation of the host, by name."""
    reply = json.loads(host.call(_encoded({"op": op, "args": args})))
    if "error" not in reply:
        return reply["ok"]
    known = reply["error"]
    kind, message = known.pop("type"), known.pop("message")
    error = _class_of(kind).__new__(_class_of(kind))
    Error.__init__(error, message, **known)
    raise error


class Database:
    """The request's transaction. Parameters are marked $1, $2 …"""

    def execute(self, sql: str, *parameters: Any) -> int:
        """The number of rows that were written or returned."""
        return call("db.execute", sql=sql, parameters=parameters)

    def one(self, sql: str, *parameters: Any) -> Any:
        """The first row as a dict, or None."""
        return call("db.one", sql=sql, parameters=parameters)

    def all(self, sql: str, *parameters: Any) -> Any:
        """Every row."""
        return call("db.all", sql=sql, parameters=parameters)

    def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row, or None."""
        return call("db.value", sql=sql, parameters=parameters)

    def query(self, query: dict[str, Any]) -> Any:
        """A structured query: its rows, or the number of rows that it wrote."""
        return call("db.query", query=query)


class Queue:
    """Jobs, which exist exactly if the transaction does."""

    def push(self, function: str, input: dict[str, Any] | None = None, **options: Any) -> int:
        """The id of a new job; options are delay, run_at, key, priority …"""
        return call("queue.push", function=function, input=input or {}, **options)


class Events:
    """Events, for whoever subscribes."""

    def publish(self, type: str, data: Any = None, subject: str | None = None) -> Any:
        """The id of a new event."""
        return call("events.publish", type=type, data=data, subject=subject)


class Log:
    """Log lines of the request, with fields."""

    def debug(self, message: str, **fields: Any) -> None:
        """A line for whoever looks for a fault."""
        _line("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """A line that says what happened."""
        _line("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """A line about something that should not be."""
        _line("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """A line about something that failed."""
        _line("error", message, fields)


class Secrets:
    """Secrets, hidden in the record."""

    def get(self, name: str, default: str | None = None) -> str | None:
        """A secret, or None."""
        return call("secrets.get", name=name, default=default)


class Fetched:
    """What a fetch got: `status`, `headers`, `body` as text or bytes."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.status, self.headers = answer["status"], answer["headers"]
        encoded = answer.get("body_base64")
        self.body = answer["body"] if encoded is None else base64.b64decode(encoded)

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Ctx:
    """What a function may ask. It lives as long as the request."""

    db, queue, events, log, secrets = Database(), Queue(), Events(), Log(), Secrets()

    def __init__(self) -> None:
        self._tool: int | None = None

    def fetch(self, url: str, **options: Any) -> Fetched:
        """An HTTP request to the outside; options are method, headers, body or json, timeout."""
        return Fetched(call("fetch", url=url, tool=self._tool, **options))

    def tool(self, name: str, does: Callable[..., Any], **arguments: Any) -> Any:
        """What `does(**arguments)` gives: recorded, and in a replay given back without calling it."""
        begun = call("tool.begin", name=name, arguments=arguments)
        if "answer" in begun:
            return begun["answer"]
        around, self._tool = self._tool, begun["call"]
        try:
            answer = does(**arguments)
        except Exception as error:
            call("tool.end", call=begun["call"], error={"type": _type_of(error), "message": str(error)})
            raise
        finally:
            self._tool = around
        call("tool.end", call=begun["call"], answer=answer)
        return answer

    def invoke(self, function: str, **input: Any) -> Any:
        """What another function of the project answers."""
        return call("invoke", function=function, input=input)

    def now(self) -> str:
        """The time in UTC, as ISO 8601."""
        return call("now")

    def uuid(self) -> str:
        """A random UUID, as text."""
        return call("uuid")

    def random(self) -> float:
        """A number from 0 up to 1; not for secrets."""
        return call("random")

    def sleep(self, seconds: float) -> None:
        """Wait; takes no time in a replay."""
        call("sleep", seconds=seconds)

    @property
    def request(self) -> dict[str, Any]:
        """The request: id, kind, method, path, query, headers."""
        return call("request")


def function(does: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function the one that its module is."""

    class WitWorld:
        def handle(self, input: str) -> str:
            return _handled(does, input)

    vars(sys.modules[does.__module__])["WitWorld"] = WitWorld
    return does


def _handled(does: Callable[..., Any], input: str) -> str:
    random = sys.modules.get("random")
    if random is not None:
        random.seed()  # what was drawn while the module was built is the same in every request
    try:
        answer = does(Ctx(), **json.loads(input))
        if isinstance(answer, Response):
            answer = {"$response": {"status": answer.status, "headers": answer.headers, "body": answer.body}}
        return _encoded({"ok": answer})
    except Exception as error:  # noqa: BLE001  # whatever was raised is the answer
        more = error.more if isinstance(error, Error) else {}
        told = {**more, "type": _type_of(error), "message": _message_of(error), "frames": _frames(error)}
        return _encoded({"error": told})
    finally:
        sys.stdout.flush()


def _encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_stand_in)


def _stand_in(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _type_of(error: Exception) -> str:
    return error.type if isinstance(error, Error) else type(error).__name__


def _message_of(error: Exception) -> str:
    return str(error) or ("out of memory" if isinstance(error, MemoryError) else _type_of(error))


def _frames(error: Exception) -> list[dict[str, Any]]:
    """The function's own, outermost first. Each folder of the build is mounted under a number."""
    frames = [
        {"file": frame.filename.lstrip("/").partition("/")[2], "line": frame.lineno, "function": frame.name}
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return [frame for frame in frames if frame["file"] not in ("", "flux.py")]


def _line(level: str, message: str, fields: dict[str, Any]) -> None:
    frame = sys._getframe(2)
    file = frame.f_code.co_filename.lstrip("/").partition("/")[2]
    call("log", level=level, message=message, fields=fields, file=file, line=frame.f_lineno)


vars(time)["sleep"] = Ctx().sleep  # a component cannot wait for its clock

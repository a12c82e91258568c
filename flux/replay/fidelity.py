"""How well a request can be run again, told from its record alone: not at all, perhaps not exactly, or as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from flux.encoding import to_json
from flux.redaction import REDACTED
from flux.replay.recorded import RecordedRequest
from flux.runtime.recalled import is_http

#: Statuses of requests whose body was never read, or could not be.
_UNREAD = {
    400: "it could not be read",
    408: "its body did not come",
    413: "its body was too large to be read",
    415: "its body was of a type that is not read",
}


def obstacle(recorded: RecordedRequest, *, redacted: bool = False) -> str | None:
    """Why this request cannot be run again at all, in words; None when it can.

    `redacted` input is no obstacle where it is to run with `[redacted]` in the place of each value.
    """
    return next(_obstacles(recorded, redacted=redacted), None)


def doubts(recorded: RecordedRequest) -> tuple[str, ...]:
    """Why it can be run again but perhaps not exactly, in words."""
    return tuple(dict.fromkeys(_doubts(recorded)))


def _obstacles(recorded: RecordedRequest, *, redacted: bool) -> Iterator[str]:
    request = recorded.request
    given = request.get("input")
    if recorded.outcome == "running":
        yield "it is still running, or its end was not recorded"
    if request.get("function") is None and not (request.get("method") and request.get("path")):
        yield "it names no function and no route"
    if request.get("method") and not _ran(recorded) and recorded.status in _UNREAD:
        yield _UNREAD[recorded.status or 0]
    if isinstance(given, dict) and "$omitted" in given:
        yield f"its input of {given['$omitted'].get('bytes')} bytes was too large to keep"
    if _holds(given, REDACTED) and not redacted:
        yield "its input was redacted"
    if REDACTED in unquote(request.get("query") or "") or REDACTED in (request.get("path") or ""):
        yield "its path or query was redacted"
    if isinstance(given, dict) and (name := _omitted_member(given)) is not None:
        yield f"{name} of its input was not kept"
    if given is None and recorded.outcome == "crashed" and request.get("function") is not None:
        yield "its input was not kept"


def _doubts(recorded: RecordedRequest) -> Iterator[str]:
    request = recorded.request
    attributes = request.get("attributes") or {}
    yield from recorded.gaps
    if _holds(request.get("input"), REDACTED):
        yield f"its input was redacted: it had {REDACTED} in its place"
    if attributes.get("tape_omitted"):
        yield f"{attributes['tape_omitted']} readings of clock and chance were too many to keep"
    if (request.get("attempt") or 1) > 1:
        yield f"it took {request['attempt']} attempts, of which the last is replayed"
    for name, given in (attributes.get("credentials") or {}).items():
        if given:
            yield f"it read the header {name}, which is never recorded"
    if request.get("method") and not _ran(recorded) and recorded.status in (404, 405):
        yield "its body was not read then"
    if not _ran(recorded) and recorded.status == 503:
        yield "the database was away then"
    for span in recorded.spans:
        if span["kind"] == "tool":
            yield from _doubts_of_call(span)


def _doubts_of_call(span: Any) -> Iterator[str]:
    name, output = span["name"], span.get("output")
    body = output.get("body") if is_http(span) and isinstance(output, dict) else output
    for part in (output, body):
        if isinstance(part, dict) and "$omitted" in part:
            yield f"the answer of {name} was too large to keep"
            return
    if isinstance(body, dict) and ("$streamed" in body or "$partial" in body):
        yield f"the answer of {name} was streamed, and not kept whole"
    if isinstance(body, dict) and "$repr" in body:
        yield f"{name} returned an object that is known by its text only"
    if _holds(output, REDACTED):
        yield f"the answer of {name} holds what was redacted"


def _ran(recorded: RecordedRequest) -> bool:
    """Whether it came to a function at all."""
    return any(span["kind"] == "function" for span in recorded.spans)


def _omitted_member(given: dict[str, Any]) -> str | None:
    return next((name for name, value in given.items() if isinstance(value, dict) and "$omitted" in value), None)


def _holds(value: Any, text: str) -> bool:
    return value is not None and text.encode() in to_json(value)

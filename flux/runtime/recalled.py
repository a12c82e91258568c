"""What a replay gives back in place of the outside: the recorded answers of tool calls, the tape, names of secrets.

A recorded answer belongs to the functions around the call, the call's name and its arguments, never to a time: first
the earliest unused one with equal arguments, then the unused one at the same ordinal, whose arguments have changed. A
call that the record does not hold is answered by a stub or not at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson

from flux.errors import ToolNotRecorded
from flux.record import Failure, Record, Span
from flux.redaction import REDACTED
from flux.runtime.raised import exception_of, has_class
from flux.runtime.sameness import normal
from flux.runtime.tape import RecordedTape
from flux.runtime.values import find_class, restored

Outcome = Literal["exact", "changed", "stub", "new"]
Row = Mapping[str, Any]

#: A call that ended so shortly before a request that timed out was what it waited for, in microseconds.
_AT_THE_END_US = 250_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a replay that would have left the system, and how it was answered."""

    span_id: int | None
    name: str
    outcome: Outcome
    recorded_arguments: Any
    arguments: Any


@dataclass(slots=True)
class _Recorded:
    """One recorded tool call, with the spans inside it."""

    span: Row
    path: tuple[str, ...]
    arguments: Any
    below: Sequence[Row]
    used: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered: a value, or the error that it raises."""

    outcome: Outcome
    output: Any = None
    error: Row | None = None
    attributes: Row = field(default_factory=dict)


class Recalled:
    """What one recorded request was told by the outside; used by one replay of it.

    `request` and `spans` are rows as JSON; `stubs` are answers by the name of a call. `inexact` says in words what
    could not be given back as it was, `calls` what was asked for.
    """

    def __init__(self, request: Row, spans: Sequence[Row], stubs: Mapping[str, Any] | None = None) -> None:
        attributes = request.get("attributes") or {}
        self.request = request
        self.spans = spans
        self.calls: list[Call] = []
        self.inexact: dict[str, None] = {}
        self.tape = RecordedTape(
            attributes.get("tape") or (),
            request["request_id"],
            _ns(request["started_at"]),
            attributes.get("guests") or (),
        )
        self.before_statement: Callable[[Record, Span], Sequence[str]] | None = None
        self._secrets: Mapping[str, Any] = attributes.get("secrets") or {}
        self._stubs = stubs or {}
        self._recorded = _tool_calls(spans)
        self._ordinals: dict[tuple[tuple[str, ...], str], int] = {}
        self._lock = threading.Lock()

    @property
    def kind(self) -> str:
        """What started the request in the first place, also where this is the replay of a replay."""
        if self.request["kind"] != "replay":
            return str(self.request["kind"])
        return "http" if self.request["method"] else str(self.spans[0]["name"] if self.spans else "invoke")

    @property
    def request_id(self) -> UUID:
        """The id that its code saw."""
        replayed = self.request.get("replay_of") if self.request["kind"] == "replay" else None
        return UUID(replayed or self.request["request_id"])

    def secret(self, name: str) -> str | None:
        """A placeholder for a secret; None for one that was not set then."""
        if name not in self._secrets:
            self.inexact[f"the secret {name} was not read then, and is a placeholder"] = None
        return f"[secret {name}]" if self._secrets.get(name, True) else None

    def answer(self, record: Record, span: Span) -> Answer:
        """What the call of this span is answered, noted on the span; raises ToolNotRecorded."""
        path = path_of(record, span)
        asked = orjson.loads(orjson.dumps(span.input))
        with self._lock:  # coroutines may call side by side
            found, exact = self._find(path, span.name, normal(asked))
            if found is not None:
                found.used = True
        if found is not None and (lost := _lost(found)) is None:
            return self._recall(record, span, found, asked, "exact" if exact else "changed")
        if span.name in self._stubs:
            self._note(span, "stub", found, asked)
            return _stubbed(self._stubs[span.name])
        self._note(span, "new", found, asked)
        reason = lost if found is not None else "the record holds no answer to it"
        raise ToolNotRecorded(f"{span.name} was not called: {reason}", hint=_HINT)

    def value(self, record: Record, span: Span) -> Any:
        """What a tool returned; raises what it raised, or ToolNotRecorded."""
        answer = self.answer(record, span)
        raise_error(answer)
        kinds = answer.attributes.get("flux.tool.type")
        if not kinds:
            return answer.output
        span.attributes["flux.tool.type"] = kinds
        value, missing = restored(answer.output, kinds)
        for name in missing:
            self.inexact[f"{span.name} returned a {name}, given back as what is recorded of it"] = None
        return value

    def refused(self, name: str, arguments: Any) -> ToolNotRecorded:
        """The error for a call that no library records: a socket, a program. Seen also when it is caught."""
        if len(self.calls) < 1_000:
            self.calls.append(Call(None, name, "new", None, arguments))
        return ToolNotRecorded(f"{name} was refused: a replay does not reach outside", hint=_HINT)

    def _find(self, path: tuple[str, ...], name: str, asked: Any) -> tuple[_Recorded | None, bool]:
        ordinal = self._ordinals.get((path, name), 0)
        self._ordinals[path, name] = ordinal + 1
        named = [call for call in self._recorded if call.span["name"] == name]
        here = [call for call in named if call.path == path]
        for calls in (here, named):  # elsewhere: a function has another name by now
            for call in calls:
                if not call.used and call.arguments == asked:
                    return call, True
        at = (here or named)[ordinal : ordinal + 1]
        return (at[0], False) if at and not at[0].used else (None, False)

    def _recall(self, record: Record, span: Span, found: _Recorded, asked: Any, outcome: Outcome) -> Answer:
        self._note(span, outcome, found, asked)
        self._relive(record, span, found)
        if REDACTED in orjson.dumps(found.span["output"]).decode():
            self.inexact[f"the answer of {span.name} holds what was redacted"] = None
        error = found.span["error"] if _was_raised(found) else None
        if error is not None and not has_class(error):
            self.inexact[f"error {error.get('type')} is raised as a class made for the replay"] = None
        if self._waited_to_the_end(found):
            interrupted: Any = find_class("flux.runtime.deadline.Interrupted")
            raise interrupted
        return Answer(outcome, found.span["output"], error, found.span["attributes"] or {})

    def _note(self, span: Span, outcome: Outcome, found: _Recorded | None, asked: Any) -> None:
        recorded = found.span["input"] if found else None
        self.calls.append(Call(span.span_id, span.name, outcome, recorded, asked))
        span.attributes["flux.replay"] = outcome
        if outcome == "changed":
            span.attributes["flux.replay.recorded_input"] = recorded

    def _relive(self, record: Record, span: Span, found: _Recorded) -> None:
        """The steps inside a recorded call, which is not made again."""
        ids = {found.span["span_id"]: span.span_id}
        around = record.current
        for row in found.below:
            inner = record.open(row["kind"], row["name"])
            ids[row["span_id"]] = inner.span_id
            inner.parent_id = ids.get(row["parent_id"], span.span_id)
            inner.duration_us = row["duration_us"]
            inner.input, inner.output = (_fragment(row[name]) for name in ("input", "output"))
            inner.error = failure(row["error"])
            inner.attributes = {**(row["attributes"] or {}), "flux.replay": "exact"}
            if row["kind"] == "db":
                self.inexact[f"statements inside {span.name} are recalled, not run"] = None
        record.current = around

    def _waited_to_the_end(self, found: _Recorded) -> bool:
        if self.request["outcome"] != "timeout" or found.span["duration_us"] is None:
            return False
        end_us = _ns(found.span["started_at"]) // 1_000 + found.span["duration_us"]
        request_us = _ns(self.request["started_at"]) // 1_000 + (self.request["duration_us"] or 0)
        return bool(end_us > request_us - _AT_THE_END_US)


def raise_error(answer: Answer) -> None:
    """Raise the error of an answer that is one."""
    if answer.error is not None:
        raise exception_of(answer.error, answer.attributes.get("flux.raised"))


_HINT = "Give the answer with `flux incident replay --stub FILE`."


def path_of(record: Record, span: Span) -> tuple[str, ...]:
    """The names of the functions around a step, the innermost first."""
    return tuple(around.name for around in record.ancestors(span) if around.kind == "function")


def recorded_paths(spans: Sequence[Row]) -> dict[int, tuple[str, ...]]:
    """The same for each recorded step of the last attempt; steps of earlier attempts are left out."""
    by_id = {row["span_id"]: row for row in spans}
    attempts = [row["span_id"] for row in spans if row["kind"] == "function" and _is_outermost(row, by_id)]
    paths: dict[int, tuple[str, ...]] = {}
    for row in spans:
        around: list[Row] = []
        parent = by_id.get(row["parent_id"])
        while parent is not None:
            around.append(parent)
            parent = by_id.get(parent["parent_id"])
        functions = [step for step in around if step["kind"] == "function"]
        if not functions or functions[-1]["span_id"] == attempts[-1]:
            paths[row["span_id"]] = tuple(step["name"] for step in functions)
    return paths


def failure(error: Row | None) -> Failure | None:
    """A recorded error as it is kept of a step."""
    if error is None:
        return None
    known = {name: value for name, value in error.items() if name in Failure.__dataclass_fields__ and name != "stack"}
    return Failure(**known, stack=tuple(error.get("stack", ())))


def _tool_calls(spans: Sequence[Row]) -> list[_Recorded]:
    """The calls that were made by functions, in order; those inside another are part of it."""
    paths = recorded_paths(spans)
    found: dict[int, list[Row]] = {}
    calls: list[_Recorded] = []
    for row in spans:
        if row["parent_id"] in found:
            below = found[row["span_id"]] = found[row["parent_id"]]
            below.append(row)
        elif row["kind"] == "tool" and row["span_id"] in paths:
            below = found[row["span_id"]] = []
            calls.append(_Recorded(row, paths[row["span_id"]], normal(row["input"]), below))
    return calls


def _is_outermost(row: Row, by_id: Mapping[int, Row]) -> bool:
    around = by_id.get(row["parent_id"])
    return around is None or around["parent_id"] is None


def _lost(found: _Recorded) -> str | None:
    """Why a recorded answer cannot be given back, None when it can."""
    output = found.span["output"]
    if not isinstance(output, dict):
        return None
    body = output.get("body") if is_http(found.span) else output
    omitted = body.get("$omitted") if isinstance(body, dict) else None
    omitted = output.get("$omitted", omitted)
    return f"its answer of {omitted.get('bytes')} bytes was too large to keep" if omitted else None


def is_http(row: Row) -> bool:
    """Whether a tool call was an HTTP call."""
    return "http.request.method" in (row["attributes"] or {})


def _was_raised(found: _Recorded) -> bool:
    """An answer with an error status is an error of the span, but none that was raised."""
    return bool(found.span["error"]) and not (is_http(found.span) and found.span["output"] is not None)


def _stubbed(stub: Any) -> Answer:
    if isinstance(stub, dict) and set(stub) == {"error"}:
        error = stub["error"]
        return Answer("stub", error=error if isinstance(error, dict) else {"type": "Exception", "message": str(error)})
    return Answer("stub", stub)


def _fragment(value: Any) -> orjson.Fragment | None:
    return None if value is None else orjson.Fragment(orjson.dumps(value))


def _ns(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1_000_000) * 1_000

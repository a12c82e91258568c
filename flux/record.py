"""The record of one request while it runs: its spans as a tree, its outcome, and what of it may be stored.

Kept in memory as plain lists and written to Postgres once, by the engine. Values are redacted and capped on their way
in, so that a secret never leaves this process. `real_time_ns` is the clock itself, also where user code sees another.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from flux.context import RequestContext
from flux.encoding import HEAD_BYTES, to_json, without_nul
from flux.redaction import Redactor, clean_text

#: Nanoseconds since the epoch, bound before anything may put another clock in its place.
real_time_ns = time.time_ns

#: Spans past this number are counted, not kept, so that a runaway loop cannot fill the memory of a worker.
MOST_SPANS = 20_000


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is recorded; `stack` is outermost first, `location` is file:line of the user's code."""

    type: str
    message: str
    code: str | None = None
    location: str | None = None
    stack: tuple[Mapping[str, Any], ...] = ()
    signature: str | None = None
    table: str | None = None
    column: str | None = None
    constraint: str | None = None
    detail: str | None = None
    hint: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The members that are known, by name."""
        members = ("type", "message", "code", "location", "table", "column", "constraint", "detail", "hint")
        known = {name: getattr(self, name) for name in members if getattr(self, name) is not None}
        return {**known, "stack": list(self.stack)} if self.stack else known


@dataclass(slots=True)
class Span:
    """One step. `started_ns` is nanoseconds since the epoch; input and output are JSON, ready to be stored."""

    span_id: int
    parent_id: int | None
    kind: str
    name: str
    started_ns: int
    duration_us: int | None = None
    input: orjson.Fragment | None = None
    output: orjson.Fragment | None = None
    error: Failure | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    written: bool = False


class Record:
    """All that is known of one request so far. Used by one thread at a time."""

    def __init__(self, context: RequestContext, redactor: Redactor, keep_bytes: int, root: Path) -> None:
        self.context = context
        self.root = root
        self.redactor = redactor
        self.keep_bytes = keep_bytes
        self.function: str | None = None
        self.input: orjson.Fragment | None = None
        self.output: orjson.Fragment | None = None
        self.status: int | None = None
        self.outcome = "running"
        self.failure: Failure | None = None
        self.attempt = 1
        self.duration_us: int | None = None
        self.attributes: dict[str, Any] = {}
        self.secrets: set[str] = set()
        #: The context as it may be stored: claims are redacted like any other value.
        self.shown = context
        if context.claims and redactor.active:
            claims = redactor.clean(context.claims, self.secrets)
            self.shown = replace(context, claims=claims, actor=context.actor and self.text(context.actor))
        self.spans: list[Span] = []
        self.spans_omitted = 0
        self.current: Span | None = None
        self._lock = threading.Lock()

    def json(self, value: Any, keep_bytes: int | None = None) -> orjson.Fragment:
        """A value redacted, encoded, and replaced by its size and hash when it is larger than keep_bytes."""
        if self.redactor.active or self.secrets:
            try:
                value = self.redactor.clean(value, self.secrets)
            except RecursionError:  # what cannot be looked through for secrets is not kept
                value = {"$repr": "<nested too deeply>"}
        encoded = to_json(value)
        if len(encoded) > (keep_bytes or self.keep_bytes):
            encoded = to_json(
                {
                    "$omitted": {
                        "bytes": len(encoded),
                        "sha256": hashlib.sha256(encoded).hexdigest(),
                        "head": encoded[:HEAD_BYTES].decode("utf-8", "replace"),
                    }
                }
            )
        return orjson.Fragment(encoded)

    def text(self, text: str) -> str:
        """Text without the secrets known so far."""
        return clean_text(text, self.secrets) if self.secrets else text

    def open(self, kind: str, name: str) -> Span:
        """Begin a step inside the current one, and make it the current one."""
        parent = self.current
        with self._lock:  # coroutines may go on in threads of their own
            span = Span(
                span_id=self.spans_omitted + len(self.spans) + 1,
                parent_id=parent.span_id if parent else None,
                kind=kind,
                name=name,
                started_ns=real_time_ns(),
            )
            if len(self.spans) < MOST_SPANS:
                self.spans.append(span)
            else:
                self.spans_omitted += 1
        self.current = span
        return span

    def close(self, span: Span, failure: Failure | None = None) -> None:
        """End a step; the one around it becomes the current one."""
        span.duration_us = (real_time_ns() - span.started_ns) // 1_000
        span.error = failure
        self.current = self._parent(span)

    def ancestors(self, span: Span) -> Iterator[Span]:
        """The steps around a step, the innermost first."""
        parent = self._parent(span)
        while parent is not None:
            yield parent
            parent = self._parent(parent)

    def _parent(self, span: Span) -> Span | None:
        if span.parent_id is None or span.parent_id > len(self.spans):
            return None
        return self.spans[span.parent_id - 1]

    def finish(self, outcome: str, status: int, failure: Failure | None = None) -> None:
        """Say how the request ended. Steps still open end here."""
        now = real_time_ns()
        self.outcome = outcome
        self.status = status
        self.failure = failure
        self.duration_us = (now - self.context.started_ns) // 1_000
        for span in self.spans:
            if _is_open(span):
                span.duration_us = (now - span.started_ns) // 1_000
        if self.spans_omitted:
            self.attributes["spans_omitted"] = self.spans_omitted

    def reopen(self) -> None:
        """Take back finish(): the commit failed and the function runs again."""
        self.outcome, self.status, self.failure, self.duration_us = "running", None, None, None
        if self.spans:
            self.spans[0].duration_us = None
            self.current = self.spans[0]

    def request_json(self, snapshot: str | None = None, *, committed: bool = False, again: bool = False) -> bytes:
        """The request row as flux.record_request takes it.

        `snapshot` is what its first statement could see; `committed` says that its data is in the same transaction,
        `again` that the request was written before, at an early commit.
        """
        context, failure = self.context, self.failure
        row = orjson.dumps(
            {
                "request_id": context.request_id,
                "kind": context.kind,
                "method": context.method,
                "path": context.path,
                "query": context.query,
                "route": context.route,
                "function": self.function,
                "headers": orjson.Fragment(to_json(context.headers)) if context.headers else None,
                "input": self.input,
                "output": self.output,
                "status": self.status,
                "outcome": self.outcome,
                "error_type": failure.type if failure else None,
                "error_message": failure.message if failure else None,
                "error_code": failure.code if failure else None,
                "error_location": failure.location if failure else None,
                "error_stack": orjson.Fragment(to_json(failure.stack)) if failure and failure.stack else None,
                "error_signature": failure.signature if failure else None,
                "started_at": timestamp(context.started_ns),
                "duration_us": self.duration_us,
                "actor": self.shown.actor,
                "claims": orjson.Fragment(to_json(self.shown.claims)) if self.shown.claims else None,
                "code_sha": context.code_sha,
                "trace_id": context.trace_id,
                "caller_request_id": context.caller_request_id,
                "parent_request_id": context.parent_request_id,
                "parent_span_id": context.parent_span_id,
                "attempt": context.job.attempt if context.job else self.attempt,
                "job_id": context.job.job_id if context.job else None,
                "snapshot": snapshot,
                "committed": committed,
                "again": again,
                "replay_of": context.replay_of,
                "attributes": orjson.Fragment(to_json(self._shown_attributes())) if self.attributes else None,
            }
        )
        return without_nul(row)

    def _shown_attributes(self) -> dict[str, Any]:
        """The attributes; what was drawn and became a secret is taken off the tape."""
        tape = self.attributes.get("tape") or []
        guests = self.attributes.get("guests")
        if not self.secrets or not (tape or guests):
            return self.attributes
        secrets = {secret.replace("-", "").lower() for secret in self.secrets}
        shown = [[kind, None if str(value).replace("-", "").lower() in secrets else value] for kind, value in tape]
        known = {**self.attributes, "tape": shown} if tape else dict(self.attributes)
        if guests:
            known["guests"] = orjson.Fragment(self.text(to_json(guests).decode()).encode())
        return known

    def spans_json(self) -> bytes:
        """The spans to be written now, as flux.record_request takes them: those that ended and were not written yet."""
        return without_nul(orjson.dumps([_span_json(span) for span in self._unwritten()]))

    def mark_written(self) -> None:
        """Note that the spans of spans_json are stored."""
        for span in self._unwritten():
            span.written = True

    def _unwritten(self) -> list[Span]:
        running = self.outcome == "running"
        return [span for span in self.spans if not span.written and not (running and _is_open(span))]


def _is_open(span: Span) -> bool:
    return span.duration_us is None and span.kind != "log"


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "kind": span.kind,
        "name": span.name,
        "started_at": timestamp(span.started_ns),
        "duration_us": span.duration_us,
        "input": span.input,
        "output": span.output,
        "error": orjson.Fragment(to_json(span.error.as_json())) if span.error else None,
        "attributes": orjson.Fragment(to_json(span.attributes)) if span.attributes else None,
    }


def timestamp(nanoseconds: int) -> datetime:
    """Nanoseconds since the epoch as a time in UTC, to the microsecond."""
    return datetime.fromtimestamp(nanoseconds / 1_000_000_000, UTC)

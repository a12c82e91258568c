"""`ctx.queue`: work pushed inside the request's own transaction, so that it exists exactly if its data does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flux.config import Queue as QueueSettings
from flux.config import duration_seconds
from flux.encoding import to_json
from flux.errors import FluxError, FunctionBroken, NotHandedOff, PayloadTooLarge
from flux.record import Record, Span
from flux.runtime.database import RequestDatabase
from flux.runtime.failures import failure_of
from flux.runtime.functions import Function

if TYPE_CHECKING:
    from flux.runtime.loader import Registry

_ENQUEUE = """
    select flux.enqueue(
        %s, %s::jsonb, queue => %s::text, delay => %s, run_at => %s, key => %s::text, unique_for => %s,
        priority => %s::integer, max_attempts => %s::integer, ordering_key => %s::text
    )
"""

#: What the database refuses, by SQLSTATE; and the class of those that say that a value is none of its type.
_REFUSED: dict[str, type[FluxError]] = {error.code: error for error in (NotHandedOff, PayloadTooLarge)}
_DATA = "22"


class Queue:
    """The queue as a function sees it."""

    def __init__(self, record: Record, database: RequestDatabase, registry: Registry, settings: QueueSettings) -> None:
        self._record = record
        self._database = database
        self._registry = registry
        self._settings = settings

    def push(
        self,
        function: str | Function,
        input: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        delay: float | str | timedelta | None = None,
        run_at: datetime | None = None,
        key: str | None = None,
        unique_for: float | str | timedelta | None = None,
        priority: int | None = None,
        max_attempts: int | None = None,
        ordering_key: str | None = None,
    ) -> int:
        """Push a job for a function with arguments by name; the job's id.

        It runs after this request's commit, not before `delay` (seconds, or text such as "5m") or `run_at`; higher
        `priority` first. Where an unfinished job of the function has the `key`, or one had it within `unique_for`, that
        one's id is given and nothing is pushed. Jobs of a queue with the same `ordering_key` run one after another.
        Raises FunctionNotFound, PayloadTooLarge, NotHandedOff.
        """
        name = function.name if isinstance(function, Function) else function
        span = self._record.open("queue", f"push {name}")
        try:
            given = dict(input or {})
            span.input = self._record.json(given)
            target = self._find(name)
            if target is not None:
                queue = target.handoffs.queue if queue is None else queue
                max_attempts = target.handoffs.max_attempts if max_attempts is None else max_attempts
            if unique_for is not None and key is None:
                raise NotHandedOff(f"a job for {name} is to be unique for a time, but has no key")
            job = self._enqueue(
                span,
                name,
                self._payload(name, given),
                queue,
                _interval("delay", delay),
                run_at,
                key,
                _interval("unique_for", unique_for),
                priority,
                self._settings.max_attempts if max_attempts is None else max_attempts,
                ordering_key,
            )
        except BaseException as error:
            self._record.close(span, failure_of(error, self._record))
            raise
        span.output = self._record.json({"job": job})
        self._record.close(span)
        return int(job)

    def _enqueue(self, span: Span, *options: Any) -> Any:
        try:
            return self._database.hand_off(span, _ENQUEUE, *options)
        except Exception as error:
            state, diagnosis = getattr(error, "sqlstate", None) or "", getattr(error, "diag", None)
            if diagnosis is None or (state not in _REFUSED and not state.startswith(_DATA)):
                raise
            refused = _REFUSED.get(state, NotHandedOff)
            raise refused(diagnosis.message_primary, hint=diagnosis.message_hint) from None

    def _find(self, name: str) -> Function | None:
        """The function, if there is one; what is broken now may be mended until the job runs."""
        with suppress(FunctionBroken):
            return self._registry.find(name)
        return None

    def _payload(self, name: str, given: dict[str, Any]) -> str:
        payload, allowed = to_json(given), self._settings.payload_limit
        if len(payload) > allowed:
            raise PayloadTooLarge(
                f"the input of a job for {name} has {len(payload)} bytes, more than {allowed} bytes",
                hint="Store it in a table and push its key, or raise [queue] payload_limit in flux.toml.",
            )
        return payload.decode()


def _interval(option: str, value: float | str | timedelta | None) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    if value == 0:
        return timedelta(0)
    try:
        return timedelta(seconds=duration_seconds(value))
    except (ValueError, OverflowError):
        raise NotHandedOff(f'{option} is {value!r}, not seconds or text such as "5m"') from None

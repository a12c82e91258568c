"""`ctx.events`: events published in the request's own transaction, each a span of its record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flux.encoding import to_json
from flux.errors import BadEvent, EventTooLarge, FluxError, PayloadTooLarge
from flux.record import Record, Span
from flux.runtime.database import RequestDatabase
from flux.runtime.failures import failure_of

_PUBLISH = "select flux.publish(%s, %s::text::jsonb, %s, %s)"

#: What the database refuses, by SQLSTATE.
_REFUSED: dict[str, type[FluxError]] = {error.code: error for error in (BadEvent, EventTooLarge, PayloadTooLarge)}


class Events:
    """What a function says has happened. `source` names it in the events: /project/function."""

    def __init__(self, record: Record, database: RequestDatabase, source: str) -> None:
        self._record = record
        self._database = database
        self._source = source

    def publish(self, type: str, data: Any = None, *, subject: str | None = None) -> UUID:
        """Publish an event with this transaction: who subscribed to it is told exactly if the data is committed.

        `type` is words between dots, `data` anything that can be JSON, `subject` what it happened to. Gives the id of
        the event. Raises BadEvent, EventTooLarge.
        """
        span = self._record.open("event", f"publish {type}")
        span.input = self._record.json({"type": type, "subject": subject, "data": data})
        try:
            event = self._publish(span, type, to_json({} if data is None else data).decode(), subject)
        except BaseException as error:
            self._record.close(span, failure_of(error, self._record))
            raise
        span.output = self._record.json({"event": event})
        self._record.close(span)
        return event

    def _publish(self, span: Span, type: str, data: str, subject: str | None) -> UUID:
        try:
            event: UUID = self._database.hand_off(span, _PUBLISH, type, data, subject, self._source)
        except Exception as error:
            refused = _REFUSED.get(getattr(error, "sqlstate", None) or "")
            if refused is None:
                raise
            diagnosis: Any = getattr(error, "diag", None)
            raise refused(diagnosis.message_primary, hint=diagnosis.message_hint) from None
        return event

"""`ctx`: what user code holds while its function runs."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from flux.errors import NotFound
from flux.record import Record
from flux.runtime.database import RequestDatabase
from flux.runtime.events import Events
from flux.runtime.failures import failure_of
from flux.runtime.fetch import FetchResponse, fetch
from flux.runtime.logs import Log
from flux.runtime.queue import Queue
from flux.runtime.tools import call_tool

if TYPE_CHECKING:
    from flux.runtime.functions import Function

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Request:
    """The request as the caller sent it, credentials included; those are never recorded."""

    id: UUID
    kind: str
    method: str | None
    path: str | None
    query: str | None
    headers: Mapping[str, str]


class Secrets:
    """Secrets from the environment. What is read here is hidden wherever it would be recorded in this request."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def get(self, name: str, default: str | None = None) -> str | None:
        """The secret, or the default."""
        value = os.environ.get(name)
        if value is None:
            return default
        self._record.secrets.add(value)
        return value

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise NotFound(f"secret {name} is not set", hint=f"Set {name} in the environment of the runtime.")
        return value


class Ctx:
    """The request's database, its outbound calls, its log and clock. One per request; not for other threads."""

    def __init__(
        self,
        record: Record,
        database: RequestDatabase,
        functions: Mapping[str, Function],
        credentials: Mapping[str, str],
        queue: Queue,
        events: Events,
    ) -> None:
        context = record.context
        self.db = database
        self.queue = queue
        self.events = events
        self.log = Log()
        self.secrets = Secrets(record)
        self.request = Request(
            id=context.request_id,
            kind=context.kind,
            method=context.method,
            path=context.path,
            query=context.query,
            headers={**context.headers, **credentials},
        )
        self._record = record
        self._functions = functions
        self._random: random.Random | None = None

    def fetch(self, url: str, **options: Any) -> FetchResponse:
        """An outbound HTTP call, recorded as a tool call; the options are those of flux.runtime.fetch.fetch."""
        return fetch(url, **options)

    def tool(self, name: str, call: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Call something that leaves the system, recorded as a tool call of this name."""
        return call_tool(name, call, arguments, named)

    def invoke(self, name: str, **arguments: Any) -> Any:
        """Run another function of the project inside this request and its transaction."""
        function = self._functions.get(name)
        if function is None:
            raise NotFound(f"there is no function {name}", hint="`flux doctor` lists the functions of this project.")
        span = self._record.open("function", name)
        span.input = self._record.json(arguments)
        try:
            result = function.handler(self, **function.bind_input(arguments))
        except BaseException as error:
            self._record.close(span, failure_of(error, self._record))
            raise
        span.output = self._record.json(result)
        self._record.close(span)
        return result

    def now(self) -> datetime:
        """The time in UTC, recorded."""
        moment = datetime.fromtimestamp(time.time(), UTC)
        self._tape("now", moment.isoformat())
        return moment

    def uuid(self) -> UUID:
        """A random UUID (version 4), recorded."""
        made = uuid.uuid4()
        self._tape("uuid", str(made))
        return made

    @property
    def random(self) -> random.Random:
        """A random generator whose seed is recorded. Not for secrets: who reads the record can repeat it."""
        if self._random is None:
            seed = os.urandom(16).hex()
            self._tape("seed", seed)
            self._random = random.Random(seed)  # noqa: S311  # recorded on purpose
        return self._random

    def _tape(self, name: str, value: str) -> None:
        self._record.attributes.setdefault("tape", []).append([name, value])

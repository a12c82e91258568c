"""`ctx`: what user code holds while its function runs."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from flux.errors import NotFound
from flux.record import Record
from flux.redaction import CREDENTIAL_HEADERS
from flux.runtime.chance import new_uuid, real_urandom
from flux.runtime.database import RequestDatabase
from flux.runtime.events import Events
from flux.runtime.execution import Execution
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


class _Headers(dict[str, str]):
    """Headers by lower-case name. The record keeps which credentials were looked at: a replay does not have them."""

    def __init__(self, open_: Mapping[str, str], credentials: Mapping[str, str], record: Record) -> None:
        super().__init__({**open_, **credentials})
        self._record = record

    def __getitem__(self, name: str) -> str:
        self._note(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The header, or the default."""
        self._note(name)
        return super().get(name, default)

    def _note(self, name: object) -> None:
        if name in CREDENTIAL_HEADERS:
            self._record.attributes.setdefault("credentials", {})[str(name)] = super().__contains__(name)


class Secrets:
    """Secrets from the environment. What is read here is hidden wherever it would be recorded in this request.

    The record keeps the names that were read, and whether they were set. A replay has no secrets: it gives the name.
    """

    def __init__(self, execution: Execution) -> None:
        self._record = execution.record
        self._recalled = execution.recalled

    def get(self, name: str, default: str | None = None) -> str | None:
        """The secret, or the default."""
        value = os.environ.get(name) if self._recalled is None else self._recalled.secret(name)
        self._record.attributes.setdefault("secrets", {})[name] = value is not None
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
        execution: Execution,
        database: RequestDatabase,
        functions: Mapping[str, Function],
        credentials: Mapping[str, str],
        queue: Queue,
        events: Events,
    ) -> None:
        record, recalled = execution.record, execution.recalled
        context = record.context
        self.db = database
        self.queue = queue
        self.events = events
        self.log = Log()
        self.secrets = Secrets(execution)
        self.request = Request(  # a replay shows what its code saw then
            id=recalled.request_id if recalled else context.request_id,
            kind=recalled.kind if recalled else context.kind,
            method=context.method,
            path=context.path,
            query=context.query,
            headers=_Headers(context.headers, credentials, record),
        )
        self._record = record
        self._tape = execution.tape
        self._functions = functions
        self._random: random.Random | None = None

    def fetch(self, url: str, **options: Any) -> FetchResponse:
        """An outbound HTTP call, recorded as a tool call; the options are those of flux.runtime.fetch.fetch."""
        return fetch(url, **options)

    def tool(self, name: str, call: Callable[..., Result], /, *arguments: Any, **named: Any) -> Result:
        """Call something that leaves the system, recorded as a tool call of this name."""
        return call_tool(name, call, arguments, named)

    def invoke(self, name: str, /, **arguments: Any) -> Any:
        """Run another function of the project inside this request and its transaction, as the role that it asks for."""
        function = self._functions.get(name)
        if function is None:
            raise NotFound(f"there is no function {name}", hint="`flux doctor` lists the functions of this project.")
        span = self._record.open("function", name)
        span.input = self._record.json(arguments)
        db_role = self.db.db_role
        try:
            self.db.become(function.db_role)
            result = function.handler(self, **function.bind_input(arguments))
        except BaseException as error:
            self._record.close(span, failure_of(error, self._record))
            raise
        finally:
            self.db.become(db_role)
        span.output = self._record.json(result)
        self._record.close(span)
        return result

    def now(self) -> datetime:
        """The time in UTC, recorded."""
        return self._tape.now()

    def uuid(self) -> UUID:
        """A random UUID (version 4), recorded."""
        return self._tape.uuid("uuid", new_uuid)

    @property
    def random(self) -> random.Random:
        """A random generator whose seed is recorded. Not for secrets: who reads the record can repeat it."""
        if self._random is None:
            self._random = random.Random(self._tape.seed("seed", real_urandom))  # noqa: S311  # recorded on purpose
        return self._random

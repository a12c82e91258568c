"""The child of a Runner: it has loaded one tree, and runs recorded requests again, one after the other.

It reads orders as JSON lines from a pipe of its own and answers on another, so that what user code prints or reads
disturbs nothing. What it does with a request is what the gateway did then; only the outside is recalled.
"""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import orjson

from flux.config import Project
from flux.context import RequestContext
from flux.errors import FluxError, FunctionBroken, FunctionNotFound, InvalidInput
from flux.gateway.problems import failure_of_broken
from flux.record import Failure, Record
from flux.redaction import REDACTED
from flux.replay.inputs import sent
from flux.runtime.broken import Broken
from flux.runtime.functions import Function
from flux.runtime.guard import Guard
from flux.runtime.inflight import InflightTable
from flux.runtime.keys import RecordedKeys
from flux.runtime.loader import Registry, load
from flux.runtime.recalled import Recalled
from flux.runtime.routes import Match, RouteTable
from flux.runtime.runtime import Runtime

#: How the process ends when a function of it cannot be stopped.
STUCK = 75

#: Seconds that a finished record may take to be stored.
STORING = 10.0

_DENIED = re.compile(r"permission denied for (?:table|relation|view|foreign table|materialized view) (\S+)")


_TABLES = """
    select flux.logical_name(oid::regclass)
    from pg_catalog.pg_class
    where relname = any(%s)
        and relkind in ('r', 'p', 'f', 'v', 'm')
        and relnamespace <> 'pg_catalog'::regnamespace
    order by 1
"""


@dataclass(frozen=True, slots=True)
class _Column:
    """A generated column as an order names it."""

    table: str
    column: str
    sequence: str | None


class Rerun:
    """A loaded project on a database, with the routes of its functions."""

    def __init__(self, runtime: Runtime, registry: Registry, guard: Guard) -> None:
        self._runtime = runtime
        self._registry = registry
        self._routes = RouteTable(registry)
        self._guard = guard

    def timeout_of(self, order: Mapping[str, Any]) -> float:
        """Seconds that the function of an order may run, as far as that can be told before it does."""
        function = self._registry.functions.get(order["request"].get("function") or "")
        return (function.timeout if function else None) or self._runtime.project.functions.timeout

    def run(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Run one request again; its record is stored when this returns."""
        request, spans = order["request"], order["spans"]
        recalled = Recalled(request, spans, order["stubs"])
        if not order["in_place"]:
            generated = [_Column(**column) for column in order["generated"]]
            recalled.before_statement = RecordedKeys(spans, order["mutations"], generated).before_statement
        self._guard.recalled = recalled
        started_ns = time.time_ns()
        context = RequestContext(
            request_id=UUID(order["replay_id"]),
            kind="replay",
            started_ns=started_ns,
            method=request["method"],
            path=request["path"],
            query=request["query"],
            headers=request["headers"] or {},
            trace_id=request["trace_id"] and UUID(order["replay_id"]).hex,
            actor=request["actor"],
            claims=request["claims"],
            code_sha=self._runtime.code_sha,
            replay_of=UUID(request["request_id"]),
        )
        record = _Answering(self._runtime, self._registry, self._routes, context, recalled).answer()
        stored = self._runtime.writer.wait_until_written(STORING)
        sys.stdout.flush()
        sys.stderr.flush()
        return {
            "status": record.status,
            "outcome": record.outcome,
            "calls": [asdict(call) for call in recalled.calls],
            "denied": self._denied(record, spans),
            "inexact": [
                *recalled.inexact,
                *recalled.tape.beyond(),
                *_hidden_claims(request["claims"] if "db.role" in record.attributes else None),
                *([] if stored else ["its record is not stored"]),
            ],
        }

    def _denied(self, record: Record, recorded: Sequence[Mapping[str, Any]]) -> list[str]:
        """Tables that a statement was not let at, but for those that it was not let at then either."""
        then = {error["message"] for row in recorded if (error := row["error"]) and error.get("code") == "42501"}
        refused = {span.error.message for span in record.spans if span.error and span.error.code == "42501"}
        names = [named[1].strip('"') for message in refused - then if (named := _DENIED.search(message))]
        if not names:
            return []
        with self._runtime.database.connection() as connection:
            return [row[0] for row in connection.execute(_TABLES, (names,)).fetchall()]


def _hidden_claims(claims: Mapping[str, Any] | None) -> list[str]:
    """What a role of the database can no longer be told."""
    names = [name for name, value in (claims or {}).items() if value == REDACTED]
    return [f"the claim {name} was redacted: a policy that asks for it finds {REDACTED}" for name in names]


class _Answering:
    """One request on the way that the gateway took with it."""

    def __init__(
        self, runtime: Runtime, registry: Registry, routes: RouteTable, context: RequestContext, recalled: Recalled
    ) -> None:
        self.runtime = runtime
        self.registry = registry
        self.routes = routes
        self.context = context
        self.recalled = recalled
        self.request = recalled.request

    def answer(self) -> Record:
        if self.recalled.kind == "http":
            return self._http()
        name = str(self.request["function"])
        given = self.request["input"] or {}
        try:
            function = self.registry.find(name)
            bound = function.bind_input(given)
        except FunctionNotFound as error:
            return self._refuse(404, error.message, name, given)
        except FunctionBroken as error:
            failure = Failure(type="FunctionBroken", message=error.message, code=error.code)
            return self._refuse(500, error.message, name, given, failure)
        except InvalidInput as error:
            return self._refuse(error.status, error.message, name, given)
        return self.runtime.execute(self.context, function, bound, self.recalled).record

    def _http(self) -> Record:
        method, path = str(self.context.method), str(self.context.path)
        try:
            found = self.routes.match(method, path)
        except UnicodeDecodeError:
            return self._refuse(400, "the path is not utf-8", None)
        if not isinstance(found, Match):
            if not found.allow:
                return self._refuse(404, f"there is no route {method} {path}", None)
            return self._refuse(405, f"{path} does not take {method}", None)
        self.context = replace(self.context, route=found.route)
        if isinstance(found.target, Broken):
            return self._broken(found.target)
        return self._run(found.target, found.parameters)

    def _run(self, function: Function, parameters: Mapping[str, str]) -> Record:
        asked = sent(self.request, parameters, function)
        try:
            bound = asked.bind(function)
        except InvalidInput as error:
            return self._refuse(error.status, error.message, function.name, asked.given(function))
        return self.runtime.execute(self.context, function, bound, self.recalled).record

    def _broken(self, broken: Broken) -> Record:
        name = broken.names[0] if len(broken.names) == 1 else None
        message = f"{broken.file} cannot be loaded: {broken.message}"
        failure = failure_of_broken(self.runtime.project.root, broken, name, message)
        return self._refuse(500, message, name, None, failure)

    def _refuse(
        self,
        status: int,
        message: str,
        function: str | None,
        given: Mapping[str, Any] | None = None,
        failure: Failure | None = None,
    ) -> Record:
        return self.runtime.refuse(
            self.context, status, message, function=function, given=given, failure=failure, recalled=self.recalled
        )


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    """Load what the first line names, then run every further line."""

    def say(**answer: Any) -> None:
        answers.write(orjson.dumps(answer) + b"\n")
        answers.flush()

    faulthandler.enable(all_threads=False)
    told = orjson.loads(orders.readline())
    guard = Guard(told["database_url"])
    guard.arm()
    try:
        project = Project.load(Path(told["root"]))
        registry = load(project)
    except FluxError as error:
        say(failed=error.message, hint=error.hint)
        return
    inflight = InflightTable(Path(told["inflight"]), slots=8)

    def give_up() -> None:
        runtime.writer.wait_until_written(STORING)
        say(stuck=True)
        os._exit(STUCK)

    runtime = Runtime(
        project,
        told["database_url"],
        registry,
        inflight=inflight,
        code_sha=told["code_sha"],
        pool_size=3,
        on_stuck=give_up,
    )
    runtime.writer.gather = 0
    runtime.open()
    rerun = Rerun(runtime, registry, guard)
    say(broken=[str(broken) for broken in registry.broken])
    for line in orders:
        order = orjson.loads(line)
        say(began=rerun.timeout_of(order))
        say(ran=rerun.run(order))
    runtime.close()
    inflight.close()

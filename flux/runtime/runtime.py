"""The one path that every request takes: a context and a function in, a reply and a record out."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import current_thread, main_thread
from typing import Any
from uuid import UUID

from flux.config import Project
from flux.context import RequestContext
from flux.engine.pool import Database
from flux.engine.recording import Written
from flux.engine.transaction import Transaction
from flux.errors import DatabaseUnavailable, Discard, FluxError, FunctionTimeout, GuestDied, HTTPError, LeaseLost, Retry
from flux.record import Failure, Record, Span
from flux.redaction import Redactor
from flux.runtime.arguments import Bound
from flux.runtime.chance import record_chance
from flux.runtime.clock import record_clock
from flux.runtime.ctx import Ctx
from flux.runtime.database import RequestDatabase
from flux.runtime.database_role import CALLER, SERVICE, as_refusal
from flux.runtime.deadline import Interrupted, Watchdog, bound_sleep
from flux.runtime.events import Events
from flux.runtime.execution import Execution, reset_current, set_current
from flux.runtime.failures import failure_of, failure_of_thread
from flux.runtime.functions import Function
from flux.runtime.inflight import InflightTable
from flux.runtime.job_failures import job_failure, job_outcome, job_refusal, job_status
from flux.runtime.loader import Registry
from flux.runtime.logs import record_logs
from flux.runtime.outbound import record_outbound
from flux.runtime.query import Queries
from flux.runtime.query_faults import as_input_fault
from flux.runtime.queue import Queue
from flux.runtime.recalled import Recalled
from flux.runtime.response import Response, render
from flux.runtime.writer import Writer

#: SQLSTATEs after which the same work may succeed: serialization failure, deadlock.
RETRYABLE = frozenset({"40001", "40P01"})

#: Seconds before the second attempt at most; twice as long before each further one.
BACKOFF = 0.02

#: Nobody's tape holds what is drawn of it.
_chance = random.Random()  # noqa: S311  # two requests that stand in each other's way are to wait differently

#: An input is kept whole up to this size, so that the request can be run again.
INPUT_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request has no answer of its own: what its caller may know."""

    status: int
    message: str
    members: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the caller; `problem` in place of a body when the request failed or was refused."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    content_type: str | None
    problem: Problem | None
    record: Record


class Runtime:
    """Everything one worker process needs to run functions and record them. Opened after the fork.

    `on_stuck` is called for a function that cannot be stopped; its worker should make way for another.
    """

    def __init__(
        self,
        project: Project,
        database_url: str,
        registry: Registry,
        *,
        inflight: InflightTable,
        code_sha: str,
        pool_size: int = 9,
        on_stuck: Callable[[], None] = lambda: None,
    ) -> None:
        self.project = project
        self.registry = registry
        self.code_sha = code_sha
        self.redactor = Redactor(project.recording.redact)
        self.inflight = inflight
        self.database = Database(database_url, pool_size)
        self.queries = Queries(self.database, lambda: self.project.queries)
        self.writer = Writer(self.database, inflight)
        self._on_stuck = on_stuck
        self._watchdog = Watchdog(self._stuck)

    @property
    def available(self) -> bool:
        """False while the database is away."""
        return self.writer.available

    def open(self) -> None:
        """Open the pool, start the writer and the watchdog, and make outbound calls and logs record themselves."""
        bound_sleep()
        record_clock()
        record_chance()
        record_outbound()
        record_logs()
        self.database.open()
        self.writer.start()
        self._watchdog.start()

    def close(self) -> None:
        """Write what waits and let go of the database."""
        self._watchdog.stop()
        self.writer.close()
        self.database.close()
        self.registry.close()

    def reload(self, project: Project, registry: Registry, code_sha: str) -> None:
        """Other code and settings from the next request on; requests in flight finish on what they began with."""
        self.project, self.redactor = project, Redactor(project.recording.redact)
        before, self.registry, self.code_sha = self.registry, registry, code_sha
        self.queries.forget()
        registry.generation.prepare()
        before.generation.retire()

    def id_is_used(self, request_id: UUID) -> bool:
        """Whether a request of this id is recorded. Raises DatabaseUnavailable."""
        with self.database.connection() as connection:
            row = connection.execute(
                "select exists (select from flux.trace_requests where request_id = %s)", (request_id,)
            ).fetchone()
        return bool(row and row[0])

    def execute(
        self,
        context: RequestContext,
        function: Function,
        bound: Bound,
        recalled: Recalled | None = None,
        registry: Registry | None = None,
    ) -> Reply:
        """Run a function with arguments that were bound to it.

        `recalled` is what a replay is told in place of the outside.
        `registry` is the one that the function comes from, where another may have taken its place meanwhile.
        """
        registry = registry or self.registry
        record = self._record(context, function.name, bound.given, registry)
        slot = self.inflight.claim(record.shown, function.name, record.input)
        timeout = function.timeout or self.project.functions.timeout
        execution = Execution(record, timeout, time.monotonic() + timeout, recalled=recalled)
        root = self._open_root(record, recalled)
        token = set_current(execution)
        try:
            with registry.generation.in_use():
                return _Run(self, function, bound, execution, root, registry).run()
        finally:
            reset_current(token)
            self.inflight.release(slot)

    def refuse(
        self,
        context: RequestContext,
        status: int,
        message: str,
        *,
        function: str | None = None,
        given: Mapping[str, Any] | None = None,
        failure: Failure | None = None,
        recalled: Recalled | None = None,
    ) -> Record:
        """Record a request that no function answered, off the way of its reply."""
        record = self._record(context, function, given, self.registry)
        self._open_root(record, recalled)
        outcome = "refused" if status < 500 else "error"
        record.finish(outcome, status, failure or Failure(type="HTTPError", message=message, code=str(status)))
        self.writer.put(Written(record.request_json(), record.spans_json()))
        return record

    def refuse_job(
        self, context: RequestContext, function: str, given: Mapping[str, Any], error: FluxError, status: int
    ) -> Record:
        """Record an attempt at a job that no function could take, and settle the job: dead if its input cannot do.

        Raises DatabaseUnavailable; then the job is left to its lease.
        """
        record = self._record(context, function, given, self.registry)
        root = self._open_root(record, None)
        root.error = failure_of(error, record)
        record.finish(_outcome(status), status, root.error)
        transaction = Transaction(self.database, record)
        transaction.failed = job_refusal(error)
        try:
            transaction.finish()
        finally:
            transaction.release()
        return record

    def _record(
        self, context: RequestContext, function: str | None, given: Mapping[str, Any] | None, registry: Registry
    ) -> Record:
        record = Record(context, self.redactor, self.project.recording.keep_bytes, registry.root)
        record.function = function
        if given is not None:
            record.input = record.json(given, INPUT_BYTES)
        if context.job is not None:
            record.attributes["job"] = context.job.as_attribute()
        return record

    def _open_root(self, record: Record, recalled: Recalled | None) -> Span:
        """The gateway's span, from the moment the request came."""
        context = record.context
        kind = recalled.kind if recalled else context.kind
        if kind == "http":
            span = record.open("gateway", f"{context.method} {context.route or context.path}")
        else:
            span = record.open("gateway", kind)
        span.started_ns = context.started_ns
        span.input = record.input
        return span

    def _stuck(self, execution: Execution, thread_id: int) -> None:
        """A thread does not come back: record its timeout from here, and give its worker up."""
        record = execution.record
        failure = failure_of_thread(thread_id, record, "the function ran longer than its timeout and cannot be stopped")
        record.finish("timeout", 504, failure)
        self.writer.put(Written(record.request_json(), record.spans_json()))
        self._on_stuck()


class _Run:
    """One execution from its first attempt to its stored record."""

    def __init__(
        self,
        runtime: Runtime,
        function: Function,
        bound: Bound,
        execution: Execution,
        root: Span,
        registry: Registry,
    ) -> None:
        self.runtime = runtime
        self.registry = registry
        self.function = function
        self.bound = bound
        self.execution = execution
        self.record = execution.record
        self.root = root
        self.transaction = Transaction(runtime.database, self.record, function.isolation)
        self.transaction.timeout = runtime.project.queries.timeout
        if execution.recalled is not None and (before := execution.recalled.before_statement) is not None:
            self.transaction.before_statement = lambda span: before(self.record, span)

    def run(self) -> Reply:
        try:
            while True:
                try:
                    return self._attempt()
                except BaseException as error:
                    self.transaction.undo()
                    if not self._may_retry(error):
                        reply = self._failed(error)
                        if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
                            raise
                        return reply
                self._stand_back()
                self.record.attempt += 1
                self.record.reopen()
                self.execution.tape.restart()
        finally:
            self.transaction.release()

    def _attempt(self) -> Reply:
        record, function = self.record, self.function
        database = RequestDatabase(self.transaction, record, self.runtime.project.auth.role_claim, self.runtime.queries)
        if function.db_role != SERVICE:
            record.attributes["db.role"] = database.become(function.db_role)
        ctx = Ctx(
            self.execution,
            database,
            self.registry.functions,
            record.context.credentials,
            Queue(record, database, self.registry, self.runtime.project.queue),
            Events(record, database, f"/{self.runtime.project.name}/{function.name}"),
        )
        span = record.open("function", function.name)
        span.input = record.input
        if record.attempt > 1:
            span.attributes["flux.attempt"] = record.attempt
        try:
            with self.runtime._watchdog.watching(self.execution, self.transaction.cancel, self._in_statement):
                value = function.handler(ctx, **self.bound)
            rendered = render(value)
        except BaseException as error:
            record.close(span, failure_of(self._named(error), record))
            raise
        span.output = record.output = record.json(value.body if isinstance(value, Response) else value)
        record.close(span)
        record.finish(_outcome(rendered.status), rendered.status)
        self.root.output = record.output
        self._store()
        return Reply(rendered.status, rendered.headers, rendered.body, rendered.content_type, None, record)

    def _store(self) -> None:
        """Commit data and record together; a record without data goes to the writer."""
        job = self.record.context.job
        if not self.transaction.has_data and (job is None or not (job.awaited or self.transaction.failed)):
            self._store_soon()
            return
        try:
            self.transaction.finish()
        except Exception as error:
            self.record.close(self.record.open("db", "commit"), failure_of(error, self.record))
            raise

    def _store_soon(self) -> None:
        self.transaction.release()
        completes = self.record.context.job is not None and self.transaction.failed is None
        self.runtime.writer.put(Written(self.record.request_json(), self.record.spans_json(), completes))

    def _failed(self, error: BaseException) -> Reply:
        record = self.record
        error = self._named(error)
        failure = failure_of(error, record)
        asked = self.function.db_role == CALLER
        refusal = as_refusal(error, record.context.claims) if asked else None
        refusal = refusal or as_input_fault(error, record, INPUT_BYTES)
        problem = _problem(DatabaseUnavailable() if self.transaction.lost else refusal or error)
        outcome = "timeout" if isinstance(error, FunctionTimeout) else _outcome(problem.status)
        if record.context.job is not None:
            self.transaction.failed = job_failure(error)
            outcome = job_outcome(error, outcome)
        record.finish(outcome, problem.status, failure)
        record.output = self.root.output = None
        self.root.error = failure
        if isinstance(error, DatabaseUnavailable):
            self.runtime.writer.database_is_away()
        self._store_failed()
        return Reply(problem.status, (), b"", None, problem, record)

    def _store_failed(self) -> None:
        """Store the record of a failure with what it had written; without a database it waits for one."""
        try:
            self._store()
        except DatabaseUnavailable:
            self._store_soon()

    def _may_retry(self, error: BaseException) -> bool:
        """Only work that left no trace outside the transaction is done again."""
        attempts = self.function.attempts or self.runtime.project.functions.attempts
        return (
            self.record.attempt < attempts
            and getattr(error, "sqlstate", None) in RETRYABLE
            and not self.transaction.commits
            and not self.execution.tool_calls
        )

    def _stand_back(self) -> None:
        """Wait a little, not the same for all, so that the other of a deadlock gets what it waited for."""
        longest = BACKOFF * 2 ** (self.record.attempt - 1)
        time.sleep(min(_chance.uniform(longest / 2, longest), self.execution.remaining()))

    def _in_statement(self) -> bool:
        return self.transaction.busy

    def _named(self, error: BaseException) -> BaseException:
        """A lost lease is LeaseLost; the error at a deadline, whichever way it was stopped, is FunctionTimeout."""
        if getattr(error, "sqlstate", None) == LeaseLost.code:
            return LeaseLost(str(error).partition("\n")[0]).with_traceback(error.__traceback__)
        cancelled = getattr(error, "sqlstate", None) == "57014" and not self.execution.remaining()
        if not isinstance(error, Interrupted) and not cancelled:
            return error
        timeout = FunctionTimeout(f"function {self.function.name} ran longer than {self.execution.timeout:g} s")
        return timeout.with_traceback(error.__traceback__)


def _outcome(status: int) -> str:
    if status >= 500:
        return "error"
    return "refused" if status >= 400 else "ok"


def _problem(error: BaseException) -> Problem:
    """What the caller is told: an HTTPError says it itself; of any other error only that it happened."""
    if isinstance(error, HTTPError):
        return Problem(error.status, error.message, error.members)
    if isinstance(error, Retry | Discard):
        return Problem(job_status(error), error.message, {})
    if isinstance(error, FunctionTimeout):
        return Problem(504, "the function did not answer in time", {})
    if isinstance(error, DatabaseUnavailable):
        return Problem(503, "the database is away", {})
    if isinstance(error, GuestDied):
        return Problem(503, "the function was interrupted", {})
    return Problem(500, "the function failed", {})

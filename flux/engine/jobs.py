"""The queue in Postgres as workers see it: claimed, renewed, handed back, and settled with the record of an attempt."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from flux.context import Job
from flux.engine.pool import Connection
from flux.errors import DatabaseUnavailable

_CLAIM = """
    select
        job_id, kind, queue, function, input, priority, run_at, attempt, max_attempts, depth,
        parent_request_id, parent_span_id, trace_id, created_at, request_id,
        ordering_key is not null or exists (
            select from flux.queues where queues.queue = job.queue and concurrency_limit is not null
        )
    from flux.claim_jobs(%s::text[], %s, %s, %s * interval '1 second') as job
"""
_RENEW = "select flux.renew_leases(%s::uuid[], %s::bigint[], %s * interval '1 second')"
_HAND_BACK = "select flux.hand_back_jobs(%s::uuid[], %s::bigint[])"
_GIVE_UP = "select flux.fail_job(%s, %s, %s, 'it ran longer than its timeout and could not be stopped')"
_BURY = "select flux.bury_worker(%s, %s::uuid[], %s::uuid[])"


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that this process was given: its job, and the request it is to be."""

    job: Job
    request_id: UUID
    kind: str
    function: str
    input: Mapping[str, Any]
    priority: int
    parent_request_id: UUID | None
    parent_span_id: int | None
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """How an attempt failed. `ending` is dead or discarded where it is not to be tried again, `after` seconds."""

    reason: str
    ending: str | None = None
    after: float | None = None


def worker_name(table: str) -> str:
    """What a worker process is called in the queue: the name of its in-flight table, which is its own, and its host."""
    return f"{table}@{socket.gethostname()}"


def settling(job: Job, request_id: UUID, failed: JobFailure | None, literal: Callable[[str], str]) -> str:
    """The statement that completes a job, or says that an attempt at it failed, for the transaction of its record."""
    attempt = f"{job.job_id}, {job.attempt}, '{request_id}'"
    if failed is None:
        return f"select flux.finish_job({attempt})"
    ending = "null" if failed.ending is None else literal(failed.ending)
    after = "null" if failed.after is None else f"{failed.after!r} * interval '1 second'"
    return f"select flux.fail_job({attempt}, {literal(failed.reason[:10_000])}, {ending}, {after})"


def claim(connection: Connection, queues: Sequence[str] | None, worker: str, most: int, lease: float) -> list[Claimed]:
    """Up to `most` jobs, in the order in which they are to run, for `lease` seconds; all queues for None."""
    rows = connection.execute(_CLAIM, (None if queues is None else list(queues), worker, most, lease)).fetchall()
    claimed = [_claimed(row) for row in rows]
    claimed.sort(key=lambda one: (-one.priority, one.job.run_at, one.job.job_id))
    return claimed


def renew(connection: Connection, held: Iterable[Claimed], lease: float) -> set[UUID]:
    """Keep these for another `lease` seconds; the requests of those that are still ours."""
    return {row[0] for row in connection.execute(_RENEW, (*_pairs(held), lease))}


def hand_back(connection: Connection, held: Iterable[Claimed]) -> None:
    """Give back what was not begun."""
    connection.execute(_HAND_BACK, _pairs(held))


def give_up(connection: Connection, stuck: Iterable[Claimed]) -> None:
    """Fail the attempts that could not be ended, as if they had run to their timeout."""
    for one in stuck:
        connection.execute(_GIVE_UP, (one.job.job_id, one.job.attempt, one.request_id))


def bury(connection: psycopg.Connection[Any], table: str, begun: Sequence[str], done: Sequence[str]) -> int:
    """Settle the jobs of a dead worker process by the requests that its in-flight table held; how many it had."""
    try:
        row = connection.execute(_BURY, (table, list(begun), list(done))).fetchone()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error)) from error
    return int(row[0]) if row else 0


def _pairs(held: Iterable[Claimed]) -> tuple[list[UUID], list[int]]:
    held = list(held)
    return [one.request_id for one in held], [one.job.job_id for one in held]


def _claimed(row: tuple[Any, ...]) -> Claimed:
    (
        job_id, kind, queue, function, given, priority, run_at, attempt, most, depth,
        parent, span, trace, at, request, awaited,
    ) = row  # fmt: skip
    return Claimed(
        job=Job(
            job_id=job_id,
            queue=queue,
            attempt=attempt,
            max_attempts=most,
            depth=depth,
            pushed_at=at,
            run_at=run_at,
            awaited=awaited,
        ),
        request_id=request,
        kind=kind,
        function=function,
        input=given,
        priority=priority,
        parent_request_id=parent,
        parent_span_id=span,
        trace_id=trace,
    )

"""Writing records: with a request's own commit, or a batch of them from the background writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from flux.errors import DatabaseUnavailable
from flux.record import Record

#: Attempted writes kept of one failed unit of work; the rest is counted.
MOST_ATTEMPTED = 10_000

RECORD = "select flux.record_request(%s::jsonb, %s::jsonb, %s::jsonb)"
FINISH = "select flux.finish_jobs(%s::jsonb, %s::jsonb)"

_ATTEMPTED = """
    select id, to_jsonb(written)::text, count(*) over ()
    from flux.state_mutations as written
    where request_id = %s and xact_id = pg_current_xact_id() and not rolled_back
    order by id
    limit %s
"""


@dataclass(frozen=True, slots=True)
class Attempted:
    """A write that was or will be rolled back: its number, and its row of flux.state_mutations as JSON text."""

    id: int
    row: str


@dataclass(frozen=True, slots=True)
class Written:
    """A finished record as JSON, ready for flux.record_request; `completes` when its job is done with it."""

    request: bytes
    spans: bytes
    completes: bool = False


def record_values(
    record: Record, snapshot: str | None, attempted: Sequence[Attempted], *, committed: bool, again: bool
) -> tuple[str, str, str | None]:
    """What flux.record_request takes: the request, its unwritten spans, and the writes that were rolled back."""
    mutations = f"[{','.join(write.row for write in attempted)}]" if attempted else None
    return (
        record.request_json(snapshot, committed=committed, again=again).decode(),
        record.spans_json().decode(),
        mutations,
    )


def attempted_writes(connection: psycopg.Connection[Any], request_id: UUID) -> tuple[list[Attempted], int]:
    """What this transaction has written so far, at most MOST_ATTEMPTED of it, and how much there is in all."""
    connection.execute("set local role none")
    rows = connection.execute(_ATTEMPTED, (request_id, MOST_ATTEMPTED)).fetchall()
    connection.execute("set local role flux_app")
    return [Attempted(id=row[0], row=row[1]) for row in rows], rows[0][2] if rows else 0


def write_records(connection: psycopg.Connection[Any], batch: Sequence[Written]) -> list[str]:
    """Write finished records that have no data of their own, without waiting for the disk unless they complete jobs.

    All go in one transaction; when the database refuses one, each goes by itself. Returns the errors of those it
    refused; raises DatabaseUnavailable when the connection is gone, with nothing written that was not committed.
    """
    try:
        try:
            _write_together(connection, batch)
        except (psycopg.DataError, psycopg.IntegrityError):
            return [error for one in batch if (error := _write_alone(connection, one))]
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error)) from error
    return []


def _write_together(connection: psycopg.Connection[Any], batch: Sequence[Written]) -> None:
    done = [one for one in batch if one.completes]
    plain = [(one.request.decode(), one.spans.decode(), None) for one in batch if not one.completes]
    with connection.transaction():
        if not done:
            connection.execute("set local synchronous_commit = off")
        if plain:
            connection.cursor().executemany(RECORD, plain)
        if done:
            connection.execute(FINISH, (_array(one.request for one in done), _array(one.spans for one in done)))


def _array(values: Iterable[bytes]) -> str:
    """JSON values as one JSON array."""
    return f"[{b','.join(values).decode()}]"


def _write_alone(connection: psycopg.Connection[Any], one: Written) -> str | None:
    try:
        _write_together(connection, [one])
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        return str(error)
    return None

"""Schedules, subscriptions, hooks and deliveries as the database keeps them: what is asked of it, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from flux.engine.pool import Connection, Database
from flux.errors import (
    BadEvent,
    DatabaseUnavailable,
    EventTooLarge,
    FluxError,
    NotFound,
    NotInstalled,
    NotPermitted,
    PayloadTooLarge,
)

_RAISED: dict[str, type[FluxError]] = {
    error.code: error for error in (BadEvent, EventTooLarge, NotFound, PayloadTooLarge)
}

_DUE: LiteralString = """
    select clock_timestamp(), function, expression, timezone, missed, greatest(since, last_tick)
    from flux.schedules
    where paused_at is null
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A schedule that goes; its ticks up to `after` are taken up."""

    function: str
    expression: str
    timezone: str
    missed: str
    after: datetime


def declare_handoffs(database: Database, declared: str) -> dict[str, str]:
    """Tell what functions declare, as JSON for flux.declare_handoffs; the hooks that cannot fire, and why.

    Raises DatabaseUnavailable, NotInstalled, NotPermitted.
    """
    with _asking(database) as connection:
        rows = connection.execute("select * from flux.declare_handoffs(%s::text::jsonb)", (declared,)).fetchall()
    return dict(rows)


def waiting_schedules(database: Database) -> tuple[datetime | None, list[Waiting]]:
    """The database's own time, by which all nodes go, and the schedules that go. Raises what declare_handoffs does."""
    with _asking(database) as connection:
        rows = connection.execute(_DUE).fetchall()
    return (rows[0][0] if rows else None), [Waiting(*row[1:]) for row in rows]


def take_tick(database: Database, function: str, tick: datetime, reason: str, skipped: int) -> int | None:
    """Take up a tick; the id of its job, None where another node has it. Raises what declare_handoffs does."""
    job: int | None = _value(database, "select flux.tick(%s, %s, %s, %s)", (function, tick, reason, skipped))
    return job


def change_schedule(url: str, action: str, function: str) -> Any:
    """Run a schedule now (the id of its job), or pause or resume it (whether that changed anything).

    Raises NotFound, and what declare_handoffs does.
    """
    calls: dict[str, LiteralString] = {
        "run": "select flux.run_schedule(%s)",
        "pause": "select flux.pause_schedule(%s)",
        "resume": "select flux.resume_schedule(%s)",
    }
    return _value(_Once(url), calls[action], (function,))


def publish(url: str, type: str, data: str, subject: str | None, source: str) -> str:
    """Publish an event from outside any request; its id. Raises BadEvent, EventTooLarge, and as declare_handoffs."""
    call: LiteralString = "select flux.publish(%s, %s::text::jsonb, %s, %s)::text"
    return str(_value(_Once(url), call, (type, data, subject, source)))


def resend(url: str, job: int) -> int:
    """Send a delivery again, as a job of its own; its id. Raises NotFound, and what declare_handoffs does."""
    return int(_value(_Once(url), "select flux.resend_delivery(%s)", (job,)))


class _Once:
    """A connection of its own for one question of a command."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=5, application_name="flux") as connection:
            yield connection


def _value(database: Database | _Once, query: LiteralString, values: Sequence[Any]) -> Any:
    with _asking(database) as connection:
        row = connection.execute(query, values).fetchone()
    return row[0] if row else None


@contextmanager
def _asking(database: Database | _Once) -> Iterator[Connection]:
    try:
        with database.connection() as connection:
            yield connection
    except psycopg.Error as error:
        raise _translated(error) from error


def _translated(error: psycopg.Error) -> FluxError:
    state = error.sqlstate or ""
    message = error.diag.message_primary or str(error).strip()
    if state in _RAISED:
        return _RAISED[state](message, hint=error.diag.message_hint)
    if state == "42501":
        return NotPermitted(message, hint="Use the role that installed Flux in this database.")
    if state.startswith(("42", "3F")):
        return NotInstalled(f"this database has no such Flux: {message}", hint="Run `flux db migrate`.")
    if not state or state.startswith(("08", "57P", "28", "3D")):
        return DatabaseUnavailable(message, hint="Look at DATABASE_URL and at [database] url in flux.toml.")
    return FluxError(message, hint=error.diag.message_hint)

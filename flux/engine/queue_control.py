"""What people do to the queue by hand: bring jobs back, take them out, pause a queue, limit it."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from flux.engine.questions import translated
from flux.errors import NotFound


def retry(url: str, given: str) -> int:
    """Bring a job back, or run one now that waits for its time or its retry; its number.

    Raises NotFound, UsageError.
    """
    job = int(_ask(url, "select flux.job_named(%s)", given))
    if not _ask(url, "select flux.retry_job(%s)", job):
        raise NotFound(
            f"job:{job} is not to be retried: it is done, runs or will run at once, or another job has its key",
            hint="`flux queue list` shows what is to come.",
        )
    return job


def retry_all(url: str, queue: str | None, function: str | None) -> int:
    """Bring back every dead job; how many."""
    return int(_ask(url, "select flux.retry_dead(%s, %s)", queue, function))


def cancel(url: str, given: str) -> int:
    """Take a job out; its number. Raises NotFound when it ended already, UsageError."""
    job = int(_ask(url, "select flux.job_named(%s)", given))
    if not _ask(url, "select flux.cancel_job(%s)", job):
        raise NotFound(f"job:{job} has ended already")
    return job


def set_queue(url: str, queue: str, *, pause: bool | None = None, limit: int | None = None) -> bool:
    """Pause or resume a queue, or limit it (0 for no limit); whether anything was ever in it."""
    known = bool(_ask(url, "select flux.known_queue(%s)", queue))
    _ask(url, "select flux.set_queue(%s, %s, %s)", queue, pause, limit)
    return known


def _ask(url: str, query: LiteralString, *parameters: Any) -> Any:
    try:
        with psycopg.connect(url, connect_timeout=10, application_name="flux") as connection:
            row = connection.execute(query, parameters).fetchone()
    except psycopg.Error as error:
        raise translated(error) from error
    return row[0] if row else None

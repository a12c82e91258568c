"""Days of the record: partitions made ahead, and those dropped that are older than the project keeps."""

from __future__ import annotations

import psycopg

from flux.engine.pool import Connection, Database
from flux.errors import DatabaseUnavailable

#: How long dropping old days may wait for running requests, which must not wait for it in turn for longer than this.
LOCK_TIMEOUT = "500ms"


def keep_days(database: Database, days: int) -> list[str]:
    """Make the days ahead, and forget free keys and the days before the last `days`, in UTC; the partitions dropped.

    Where running requests hold the old days, they are dropped at another time. Raises DatabaseUnavailable.
    """
    try:
        with database.connection() as connection:
            connection.execute("select flux.make_partitions()")
            connection.execute("delete from flux.job_keys where until < now()")
            return _forget(connection, days)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error)) from error


def _forget(connection: Connection, days: int) -> list[str]:
    try:
        with connection.transaction():
            connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            rows = connection.execute(
                "select flux.drop_partitions_before((now() at time zone 'UTC')::date - %s)", (days,)
            ).fetchall()
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return []
    return [str(row[0]) for row in rows]

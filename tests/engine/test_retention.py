"""The record is kept for as long as the project says, and is never without a partition for today."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from flux.engine.pool import Database
from flux.engine.retention import keep_days

OLD = "flux.trace_requests_2026_01_01"


@pytest.fixture
def kept(database_url: str) -> Iterator[Database]:
    """A database that still holds a day long gone."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            f"create table {OLD} partition of flux.trace_requests for values from ('2026-01-01') to ('2026-01-02')"
        )
        connection.execute("drop table flux.state_mutations_" + _today(connection))
    database = Database(database_url, 2)
    database.open()
    yield database
    database.close()


def test_old_days_are_dropped_and_days_ahead_are_made(kept: Database) -> None:
    """Retention is a dropped table, not a delete that leaves dead rows; a server may run for months."""
    dropped = keep_days(kept, 30)

    assert dropped == ["trace_requests_2026_01_01"]
    with kept.connection() as connection:
        made = "flux.state_mutations_" + _today(connection)
        assert connection.execute("select to_regclass(%s)", (made,)).fetchone() != (None,)


def test_dropping_waits_for_nobody(kept: Database) -> None:
    """A drop that waits behind a long request makes every request behind it wait."""
    with psycopg.connect(kept.url) as reader:
        reader.execute("select count(*) from flux.trace_requests")

        assert keep_days(kept, 30) == []

        with kept.connection() as connection:
            assert connection.execute("select to_regclass(%s)", (OLD,)).fetchone() != (None,)


def _today(connection: psycopg.Connection) -> str:
    [[day]] = connection.execute("select to_char(now() at time zone 'UTC', 'YYYY_MM_DD')").fetchall()
    return str(day)

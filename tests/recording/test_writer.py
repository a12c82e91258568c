"""The thread that stores records knows whether there is a database, also while that changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from flux.errors import DatabaseUnavailable
from flux.runtime.inflight import InflightTable
from flux.runtime.writer import Writer


class Leaving:
    """A database that goes away while the first write is on its way back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.writer: Writer | None = None
        self.asked = 0
        self.gone = threading.Event()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        self.asked += 1
        if self.asked > 1:
            self.gone.set()
            raise DatabaseUnavailable
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection
        self.writer.database_is_away()


def test_a_write_that_was_under_way_does_not_bring_a_database_back(database_url, tmp_path):
    """Requests would be taken that cannot be recorded."""
    database = Leaving(database_url)
    inflight = InflightTable(tmp_path, slots=4)
    writer = database.writer = Writer(database, inflight)
    writer.database_is_away()

    writer.start()

    assert database.gone.wait(5)
    assert not writer.available
    writer.close(5)
    inflight.close()

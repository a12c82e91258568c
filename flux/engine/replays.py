"""Keeping what a replay left in its sandbox: its record, copied to the database whose past it replays."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import psycopg

from flux.errors import DatabaseUnavailable, NotPermitted

_RECORD = "select flux.record_replay(%s::jsonb, %s::jsonb, %s::jsonb)"


class Replays:
    """One connection over which records of replays are written."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        try:
            self._connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=5, application_name="flux replay"
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(
                str(error).strip(), hint="Look at DATABASE_URL and at [database] url in flux.toml."
            ) from error
        # A replay can be made again; it need not wait for the disk.
        self._connection.execute("set synchronous_commit = off")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def keep(self, request: str, spans: str, mutations: str) -> None:
        """Write one record, each part as JSON text of whole rows; raises NotPermitted, DatabaseUnavailable."""
        assert self._connection is not None, "used outside its block"  # noqa: S101
        try:
            self._connection.execute(_RECORD, (request, spans, mutations))
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotPermitted(f"the replay cannot be recorded: {error}") from error
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the replay cannot be recorded: {error}") from error

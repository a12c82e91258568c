"""Connections that wake workers: one that notifies, off the way of every request, and one that listens.

A notification inside a request's transaction would hold up every other commit of the database. So it is sent after the
commit, from a connection of its own. It is for speed alone: workers look by themselves, too.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg

from flux.engine.pool import Connection
from flux.errors import DatabaseUnavailable, FluxError

CHANNEL = "flux_jobs"

Answer = TypeVar("Answer")


class Notifier:
    """Wakes workers everywhere. Used by one thread; connects when it is first needed, and again after a loss."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def notify(self) -> None:
        """Wake every worker that listens; where the database is away they find out by themselves."""
        with suppress(psycopg.Error):
            if self._connection is None or self._connection.closed:
                self._connection = _connected(self._url, "flux-waker")
            self._connection.execute("select pg_catalog.pg_notify(%s, '')", (CHANNEL,))

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()


class Listener:
    """A worker's own connection, for its claims, and for waiting until there may be something to claim.

    Used by one thread; only wake() may be called from another.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._woken, self._waking = socket.socketpair()
        self._waking.setblocking(False)

    def connection(self) -> Connection:
        """The connection, made anew when it was lost. Raises DatabaseUnavailable."""
        if self._connection is None or self._connection.closed:
            try:
                self._connection = _connected(self._url, "flux-worker")
                self._connection.execute(f"listen {CHANNEL}")
            except psycopg.Error as error:
                self.drop()
                raise DatabaseUnavailable(str(error)) from error
        return self._connection

    def ask(self, question: Callable[..., Answer], *asked: Any) -> Answer:
        """What a function of a connection answers on this one. Raises DatabaseUnavailable, FluxError for the rest."""
        connection = self.connection()
        try:
            return question(connection, *asked)
        except psycopg.OperationalError as error:
            self.drop()
            raise DatabaseUnavailable(str(error)) from error
        except psycopg.Error as error:
            raise FluxError(str(error)) from error

    def drop(self) -> None:
        """Let go of a connection that failed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def wake(self) -> None:
        """End the wait of the other thread, now or when it next begins one."""
        with suppress(BlockingIOError, OSError):  # full: it is woken already; closed: it waits no more
            self._waking.send(b"1")

    def wait(self, seconds: float) -> bool:
        """Wait for a wake or a notification; False when neither came in time."""
        connection = self._connection
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            if connection is not None and not connection.closed:
                selector.register(connection.pgconn.socket, selectors.EVENT_READ)
            ready = selector.select(seconds)
        for key, _ in ready:
            if key.fileobj is self._woken:
                self._woken.recv(4096)
            elif connection is not None:
                self._drain(connection)
        return bool(ready)

    def close(self) -> None:
        """End the connection."""
        self.drop()
        self._woken.close()
        self._waking.close()

    def _drain(self, connection: Connection) -> None:
        try:
            connection.pgconn.consume_input()
            while connection.pgconn.notifies():
                pass
        except psycopg.Error:
            self.drop()


def _connected(url: str, name: str) -> Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=3, application_name=name)

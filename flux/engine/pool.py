"""The connections of one worker process, and what must be known of the database before the first request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from select import select
from time import perf_counter
from typing import Any

import orjson
import psycopg
from psycopg import pq
from psycopg.types.json import JsonbDumper, set_json_loads
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from flux.encoding import to_json
from flux.errors import DatabaseUnavailable, UnknownRole
from flux.policies import ROLE_PREFIX

#: Seconds a request waits for a connection before it is answered 503.
WAIT = 3.0

#: Round trips longer than this, in seconds, are worth a pipeline, which costs about as much work by itself.
FAR = 0.000_15

# Each dead connection of the pool would say so by itself; that the database is away is said once, by the writer.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

Connection = psycopg.Connection[Any]

_READERS = """
    select proname
    from pg_catalog.pg_proc
    where pronamespace = 'pg_catalog'::pg_catalog.regnamespace
        and provolatile <> 'v'
        and proname not like 'pg_advisory%'
"""

_DEFERRABLE = """
    select exists (select from pg_catalog.pg_constraint where condeferrable)
        or exists (select from pg_catalog.pg_trigger where tgdeferrable and not tgisinternal)
"""


_ROLES = """
    select role #>> '{}'
    from flux.settings, jsonb_array_elements(value -> 'roles') as role
    where settings.name = 'policies'
        and role #>> '{}' like 'flux\\_role\\_%'
"""


class _ObjectDumper(JsonbDumper):
    """A dict as a parameter is a jsonb value."""

    def dump(self, obj: Any) -> bytes:
        return to_json(obj)


class Database:
    """A pool of connections, opened after the worker was forked.

    Raises DatabaseUnavailable when no connection can be had in WAIT seconds. `on_hand_off` is called after each commit
    that handed work on.
    """

    def __init__(self, url: str, size: int, *, name: str = "flux", prepare: bool = True) -> None:
        self.url = url
        self.readers: frozenset[str] = frozenset()
        self.roles: frozenset[str] = frozenset()
        self.has_deferrable = True
        self.far = False
        self.on_hand_off: Callable[[], None] = lambda: None
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            open=False,
            timeout=WAIT,
            max_waiting=size * 4,
            max_lifetime=3600,
            configure=_configure,
            name=name,
            kwargs={
                "autocommit": True,
                "application_name": name,
                "prepare_threshold": 5 if prepare else None,
                "connect_timeout": int(WAIT),
            },
        )

    def open(self) -> None:
        """Start the pool without waiting for the database; connections come as soon as it is there."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """End the connections."""
        self._pool.close()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """One connection, in autocommit; given back, or dropped if it broke."""
        connection = self.take()
        try:
            yield connection
        finally:
            self.give_back(connection)

    def take(self) -> Connection:
        """One connection that is alive, to be given back by give_back."""
        connection = self._get()
        while not _is_alive(connection):
            self._pool.putconn(connection)
            connection = self._get()
        if not self.readers:
            try:
                self._learn(connection)
            except BaseException:
                self.give_back(connection)
                raise
        return connection

    def require_role(self, role: str) -> None:
        """Make sure that a role is one of policies, also of those that were enforced meanwhile; raises UnknownRole."""
        if role not in self.roles:
            with self.connection() as connection:
                self.roles = frozenset(str(row[0]) for row in connection.execute(_ROLES).fetchall())
            if role not in self.roles:
                raise UnknownRole(
                    f"the database has no role {role.removeprefix(ROLE_PREFIX)}",
                    hint="Name it in db/policies.toml, and run `flux db migrate`.",
                )

    def give_back(self, connection: Connection) -> None:
        """Return a connection; one still inside a transaction is rolled back first, a broken one is replaced."""
        if not connection.closed and connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            connection.pgconn.exec_(b"rollback")
        self._pool.putconn(connection)

    def _get(self) -> Connection:
        try:
            return self._pool.getconn()
        except (PoolTimeout, TooManyRequests, psycopg.OperationalError) as error:
            raise DatabaseUnavailable(f"no database connection within {WAIT:g} s") from error

    def _learn(self, connection: Connection) -> None:
        try:
            self.readers = frozenset(str(row[0]) for row in connection.execute(_READERS).fetchall())
            row = connection.execute(_DEFERRABLE).fetchone()
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(str(error)) from error
        self.has_deferrable = bool(row and row[0])
        self.far = _round_trip(connection) > FAR


def _configure(connection: Connection) -> None:
    connection.adapters.register_dumper(dict, _ObjectDumper)
    set_json_loads(orjson.loads, connection)


def _is_alive(connection: Connection) -> bool:
    """False when the server has closed the connection while it lay in the pool, which shows as something to read."""
    pgconn = connection.pgconn
    if pgconn.status != pq.ConnStatus.OK:
        return False
    if select([pgconn.socket], [], [], 0)[0]:
        try:
            pgconn.consume_input()
        except psycopg.Error:
            return False
    return pgconn.status == pq.ConnStatus.OK


def _round_trip(connection: Connection) -> float:
    """The shortest of a few round trips, in seconds."""
    times = []
    for _ in range(10):
        started = perf_counter()
        connection.pgconn.exec_(b"select 1")
        times.append(perf_counter() - started)
    return min(times)

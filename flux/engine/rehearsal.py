"""A transaction that cannot commit: in it a statement is looked at, planned, or tried and taken back.

What keeps it from committing is Postgres, not care: a row of a temporary table waits for the commit with a foreign key
that nothing fulfils, so that a commit fails whoever asks for it. Statements go by the extended protocol, which takes
one at a time. The connection is closed at the end; where the process is killed, the server sees that and rolls back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import pq, sql
from psycopg.rows import dict_row

from flux.engine.questions import translated
from flux.engine.roles import SERVICE
from flux.errors import StatementRefused, UnknownRole
from flux.policies import ROLE_PREFIX

Row = dict[str, Any]

#: Nobody is to wait for a rehearsal for longer than this.
_BOUNDS: LiteralString = """
    select
        set_config('statement_timeout', %s, true),
        set_config('lock_timeout', '3s', true),
        set_config('idle_in_transaction_session_timeout', '30s', true),
        set_config('client_connection_check_interval', '1s', true)
"""
_NEVER: LiteralString = """
    create temporary table flux_rehearsal (
        id        integer primary key,
        rehearsal integer not null references flux_rehearsal deferrable initially deferred
    )
"""
_WHO: LiteralString = """
    select
        set_config('flux.request_id', %(request)s, true),
        set_config('flux.span_id', '1', true),
        set_config('flux.actor', coalesce(%(claims)s::text::jsonb ->> 'sub', ''), true),
        set_config('flux.claims', coalesce(%(claims)s::text, ''), true)
"""
_PATH: LiteralString = """
    select set_config('search_path', concat_ws(', ', quote_ident(%s), nullif(current_setting('search_path'), '')), true)
"""
_PREPARED = "select coalesce(cardinality(parameter_types), 0) from pg_prepared_statements where name = 'flux_rehearsal'"
_DEFERRED: LiteralString = """
    select string_agg(format('%I.%I', connamespace::regnamespace, conname), ', ')
    from pg_catalog.pg_constraint
    where condeferrable
        and connamespace <> pg_my_temp_schema()
"""


class Rehearsal:
    """One transaction as a role. Made by `rehearsing`; every method leaves it as it was, except run()."""

    def __init__(self, connection: psycopg.Connection[Any], role: str) -> None:
        self._connection = connection
        self._role = role

    def ask(self, query: Any, *values: Any) -> list[Row]:
        """Rows of a question of our own, asked as the owner. Raises StatementRefused."""
        with self._told(), self._undone(), self._owner(), self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()

    @contextmanager
    def as_owner(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection as the owner, for what reads with it."""
        with self._undone(), self._owner():
            yield self._connection

    def types(self, text: str) -> list[str]:
        """The types of a statement's parameters, as Postgres finds them; raises StatementRefused."""
        with self._told(), self._undone():
            pgconn = self._connection.pgconn
            self._require(pgconn.prepare(b"flux_rehearsal", text.encode()))
            described = pgconn.describe_prepared(b"flux_rehearsal")
            self._require(described)
            oids = [described.param_type(number) for number in range(described.nparams)]
            self._connection.execute("deallocate flux_rehearsal")
        return [str(row["type"]) for oid in oids for row in self.ask("select format_type(%s, null) as type", oid)]

    def plan(self, text: str, values: Sequence[Any] | None, *, owner: bool = False) -> Row:
        """Postgres's plan of a statement, unexecuted, and what the role may do with it; raises StatementRefused.

        Without values it is the plan for any.
        """
        with self._told(), self._undone():
            if owner:
                self._connection.execute("set local role none")
            if values is None:
                self._connection.execute("set local plan_cache_mode = force_generic_plan")
                self._rows(f"prepare flux_rehearsal as {text}")
                count = self._rows(_PREPARED)[0][0]
                nulls = f"({', '.join(['null'] * count)})" if count else ""
                rows = self._rows(f"explain (format json, verbose) execute flux_rehearsal{nulls}")
                self._connection.execute("deallocate flux_rehearsal")
            else:
                rows = self._rows(f"explain (format json, verbose) {text}", values)
        plan: Row = rows[0][0][0]["Plan"]
        return plan

    def run(self, text: str, values: Sequence[Any], *, reads: bool = False) -> int:
        """Run one statement; the number of rows it wrote or returned. Raises StatementRefused.

        Rows of one that `reads` are counted as they come, so that none are kept.
        """
        with self._told(), psycopg.RawCursor(self._connection) as cursor:
            if not self.open:
                raise psycopg.InterfaceError("the transaction of this rehearsal is over")
            if reads:
                return sum(1 for _ in cursor.stream(text.encode(), list(values)))
            cursor.execute(text.encode(), list(values) or None, binary=True)
            return max(cursor.rowcount, 0)

    def check_deferred(self) -> None:
        """Have every constraint checked that would be at the commit; raises StatementRefused."""
        with self._told(), self._owner():
            row = self._connection.execute(_DEFERRED).fetchone()
            if row and row[0]:
                self._connection.execute(b"set constraints " + row[0].encode() + b" immediate")

    @property
    def open(self) -> bool:
        """Whether the transaction is still there: neither ended nor failed."""
        return self._connection.info.transaction_status == pq.TransactionStatus.INTRANS

    def roll_back(self) -> None:
        """Take everything back; what can be asked then is what a rollback leaves behind."""
        if not self._connection.closed:
            self._connection.execute("rollback")

    def drawn(self) -> list[str]:
        """The sequences of which numbers were drawn, which no rollback gives back; after roll_back()."""
        return [str(row[0]) for row in self._connection.execute("select flux.sequences_drawn()").fetchall()]

    def _rows(self, text: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of one statement; binary, because that is how psycopg takes the extended protocol without parameters."""
        with psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(text.encode(), list(values) or None, binary=True)
            return cursor.fetchall() if cursor.description else []

    def _require(self, result: Any) -> None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if self._connection.closed:
                raise translated(error) from error
            raise StatementRefused(_told(error)) from error

    @contextmanager
    def _undone(self) -> Iterator[None]:
        self._connection.execute("savepoint flux_rehearsal")
        try:
            yield
        finally:
            if not self._connection.closed:
                self._connection.execute("rollback to savepoint flux_rehearsal")
                self._connection.execute("release savepoint flux_rehearsal")

    @contextmanager
    def _owner(self) -> Iterator[None]:
        self._connection.execute("set local role none")
        yield
        self._connection.execute(sql.SQL("set local role {}").format(sql.Identifier(self._role)))


@contextmanager
def rehearsing(
    url: str,
    role: str = SERVICE,
    claims: Mapping[str, Any] | None = None,
    *,
    request: UUID | None = None,
    seconds: float | None = None,
) -> Iterator[Rehearsal]:
    """A rehearsal over a connection of its own, as a Postgres role and with claims; `seconds` for each statement.

    With a request it is one that may run(), whose writes are recorded as that request's. Raises DatabaseUnavailable.
    """
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="flux explain")
    except psycopg.OperationalError as error:
        raise translated(error) from error
    try:
        connection.execute("begin isolation level read committed")
        connection.execute(_BOUNDS, (f"{int((seconds or 30) * 1000)}ms",))
        if request is not None:
            connection.execute("select set_config('flux.follows_ddl', 'on', true)")
            connection.execute(_NEVER)
            connection.execute("insert into flux_rehearsal values (1, 2)")
            connection.execute("select set_config('flux.follows_ddl', 'off', true)")
        connection.execute(
            _WHO, {"request": str(request or ""), "claims": json.dumps(dict(claims)) if claims is not None else None}
        )
        if role != SERVICE:
            connection.execute(_PATH, (role,))
        try:
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
            raise UnknownRole(
                f"the database has no role {role.removeprefix(ROLE_PREFIX)} that may be taken",
                hint="Name it in db/policies.toml, and run `flux db migrate`.",
            ) from error
        yield Rehearsal(connection, role)
    except psycopg.OperationalError as error:
        raise translated(error) from error
    finally:
        connection.close()


def _told(error: psycopg.Error) -> dict[str, Any]:
    """What Postgres says of an error, under the names of its fields."""
    diagnosis = error.diag
    return {
        "message": diagnosis.message_primary or str(error).strip().splitlines()[0],
        "code": error.sqlstate,
        "detail": diagnosis.message_detail,
        "hint": diagnosis.message_hint,
        "table": ".".join(part for part in (diagnosis.schema_name, diagnosis.table_name) if part) or None,
        "column": diagnosis.column_name,
        "constraint": diagnosis.constraint_name,
    }

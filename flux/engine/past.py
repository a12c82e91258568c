"""The source of a sandbox: its tables as of a moment, read in one snapshot and poured into another database by COPY.

Which rows those are is decided in SQL (flux.past_query): rows that nothing wrote since are as they are now, and only
the others are rebuilt from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from flux.engine.sandbox_database import PATIENCE, Connection, refusals
from flux.errors import CannotRebuild, NotFound, NotRecorded, UsageError

#: Values travel as text that both sides write and read in the same way, whatever the database's own settings.
_SESSION: LiteralString = """
    select
        set_config('search_path', '', false),
        set_config('timezone', 'UTC', false),
        set_config('datestyle', 'ISO, MDY', false),
        set_config('intervalstyle', 'postgres', false),
        set_config('extra_float_digits', '1', false),
        set_config('bytea_output', 'hex', false),
        set_config('lc_monetary', 'C', false),
        set_config('xmloption', 'content', false),
        set_config('row_security', 'off', false),
        set_config('jit', 'off', false),
        set_config('statement_timeout', '0', false),
        set_config('lock_timeout', %s, false),
        set_config('idle_in_transaction_session_timeout', '0', false),
        set_config('client_encoding', %s, false)
"""

#: Rows of a table that is copied in the order in which its rows were written, and copied anew rather than row by row.
SMALL = 10_000

#: Rows between two reports of progress.
_STRIDE = 5_000

_RAISED = {error.code: error for error in (UsageError, NotFound, NotRecorded)}


@dataclass(frozen=True, slots=True)
class Moment:
    """A state of the database: as the first statement of a request saw it, as committed at a time, or as it is now."""

    seen_by: UUID | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A moment as the record knows it: a snapshot, a time, and when the snapshot had surely been taken, as texts."""

    taken: str | None
    at: str | None = None
    soon_after: str | None = None

    @property
    def values(self) -> tuple[str | None, str | None, str | None]:
        """In the order in which the functions of schema flux take them."""
        return self.taken, self.at, self.soon_after


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source. `name` is the one it is recorded under, quoted where needed, and fit for SQL as it is."""

    table_name: str
    schema_name: str
    relation: str
    is_tracked: bool
    has_key: bool
    is_readable: bool
    rows: int
    bytes: int

    @property
    def is_small(self) -> bool:
        """Whether it is so small that people read it whole, in the order in which its rows lie."""
        return self.rows <= SMALL

    @property
    def name(self) -> sql.Identifier:
        """Its name in SQL."""
        return sql.Identifier(self.schema_name, self.relation)


def prepare_session(connection: Connection, encoding: str) -> None:
    """Make a session write and read values as the other side does."""
    connection.execute(_SESSION, (f"{PATIENCE}s", encoding))


class Source:
    """The database whose past is asked for, over one connection in autocommit."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.encoding = str(connection.info.parameter_status("server_encoding"))
        prepare_session(connection, self.encoding)

    @contextmanager
    def reading(self, tables: Collection[Table] = ()) -> Iterator[str]:
        """One snapshot, exported under the name given; nobody can truncate or alter the tables meanwhile."""
        with refusals(), self.connection.transaction():
            self.connection.execute("set transaction isolation level repeatable read, read only")
            # Before the snapshot is taken: a truncate that commits in between would show an empty table.
            names = [table.name for table in tables if table.is_readable]
            if names:
                self.connection.execute(sql.SQL("lock table {} in access share mode").format(sql.SQL(", ").join(names)))
            yield str(self._value("select pg_catalog.pg_export_snapshot()"))

    def state(self, moment: Moment) -> State:
        """A moment in the record's terms; raises NotFound, NotRecorded, UsageError."""
        try:
            if moment.seen_by is not None:
                return self._seen_by(moment.seen_by)
            if moment.at is not None:
                return self._at(moment.at)
            return State(str(self._value("select pg_catalog.pg_current_snapshot()::text")))
        except psycopg.Error as error:
            kind = _RAISED.get(error.sqlstate or "")
            if kind is None:
                raise
            raise kind(error.diag.message_primary, hint=error.diag.message_hint) from error

    def tables(self) -> dict[str, Table]:
        """The tables there are, by their names."""
        with self.connection.cursor(row_factory=class_row(Table)) as cursor:
            return {
                table.table_name: table for table in cursor.execute("select * from flux.copyable_tables()").fetchall()
            }

    def redacted(self, tables: Collection[str], state: State) -> set[str]:
        """Which of these tables lost values to redaction that were written since."""
        query = "select * from flux.redacted_since(%s, %s, %s, %s)"
        return {name for (name,) in self.connection.execute(query, (list(tables), *state.values)).fetchall()}

    def lost(self, tables: Collection[str], state: State) -> set[str]:
        """Which of these tables were truncated since without a record of their rows."""
        rows = self.connection.execute("select * from flux.lost_since(%s, %s, %s, %s)", (list(tables), *state.values))
        return {name for (name,) in rows.fetchall()}

    def changed(self, tables: Collection[str], one: State, other: State) -> dict[str, list[Any]]:
        """The keys of rows that differ, or may, between two moments, by table; a table without keys has a None."""
        found: dict[str, list[Any]] = {}
        query = "select * from flux.changed_between(%s, %s, %s, %s, %s, %s, %s)"
        for name, key, previous in self.connection.execute(query, (list(tables), *one.values, *other.values)):
            found.setdefault(name, []).extend([key] if previous is None else [key, previous])
        return found

    def copy(
        self,
        table: Table,
        state: State,
        target: Connection,
        *,
        keys: Sequence[Any] | None = None,
        on_rows: Callable[[int], None] = lambda rows: None,
    ) -> int:
        """Pour a table's rows as of a state, or those of some keys, into the other database; how many there were."""
        query = self._value(
            "select flux.past_query(%s::text::regclass, %s, %s, %s, %s, %s)",
            *(table.table_name, *state.values, None if keys is None else Jsonb(list(keys)), table.is_small),
        )
        columns = [
            sql.Identifier(name)
            for (name,) in self.connection.execute(
                "select name from flux.past_columns(%s::text::regclass) order by place", (table.table_name,)
            ).fetchall()
        ]
        into = sql.SQL("copy {} ({}) from stdin").format(table.name, sql.SQL(", ").join(columns))
        out = f"copy ({query}) to stdout"  # no parameters: COPY takes none
        rows = 0
        with (
            self.connection.cursor() as reader,
            target.cursor() as writer,
            reader.copy(out) as source,
            writer.copy(into) as sink,
        ):
            for row in source:
                sink.write(row)
                rows += 1
                if rows % _STRIDE == 0:
                    on_rows(rows)
        return rows

    def rights(self, relations: Collection[str]) -> list[tuple[str, str, str]]:
        """What roles of Flux, and everybody, may do with tables and views: relation, right, role, all fit for SQL."""
        return self.connection.execute(
            """
            select
                class.oid::regclass::text,
                lower(rights.privilege_type),
                case when rights.grantee = 0 then 'public' else 'flux_app' end
            from pg_catalog.pg_class as class
            cross join lateral pg_catalog.aclexplode(class.relacl) as rights
            where class.oid::regclass::text = any (%s)
                and class.relkind in ('r', 'p', 'v', 'm')
                and rights.grantee in (0, 'flux_app'::regrole)

            union all

            select granted.relation, privilege, granted.role
            from flux.policy_grants as granted
            cross join unnest(granted.privileges) as privilege
            where granted.relation = any (%s)
            """,
            (list(relations), list(relations)),
        ).fetchall()

    def _seen_by(self, request: UUID) -> State:
        row = self.connection.execute(
            """
            select snapshot::text, flux.recorded_moment(started_at)::text
            from flux.trace_requests
            where request_id = %s
            order by started_at
            limit 1
            """,
            (request,),
        ).fetchone()
        if row is None:
            raise NotFound(f"no request {request} is recorded")
        if row[0] is not None:
            return State(row[0])
        # It ran no SQL, so any moment of it will do.
        return self._at(datetime.fromisoformat(row[1]))

    def _at(self, at: datetime) -> State:
        row = self.connection.execute(
            """
            select later.taken::text, flux.recorded_moment(%(at)s)::text, later.soon_after::text
            from flux.moment_of(%(at)s) as later
            """,
            {"at": at},
        ).fetchone()
        assert row is not None  # noqa: S101  # for the type checker
        return State(*row)

    def _value(self, query: LiteralString, *values: Any) -> Any:
        row = self.connection.execute(query, values or None).fetchone()
        return row[0] if row else None


def obstacle(table: Table, *, is_lost: bool) -> str | None:
    """Why a table cannot be rebuilt; None when it can."""
    if not table.is_readable:
        return "this role may not read it"
    if is_lost:
        return "it was truncated since, and its rows could not be recorded"
    return None


def remark(table: Table, *, has_redacted: bool) -> str | None:
    """What of a table that is copied is not as it was."""
    if not table.is_tracked:
        return f"{table.table_name} is as it is now: its past is not recorded"
    if has_redacted:
        return f"{table.table_name}: values that were redacted and written since are as they are now, or stand-ins"
    return None


def cannot(table: str, why: str) -> CannotRebuild:
    """The error for a table whose past cannot be had."""
    return CannotRebuild(f"{table} cannot be rebuilt: {why}")

"""Columns whose values Postgres makes itself, and the sequences they come from, set as of the past."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql
from psycopg.rows import tuple_row

from flux.engine.past import Source, State
from flux.engine.sandbox_database import Connection, connect, refusals

#: Sequences asked in one query.
_AT_ONCE = 200

_SEQUENCES: LiteralString = """
    select class.oid::regclass::text, namespace.nspname, class.relname
    from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.relpersistence <> 't'
        and has_schema_privilege(namespace.oid, 'usage')
        and case when class.relkind = 'S' then has_sequence_privilege(class.oid, 'select') end
"""


@dataclass(frozen=True, slots=True)
class Generated:
    """A column that Postgres fills: its table as it is recorded, and whether from a sequence, the time or at random.

    `sequence` is the sequence's name, quoted where needed, for kind 'sequence'.
    """

    table: str
    column: str
    kind: str
    sequence: str | None = None


def generated_columns(url: str) -> tuple[Generated, ...]:
    """The generated columns of a database's tables; raises DatabaseUnavailable, NotInstalled."""
    with connect(url) as connection, refusals():
        connection.execute("set search_path = ''")
        return generated_in(connection)


def generated_in(connection: Connection) -> tuple[Generated, ...]:
    """The same over a connection whose search path is empty."""
    rows = connection.execute("select * from flux.generated_columns()").fetchall()
    return tuple(Generated(*row) for row in rows)


def present_sequences(connection: Connection) -> dict[str, tuple[int, bool]]:
    """Where each sequence is now: its last value, and whether that was given out."""
    names = connection.execute(_SEQUENCES).fetchall()
    found: dict[str, tuple[int, bool]] = {}
    for start in range(0, len(names), _AT_ONCE):
        queries = [
            sql.SQL("select {}, last_value, is_called from {}").format(name, sql.Identifier(schema, relation))
            for name, schema, relation in names[start : start + _AT_ONCE]
        ]
        for name, last, is_called in connection.execute(sql.SQL(" union all ").join(queries)).fetchall():
            found[name] = (last, is_called)
    return found


def set_sequences(target: Connection, values: dict[str, tuple[int, bool]]) -> None:
    """Put sequences where they were; those that the sandbox does not have are left out."""
    with target.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            """
            select pg_catalog.setval(to_regclass(given.name), given.last, given.is_called)
            from unnest(%s::text[], %s::bigint[], %s::boolean[]) as given (name, last, is_called)
            where to_regclass(given.name) is not null
            """,
            ([*values], [last for last, _ in values.values()], [is_called for _, is_called in values.values()]),
        )


def past_sequences(
    source: Source, target: Connection, state: State, tables: Collection[str], present: dict[str, tuple[int, bool]]
) -> dict[str, tuple[int, bool]]:
    """Where the sequences of these tables were, by the first key that each gave since; only those that gave one."""
    found: dict[str, tuple[int, bool]] = {}
    for column in generated_in(target):
        if column.sequence is None or column.sequence not in present or column.table not in tables:
            continue
        held = target.execute(
            sql.SQL("select coalesce(max({}), 0)::bigint from ").format(sql.Identifier(column.column)).as_string(target)
            + column.table
        ).fetchone()
        row = source.connection.execute(
            "select flux.first_drawn(%s, %s, %s, %s, %s, %s)",
            (column.table, column.column, held[0] if held else 0, present[column.sequence][0], state.taken, state.at),
        ).fetchone()
        if row is not None and row[0] is not None:
            earlier = found.get(column.sequence)
            first = row[0] if earlier is None else min(earlier[0], row[0])
            found[column.sequence] = (first, False)
    return found

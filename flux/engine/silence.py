"""Writing into a sandbox as if nobody wrote: no trigger of the user fires, no foreign key asks, nothing is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import sql

from flux.engine.sandbox_database import Connection

#: Triggers that would fire, of the tables and their partitions; a partition's clone goes with the root's own.
_TRIGGERS: LiteralString = """
    select trigger.tgrelid::regclass::text, trigger.tgname, trigger.tgenabled
    from pg_catalog.pg_trigger as trigger
    where not trigger.tgisinternal
        and trigger.tgparentid = 0
        and trigger.tgenabled = any (%(states)s)
        and (%(recorders)s or trigger.tgname not like '0\\_flux\\_%%')
        and flux.logical_name(trigger.tgrelid::regclass) = any (%(tables)s)
"""
_FOREIGN_KEYS: LiteralString = """
    select
        bound.conrelid::regclass::text,
        bound.conname,
        pg_catalog.pg_get_constraintdef(bound.oid),
        (select relkind from pg_catalog.pg_class where oid = bound.conrelid) = 'p'
    from pg_catalog.pg_constraint as bound
    where bound.contype = 'f'
        and bound.conparentid = 0
        and (
            flux.logical_name(bound.conrelid::regclass) = any (%(tables)s)
            or flux.logical_name(bound.confrelid::regclass) = any (%(tables)s)
        )
"""
_AGAIN: dict[str, LiteralString] = {"O": "enable", "A": "enable always", "R": "enable replica"}


def may_be_replica(connection: Connection) -> bool:
    """Whether this role may switch foreign keys and triggers off for itself, which a superuser may."""
    try:
        with connection.transaction():
            connection.execute("set local session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


@contextmanager
def silent(connection: Connection, tables: Sequence[str], *, replica: bool, bulk: bool = False) -> Iterator[None]:
    """One transaction in which writes to these tables are nobody's.

    What recorders write of it is deleted at the end; with `bulk` they are switched off instead, which costs a few
    milliseconds a table and nothing a row. Without `replica` the foreign keys are dropped and made again, unchecked.
    """
    with connection.transaction():
        if replica:
            connection.execute("set local session_replication_role = replica")
        states = ["A", "R"] if replica else ["O", "A"]
        values = {"tables": list(tables), "states": states, "recorders": bulk}
        triggers = connection.execute(_TRIGGERS, values).fetchall()
        keys = [] if replica else connection.execute(_FOREIGN_KEYS, values).fetchall()
        for table, name, _ in triggers:
            _alter(connection, table, sql.SQL("disable trigger {}").format(sql.Identifier(name)))
        for table, name, _, _ in keys:
            _alter(connection, table, sql.SQL("drop constraint {}").format(sql.Identifier(name)))
        yield
        for table, name, state in triggers:
            _alter(connection, table, sql.SQL(_AGAIN[state] + " trigger {}").format(sql.Identifier(name)))
        for table, name, definition, is_partitioned in keys:
            unchecked = "" if is_partitioned or definition.endswith("NOT VALID") else " not valid"
            action = sql.SQL("add constraint {} ").format(sql.Identifier(name))
            _alter(connection, table, action, definition + unchecked)
        if not bulk:
            connection.execute("delete from flux.state_mutations where xact_id = pg_current_xact_id_if_assigned()")


def _alter(connection: Connection, table: str, action: sql.Composed, more: str = "") -> None:
    connection.execute(f"alter table {table} {action.as_string(connection)}{more}")

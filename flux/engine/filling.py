"""The rows of a sandbox: which tables have them, as of which state, and how they get in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from flux.engine.generated import past_sequences, present_sequences, set_sequences
from flux.engine.past import Source, State, Table, obstacle
from flux.engine.sandbox_database import Connection
from flux.engine.silence import may_be_replica, silent

#: Rules of a table that are given up, one after the other, because its rows of then break them.
_MOST_RULES = 20

#: More keys than this, and the table is copied whole.
_MOST_KEYS = 20_000

#: More rows than this, and switching recorders off costs less than deleting what they record.
_MOST_RECORDED = 500

#: Keys by table; None in a list stands for a row without a key.
Keys = Mapping[str, Sequence[Any]]


class Filling:
    """What a sandbox holds. `states` says of each table that has its rows which state they are of."""

    def __init__(
        self,
        source: Source,
        target: Connection,
        tables: Mapping[str, Table],
        on_progress: Callable[[str, int, int], None],
        notes: list[str],
    ) -> None:
        self.tables = tables
        self.states: dict[str, State] = {}
        self.reasons: dict[str, str] = {}
        self.notes = notes
        self.replica = may_be_replica(target)
        self._source = source
        self._target = target
        self._on_progress = on_progress
        self._seen = 0

    def fill(self, tables: Sequence[Table], state: State) -> None:
        """Copy tables that are empty, where nothing watches yet."""
        for table in tables:
            self._pour(table, state)

    def refuse(self, table: Table, why: str) -> None:
        """Note that a table cannot be had."""
        self.states.pop(table.table_name, None)
        self.reasons[table.table_name] = why
        self.notes.append(f"{table.table_name} cannot be rebuilt: {why}")

    def set_sequences(self, tables: Collection[str], state: State, *, all_: bool = True) -> None:
        """Put the sequences of tables where they were; with `all_` those of nobody too, as they are now."""
        present = present_sequences(self._source.connection)
        past = past_sequences(self._source, self._target, state, set(tables) & set(self.states), present)
        set_sequences(self._target, {**present, **past} if all_ else past)

    def add(self, names: Sequence[str], state: State) -> None:
        """Copy more tables, into whatever is in them."""
        tables = self._possible(names, state)
        with self._source.reading(tables), silent(self._target, self._names(tables), replica=self.replica, bulk=True):
            self._empty(tables)
            self.fill(tables, state)
            self.set_sequences(self._names(tables), state, all_=False)

    def restore(self, state: State, applied: Keys) -> None:
        """Bring the tables to another state; `applied` are the keys of rows that were written here unrecorded."""
        differing = self._differing(state)
        for keys in (applied, self._written()):
            for name, some in keys.items():
                differing.setdefault(name, []).extend(some)
        for name, table in self.tables.items():
            if name in self.states and not table.is_tracked:
                differing.setdefault(name, []).append(None)
        dirty = self._possible([name for name in differing if name in self.states], state)
        parts = [table for table in dirty if self._is_by_key(table, differing[table.table_name])]
        whole = [table for table in dirty if table not in parts]
        with self._source.reading(dirty):
            if whole:
                many = sum(table.rows for table in whole) > _MOST_RECORDED
                with silent(self._target, self._names(whole), replica=self.replica, bulk=many):
                    self._empty(whole)
                    self.fill(whole, state)
            if parts:
                with silent(self._target, self._names(parts), replica=self.replica):
                    for table in parts:
                        self._replace(table, differing[table.table_name], state)
            for name in self.states:
                self.states[name] = state
            self.set_sequences(self._names(dirty), state, all_=False)

    def _differing(self, state: State) -> dict[str, list[Any]]:
        """The keys of rows that differ between the states that the tables have and another."""
        by_state: dict[State, list[str]] = {}
        for name, there in self.states.items():
            if self.tables[name].is_tracked and there != state:
                by_state.setdefault(there, []).append(name)
        differing: dict[str, list[Any]] = {}
        for there, names in by_state.items():
            differing.update(self._source.changed(names, there, state))
        return differing

    def _written(self) -> dict[str, list[Any]]:
        """The keys of rows that replays wrote since this was asked last."""
        rows = self._target.execute(
            "select table_name, row_key, previous_key, id from flux.state_mutations "
            "where id > %s and not rolled_back order by id",
            (self._seen,),
        ).fetchall()
        written: dict[str, list[Any]] = {}
        for name, key, previous, number in rows:
            self._seen = number
            written.setdefault(name, []).extend([key] if previous is None else [key, previous])
        return written

    def _possible(self, names: Iterable[str], state: State) -> list[Table]:
        """Those of the tables that can be had as of a state."""
        names = list(names)
        lost = self._source.lost(names, state)
        possible = []
        for name in names:
            why = obstacle(self.tables[name], is_lost=name in lost)
            if why:
                self.refuse(self.tables[name], why)
            else:
                possible.append(self.tables[name])
        return possible

    def _is_by_key(self, table: Table, keys: Sequence[Any]) -> bool:
        return (
            table.has_key and table.is_tracked and not table.is_small and None not in keys and len(keys) <= _MOST_KEYS
        )

    def _pour(self, table: Table, state: State) -> None:
        """Copy a table; rules that its rows of then break are dropped, one after the other, and said."""
        # What is not recorded can only be had as it is now.
        of = state if table.is_tracked else State(None)
        for _ in range(_MOST_RULES):
            try:
                with self._target.transaction(), self._source.connection.transaction():
                    self._source.copy(table, of, self._target, on_rows=lambda rows: self._tell(table, rows))
                break
            except (psycopg.errors.CheckViolation, psycopg.errors.NotNullViolation) as error:
                if not self._give_up_rule(table, error.diag):
                    return self.refuse(table, error.diag.message_primary or str(error))
            except (
                psycopg.DataError,
                psycopg.IntegrityError,
                psycopg.errors.SyntaxErrorOrAccessRuleViolation,
            ) as error:
                return self.refuse(table, error.diag.message_primary or str(error))
        self.states[table.table_name] = state
        self.reasons.pop(table.table_name, None)
        self._tell(table, table.rows)
        return None

    def _give_up_rule(self, table: Table, said: psycopg.errors.Diagnostic) -> bool:
        if said.constraint_name and not said.column_name:
            change = sql.SQL("drop constraint {}").format(sql.Identifier(said.constraint_name))
            what = f"constraint {said.constraint_name}"
        elif said.column_name:
            change = sql.SQL("alter column {} drop not null").format(sql.Identifier(said.column_name))
            what = f"not null of {said.column_name}"
        else:
            return self._add_partition(said)
        self._target.execute(sql.SQL("alter table {} ").format(table.name) + change)
        self.notes.append(f"{table.table_name}: {what} is left out, because rows of then break it")
        return True

    def _add_partition(self, said: psycopg.errors.Diagnostic) -> bool:
        """For rows whose partition is gone: one for everything else, where there is none."""
        if not said.schema_name or not said.table_name:
            return False
        root = sql.Identifier(said.schema_name, said.table_name)
        rest = sql.Identifier(said.schema_name, f"{said.table_name[:50]}_flux_rest")
        self._target.execute(sql.SQL("create table {} partition of {} default").format(rest, root))
        self.notes.append(f"{said.schema_name}.{said.table_name} has a partition more, for rows whose own is gone")
        return True

    def _replace(self, table: Table, keys: Sequence[Any], state: State) -> None:
        """Give the rows of some keys the state; the others stay as they are."""
        query = self._source.connection.execute(
            "select flux.delete_query(%s::text::regclass)", (table.table_name,)
        ).fetchone()
        assert query is not None  # noqa: S101  # for the type checker
        self._target.execute(str(query[0]), (Jsonb(list(keys)),))
        self._source.copy(table, state, self._target, keys=keys)

    def _empty(self, tables: Sequence[Table]) -> None:
        """Take all rows out; by truncate where no other table refers to one of these."""
        row = self._target.execute(
            """
            select exists (
                select
                from pg_catalog.pg_constraint
                where contype = 'f'
                    and flux.logical_name(confrelid::regclass) = any (%(tables)s)
                    and flux.logical_name(conrelid::regclass) <> all (%(tables)s)
            )
            """,
            {"tables": self._names(tables)},
        ).fetchone()
        if row == (False,) and tables:
            names = [
                sql.SQL("{}{}").format(sql.SQL("" if self._is_partitioned(table) else "only "), table.name)
                for table in tables
            ]
            self._target.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(names)))
            return
        for table in tables:
            only = sql.SQL("" if self._is_partitioned(table) else "only ")
            self._target.execute(sql.SQL("delete from {}{}").format(only, table.name))

    def _is_partitioned(self, table: Table) -> bool:
        return self._target.execute(
            "select relkind = 'p' from pg_catalog.pg_class where oid = %s::text::regclass", (table.table_name,)
        ).fetchone() == (True,)

    def _tell(self, table: Table, rows: int) -> None:
        self._on_progress(table.table_name, rows, max(rows, table.rows))

    @staticmethod
    def _names(tables: Iterable[Table]) -> list[str]:
        return [table.table_name for table in tables]

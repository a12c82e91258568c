"""Generated values that come out as they did: before a statement of a replay, its sequences are set to the keys
recorded, and what other defaults drew then, at random or from the time, is laid ready for them.

A recorded statement is found again by the functions around it, its name and its ordinal. A key that has been taken
since, by what the replayed code does otherwise, is not given a second time; the sequence then goes on above all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flux.encoding import to_json
from flux.engine.statements import tables
from flux.record import Record, Span
from flux.runtime.recalled import Row, path_of, recorded_paths

#: Defaults of one statement that are given back; each costs as much as there are left.
MOST_DEFAULTS = 1_000

#: The values that columns drew, by table and column, in the order of their rows.
Defaults = Mapping[str, Mapping[str, Sequence[Any]]]


class Generated(Protocol):
    """A column whose values Postgres makes; `sequence` is None where they are not drawn from one."""

    @property
    def table(self) -> str: ...  # noqa: D102
    @property
    def column(self) -> str: ...  # noqa: D102
    @property
    def sequence(self) -> str | None: ...  # noqa: D102


class RecordedKeys:
    """What each statement of a recorded request drew; `mutations` are rows in order, also rolled-back ones."""

    def __init__(self, spans: Sequence[Row], mutations: Sequence[Row], generated: Sequence[Generated]) -> None:
        self._sequences = [column for column in generated if column.sequence is not None]
        self._defaults = {(column.table, column.column) for column in generated if column.sequence is None}
        self._seen: dict[tuple[tuple[str, ...], str], int] = {}
        self._is_laid = False
        keys, defaults = self._drawn(mutations)
        paths = recorded_paths(spans)
        self._recorded: dict[tuple[tuple[str, ...], str], list[tuple[Mapping[int, int], Defaults]]] = {}
        for row in spans:
            if row["kind"] == "db" and row["span_id"] in paths:
                key = paths[row["span_id"]], row["name"]
                drawn = keys.get(row["span_id"], {}), defaults.get(row["span_id"], {})
                self._recorded.setdefault(key, []).append(drawn)

    def before_statement(self, record: Record, span: Span) -> list[str]:
        """What is to be said before a statement, as the owner of the tables."""
        key = path_of(record, span), span.name
        ordinal = self._seen.get(key, 0)
        self._seen[key] = ordinal + 1
        recorded = self._recorded.get(key, [])
        if ordinal < len(recorded):
            keys, defaults = recorded[ordinal]
            return [*(_set(self._sequences[index], value) for index, value in keys.items()), *self._lay(defaults)]
        written = tables(span.attributes.get("db.query.text", ""))
        free = [_set(column, None) for column in self._sequences if _short(column.table) in written]
        return [*free, *self._lay({})]

    def _lay(self, defaults: Defaults) -> list[str]:
        """Lay values ready, or take away what the statement before has left."""
        if not (defaults or self._is_laid):
            return []
        self._is_laid = bool(defaults)
        text = to_json(defaults).decode().replace("'", "''") if defaults else ""
        return [f"set local flux.recalled_values = '{text}'"]

    def _drawn(self, mutations: Sequence[Row]) -> tuple[dict[int, dict[int, int]], dict[int, dict[str, Any]]]:
        """By span: the first value it drew of each sequence, and those that its other defaults may have drawn."""
        by_table: dict[str, list[int]] = {}
        for index, column in enumerate(self._sequences):
            by_table.setdefault(column.table, []).append(index)
        keys: dict[int, dict[int, int]] = {}
        defaults: dict[int, dict[str, Any]] = {}
        for row in sorted(mutations, key=lambda row: row["id"]):
            if row["operation"] != "INSERT" or row["span_id"] is None:
                continue
            new, table, span = row["new_values"] or {}, row["table_name"], row["span_id"]
            for index in by_table.get(table, ()):
                value: Any = new.get(self._sequences[index].column)
                if isinstance(value, int):
                    keys.setdefault(span, {}).setdefault(index, value)
            for column in new:
                if (table, column) in self._defaults and new[column] is not None:
                    values = defaults.setdefault(span, {}).setdefault(table, {}).setdefault(column, [])
                    if len(values) < MOST_DEFAULTS:
                        values.append(new[column])
        return keys, defaults


def _set(column: Generated, value: int | None) -> str:
    words = (column.sequence, column.table, column.column)
    literals = ", ".join("'" + str(word).replace("'", "''") + "'" for word in words)
    return f"select flux.set_sequence({literals}, {'null' if value is None else int(value)})"


def _short(table: str) -> str:
    return table.rpartition(".")[2].strip('"').lower()

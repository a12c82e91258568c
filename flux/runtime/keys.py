"""Generated keys that come out as they did: before a statement of a replay, its sequences are set to the keys recorded.

A recorded statement is found again by the functions around it, its name and its ordinal. A key that has been taken
since, by what the replayed code does otherwise, is not given a second time; the sequence then goes on above all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flux.engine.statements import tables
from flux.record import Record, Span
from flux.runtime.recalled import Row, path_of, recorded_paths


class Generated(Protocol):
    """A column whose values Postgres makes; `sequence` is None where they are not drawn from one."""

    @property
    def table(self) -> str: ...  # noqa: D102
    @property
    def column(self) -> str: ...  # noqa: D102
    @property
    def sequence(self) -> str | None: ...  # noqa: D102


class RecordedKeys:
    """The keys that each statement of a recorded request drew; `mutations` are rows in order, also rolled-back ones."""

    def __init__(self, spans: Sequence[Row], mutations: Sequence[Row], generated: Sequence[Generated]) -> None:
        self._generated = [column for column in generated if column.sequence is not None]
        self._seen: dict[tuple[tuple[str, ...], str], int] = {}
        drawn = self._drawn(mutations)
        paths = recorded_paths(spans)
        self._recorded: dict[tuple[tuple[str, ...], str], list[Mapping[int, int]]] = {}
        for row in spans:
            if row["kind"] == "db" and row["span_id"] in paths:
                key = paths[row["span_id"]], row["name"]
                self._recorded.setdefault(key, []).append(drawn.get(row["span_id"], {}))

    def before_statement(self, record: Record, span: Span) -> list[str]:
        """What is to be said before a statement, as the owner of the tables."""
        key = path_of(record, span), span.name
        ordinal = self._seen.get(key, 0)
        self._seen[key] = ordinal + 1
        recorded = self._recorded.get(key, [])
        if ordinal < len(recorded):
            return [_set(self._generated[index], value) for index, value in recorded[ordinal].items()]
        written = tables(span.attributes.get("db.query.text", ""))
        return [_set(column, None) for column in self._generated if _short(column.table) in written]

    def _drawn(self, mutations: Sequence[Row]) -> dict[int, dict[int, int]]:
        """By span, the first value it drew of each sequence."""
        by_table: dict[str, list[int]] = {}
        for index, column in enumerate(self._generated):
            by_table.setdefault(column.table, []).append(index)
        drawn: dict[int, dict[int, int]] = {}
        for row in sorted(mutations, key=lambda row: row["id"]):
            if row["operation"] != "INSERT" or row["span_id"] is None:
                continue
            for index in by_table.get(row["table_name"], ()):
                value: Any = (row["new_values"] or {}).get(self._generated[index].column)
                if isinstance(value, int):
                    drawn.setdefault(row["span_id"], {}).setdefault(index, value)
        return drawn


def _set(column: Generated, value: int | None) -> str:
    words = (column.sequence, column.table, column.column)
    literals = ", ".join("'" + str(word).replace("'", "''") + "'" for word in words)
    return f"select flux.set_sequence({literals}, {'null' if value is None else int(value)})"


def _short(table: str) -> str:
    return table.rpartition(".")[2].strip('"').lower()

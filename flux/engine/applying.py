"""Recorded writes of others, made again in a sandbox row by row: what they wrote is written, whoever fires no trigger.

A write fits when the row it changed is there as it was then. One whose row is missing, or taken, is left out; one whose
row has other values by now is made all the same, because it is what the others wrote. Both are said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from flux.engine.exact import as_text, exact, json_text
from flux.engine.past import Source
from flux.engine.sandbox_database import Connection
from flux.engine.silence import silent

Mutation = Mapping[str, Any]
Values = Mapping[str, Any]

REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class _Shape:
    """A table in SQL: its name with `only`, its columns and its key's, each with type and operator of equality."""

    name: sql.Composed
    bare: sql.Identifier
    columns: Mapping[str, str]
    keys: Mapping[str, tuple[str, str]]

    def where(self, key: Values) -> tuple[sql.Composed, list[str | None]]:
        """The condition that finds the row of a key, and its parameters."""
        parts = [
            sql.SQL("present.{} {} {}").format(sql.Identifier(name), _raw(operator), _cast(type_name))
            for name, (type_name, operator) in self.keys.items()
        ]
        return sql.SQL(" and ").join(parts), [as_text(key.get(name)) for name in self.keys]


class Applier:
    """Writes mutations into a sandbox, and remembers which rows they were."""

    def __init__(self, target: Connection, source: Source, *, replica: bool) -> None:
        self._target = target
        self._source = source
        self._replica = replica
        self._shapes: dict[str, _Shape | None] = {}
        self._written: dict[str, list[Any]] = {}

    def take_written(self) -> dict[str, list[Any]]:
        """The keys of the rows written since this was asked last, by table; None for a row without a key."""
        written, self._written = self._written, {}
        return written

    def apply(self, mutations: Sequence[Mutation]) -> tuple[str, ...]:
        """Make these writes in order, in one transaction; what does not fit, in words."""
        committed = [one for one in mutations if not one.get("rolled_back")]
        if not committed:
            return ()
        said: list[str] = []
        tables = sorted({str(one["table_name"]) for one in committed})
        emptied: set[tuple[str, Any]] = set()
        with silent(self._target, tables, replica=self._replica):
            for mutation in exact(committed, (self._source.connection, self._target)):
                name = str(mutation["table_name"])
                self._written.setdefault(name, []).extend(
                    key for key in (mutation["row_key"], mutation.get("previous_key")) if key is not None
                )
                shape = self._shape(name)
                if shape is None:
                    said.append(f"{name} is no more: {_told(mutation)} is left out")
                    continue
                if not shape.keys:
                    self._written[name].append(None)
                if mutation["operation"] == "TRUNCATE":
                    self._written[name].append(None)
                    truncate = (name, mutation.get("xact_id"))
                    if truncate not in emptied:
                        emptied.add(truncate)
                        self._target.execute(sql.SQL("delete from {}").format(shape.name))
                    continue
                try:
                    with self._target.transaction():
                        said += self._write(shape, mutation)
                except psycopg.Error as error:
                    said.append(f"{_row(mutation)}: {_told(mutation)} is left out: {error.diag.message_primary}")
        return tuple(said)

    def _write(self, shape: _Shape, mutation: Mutation) -> list[str]:
        operation = mutation["operation"]
        old, new = mutation["old_values"] or {}, mutation["new_values"] or {}
        if operation == "UPDATE" and shape.keys:
            return self._update(shape, mutation, old, new)
        found = True
        if operation in ("UPDATE", "DELETE"):
            found = self._delete(shape, mutation, old)
        if operation in ("UPDATE", "INSERT") and (found or operation == "INSERT"):
            return self._insert(shape, mutation, new)
        return [] if found else [f"{_row(mutation)} is not there: {_told(mutation)} is left out"]

    def _insert(self, shape: _Shape, mutation: Mutation, new: Values) -> list[str]:
        there = {name: value for name, value in new.items() if name in shape.columns and value != REDACTED}
        query = sql.SQL("insert into {} ({}) overriding system value values ({}) on conflict do nothing").format(
            shape.bare,
            sql.SQL(", ").join(map(sql.Identifier, there)),
            sql.SQL(", ").join(_cast(shape.columns[name]) for name in there),
        )
        if not self._target.execute(query, [as_text(value) for value in there.values()]).rowcount:
            return [f"{_row(mutation)} is there already, or its values are: {_told(mutation)} is left out"]
        return _unknown(mutation, shape, new)

    def _delete(self, shape: _Shape, mutation: Mutation, old: Values) -> bool:
        if shape.keys:
            condition, values = shape.where(mutation["row_key"])
            query = sql.SQL("delete from {} as present where {}").format(shape.name, condition)
            return self._target.execute(query, values).rowcount > 0
        # Nothing tells the rows apart: any one that looks the same.
        row = self._target.execute(
            "select flux.encoded_row(%s::text::regclass, 'present')", (mutation["table_name"],)
        ).fetchone()
        assert row is not None  # noqa: S101  # for the type checker
        query = sql.SQL(
            "delete from {0} as gone where (gone.tableoid, gone.ctid) in ("
            "select present.tableoid, present.ctid from {0} as present where ({1})::text = %s::jsonb::text limit 1)"
        ).format(shape.name, _raw(str(row[0]).replace("%", "%%")))
        return self._target.execute(query, (json_text(old),)).rowcount > 0

    def _update(self, shape: _Shape, mutation: Mutation, old: Values, new: Values) -> list[str]:
        key = mutation.get("previous_key") or mutation["row_key"]
        there = {name: value for name, value in new.items() if name in shape.columns and value != REDACTED}
        if not there:
            return _unknown(mutation, shape, new)
        condition, values = shape.where(key)
        before = self._target.execute(
            sql.SQL("select {} from {} as present where {}").format(
                sql.SQL(", ").join(
                    sql.SQL("present.{0} is not distinct from {1}, present.{0}::text").format(
                        sql.Identifier(name), _cast(shape.columns[name])
                    )
                    if _has_equality(shape.columns[name])
                    else sql.SQL("present.{0}::text is not distinct from {1}::text, present.{0}::text").format(
                        sql.Identifier(name), _cast(shape.columns[name])
                    )
                    for name in there
                ),
                shape.name,
                condition,
            ),
            [*(as_text(old.get(name)) for name in there), *values],
        ).fetchone()
        if before is None:
            return [f"{_row(mutation, key)} is not there: {_told(mutation)} is left out"]
        query = sql.SQL("update {} as present set {} where {}").format(
            shape.name,
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), _cast(shape.columns[name])) for name in there
            ),
            condition,
        )
        self._target.execute(query, [*map(as_text, there.values()), *values])
        different = [
            f"{_row(mutation, key)}: {name} was {_shown(before[2 * place + 1])} and not {_shown(old.get(name))} "
            f"when {_told(mutation)} made it {_shown(value)}"
            for place, (name, value) in enumerate(there.items())
            if not before[2 * place] and old.get(name) != REDACTED
        ]
        return different + _unknown(mutation, shape, new)

    def _shape(self, name: str) -> _Shape | None:
        if name not in self._shapes:
            self._shapes[name] = self._look(name)
        return self._shapes[name]

    def _look(self, name: str) -> _Shape | None:
        row = self._target.execute(
            """
            select class.relkind = 'p', namespace.nspname, class.relname
            from pg_catalog.pg_class as class
            join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
            where class.oid = to_regclass(%s)
            """,
            (name,),
        ).fetchone()
        if row is None:
            return None
        columns = self._target.execute("select name, type_name from flux.past_columns(%s::text::regclass)", (name,))
        keys = self._target.execute("select name, type_name, operator from flux.past_keys(%s::text::regclass)", (name,))
        bare = sql.Identifier(row[1], row[2])
        return _Shape(
            name=sql.SQL("{}{}").format(sql.SQL("" if row[0] else "only "), bare),
            bare=bare,
            columns=dict(columns.fetchall()),
            keys={key: (type_name, operator) for key, type_name, operator in keys.fetchall()},
        )


def _unknown(mutation: Mutation, shape: _Shape, new: Values) -> list[str]:
    """What of a write is not made, because its value or its column is not there."""
    hidden = sorted(name for name, value in new.items() if value == REDACTED and name in shape.columns)
    return [f"{_row(mutation)}: {name} was redacted and is left as it is" for name in hidden]


def _row(mutation: Mutation, key: Values | None = None) -> str:
    key = key or mutation["row_key"]
    name = str(mutation["table_name"]).removeprefix("public.")
    return (
        f"{name} {','.join(f'{part}={as_text(value)}' for part, value in key.items())}" if key else f"a row of {name}"
    )


def _told(mutation: Mutation) -> str:
    request = mutation.get("request_id")
    who = f"req:{str(request)[:8]}" if request else mutation.get("actor") or "somebody"
    return f"the {str(mutation['operation']).lower()} of {who}"


def _shown(value: Any) -> str:
    text = as_text(value)
    return "null" if text is None else text if len(text) <= 40 else f"{text[:39]}…"


def _cast(type_name: str) -> sql.Composed:
    return sql.SQL("%s::text::{}").format(_raw(type_name.replace("%", "%%")))


def _has_equality(type_name: str) -> bool:
    return type_name not in ("json", "xml", "point", "polygon", "box", "circle", "path", "lseg")


def _raw(text: str) -> sql.SQL:
    """SQL that Postgres itself has written."""
    return sql.SQL(text)

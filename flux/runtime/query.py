"""`ctx.db.query`: structured queries compiled against the database as it is now, and recorded as what they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from flux.config import Queries as Limits
from flux.engine.pool import Database
from flux.engine.roles import SERVICE
from flux.errors import ColumnRefused, UnknownName
from flux.explain.building import Output
from flux.explain.catalogue import Catalogue, read_catalogue
from flux.explain.compiler import Compiled, compile_form
from flux.explain.form import Form
from flux.explain.shape import Filter, Group, Order, Related, Selected, Shape
from flux.redaction import REDACTED, Redactor

Document = Mapping[str, Any] | str | bytes

#: Seconds after which a catalogue is read anew, so that new columns are seen though nobody asked for them by name.
FRESH = 60.0

#: Seconds in which names that are not there do not make it be read again, however many ask.
SETTLED = 1.0

#: SQLSTATEs that say that the catalogue is not what it was: undefined column, undefined table.
STALE = frozenset({"42703", "42P01"})


class Queries:
    """What one worker process knows for compiling: a catalogue for each role that asked. Safe for threads."""

    def __init__(self, database: Database, limits: Callable[[], Limits]) -> None:
        self._database = database
        self._limits = limits
        self._known: dict[str, tuple[Catalogue, float]] = {}

    def forget(self) -> None:
        """Read the catalogues anew when they are next needed."""
        self._known = {}

    def compiled(self, form: Form, role: str) -> Compiled:
        """The statement of a query for a Postgres role.

        Raises BadQuery and its kin, UnknownRole, NotInstalled, DatabaseUnavailable.
        """
        catalogue = self._catalogue(role, FRESH)
        try:
            return compile_form(form, catalogue, self._limits())
        except (UnknownName, ColumnRefused):
            newer = self._catalogue(role, SETTLED)
            if newer is catalogue:
                raise
            return compile_form(form, newer, self._limits())

    def _catalogue(self, role: str, age: float) -> Catalogue:
        """The catalogue for a role, at most so many seconds old."""
        known = self._known.get(role)
        if known is not None and time.monotonic() - known[1] < age:
            return known[0]
        if role != SERVICE:
            self._database.require_role(role)
        with self._database.connection() as connection:
            found = read_catalogue(connection, None if role == SERVICE else role)
        self._known[role] = (found, time.monotonic())
        return found


@lru_cache(maxsize=2048)
def outline(shape: Shape) -> orjson.Fragment:
    """A query as the record keeps it: the document with ? for its values, which the statement's parameters are."""
    parts: dict[str, Any] = {"table": shape.table, "operation": shape.operation}
    parts["columns"] = [_column(item) for item in shape.columns]
    parts["filters"] = [_filter(item) for item in shape.filters]
    data = dict.fromkeys(shape.data, "?")
    parts["data"] = data if shape.rows == 1 else [data] if shape.rows else None
    parts["order"] = [_order(item) for item in shape.order]
    parts["limit"] = None if shape.limit is None else "?"
    parts["offset"] = None if shape.offset is None else "?"
    parts["returning"] = [_column(item) for item in shape.returning]
    parts["conflict"] = list(shape.conflict)
    return orjson.Fragment(orjson.dumps({key: part for key, part in parts.items() if part}))


def _column(item: Selected | Related) -> Any:
    if isinstance(item, Selected):
        return item.column if item.name is None else {"column": item.column, "as": item.name}
    parts = {
        "relation": item.relation,
        "as": item.name,
        "columns": [_column(one) for one in item.columns],
        "filters": [_filter(one) for one in item.filters],
        "order": [_order(one) for one in item.order],
        "limit": None if item.limit is None else "?",
        "offset": None if item.offset is None else "?",
    }
    return {key: part for key, part in parts.items() if part}


def _filter(item: Filter | Group) -> dict[str, Any]:
    if isinstance(item, Group):
        return {item.op: [_filter(one) for one in item.items]}
    return {"column": item.column, "op": item.op, **({} if item.value < 0 else {"value": "?"})}


def _order(item: Order) -> str:
    return f"-{item.column}" if item.descending else item.column


def shown_parameters(compiled: Compiled, redactor: Redactor, secrets: set[str]) -> list[Any]:
    """Parameters as they may be recorded: each is as secret as the column it is bound for."""
    if not redactor.active:
        return list(compiled.parameters)
    shown: list[Any] = []
    for value, places, type_ in zip(compiled.parameters, compiled.places, compiled.types, strict=True):
        if value is not None and type_ in ("json", "jsonb"):
            path = places[0] if len(places) == 1 else places[0][:1]
            hidden = len(places) == 1 and redactor.hides(path)
            shown.append(REDACTED if hidden else redactor.clean(orjson.loads(value), secrets, path))
        elif value is not None and any(map(redactor.hides, places)):
            secrets.update(str(one) for one in (value if isinstance(value, list) else [value]))
            shown.append(REDACTED)
        else:
            shown.append(value)
    return shown


def shown_rows(rows: Any, compiled: Compiled, redactor: Redactor, secrets: set[str]) -> Any:
    """A result as it may be recorded: a value is as secret as its column, whatever it is called here."""
    if not redactor.active:
        return rows
    for output in compiled.outputs:
        if redactor.hides(output.place):
            rows = _without(rows, output, 0, secrets)
    return redactor.clean(rows, secrets)


def _without(value: Any, output: Output, depth: int, secrets: set[str]) -> Any:
    """A copy without the values that some keys lead to."""
    if isinstance(value, list):
        return [_without(one, output, depth, secrets) for one in value]
    if depth == len(output.keys):
        if value is None:
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            secrets.add(str(value))
        return REDACTED
    if not isinstance(value, dict) or output.keys[depth] not in value:
        return value
    key = output.keys[depth]
    return {**value, key: _without(value[key], output, depth + 1, secrets)}

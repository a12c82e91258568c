"""The structured form of a query, as guests send it: read into frozen values, before any catalogue is asked.

What changes from call to call (values, limits) is kept apart from what does not, the shape, so that what is compiled
from a shape can be used again. Names are only text here; what they mean is the compiler's to find out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from flux.errors import BadQuery, QueryRefused
from flux.explain.json_text import read_json
from flux.explain.shape import Filter, Group, Order, Related, Selected, Shape

OPERATIONS = ("select", "insert", "update", "delete", "upsert")

#: Operators and how many values each takes; 0 none, 2 a pair, -1 a list.
OPERATORS: Mapping[str, int] = {
    "eq": 1, "neq": 1, "gt": 1, "gte": 1, "lt": 1, "lte": 1, "like": 1, "ilike": 1, "in": -1, "not_in": -1,
    "is_null": 0, "not_null": 0, "between": 2, "contains": 1, "overlaps": 1, "matches": 1,
}  # fmt: skip

_CONFIG = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")

_KEYS: Mapping[str, frozenset[str]] = {
    "select": frozenset({"columns", "filters", "order", "limit", "offset"}),
    "insert": frozenset({"data", "returning"}),
    "update": frozenset({"data", "filters", "all", "returning"}),
    "delete": frozenset({"filters", "all", "returning"}),
    "upsert": frozenset({"data", "conflict", "returning"}),
}
_EVERY_KEY = frozenset({"table", "operation"}).union(*_KEYS.values())
_RELATED_KEYS = frozenset({"relation", "as", "columns", "filters", "order", "limit", "offset"})
_FILTER_KEYS = frozenset({"column", "op", "value", "config"})


@dataclass(frozen=True, slots=True)
class Form:
    """A structured query: its shape, the values of its conditions and limits, and the rows it writes."""

    shape: Shape
    values: tuple[Any, ...]
    rows: tuple[tuple[Any, ...], ...] = ()

    @property
    def table(self) -> str:
        """The table, as the query names it."""
        return self.shape.table

    @property
    def operation(self) -> str:
        """select, insert, update, delete or upsert."""
        return self.shape.operation


def read_form(document: Mapping[str, Any] | str | bytes) -> Form:
    """The query of a document or of JSON text.

    Raises BadQuery with the path of what is wrong, or the line and column of what is not JSON.
    """
    if isinstance(document, str | bytes):
        document = read_json(document)
    if not isinstance(document, Mapping):
        raise BadQuery(f"a query is an object, not {_kind(document)}")
    return _Reader(document).form()


class _Reader:
    """Walks a document once; what it meets of values is collected in order."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.values: list[Any] = []

    def form(self) -> Form:
        document = self.document
        table = self.name(document.get("table"), "table")
        operation = document.get("operation", "select")
        if not isinstance(operation, str) or operation not in _KEYS:
            raise BadQuery(f"there is no operation {operation!r}{_near(operation, OPERATIONS)}", path="operation")
        self.keys(document, _KEYS[operation] | {"table", "operation"}, "", operation)
        data, rows, count = self.data() if operation in ("insert", "update", "upsert") else ((), (), None)
        filters = self.filters(document.get("filters", ()), "filters")
        shape = Shape(
            table,
            operation,
            self.columns(document.get("columns", ()), "columns"),
            filters,
            data,
            count,
            self.order(document.get("order", ()), "order"),
            self.columns(document.get("returning", ()), "returning"),
            self.names(document.get("conflict", ()), "conflict"),
            self.number(document, "limit", ""),
            self.number(document, "offset", ""),
        )
        if operation in ("update", "delete"):
            self.whole(operation, filtered=bool(filters))
        return Form(shape, tuple(self.values), rows)

    def whole(self, operation: str, *, filtered: bool) -> None:
        """A forgotten condition must not meet every row."""
        every = self.document.get("all", False)
        if not isinstance(every, bool):
            raise BadQuery(f"all is true or false, not {_kind(every)}", path="all")
        if every and filtered:
            raise BadQuery("there are filters, and all says that every row is meant", path="all")
        if not every and not filtered:
            raise QueryRefused(
                f"{operation} without filters would meet every row of {self.document['table']}",
                path="filters",
                hint='Give filters, or say "all": true.',
            )

    def data(self) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...], int]:
        given = self.document.get("data")
        many = isinstance(given, Sequence) and not isinstance(given, str | bytes)
        if many and self.document["operation"] == "update":
            raise BadQuery("an update takes one object, not a list", path="data")
        rows = given if many else [given]
        if not rows:
            raise BadQuery("there is no row in it", path="data")
        names: tuple[str, ...] = ()
        found: list[tuple[Any, ...]] = []
        for number, row in enumerate(rows):
            path = f"data[{number}]" if many else "data"
            if not isinstance(row, Mapping):
                raise BadQuery(f"a row is an object of columns, not {_kind(row)}", path=path)
            if number == 0:
                names = self.names(tuple(row), path)
            elif row.keys() != set(names):
                odd = sorted(map(str, row.keys() ^ set(names)))[0]
                raise BadQuery(
                    f"{odd!r} is in some rows and not in others",
                    path=path,
                    hint="All rows of a list have the same columns; write null where there is no value.",
                )
            found.append(tuple(row[name] for name in names))
        if not names and (many or self.document["operation"] != "insert"):
            raise BadQuery("there is no column in it", path="data")
        return names, tuple(found), 2 if many else 1

    def columns(self, given: Any, path: str) -> tuple[Selected | Related, ...]:
        return tuple([self.column(item, f"{path}[{at}]") for at, item in enumerate(self.items(given, path))])

    def column(self, given: Any, path: str) -> Selected | Related:
        if isinstance(given, str):
            return Selected(self.name(given, path), None, path)
        if not isinstance(given, Mapping):
            raise BadQuery(f"a column is text or an object, not {_kind(given)}", path=path)
        if "column" in given:
            self.keys(given, frozenset({"column", "as"}), path)
            return Selected(self.name(given["column"], f"{path}.column"), self.called(given, path), path)
        self.keys(given, _RELATED_KEYS, path)
        return Related(
            self.name(given.get("relation"), f"{path}.relation"),
            self.called(given, path),
            self.columns(given.get("columns", ()), f"{path}.columns"),
            self.filters(given.get("filters", ()), f"{path}.filters"),
            self.order(given.get("order", ()), f"{path}.order"),
            self.number(given, "limit", path),
            self.number(given, "offset", path),
            path,
        )

    def called(self, given: Mapping[str, Any], path: str) -> str | None:
        return self.name(given["as"], f"{path}.as") if "as" in given else None

    def filters(self, given: Any, path: str) -> tuple[Filter | Group, ...]:
        return tuple([self.filter(item, f"{path}[{at}]") for at, item in enumerate(self.items(given, path))])

    def filter(self, given: Any, path: str) -> Filter | Group:
        if not isinstance(given, Mapping):
            raise BadQuery(f"a filter is an object, not {_kind(given)}", path=path)
        for op in ("or", "and", "not"):
            if op in given:
                self.keys(given, frozenset({op}), path)
                inner = given[op]
                inside = f"{path}.{op}"
                items = (self.filter(inner, inside),) if isinstance(inner, Mapping) else self.filters(inner, inside)
                if not items:
                    raise BadQuery("there is no filter in it", path=inside)
                return Group(op, items)
        self.keys(given, _FILTER_KEYS, path)
        op = given.get("op", "eq")
        if not isinstance(op, str) or op not in OPERATORS:
            raise BadQuery(f"there is no operator {op!r}{_near(op, OPERATORS)}", path=f"{path}.op")
        config = given.get("config")
        if config is not None and (op != "matches" or not isinstance(config, str) or not _CONFIG.fullmatch(config)):
            raise BadQuery("config is the name of a text search configuration, for matches", path=f"{path}.config")
        return Filter(self.name(given.get("column"), f"{path}.column"), op, self.value(given, op, path), config, path)

    def value(self, given: Mapping[str, Any], op: str, path: str) -> int:
        takes = OPERATORS[op]
        if takes == 0:
            if given.get("value", True) is not True:
                raise BadQuery(f"{op} takes no value", path=f"{path}.value")
            return -1
        if "value" not in given:
            raise BadQuery(f"{op} needs a value", path=path)
        value = given["value"]
        if takes != 1 and (not isinstance(value, Sequence) or isinstance(value, str | bytes)):
            raise BadQuery(f"{op} takes a list, not {_kind(value)}", path=f"{path}.value")
        if takes == 2 and len(value) != 2:
            raise BadQuery(f"between takes two values, not {len(value)}", path=f"{path}.value")
        if value is None or (takes != 1 and any(item is None for item in value)):
            raise BadQuery(
                f"{op} with null is never true", path=f"{path}.value", hint="Use the operators is_null and not_null."
            )
        return self.keep(value)

    def order(self, given: Any, path: str) -> tuple[Order, ...]:
        return tuple([self.order_key(item, f"{path}[{at}]") for at, item in enumerate(self.items(given, path))])

    def order_key(self, given: Any, path: str) -> Order:
        if isinstance(given, str):
            descending = given.startswith("-")
            return Order(self.name(given[1:] if descending else given, path), descending, "", path)
        if not isinstance(given, Mapping):
            raise BadQuery(f"an order is text or an object, not {_kind(given)}", path=path)
        self.keys(given, frozenset({"column", "descending", "nulls"}), path)
        descending, nulls = given.get("descending", False), given.get("nulls", "")
        if not isinstance(descending, bool):
            raise BadQuery("descending is true or false", path=f"{path}.descending")
        if nulls not in ("", "first", "last"):
            raise BadQuery('nulls is "first" or "last"', path=f"{path}.nulls")
        return Order(self.name(given.get("column"), f"{path}.column"), descending, nulls, path)

    def number(self, given: Mapping[str, Any], key: str, path: str) -> int | None:
        value = given.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            where = f"{path}.{key}" if path else key
            raise BadQuery(f"{key} is a whole number from 0 on, not {value!r}", path=where)
        return self.keep(value)

    def keep(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def names(self, given: Any, path: str) -> tuple[str, ...]:
        return tuple([self.name(item, f"{path}[{at}]") for at, item in enumerate(self.items(given, path))])

    def name(self, given: Any, path: str) -> str:
        if isinstance(given, str) and given and "\0" not in given:
            return given
        raise BadQuery("there is no name" if given is None else f"a name is text, not {given!r}", path=path)

    def items(self, given: Any, path: str) -> Sequence[Any]:
        if isinstance(given, Sequence) and not isinstance(given, str | bytes):
            return given
        raise BadQuery(f"this is a list, not {_kind(given)}", path=path)

    def keys(self, given: Mapping[str, Any], known: frozenset[str], path: str, operation: str = "") -> None:
        if given.keys() <= known:
            return
        odd = next(key for key in given if key not in known)
        where = f"{path}.{odd}" if path else str(odd)
        if operation and odd in _EVERY_KEY:
            raise BadQuery(f"{operation} takes no {odd}", path=where)
        raise BadQuery(f"this is no key of a query{_near(odd, known)}", path=where)


def _near(name: object, known: Any) -> str:
    near = get_close_matches(str(name), list(known), 1)
    return f"; did you mean {near[0]}?" if near else f"; there is {', '.join(sorted(known))}"


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = (
        (bool, "a boolean"),
        (int | float, "a number"),
        (str, "text"),
        (Mapping, "an object"),
        (Sequence, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)

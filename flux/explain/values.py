"""Values of a query beside the types of their columns: what does not fit is refused before Postgres is asked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any
from uuid import UUID

from flux.encoding import to_json
from flux.errors import BadValue
from flux.explain.catalogue import Column

#: From a value as it is given to one as it is bound; raises BadValue. The second argument is the path of the value.
Converter = Callable[[Any, str], Any]

_INTEGERS: Mapping[str, int] = {"smallint": 15, "integer": 31, "bigint": 63}
_FLOATS = frozenset({"numeric", "real", "double precision"})
_TEXTS = frozenset({"text", "character varying", "bpchar", "character", "name", '"char"', "citext", "xml"})
_JSON = frozenset({"json", "jsonb"})
_NUMBER = re.compile(
    r"\s*[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*|\s*[+-]?(?:nan|inf(?:inity)?)\s*", re.IGNORECASE
)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_UUID = re.compile(r"\{?[0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7}\}?")
_BOOLEANS = frozenset({"true", "false", "t", "f", "yes", "no", "on", "off", "1", "0"})
_TIMES = frozenset(
    {
        "date",
        "interval",
        "timestamp with time zone",
        "timestamp without time zone",
        "time with time zone",
        "time without time zone",
    }
)


def is_text(type_: str) -> bool:
    """Whether like and ilike work on the type."""
    return _bare(type_) in _TEXTS


def is_json(type_: str) -> bool:
    """Whether the type takes any JSON value."""
    return type_ in _JSON


def is_number(type_: str) -> bool:
    """Whether the type can be added up."""
    return type_ in _INTEGERS or type_ in _FLOATS or type_ in ("interval", "money")


def converter(column: Column) -> Converter:
    """What makes a bound value of a given one, for a column or for what is compared with it; None stays None."""
    inner = _inner(column)
    return lambda value, path: None if value is None else inner(value, path)


def list_converter(column: Column) -> Converter:
    """The same for a list of values, none of them null, as `in` takes it."""
    inner = _inner(column)

    def convert(values: Sequence[Any], path: str) -> list[Any]:
        found = [inner(value, f"{path}[{at}]") for at, value in enumerate(values)]
        # psycopg sends lists of one Python type; the cast reads any of them from text.
        return found if len(set(map(type, found))) < 2 else [str(value) for value in found]

    return convert


def text_converter(column: Column) -> Converter:
    """For a pattern or a search, which is text whatever the column is."""

    def convert(value: Any, path: str) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise _unfit(column, value, path, "text")
        return value

    return convert


def _inner(column: Column) -> Converter:
    type_ = column.type
    if type_ in _JSON:
        return lambda value, _path: to_json(value).decode()
    if type_.endswith("[]"):
        return _array(column)
    check = _check(column)

    def convert(value: Any, path: str) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str) and "\0" in value:
            raise BadValue("text in Postgres cannot hold the character of code 0", path=path)
        if not check(value):
            raise _unfit(column, value, path)
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return convert


def _array(column: Column) -> Converter:
    element = _inner(Column(column.name, column.type.removesuffix("[]"), choices=column.choices))

    def convert(value: Any, path: str) -> Any:
        if isinstance(value, str):  # as Postgres writes arrays
            return value
        if not isinstance(value, Sequence) or isinstance(value, bytes):
            raise _unfit(column, value, path)
        found = [
            None if item is None else convert(item, path) if isinstance(item, list | tuple) else element(item, path)
            for item in value
        ]
        kinds = set(map(type, found)) - {type(None)}
        return found if len(kinds) < 2 else [item if item is None else str(item) for item in found]

    return convert


def _check(column: Column) -> Callable[[Any], bool]:
    """What tells whether a value fits; a type that is not known here takes what Postgres takes."""
    type_ = column.type
    if column.choices:
        return lambda value: value in column.choices
    if type_ in _INTEGERS:
        limit = 2 ** _INTEGERS[type_]
        return lambda value: -limit <= _whole(value, limit) < limit
    family = next((family for family, (_, types) in _FAMILIES.items() if _bare(type_) in types), "")
    return _FAMILIES[family][0] if family else lambda value: not isinstance(value, bool)


def _number(value: Any) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _BOOLEANS)


def _uuid(value: Any) -> bool:
    return isinstance(value, UUID) or (isinstance(value, str) and _UUID.fullmatch(value) is not None)


_FAMILIES: Mapping[str, tuple[Callable[[Any], bool], frozenset[str]]] = {
    "numbers": (_number, _FLOATS),
    "booleans": (_boolean, frozenset({"boolean"})),
    "texts": (lambda value: isinstance(value, str), _TEXTS),
    "uuids": (_uuid, frozenset({"uuid"})),
    "times": (lambda value: isinstance(value, str | date | time | timedelta), _TIMES),
    "bytes": (lambda value: isinstance(value, str | bytes | bytearray | memoryview), frozenset({"bytea"})),
}


def _bare(type_: str) -> str:
    """A type without its schema: extensions have theirs in public."""
    return type_.rpartition(".")[2]


def _whole(value: Any, otherwise: int) -> int:
    """The whole number that a value is, or what is out of range."""
    if isinstance(value, bool):
        return otherwise
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else otherwise
    if isinstance(value, float | Decimal):
        return int(value) if math.isfinite(value) and value == int(value) else otherwise
    return value if isinstance(value, int) else otherwise


def _unfit(column: Column, value: Any, path: str, wanted: str | None = None) -> BadValue:
    shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}…"
    near = get_close_matches(str(value), column.choices, 1)
    hint = None
    if column.choices:
        hint = f"Did you mean {near[0]}?" if near else f"It is one of {', '.join(column.choices)}."
    return BadValue(f"{column.name} takes {wanted or column.type}, not {shown}", path=path, hint=hint)

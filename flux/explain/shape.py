"""A structured query without its values: plain tuples that can be compared and hashed, whose names are only text.

`path` is where each part stands in the document, for errors.
"""

from __future__ import annotations

from typing import NamedTuple


class Filter(NamedTuple):
    """One condition; `value` is the number of its value in Form.values, -1 for an operator without one.

    `config` names the text search configuration of `matches`.
    """

    column: str
    op: str
    value: int
    config: str | None
    path: str


class Group(NamedTuple):
    """Conditions of which all ("and"), any ("or") or not all ("not") hold."""

    op: str
    items: tuple[Filter | Group, ...]


class Order(NamedTuple):
    """One key of the order; `nulls` is "first", "last" or "" for what Postgres does."""

    column: str
    descending: bool
    nulls: str
    path: str


class Selected(NamedTuple):
    """One column as it is asked for, `title`, `owner.name` or `count(comments)`; `name` is what it is to be called."""

    column: str
    name: str | None
    path: str


class Related(NamedTuple):
    """Rows of a relation, with their own columns, conditions and order; `limit` and `offset` as in Shape."""

    relation: str
    name: str | None
    columns: tuple[Selected | Related, ...]
    filters: tuple[Filter | Group, ...]
    order: tuple[Order, ...]
    limit: int | None
    offset: int | None
    path: str


class Shape(NamedTuple):
    """A query without its values; what can be compared and hashed. `limit` and `offset` are numbers of values.

    `rows` is None without data, 1 for one row and 2 for a list; `empty` says that the data names no column.
    """

    table: str
    operation: str
    columns: tuple[Selected | Related, ...]
    filters: tuple[Filter | Group, ...]
    data: tuple[str, ...]
    rows: int | None
    order: tuple[Order, ...]
    returning: tuple[Selected | Related, ...]
    conflict: tuple[str, ...]
    limit: int | None
    offset: int | None

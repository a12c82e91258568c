"""What is known while one statement is compiled: its names, its parameters, and the way each parameter is bound."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from flux.config import Queries
from flux.errors import UnknownName
from flux.explain import nodes
from flux.explain.catalogue import Catalogue, Column, Table
from flux.explain.form import Form
from flux.explain.relations import Relation, column_of, is_relation, relation_of, require_readable

_AGGREGATE = re.compile(r"(count|sum|avg|min|max)\((.+)\)", re.DOTALL)

#: Where a value is stored or compared: (table, column) in lower case, as the redactor knows them.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter: how its value is made of a form, its Postgres type, and the columns that it is bound for."""

    bind: Callable[[Form], Any]
    type: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A value in the result: the keys that lead to it, through lists too, and the column it comes from."""

    keys: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Bounded:
    """A list of related rows for which the query says no limit: the keys that lead to it, and its most rows.

    The statement fetches one more, so that a longer one can be told.
    """

    keys: tuple[str, ...]
    most: int
    path: str


@dataclass(frozen=True, slots=True)
class Way:
    """What a dotted name leads to: relations one after another, the table there, and one of its columns or none."""

    hops: tuple[Relation, ...]
    table: Table
    column: Column | None

    @property
    def many(self) -> bool:
        """Whether it may lead to more than one row."""
        return any(hop.many for hop in self.hops)


class Building:
    """One statement under way. Tables are touched in the order in which they are met."""

    def __init__(self, catalogue: Catalogue, limits: Queries) -> None:
        self.catalogue = catalogue
        self.limits = limits
        self.aliases = nodes.Aliases()
        self.slots: list[Slot] = []
        self.tables: dict[str, Table] = {}
        self.outputs: list[Output] = []
        self.lists: list[Bounded] = []
        self.exact: list[tuple[str, ...]] = []

    def open(self, table: Table) -> str:
        """A table read or written from here on; the alias by which it is known."""
        self.tables[table.key] = table
        return self.aliases.new(table.name)

    def parameter(self, bind: Callable[[Form], Any], type_: str, *places: Place) -> exp.Expr:
        """A mark for a value, cast to its type."""
        self.slots.append(Slot(bind, type_, places))
        return nodes.cast(exp.Placeholder(this=str(len(self.slots) - 1)), type_)

    def way(self, table: Table, name: str, path: str) -> Way:
        """What a name means, seen from a table: a column of its own first, then a relation.

        Raises UnknownName, and ColumnRefused for one that the role may not read.
        """
        hops: list[Relation] = []
        while name not in table.columns:
            head, rest = self.split(table, name)
            hop = self.relation(table, head, path)
            hops.append(hop)
            table = hop.table
            if not rest:
                return Way(tuple(hops), table, None)
            name = rest
        return Way(tuple(hops), table, self.column(table, name, path))

    def column(self, table: Table, name: str, path: str) -> Column:
        """A column to be read; raises UnknownName, ColumnRefused."""
        found = column_of(table, name, path)
        require_readable(self.catalogue, table, found, path)
        return found

    def relation(self, table: Table, name: str, path: str) -> Relation:
        """A relation to be followed, which reads the columns on both sides; raises UnknownName, ColumnRefused."""
        found = relation_of(self.catalogue, table, name, path)
        for here, there in found.pairs:
            self.column(table, here, path)
            self.column(found.table, there, path)
        return found

    def split(self, table: Table, name: str) -> tuple[str, str]:
        """The relation that a dotted name begins with, and what follows; names may hold dots themselves."""
        ends = [at for at, letter in enumerate(name) if letter == "."]
        for end in [*ends, len(name)]:
            if is_relation(self.catalogue, table, name[:end]):
                return name[:end], name[end + 1 :]
        head, _, rest = name.partition(".")
        return (head, rest) if rest else (name, "")

    def through(self, hops: tuple[Relation, ...], here: str) -> tuple[exp.Table, list[exp.Join], list[exp.Expr], str]:
        """Relations followed from an alias: the first table, the others joined to it, conditions, the last alias."""
        first, *others = hops
        alias = self.open(first.table)
        source, conditions = nodes.table(first.table, alias), nodes.matching(first.pairs, here, alias)
        joins = []
        for hop in others:
            next_ = self.open(hop.table)
            on = nodes.all_of(nodes.matching(hop.pairs, alias, next_))
            joins.append(exp.Join(this=nodes.table(hop.table, next_), on=on))
            alias = next_
        return source, joins, conditions, alias


def aggregate_of(name: str) -> tuple[str, str] | None:
    """The function and the argument of `count(comments)`; None for a plain name."""
    found = _AGGREGATE.fullmatch(name)
    return (found[1], found[2].strip()) if found else None


def place(table: Table, column: Column) -> Place:
    """A column as the redactor knows it."""
    return table.name.lower(), column.name.lower()


def no_column(way: Way, name: str, path: str) -> UnknownName:
    """The error for a relation where a column is needed."""
    first = next((column.name for column in way.table.columns.values() if column.readable), "id")
    return UnknownName(f"{name} is a relation, not a column", path=path, hint=f"Say which column: {name}.{first}.")

"""What the database has, as plain values: what queries are compiled and policies are checked against."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from flux.errors import NotInstalled
from flux.policies import ROLE_PREFIX

_CATALOGUE = "select to_regprocedure('flux.catalogue(text)') is not null, current_schemas(false)"
_TABLES = "select flux.catalogue(%s)"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `type` is a domain's base type, without its length, as it stands in a cast.

    `generated` is "" for a column that may be written, "stored" or "virtual" for a generated one, "always" for an
    identity that is always generated. `choices` are the labels of an enum. `readable` is whether the role that the
    catalogue was read for may select it, `writable` which of insert and update it may do, `masked` whether it reads
    something else in its place.
    """

    name: str
    type: str
    nullable: bool = True
    has_default: bool = False
    generated: str = ""
    choices: tuple[str, ...] = ()
    readable: bool = True
    writable: tuple[str, ...] = ("insert", "update")
    masked: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that hold the key of another table; `target` is that table's key in Catalogue.tables."""

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """An index over plain columns; one over an expression has an empty name for it. `partial` ones have a condition."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    partial: bool = False
    method: str = "btree"


@dataclass(frozen=True, slots=True)
class Table:
    """A table, view, materialized view or foreign table.

    `kind` is "table", "view", "materialized view" or "foreign table". `estimated_rows` is None where Postgres has not
    counted yet. `unique_keys` include the primary key. `visible` is whether its bare name finds it on the search path.
    """

    schema: str
    name: str
    kind: str = "table"
    columns: Mapping[str, Column] = field(default_factory=lambda: MappingProxyType({}))
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    estimated_rows: int | None = None
    indexes: tuple[Index, ...] = ()
    visible: bool = True
    key: str = ""


class Catalogue:
    """Every table outside Postgres's own schemas and Flux's, by schema and name, quoted where needed (`public."Odd"`).

    `search_path` are the schemas in which a bare name is looked for, in this order. `version` is another one when
    anything in it is another. `role` is the role of db/policies.toml that it was read for, "" for the service.
    """

    __slots__ = ("_by_name", "_referring", "role", "search_path", "tables", "version")

    def __init__(
        self, tables: Mapping[str, Table], search_path: tuple[str, ...] = ("public",), version: str = "", role: str = ""
    ) -> None:
        self.role = role
        self.tables = MappingProxyType(dict(tables))
        self.search_path = search_path
        self.version = version or hashlib.sha256(repr((search_path, sorted(tables.items()))).encode()).hexdigest()[:16]
        self._by_name = {(table.schema, table.name): table for table in tables.values()}
        self._referring: dict[str, list[tuple[Table, ForeignKey]]] = {}
        for table in tables.values():
            for key in table.foreign_keys:
                self._referring.setdefault(key.target, []).append((table, key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalogue) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)

    def find(self, name: str) -> Table | None:
        """The table of an exact name on the search path, or of `schema.name`."""
        for schema in self.search_path:
            if found := self._by_name.get((schema, name)):
                return found
        for at, letter in enumerate(name):
            if letter == "." and (found := self._by_name.get((name[:at], name[at + 1 :]))):
                return found
        return None

    def names(self) -> list[str]:
        """What find() takes: bare names of what is on the search path, `schema.name` of the rest."""
        return [table.name if table.visible else f"{table.schema}.{table.name}" for table in self.tables.values()]

    def referring(self, table: Table) -> list[tuple[Table, ForeignKey]]:
        """The foreign keys of all tables that point to this one."""
        return self._referring.get(table.key, [])


def read_catalogue(connection: Any, role: str | None = None) -> Catalogue:
    """The catalogue of a database, as the owner sees it; `readable` for a Postgres role, where one is given.

    Raises psycopg.Error, and NotInstalled where this version of Flux is not.
    """
    row = connection.execute(_CATALOGUE).fetchone()
    installed, path = row.values() if isinstance(row, dict) else row
    if not installed:
        raise NotInstalled(hint="Run `flux db migrate`.")
    row = connection.execute(_TABLES, (role,)).fetchone()
    (tables,) = row.values() if isinstance(row, dict) else row
    return catalogue_of(tables or [], path, (role or "").removeprefix(ROLE_PREFIX))


def catalogue_of(tables: Iterable[Mapping[str, Any]], search_path: Iterable[str], role: str = "") -> Catalogue:
    """A catalogue of what flux.catalogue() tells, as a role of db/policies.toml or the service."""
    path = tuple(search_path)
    told = sorted(tables, key=lambda table: str(table["key"]))
    first = {
        table["name"]: table["schema"]
        for table in sorted(told, key=lambda table: _rank(path, table["schema"]), reverse=True)
        if table["schema"] in path
    }
    found = {table["key"]: _table(table, visible=first.get(table["name"]) == table["schema"]) for table in told}
    return Catalogue(found, path, role=role)


def _rank(path: tuple[str, ...], schema: str) -> int:
    return path.index(schema) if schema in path else len(path)


def _table(told: Mapping[str, Any], *, visible: bool) -> Table:
    return Table(
        schema=told["schema"],
        name=told["name"],
        kind=told["kind"],
        columns=MappingProxyType(
            {
                column["name"]: Column(
                    **{**column, "choices": tuple(column["choices"] or ()), "writable": tuple(column["writable"])}
                )
                for column in told["columns"]
            }
        ),
        primary_key=tuple(told["primary_key"] or ()),
        unique_keys=tuple(
            dict.fromkeys(
                tuple(index["columns"])
                for index in told["indexes"]
                if index["unique"] and not index["partial"] and "" not in index["columns"]
            )
        ),
        foreign_keys=tuple(
            ForeignKey(key["name"], tuple(key["columns"]), key["target"], tuple(key["target_columns"]))
            for key in told["foreign_keys"]
        ),
        estimated_rows=told["estimated_rows"],
        indexes=tuple(Index(**{**index, "columns": tuple(index["columns"])}) for index in told["indexes"]),
        visible=visible,
        key=told["key"],
    )

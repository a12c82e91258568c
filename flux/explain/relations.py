"""How one table leads to others: foreign keys in both directions, each by the names people use for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from flux.errors import ColumnRefused, UnknownName
from flux.explain.catalogue import Catalogue, Column, ForeignKey, Table


@dataclass(frozen=True, slots=True)
class Relation:
    """A way from one table to another: `pairs` are (column here, column there); `many` leads to a list of rows.

    `names` are what it is called, by rank: a name of a higher rank hides that of another relation in a lower one.
    `unique_name` is among them, for choosing.
    """

    table: Table
    pairs: tuple[tuple[str, str], ...]
    many: bool
    names: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    unique_name: str


def table_of(catalogue: Catalogue, name: str, path: str) -> Table:
    """A table by name; raises UnknownName with the nearest."""
    found = catalogue.find(name)
    if found is None:
        raise UnknownName(f"there is no table {name}", path=path, hint=_nearest(name, catalogue.names(), "Tables"))
    return found


def column_of(table: Table, name: str, path: str) -> Column:
    """A column by its exact name; raises UnknownName with the nearest."""
    found = table.columns.get(name)
    if found is None:
        raise UnknownName(
            f"{table.name} has no column {name}", path=path, hint=_nearest(name, _shown(table), "Columns")
        )
    return found


def require_readable(catalogue: Catalogue, table: Table, column: Column, path: str) -> None:
    """Raise ColumnRefused, with the nearest column that may be read, where the role may not read this one."""
    if column.readable:
        return
    near = get_close_matches(column.name, _readable(table), 1, 0.6)
    raise ColumnRefused(
        f"the role {catalogue.role} may not read {column.name} of {table.name}",
        path=path,
        hint=f"Did you mean {near[0]}?" if near else f"db/policies.toml says what {catalogue.role} may read.",
    )


def relation_of(catalogue: Catalogue, table: Table, name: str, path: str) -> Relation:
    """A relation by name; raises UnknownName with the nearest, or with the names to choose from where two have it."""
    known = _relations(catalogue, table)
    for rank in range(3):
        found = [relation for relation in known if name in relation.names[rank]]
        if len(found) == 1:
            return found[0]
        if found:
            choices = ", ".join(sorted(relation.unique_name for relation in found))
            raise UnknownName(
                f"{name} is more than one relation of {table.name}", path=path, hint=f"Choose one of {choices}."
            )
    names = [*_readable(table), *dict.fromkeys(name for one in known for name in (*one.names[0], *one.names[1]))]
    raise UnknownName(
        f"{table.name} has no column and no relation {name}",
        path=path,
        hint=_nearest(name, names, "Columns and relations"),
    )


def is_relation(catalogue: Catalogue, table: Table, name: str) -> bool:
    """Whether a name means any relation, be it more than one."""
    return any(name in names for relation in _relations(catalogue, table) for names in relation.names)


def _relations(catalogue: Catalogue, table: Table) -> list[Relation]:
    found = []
    for key in table.foreign_keys:
        target = catalogue.tables.get(key.target)
        if target is not None:
            stem = _stem(key)
            names = ((stem,) if stem else (), (target.name,), (key.name,))
            pairs = tuple(zip(key.columns, key.target_columns, strict=True))
            found.append(Relation(target, pairs, False, names, stem or key.name))
    for other, key in catalogue.referring(table):
        single = any(set(unique) <= set(key.columns) for unique in other.unique_keys)
        by = f"{other.name}_by_{_stem(key) or key.name}"
        pairs = tuple(zip(key.target_columns, key.columns, strict=True))
        found.append(Relation(other, pairs, not single, ((), (other.name,), (by, key.name)), by))
    return found


def _readable(table: Table) -> list[str]:
    return [column.name for column in table.columns.values() if column.readable]


def _shown(table: Table) -> list[str]:
    """The columns that a role is told of: those that it may do anything with."""
    return [column.name for column in table.columns.values() if column.readable or column.writable]


def _stem(key: ForeignKey) -> str:
    """What the column of a key is about: owner of owner_id, Artist of ArtistId; empty for more than one column."""
    if len(key.columns) != 1:
        return ""
    return re.sub(r"(?<=.)(_id|Id)$", "", key.columns[0])


def _nearest(name: str, known: list[str], kind: str) -> str:
    near = get_close_matches(name, known, 1, 0.6) or [one for one in known if one.lower() == name.lower()]
    if near:
        return f"Did you mean {near[0]}?"
    shown = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
    return f"{kind}: {shown}." if known else f"There are no {kind.lower()}."

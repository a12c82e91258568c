"""What names in a statement stand for: the tables of each scope, with the columns that a role has of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from flux.explain.catalogue import Table
from flux.explain.policies import TablePolicy
from flux.explain.syntax import below, expression_of, quoted, statement_of

_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})


@dataclass(slots=True)
class Source:
    """One item of a scope. `table` is None for what no policy governs: its columns are not known here.

    `columns` is what the role meets under the name: the table's own or, where masks are made, those of the view that
    stands for it. `visible` of them may be read, as they are or as `masks`. `read_from` notes that one was.
    """

    alias: str
    schema: str = ""
    table: Table | None = None
    columns: tuple[str, ...] = ()
    visible: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    written: bool = False
    read_from: bool = False

    @classmethod
    def governed(
        cls, alias: str, schema: str, table: Table, policy: TablePolicy, masks: Mapping[str, str], *, written: bool
    ) -> Source:
        """A table with a policy; `schema` is how the statement names it, "" for a bare name."""
        readable = [name for name in table.columns if name in policy.readable]
        has = {*readable, *(name for names in policy.writable.values() for name in names)}
        return cls(
            alias,
            schema,
            table,
            columns=tuple(name for name in table.columns if name in has) if masks else tuple(table.columns),
            visible=tuple(name for name in readable if name in masks or name not in policy.masks),
            masks=MappingProxyType(dict(masks)),
            written=written,
        )

    @property
    def whole(self) -> bool:
        """Whether every column of it may be read, as * does."""
        return set(self.columns) == set(self.visible)

    @property
    def is_table(self) -> bool:
        """Whether what may be read is every column of the table."""
        return self.table is not None and len(self.visible) == len(self.table.columns)

    @property
    def hidden(self) -> list[str]:
        """Columns that are there and may not be read."""
        return [name for name in self.columns if name not in self.visible] if self.table else []

    @property
    def closed(self) -> list[str]:
        """The hidden columns with the table's name."""
        return [f"{self.table.schema}.{self.table.name}.{name}" for name in self.hidden] if self.table else []

    def has(self, name: str) -> bool:
        """Whether a name can be one of its columns. What stands for a table with masks lacks those that are closed, but
        a table that is written still has them to who reads the preview."""
        return name in (self.table.columns if self.table and self.written else self.columns)

    @property
    def qualified(self) -> str:
        """Schema and name of the table, in quotes."""
        return f"{quoted(self.table.schema)}.{quoted(self.table.name)}" if self.table else quoted(self.alias)

    def listed(self) -> str:
        """What may be read, as a list of select; masks under the names of their columns."""
        return ", ".join(
            f"({self.masks[name]}\n) as {quoted(name)}" if name in self.masks else quoted(name) for name in self.visible
        )

    def results(self) -> Iterator[Any]:
        """What may be read, as results of a statement in which other tables are near."""
        for name in self.visible:
            result = statement_of("select 1 as result").select_stmt.target_list[0]
            result.res_target.name = name
            result.res_target.val.CopyFrom(self.expression(self.masks.get(name, quoted(name))))
            yield result

    def expression(self, text: str) -> Any:
        """An expression over a row of the table, as a node whose columns name this source."""
        node = expression_of(f"({text}\n)")
        for reference in [one for one in below(node) if one.DESCRIPTOR.name == "ColumnRef"]:
            names = [one.string.sval for one in reference.fields]
            if self.table and len(names) == 1 and names[0] in self.table.columns:
                reference.fields.insert(0, type(reference.fields[0])())
                reference.fields[0].string.sval = self.alias
            elif self.table and len(names) == 2 and names[0] == self.table.name:
                reference.fields[0].string.sval = self.alias
        return node


@dataclass(slots=True)
class Resolved:
    """What became of one name: hidden columns, why it is not certain, and the expression that is read in its place."""

    hidden: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    mask: Any = None


class Scopes:
    """The scopes around the place that is visited, the innermost last."""

    def __init__(self) -> None:
        self._scopes: list[list[Source]] = []

    @contextmanager
    def inner(self) -> Iterator[list[Source]]:
        """A scope of its own for what is inside."""
        self._scopes.append([])
        yield self._scopes[-1]
        self._scopes.pop()

    def resolve(self, reference: Any) -> Resolved:
        """Look up a column; a name with its schema is shortened, because what is wrapped has an alias only."""
        names = [one.string.sval for one in reference.fields if one.WhichOneof("node") == "string"]
        star = len(names) < len(reference.fields)
        if len(names) + star > 2 and self._named(names[1], names[0]):
            del reference.fields[0]
            del names[0]
        if star:
            return self._star(names)
        if len(names) == 1:
            return self._bare(names[0])
        source = self._named(names[0])
        return self._member(source, names[1]) if source else Resolved()

    def _star(self, names: list[str]) -> Resolved:
        found = Resolved()
        source = self._named(names[0]) if names else None
        for one in [source] if source else self._scopes[-1] if not names else []:
            one.read_from = True
            found.hidden += one.closed
            if one.written and one.masks:
                found.partial.append(f"{one.alias}.* of a table that is written has masks")
        return found

    def _bare(self, name: str) -> Resolved:
        unknown = False
        for scope in reversed(self._scopes):
            for source in scope:
                if source.table and (source.has(name) or name in _SYSTEM_COLUMNS):
                    found = self._member(source, name)
                    if unknown and (found.hidden or found.mask is not None):
                        return Resolved(partial=[f"which {name} is meant is not certain"])
                    return found
            unknown = unknown or any(source.table is None and name not in source.columns for source in scope)
            if any(name in source.columns for source in scope):
                return Resolved()
        row = self._named(name)
        return self._star([name]) if row and row.table else Resolved()

    def _member(self, source: Source, name: str) -> Resolved:
        source.read_from = True
        if source.table is None:
            return Resolved()
        if source.has(name):
            if name not in source.visible:
                return Resolved(hidden=[f"{source.table.schema}.{source.table.name}.{name}"])
            if source.written and name in source.masks:
                return Resolved(mask=source.expression(source.masks[name]))
        elif name in _SYSTEM_COLUMNS:
            return Resolved(partial=[f"{name} is a column of the table itself"])
        return Resolved()

    def _named(self, alias: str, schema: str | None = None) -> Source | None:
        for scope in reversed(self._scopes):
            for source in scope:
                if source.alias == alias and (schema is None or source.schema == schema):
                    return source
        return None

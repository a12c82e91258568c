"""What a role may do with the tables that a statement meets, and what was found out about that on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flux.explain.catalogue import Catalogue, Table
from flux.explain.policies import Policies, TablePolicy, bind_claims, postgres_role
from flux.explain.sources import Source


@dataclass(frozen=True, slots=True)
class Applied:
    """What the policies say of one table in one operation. Conditions have the values of the claims in them.

    `masks` is the expression read in place of each masked column, `writable` is None for an operation that writes no
    columns, `rows` and `check` are None for every row.
    """

    table: str
    operation: str
    allowed: bool
    readable: tuple[str, ...]
    hidden: tuple[str, ...]
    masks: Mapping[str, str]
    writable: tuple[str, ...] | None
    rows: str | None
    check: str | None


@dataclass
class Standing:
    """A role with its claims before the policies. `met` are the keys of the tables that were named."""

    role: str
    claims: Mapping[str, Any]
    catalogue: Catalogue
    policies: Policies
    applied: list[Applied] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    met: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        tables = list(self.catalogue.tables.values())
        self._by_name = {(table.schema, table.name): table for table in tables}
        self._masked = {table.name: table for table in tables if self.policies.for_(self.role, table).masks}

    def policy(self, table: Table | None) -> TablePolicy | None:
        """What the role may do with a table, None where no policy governs it."""
        return self.policies.for_(self.role, table) if table is not None and self.policies.governs(table) else None

    def table(self, name: Any, ctes: frozenset[str]) -> Table | None:
        """The table that a name finds; for a bare one, the masks of the role come first."""
        table: Table | None = None
        if name.schemaname:
            if name.schemaname.startswith(postgres_role("")):
                self.partial.append(f"{name.schemaname}.{name.relname} belongs to Flux")
            table = self._by_name.get((name.schemaname, name.relname))
        elif name.relname not in ctes and not name.relname.startswith("pg_"):
            places = (self._by_name.get((schema, name.relname)) for schema in self.catalogue.search_path)
            table = self._masked.get(name.relname) or next((one for one in places if one is not None), None)
        if table is not None:
            self.met.add(table.key)
        return table

    def source(self, alias: str, name: Any, table: Table, policy: TablePolicy, *, written: bool = False) -> Source:
        """A governed table under an alias. By a name with its schema the role meets the table itself, and no masks."""
        masks = {} if name.schemaname else {one: bind_claims(mask, self.claims) for one, mask in policy.masks.items()}
        return Source.governed(alias, name.schemaname, table, policy, masks, written=written)

    def apply(
        self, table: Table, policy: TablePolicy, operation: str, rows: str | None, check: str | None, source: Source
    ) -> None:
        """Note what the policies say of a table in an operation, and whether they allow it."""
        allowed = operation in policy.operations
        if not allowed:
            self.refused.append(f"{self.role} may not {operation} {policy.table}")
        applied = Applied(
            policy.table,
            operation,
            allowed,
            tuple(source.visible),
            tuple(name for name in table.columns if name not in source.visible),
            source.masks,
            policy.writable.get(operation),
            rows,
            check,
        )
        if applied not in self.applied:
            self.applied.append(applied)

    def require_columns(self, policy: TablePolicy, operation: str, names: Iterable[str]) -> None:
        """Note which of the columns that are written may not be."""
        may = policy.writable.get(operation, ())
        if operation in policy.operations:
            self.refused += [
                f"{self.role} may not {operation} {policy.table}.{name}"
                for name in dict.fromkeys(names)
                if name not in may
            ]

    def bound(self, expression: str | None) -> str | None:
        """An expression with the values of the claims in it."""
        return None if expression is None else bind_claims(expression, self.claims)

"""What the policies of the project give a role, by table and operation: what Postgres enforces, as plain values.

For explaining only. What is enforced are the grants, policies and views that `flux db migrate` makes of the same file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from flux.errors import PolicyError, UnknownRole
from flux.explain.catalogue import Catalogue, Table
from flux.policies import Policy, PolicyFile, claims_of, postgres_role, replace_claims

__all__ = ["Policies", "TablePolicy", "bind_claims", "claims_of", "postgres_role"]


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """What a role may do with one table; expressions are SQL over a row, and may hold `claim('name')`.

    `readable` are the columns it may read, those of `masks` as the expression there. `writable`, `rows` and `check` are
    by operation: an operation that is missing in `operations` is refused, a condition that is None holds for every row.
    """

    table: str
    role: str
    operations: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    writable: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    rows: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    check: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))

    def row_filter(self, operation: str, *, reads: bool = True) -> str | None:
        """The condition on the rows that an operation meets, None for every row.

        An update or delete that `reads` columns, in a condition or in what it returns, meets only rows that the role
        may also select: so does Postgres.
        """
        asked = ["select", operation] if reads or operation == "select" else [operation]
        return _all_of([self.rows.get(name) for name in dict.fromkeys(asked)])

    def new_row_check(self, operation: str, *, reads: bool = True) -> str | None:
        """The condition that a written row must meet; also to be selectable, when the statement `reads` columns."""
        return _all_of([self.check.get(operation), self.rows.get("select") if reads else None])


class Policies:
    """The project's policies beside a catalogue; raises PolicyError where the file names what is not there."""

    def __init__(self, file: PolicyFile, catalogue: Catalogue) -> None:
        self.roles = file.roles
        self._catalogue = catalogue
        self._tables: dict[tuple[str, tuple[str, str]], TablePolicy] = {}
        for policy in file.policies:
            table = _table_of(policy, catalogue)
            self._tables[policy.role, (table.schema, table.name)] = _resolved(policy, table)

    def for_(self, role: str, table: Table) -> TablePolicy:
        """What a role may do with a table: nothing, where the file does not say it. Raises UnknownRole."""
        if role not in self.roles:
            raise UnknownRole(
                f"there is no role {role}",
                hint=f"The roles of db/policies.toml are {', '.join(self.roles)}." if self.roles else None,
            )
        found = self._tables.get((role, (table.schema, table.name)))
        return found or TablePolicy(table=f"{table.schema}.{table.name}", role=role)

    def governs(self, table: Table) -> bool:
        """Whether any role has a policy for this table."""
        return any(named == (table.schema, table.name) for _, named in self._tables)


def bind_claims(expression: str, claims: Mapping[str, Any] | None) -> str:
    """An expression with the values of the claims in it, as flux.claim() gives them; a missing one is null."""
    return replace_claims(expression, lambda name: _literal((claims or {}).get(name)))


def _literal(value: Any) -> str:
    if value is None:
        return "null::text"
    text = value if isinstance(value, str) else json.dumps(value, separators=(", ", ": "))
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'::text" if "\\" in text else f"'{escaped}'::text"


def _all_of(conditions: list[str | None]) -> str | None:
    there = list(dict.fromkeys(one for one in conditions if one is not None))
    if len(there) < 2:
        return next(iter(there), None)
    return " and ".join(f"({one}\n)" if "--" in one else f"({one})" for one in there)  # a comment ends with its line


def _table_of(policy: Policy, catalogue: Catalogue) -> Table:
    table = catalogue.find(policy.table)
    if table is None:
        raise PolicyError(f"db/policies.toml: {policy.place}: there is no table {policy.table}")
    return table


def _resolved(policy: Policy, table: Table) -> TablePolicy:
    """A policy with its columns spelled out."""
    columns: dict[str, tuple[str, ...]] = {}
    for name, operation in policy.operations.items():
        for column in (*(operation.columns or ()), *operation.mask):
            if column not in table.columns:
                raise PolicyError(f"db/policies.toml: {policy.place} {name}: {policy.table} has no column {column}")
        columns[name] = operation.columns or tuple(table.columns)
    select = policy.operations.get("select")
    return TablePolicy(
        table=f"{table.schema}.{table.name}",
        role=policy.role,
        operations=tuple(policy.operations),
        readable=columns.get("select", ()),
        masks=MappingProxyType(
            {name: f"({mask})::{table.columns[name].type}" for name, mask in (select.mask if select else {}).items()}
        ),
        writable=MappingProxyType({name: columns[name] for name in ("insert", "update") if name in columns}),
        rows=MappingProxyType({name: one.rows for name, one in policy.operations.items() if name != "insert"}),
        check=MappingProxyType(
            {name: one.check for name, one in policy.operations.items() if name in ("insert", "update")}
        ),
    )

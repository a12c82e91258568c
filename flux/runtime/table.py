"""`ctx.db.table("todos")`: a structured query, written in Python a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flux.explain.form import OPERATORS

Row = dict[str, Any]


class Table:
    """A query on a table under way. Each method gives another one, so that parts can be kept and used again.

    `where(done=False, title__ilike="%x%", owner__name="Ann")` takes operators and relations behind two underscores;
    `where({"or": […]})` takes filters as documents have them. Without limit(), as many rows come as the project's
    default_limit says.
    """

    def __init__(self, run: Callable[[dict[str, Any]], Any], document: dict[str, Any]) -> None:
        self._run = run
        self._document = document

    def columns(self, *columns: str | Mapping[str, Any]) -> Table:
        """Only these columns, relations and aggregates; all of the table's own without it."""
        return self._with(columns=list(columns))

    def where(self, *filters: Mapping[str, Any], **conditions: Any) -> Table:
        """Only rows for which all of this holds, and what was asked before; None stands for null."""
        added = [*filters, *(_filter(name, value) for name, value in conditions.items())]
        return self._with(filters=[*self._document.get("filters", ()), *added])

    def every(self) -> Table:
        """Every row is meant: what an update or delete without where() needs."""
        return self._with(all=True)

    def order(self, *columns: str | Mapping[str, Any]) -> Table:
        """In this order, a column with `-` before it descending."""
        return self._with(order=list(columns))

    def limit(self, rows: int) -> Table:
        """At most so many rows."""
        return self._with(limit=rows)

    def offset(self, rows: int) -> Table:
        """Without the first rows."""
        return self._with(offset=rows)

    def returning(self, *columns: str) -> Table:
        """What a write gives back of the rows it wrote, in place of their number; all columns when none are named."""
        return self._with(returning=list(columns) or ["*"])

    def all(self) -> list[Row]:
        """The rows."""
        rows: list[Row] = self._run(self._document)
        return rows

    def one(self) -> Row | None:
        """The first row, or None."""
        rows = self.limit(1).all()
        return rows[0] if rows else None

    def count(self) -> int:
        """How many rows there are, whatever limit and order say."""
        asked = {key: value for key, value in self._document.items() if key in ("table", "filters")}
        return int(self._run({**asked, "columns": ["count(*)"]})[0]["count(*)"])

    def insert(self, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None, /, **columns: Any) -> Any:
        """Write a row, and give it as it is then; a list for a list. All rows of a list have the same columns."""
        return self._write("insert", rows, columns)

    def upsert(
        self,
        rows: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        /,
        *,
        conflict: Iterable[str] = (),
        **columns: Any,
    ) -> Any:
        """Insert, or update where a row with the same key is there: that of `conflict`, else the primary key."""
        keys = {"conflict": list(conflict)} if conflict else {}
        return self._write("upsert", rows, columns, **keys)

    def update(self, values: Mapping[str, Any] | None = None, /, **columns: Any) -> Any:
        """Change the rows that where() names; their number, or with returning() the rows."""
        return self._with(operation="update", data={**(values or {}), **columns})._do()

    def delete(self) -> Any:
        """Delete the rows that where() names; their number, or with returning() the rows."""
        return self._with(operation="delete")._do()

    def _write(
        self,
        operation: str,
        rows: Any,
        columns: dict[str, Any],
        **further: Any,
    ) -> Any:
        many = rows is not None and not isinstance(rows, Mapping)
        data: Any = list(rows or ()) if many else {**dict(rows or ()), **columns}
        returning = self._document.get("returning", ["*"])
        written = self._with(operation=operation, data=data, returning=returning, **further)._do()
        return written if many else next(iter(written), None)

    def _do(self) -> Any:
        return self._run(self._document)

    def _with(self, **parts: Any) -> Table:
        return Table(self._run, {**self._document, **parts})


def _filter(name: str, value: Any) -> dict[str, Any]:
    parts = name.split("__")
    op = parts.pop() if len(parts) > 1 and parts[-1] in OPERATORS else "eq"
    column = ".".join(parts)
    if value is None and op in ("eq", "neq"):
        return {"column": column, "op": "is_null" if op == "eq" else "not_null"}
    if OPERATORS[op] == 0:
        negated = {"is_null": "not_null", "not_null": "is_null"}
        return {"column": column, "op": op if value else negated[op]}
    if OPERATORS[op] != 1 and not isinstance(value, str | bytes | Mapping):
        value = list(value)
    return {"column": column, "op": op, "value": value}

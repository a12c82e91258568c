"""The answer of flux policies: roles, what they may do with each table, and how that differs from the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from flux.presenters.text import paint, wrap

Row = Mapping[str, Any]

#: Columns before what an operation may do.
_MARGIN = 22


def policy_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """A block a role and table: for each operation the columns, those hidden, the masks and the conditions."""
    if not rows:
        yield paint("  no role may do anything here", "dim")
    for (role, table), found in groupby(rows, key=lambda row: (row["role"], row["table_name"])):
        yield f"  {paint(role, 'bold')} on {paint(table, 'cyan')}"
        for row in found:
            first = f"    {row['operation']:<8}"
            for label, text in _facts(row):
                lines = wrap(text, max(columns - _MARGIN, 20))
                yield f"{first}{paint(f'{label:<9}', 'dim')} {lines[0]}"
                yield from (" " * _MARGIN + line for line in lines[1:])
                first = " " * 12


def drift_lines(differences: Sequence[str], columns: int) -> Iterator[str]:
    """A line for each difference between Postgres and the file."""
    for difference in differences:
        first, *more = wrap(difference, columns - 4)
        yield f"  {paint('✗', 'red')} {first}"
        yield from (f"    {line}" for line in more)


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    if row["columns"] is not None:
        yield "columns", "all" if not row["hidden"] else ", ".join(row["columns"])
    if row["hidden"]:
        yield "hidden", ", ".join(row["hidden"])
    for column, mask in (row["masks"] or {}).items():
        yield "mask", f"{column} = {mask}"
    if row["operation"] != "insert":
        yield "rows", _condition(row["row_condition"])
    if row["operation"] in ("insert", "update"):
        yield "new rows", _condition(row["row_check"])


def _condition(text: str | None) -> str:
    return "every row" if text in (None, "true") else " ".join(str(text).split())

"""Which column each parameter of a statement is bound for, so that the record can hide secret ones."""

from __future__ import annotations

import re
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_MARK = re.compile(r"%%|%s|%b|%t")


@lru_cache(maxsize=2048)
def parameter_columns(statement: str, count: int) -> tuple[tuple[str, ...] | None, ...] | None:
    """For each %s in order: (table, column) in lower case, ("*",) for a row whose columns the text does not name, or
    None where it is bound for no column.

    None in place of all when the statement cannot be read, so that the caller can hide every parameter.
    """
    numbers = iter(range(count + 1))
    marked = _MARK.sub(lambda mark: "%" if mark[0] == "%%" else f"'flux parameter {next(numbers)}'", statement)
    try:
        trees = sqlglot.parse(marked, read="postgres")
    except (SqlglotError, StopIteration):
        return None
    columns: list[tuple[str, ...] | None] = [None] * count
    for tree in trees:
        if tree is None or isinstance(tree, exp.Command):
            return None
        for literal in tree.find_all(exp.Literal):
            number = _number(literal)
            if number is not None and number < count:
                columns[number] = _target(literal)
    return tuple(columns)


def _number(literal: exp.Expression) -> int | None:
    text = str(literal.this)
    prefix = "flux parameter "
    return int(text.removeprefix(prefix)) if literal.is_string and text.startswith(prefix) else None


def _target(literal: exp.Expression) -> tuple[str, ...] | None:
    """The column a literal is written to or compared with, looking outward through casts and calls."""
    child: exp.Expr = literal
    node = literal.parent
    while node is not None:
        if isinstance(node, exp.Tuple) and isinstance(node.parent, exp.Values):
            return _inserted(node, child)
        if isinstance(node, exp.Select) and isinstance(node.parent, exp.Insert):
            return _inserted(node, child)
        if isinstance(node, exp.Binary | exp.In | exp.Between):
            column = next((other for other in node.iter_expressions() if isinstance(other, exp.Column)), None)
            if column is not None:
                return _path(column)
        if isinstance(node, exp.Select | exp.Where | exp.Subquery):
            return None
        child, node = node, node.parent
    return None


def _inserted(row: exp.Expression, child: exp.Expr) -> tuple[str, ...] | None:
    insert = row.find_ancestor(exp.Insert)
    if insert is None or not isinstance(insert.this, exp.Schema):
        return ("*",)
    names = insert.this.expressions
    position = next((index for index, item in enumerate(row.expressions) if item is child), None)
    if position is None or position >= len(names):
        return None
    return (insert.this.this.name.lower(), names[position].name.lower())


def _path(column: exp.Column) -> tuple[str, ...]:
    """(table, column); an alias is resolved, and a bare column belongs to the statement's only table."""
    scope = column.find_ancestor(exp.Update, exp.Delete, exp.Insert, exp.Select)
    tables = {table.alias_or_name: table.name for table in scope.find_all(exp.Table)} if scope else {}
    table = tables.get(column.table) if column.table else next(iter(tables.values()), "")
    return ((table or column.table).lower(), column.name.lower())

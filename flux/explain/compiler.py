"""Structured queries made SQL: one statement of bound parameters, built as a tree and kept by shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlglot import exp

from flux.config import Queries
from flux.explain.building import Bounded, Building, Output, Place, Slot
from flux.explain.catalogue import Catalogue
from flux.explain.form import Form
from flux.explain.guard import Verdict, judge, require
from flux.explain.parser import print_tree
from flux.explain.relations import table_of
from flux.explain.selecting import Wanted, rows_of
from flux.explain.shape import Shape
from flux.explain.writing import deleted, inserted, updated

_NUMBERED = re.compile(r"%%|%\((\d+)\)s")


@dataclass(frozen=True, slots=True)
class Compiled:
    """One statement. `sql` has %s for each of `parameters`, whose Postgres types are `types`.

    A literal % in `sql` is doubled where there are parameters, as psycopg reads it. `tables` are keys of the
    catalogue, the statement's own first. `places` are the columns that each parameter is bound for, `outputs` the
    columns that values of the result come from, `lists` the lists of related rows without a limit, `exact` the keys
    that lead to numbers inside relations, which come as text. In `tree`, a parameter is a Placeholder with its number
    from 0 on; the tree is shared with other queries of the shape, to be copied before a change, and printed by
    render().
    """

    sql: str
    parameters: tuple[Any, ...]
    types: tuple[str, ...]
    tables: tuple[str, ...]
    operation: str
    returns: bool
    tree: exp.Expr
    verdict: Verdict
    places: tuple[tuple[Place, ...], ...]
    outputs: tuple[Output, ...]
    lists: tuple[Bounded, ...]
    exact: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Template:
    compiled: Compiled
    slots: tuple[Slot, ...]

    def with_parameters(self, parameters: tuple[Any, ...]) -> Compiled:
        """The statement for one call; dataclasses.replace() would take longer than all the rest."""
        one = self.compiled
        return Compiled(
            one.sql,
            parameters,
            one.types,
            one.tables,
            one.operation,
            one.returns,
            one.tree,
            one.verdict,
            one.places,
            one.outputs,
            one.lists,
            one.exact,
        )


def compile_form(form: Form, catalogue: Catalogue, limits: Queries, *, enforce: bool = True) -> Compiled:
    """The statement of a query.

    Raises UnknownName with the nearest name, BadValue for one that does not fit its column, BadQuery for what cannot be
    said so, QueryRefused for a limit of the project. Without `enforce`, complexity and nesting are judged only.
    """
    template = _template(form.shape, catalogue, limits)
    if enforce:
        require(template.compiled.verdict)
    return template.with_parameters(tuple([slot.bind(form) for slot in template.slots]))


def render(tree: exp.Expr, *, pretty: bool = False) -> tuple[str, tuple[int, ...]]:
    """A tree as SQL with %s for each Placeholder, and the numbers of these in the order of the text."""
    numbers: list[int] = []

    def mark(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        numbers.append(int(found[1]))
        return "%s"

    if tree.find(exp.Placeholder) is None:
        return print_tree(tree, pretty=pretty), ()
    return _NUMBERED.sub(mark, print_tree(_doubled(tree), pretty=pretty)), tuple(numbers)


@lru_cache(maxsize=2048)
def _template(shape: Shape, catalogue: Catalogue, limits: Queries) -> _Template:
    building = Building(catalogue, limits)
    tree = _tree(building, shape)
    _, numbers = render(tree)
    for mark in list(tree.find_all(exp.Placeholder)):  # numbered anew, in the order of the text
        mark.set("this", str(numbers.index(int(mark.name))))
    slots = tuple(building.slots[number] for number in numbers)
    compiled = Compiled(
        sql=render(tree)[0],
        parameters=(),
        types=tuple(slot.type for slot in slots),
        tables=tuple(building.tables),
        operation=shape.operation,
        returns=shape.operation == "select" or bool(shape.returning),
        tree=tree,
        verdict=judge(tree, limits),
        places=tuple(slot.places for slot in slots),
        outputs=tuple(building.outputs),
        lists=tuple(building.lists),
        exact=tuple(building.exact),
    )
    return _Template(compiled, slots)


def _tree(building: Building, shape: Shape) -> exp.Expr:
    table = table_of(building.catalogue, shape.table, "table")
    if shape.operation == "select":
        return rows_of(building, table, Wanted(shape.columns, shape.filters, shape.order, shape.limit, shape.offset))
    if shape.operation == "update":
        return updated(building, table, shape)
    if shape.operation == "delete":
        return deleted(building, table, shape)
    return inserted(building, table, shape)


def _doubled(tree: exp.Expr) -> exp.Expr:
    """A copy in which each % of a name, a type or a string is doubled, as psycopg reads it."""
    copy = tree.copy()
    for node in list(copy.walk()):
        for key in ("this", "kind"):
            text = node.args.get(key)
            if isinstance(text, str) and "%" in text:
                node.set(key, text.replace("%", "%%"))
    return copy

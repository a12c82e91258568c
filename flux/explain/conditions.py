"""Conditions and orders over a row: its own columns, those of related rows, and aggregates of these."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from flux.errors import BadQuery, BadValue
from flux.explain import nodes
from flux.explain.building import Building, Place, Way, aggregate_of, no_column, place
from flux.explain.catalogue import Column, Table
from flux.explain.shape import Filter, Group, Order
from flux.explain.values import Converter, converter, is_number, is_text, list_converter, text_converter

_COMPARISONS: Mapping[str, type[exp.Expr]] = {
    "eq": exp.EQ,
    "neq": exp.NEQ,
    "gt": exp.GT,
    "gte": exp.GTE,
    "lt": exp.LT,
    "lte": exp.LTE,
    "like": exp.Like,
    "ilike": exp.ILike,
    "contains": exp.ArrayContainsAll,
    "overlaps": exp.ArrayOverlaps,
}


def conditions(building: Building, table: Table, alias: str, filters: tuple[Filter | Group, ...]) -> list[exp.Expr]:
    """What all holds for a row of an alias."""
    return [_condition(building, table, alias, item) for item in filters]


def orders(building: Building, table: Table, alias: str, order: tuple[Order, ...]) -> exp.Order | None:
    """The order of rows, None where none is asked for; nulls stand where Postgres puts them, unless it is said."""
    if not order:
        return None
    return exp.Order(
        expressions=[
            exp.Ordered(
                this=value_of(building, table, alias, key.column, key.path)[0],
                desc=key.descending,
                nulls_first=key.nulls == "first" if key.nulls else key.descending,
            )
            for key in order
        ]
    )


def value_of(building: Building, table: Table, alias: str, name: str, path: str) -> tuple[exp.Expr, Column, Place]:
    """One value beside a row: a column, one of a row it refers to, or an aggregate of rows that refer to it."""
    if name not in table.columns and (aggregate := aggregate_of(name)):
        return _aggregate_beside(building, table, alias, aggregate, path)
    way = building.way(table, name, path)
    if way.column is None:
        raise no_column(way, name, path)
    if not way.hops:
        return nodes.column(way.column.name, alias), way.column, place(table, way.column)
    if way.many:
        raise BadQuery(
            f"{name} is a list, not one value", path=path, hint=f"Take an aggregate of it, such as max({name})."
        )
    source, joins, found, last = building.through(way.hops, alias)
    query = nodes.select([nodes.column(way.column.name, last)], source, found, joins=joins)
    return exp.Subquery(this=query), way.column, place(way.table, way.column)


def aggregate(function: str, way: Way, alias: str, path: str) -> tuple[exp.Expr, Column]:
    """An aggregate over a column of an alias, or over its rows where there is none, and the type of what it gives."""
    column = way.column
    if column is None:
        if function != "count":
            raise BadQuery(f"{function} needs a column", path=path)
        return nodes.call("count", exp.Star()), Column("count", "bigint")
    type_ = column.type
    if function in ("sum", "avg") and not is_number(type_):
        raise BadValue(f"{function} adds numbers up, and {column.name} is {type_}", path=path)
    if function == "count":
        type_ = "bigint"
    elif function in ("sum", "avg") and type_ in ("smallint", "integer", "bigint"):
        type_ = "numeric"
    return nodes.call(function, nodes.column(column.name, alias)), Column(column.name, type_, choices=column.choices)


def _aggregate_beside(
    building: Building, table: Table, alias: str, asked: tuple[str, str], path: str
) -> tuple[exp.Expr, Column, Place]:
    function, argument = asked
    way = building.way(table, argument, path)
    if not way.hops:
        raise BadQuery(
            f"{function}({argument}) is not about one row", path=path, hint="Aggregates beside a row are of a relation."
        )
    source, joins, found, last = building.through(way.hops, alias)
    call, column = aggregate(function, way, last, path)
    query = nodes.select([call], source, found, joins=joins)
    return exp.Subquery(this=query), column, (way.table.name.lower(), column.name.lower())


def _condition(building: Building, table: Table, alias: str, item: Filter | Group) -> exp.Expr:
    if isinstance(item, Group):
        inner = [_condition(building, table, alias, one) for one in item.items]
        if item.op == "or":
            return nodes.any_of(inner)
        together = nodes.all_of(inner)
        return exp.Not(this=exp.Paren(this=together)) if item.op == "not" else together
    if item.column in table.columns or aggregate_of(item.column):
        return _predicate(building, *value_of(building, table, alias, item.column, f"{item.path}.column"), item)
    way = building.way(table, item.column, f"{item.path}.column")
    if way.column is None:
        return _existence(building, way, alias, item)
    if not way.many:
        return _predicate(building, *value_of(building, table, alias, item.column, f"{item.path}.column"), item)
    source, joins, found, last = building.through(way.hops, alias)
    operand = nodes.column(way.column.name, last)
    found.append(_predicate(building, operand, way.column, place(way.table, way.column), item))
    return exp.Exists(this=nodes.select([exp.Literal.number(1)], source, found, joins=joins))


def _existence(building: Building, way: Way, alias: str, item: Filter) -> exp.Expr:
    """Whether there are related rows at all."""
    if item.op not in ("is_null", "not_null"):
        raise no_column(way, item.column, f"{item.path}.column")
    source, joins, found, _ = building.through(way.hops, alias)
    exists = exp.Exists(this=nodes.select([exp.Literal.number(1)], source, found, joins=joins))
    return exp.Not(this=exists) if item.op == "is_null" else exists


def _predicate(building: Building, operand: exp.Expr, column: Column, where: Place, item: Filter) -> exp.Expr:
    """One operator on one operand."""
    op, at, path = item.op, item.value, f"{item.path}.value"
    _require(op, column, item.path)

    def bound(convert: Converter, type_: str) -> exp.Expr:
        return building.parameter(lambda form: convert(form.values[at], path), type_, where)

    def end(number: int) -> exp.Expr:
        convert, there = converter(column), f"{path}[{number}]"
        return building.parameter(lambda form: convert(form.values[at][number], there), column.type, where)

    if op in ("is_null", "not_null"):
        null = exp.Is(this=operand, expression=exp.Null())
        found: exp.Expr = null if op == "is_null" else exp.Not(this=null)
    elif op in ("in", "not_in"):
        every = bound(list_converter(column), f"{column.type}[]")
        name, comparison = ("any", exp.EQ) if op == "in" else ("all", exp.NEQ)
        found = comparison(this=operand, expression=nodes.call(name, every))
    elif op == "between":
        found = exp.Between(this=operand, low=end(0), high=end(1))
    elif op == "matches":
        config = [exp.Literal.string(item.config)] if item.config else []
        query = nodes.call("websearch_to_tsquery", *config, bound(text_converter(column), "text"))
        vector = operand if column.type == "tsvector" else nodes.call("to_tsvector", *config, operand)
        found = exp.MatchAgainst(this=query, expressions=[vector])
    elif op in ("like", "ilike"):
        found = _COMPARISONS[op](this=operand, expression=bound(text_converter(column), "text"))
    else:
        found = _COMPARISONS[op](this=operand, expression=bound(converter(column), column.type))
    return found


def _require(op: str, column: Column, path: str) -> None:
    """Refuse an operator that the type does not have. Raises BadValue."""
    type_ = column.type
    spans = type_.endswith(("[]", "range"))
    fits = {
        "like": is_text(type_),
        "ilike": is_text(type_),
        "contains": spans or type_ == "jsonb",
        "overlaps": spans,
        "matches": is_text(type_) or type_ == "tsvector",
        "in": not type_.endswith("[]") and type_ != "json",
        "not_in": not type_.endswith("[]") and type_ != "json",
        "is_null": True,
        "not_null": True,
    }
    if not fits.get(op, type_ != "json"):
        raise BadValue(f"{op} does not work on {column.name}, which is {type_}", path=f"{path}.op")

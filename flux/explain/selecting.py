"""Selects: each relation is one lateral join that gives one JSON value, so that no row is multiplied by another's."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from flux.errors import BadQuery, QueryRefused, UnknownName
from flux.explain import nodes
from flux.explain.building import Bounded, Building, Output, Way, aggregate_of, place
from flux.explain.catalogue import Column, Table
from flux.explain.conditions import aggregate, conditions, orders, value_of
from flux.explain.form import Form
from flux.explain.relations import Relation
from flux.explain.shape import Filter, Group, Order, Related, Selected

Columns = tuple[Selected | Related, ...]


@dataclass
class _Level:
    """The columns of one select while they are put together, by the name each will have."""

    table: Table
    alias: str
    keys: tuple[str, ...]
    values: dict[str, exp.Expr] = field(default_factory=dict)
    groups: list[exp.Expr] = field(default_factory=list)
    joins: list[exp.Join] = field(default_factory=list)
    related: dict[str, Related] = field(default_factory=dict)
    stats: dict[str, tuple[exp.Select, str, str]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    totals: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a select is asked for. `limit` and `offset` are numbers of values in a form."""

    columns: Columns
    filters: tuple[Filter | Group, ...]
    order: tuple[Order, ...]
    limit: int | None
    offset: int | None
    path: str = ""


def rows_of(
    building: Building,
    table: Table,
    wanted: Wanted,
    relation: Relation | None = None,
    here: str = "",
    keys: tuple[str, ...] = (),
) -> exp.Select:
    """The rows of a table; those that a relation leads to from the alias `here`, where one is given."""
    alias = building.open(table)
    level = _Level(table, alias, keys)
    for item in wanted.columns:
        _add(building, level, item)
    if not wanted.columns:
        _add_all(building, level, _at(wanted.path, "columns"))
    for name, related in level.related.items():
        _relate(building, level, name, related)
    if level.totals and (level.related or level.stats):
        raise BadQuery(
            "aggregates of the table's own columns stand beside no relation", path=_at(wanted.path, "columns")
        )
    found = nodes.matching(relation.pairs, here, alias) if relation else []
    query = nodes.select(
        [nodes.aliased(_exact(building, level, name, value), name) for name, value in level.values.items()],
        nodes.table(table, alias),
        found + conditions(building, table, alias, wanted.filters),
    )
    query.set("joins", level.joins)
    if level.totals and level.groups:
        query.set("group", exp.Group(expressions=[group.copy() for group in level.groups]))
    query.set("order", _order(building, level, wanted, relation))
    _bound(building, query, wanted, relation, keys)
    return query


def returned(building: Building, table: Table, columns: Columns) -> exp.Returning | None:
    """What a write gives back: columns of the rows as they are now."""
    if not columns:
        return None
    level = _Level(table, table.name, ())
    for item in columns:
        if isinstance(item, Related) or (item.column != "*" and item.column not in table.columns):
            name = item.relation if isinstance(item, Related) else item.column
            raise UnknownName(
                f"{name} is no column of {table.name}",
                path=item.path,
                hint="What is written returns columns of its own.",
            )
        _add(building, level, item)
    return exp.Returning(expressions=[nodes.aliased(value, name) for name, value in level.values.items()])


def _add(building: Building, level: _Level, item: Selected | Related) -> None:
    """One item of `columns`: a value, or a part of what a relation is asked for."""
    table = level.table
    if isinstance(item, Related):
        name = item.name or item.relation
        _require_new(level, name, item.path)
        level.related[name] = item
        level.values[name] = exp.Null()  # keeps its place
        return
    asked = item.column
    if asked == "*" and asked not in table.columns:
        _add_all(building, level, item.path)
    elif asked in table.columns:
        _put(building, level, item.name or asked, asked, item.path)
    elif called := aggregate_of(asked):
        _total(building, level, item.name or asked, called, item.path)
    elif item.name is not None:
        value, column, where = value_of(building, table, level.alias, asked, item.path)
        _set(level, item.name, value, column.type, item.path)
        building.outputs.append(Output((*level.keys, item.name), where))
    else:
        _merge(building, level, asked, item.path)


def _add_all(building: Building, level: _Level, path: str) -> None:
    """Every column that the role may read."""
    for column in level.table.columns.values():
        if column.readable:
            _put(building, level, column.name, column.name, path)


def _put(building: Building, level: _Level, name: str, column: str, path: str) -> None:
    value, found = nodes.column(column, level.alias), building.column(level.table, column, path)
    _set(level, name, value, found.type, path)
    level.groups.append(value)
    building.outputs.append(Output((*level.keys, name), place(level.table, found)))


def _merge(building: Building, level: _Level, asked: str, path: str) -> None:
    """`owner.name` and `owner.email` are one relation with two columns."""
    head, rest = building.split(level.table, asked)
    building.relation(level.table, head, path)
    inner = (Selected(rest or "*", None, path),)
    known = level.related.get(head)
    if known is not None and known.name is None and not known.path:
        level.related[head] = known._replace(columns=known.columns + inner)
        return
    _require_new(level, head, path)
    level.related[head] = Related(head, None, inner, (), (), None, None, "")
    level.values[head] = exp.Null()


def _total(building: Building, level: _Level, name: str, called: tuple[str, str], path: str) -> None:
    """An aggregate: of related rows beside each row, or of the table's own rows, grouped by its plain columns."""
    function, argument = called
    way = Way((), level.table, None) if argument == "*" else building.way(level.table, argument, path)
    if not way.hops:
        level.totals = True
        value, found = aggregate(function, way, level.alias, path)
    else:
        value, found = _beside(building, level, function, argument, way, path)
    _set(level, name, value, found.type, path)
    if way.column is not None and function != "count":
        building.outputs.append(Output((*level.keys, name), place(way.table, way.column)))


def _beside(
    building: Building, level: _Level, function: str, argument: str, way: Way, path: str
) -> tuple[exp.Expr, Column]:
    """A column of a lateral join; all aggregates over the same related rows share one."""
    related = argument if way.column is None else argument[: -len(way.column.name) - 1]
    if related not in level.stats:
        source, joins, found, last = building.through(way.hops, level.alias)
        query = nodes.select([], source, found, joins=joins)
        outer = building.aliases.new(f"{way.hops[0].table.name}_total")
        level.joins.append(nodes.lateral(query, outer))
        level.stats[related] = (query, last, outer)
    query, last, outer = level.stats[related]
    value, column = aggregate(function, way, last, path)
    name = f"{function}_{len(query.expressions) + 1}"
    query.append("expressions", nodes.aliased(value, name))
    return nodes.column(name, outer), column


def _relate(building: Building, level: _Level, name: str, related: Related) -> None:
    """Related rows as one JSON value: an object, or null, of a relation to one; a list of a relation to many."""
    path = related.path
    relation = building.relation(level.table, related.relation, f"{path}.relation" if path else "columns")
    wanted = Wanted(related.columns, related.filters, related.order, related.limit, related.offset, path)
    inner = rows_of(building, relation.table, wanted, relation, level.alias, (*level.keys, name))
    item, outer = building.aliases.new("item"), building.aliases.new(name)
    value: exp.Expr = nodes.call("row_to_json", nodes.whole_row(item))
    if relation.many:
        value = exp.Coalesce(this=nodes.call("json_agg", value), expressions=[exp.Literal.string("[]")])
    source = exp.Subquery(this=inner, alias=exp.TableAlias(this=nodes.identifier(item)))
    level.joins.append(nodes.lateral(nodes.select([nodes.aliased(value, "value")], source, []), outer))
    level.values[name] = nodes.column("value", outer)


def _order(building: Building, level: _Level, wanted: Wanted, relation: Relation | None) -> exp.Order | None:
    """As asked; lists of related rows are else in the order of their keys, so that they are the same each time."""
    order = wanted.order
    if not order and relation is not None and relation.many and not level.totals:
        named = [level.table.columns[name] for name in level.table.primary_key]
        if all(column.readable for column in named):
            order = tuple(Order(column.name, False, "", wanted.path) for column in named)
    if not level.totals:
        return orders(building, level.table, level.alias, order)
    keys = []
    for key in order:
        if key.column not in level.values:
            raise BadQuery(f"{key.column} is not among the columns, which are totals", path=key.path)
        value = level.values[key.column].copy()
        first = key.nulls == "first" if key.nulls else key.descending
        keys.append(exp.Ordered(this=value, desc=key.descending, nulls_first=first))
    return exp.Order(expressions=keys) if keys else None


def _bound(
    building: Building, query: exp.Select, wanted: Wanted, relation: Relation | None, keys: tuple[str, ...]
) -> None:
    """Limit and offset as parameters; of related rows without a limit, one more than the project allows is fetched."""
    if relation is not None and not relation.many:
        if wanted.limit is not None or wanted.offset is not None or wanted.order:
            raise BadQuery(f"{relation.table.name} is one row here, not a list", path=wanted.path)
        return
    limits = building.limits
    default = limits.default_limit if relation is None else limits.max_limit + 1
    at, path = wanted.limit, _at(wanted.path, "limit")
    if relation is not None and at is None:
        building.lists.append(Bounded(keys, limits.max_limit, wanted.path or "columns"))

    def limit(form: Form) -> int:
        if at is None:
            return default
        asked = form.values[at]
        if asked > limits.max_limit:
            raise QueryRefused(
                f"max_limit: {asked} rows are asked for, the project allows {limits.max_limit}",
                path=path,
                hint="Read on with offset, or raise max_limit under [queries] in flux.toml.",
            )
        return int(asked)

    query.set("limit", exp.Limit(expression=building.parameter(limit, "bigint").this))
    if wanted.offset is not None:
        skip = wanted.offset
        query.set("offset", exp.Offset(expression=building.parameter(lambda form: form.values[skip], "bigint").this))


def _set(level: _Level, name: str, value: exp.Expr, type_: str, path: str) -> None:
    _require_new(level, name, path)
    level.values[name], level.types[name] = value, type_


def _exact(building: Building, level: _Level, name: str, value: exp.Expr) -> exp.Expr:
    """A value as it is selected: inside a relation a numeric is text, because of numbers JSON makes floats."""
    type_ = level.types.get(name, "")
    if not level.keys or type_.removesuffix("[]") != "numeric":
        return value
    building.exact.append((*level.keys, name))
    return nodes.cast(value.copy(), type_.replace("numeric", "text"))


def _require_new(level: _Level, name: str, path: str) -> None:
    if name in level.values:
        raise BadQuery(f"two columns would be called {name}", path=path, hint='Give one another name with "as".')
    if len(name.encode()) > nodes.LONGEST_NAME:
        raise BadQuery(
            f"the name {name[:20]}… is longer than {nodes.LONGEST_NAME} bytes, where Postgres cuts it",
            path=path,
            hint='Give it another name with "as".',
        )


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

"""The parts that compiled statements are put together from. Names become identifiers here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from flux.explain.catalogue import Table
from flux.explain.parser import needs_quotes

#: Postgres cuts longer names off, in bytes.
LONGEST_NAME = 63


def identifier(name: str) -> exp.Identifier:
    """A name exactly as it is, quoted where Postgres would otherwise read another."""
    return exp.Identifier(this=name, quoted=needs_quotes(name))


def column(name: str, alias: str | None = None) -> exp.Column:
    """A column, of the table known by an alias."""
    return exp.Column(this=identifier(name), table=identifier(alias) if alias else None)


def table(found: Table, alias: str | None = None) -> exp.Table:
    """A table: by its bare name where the search path finds it, so that what a role reads in its place is found too."""
    return exp.Table(
        this=identifier(found.name),
        db=None if found.visible else identifier(found.schema),
        alias=exp.TableAlias(this=identifier(alias)) if alias and alias != found.name else None,
    )


def cast(value: exp.Expr, type_: str) -> exp.Cast:
    """A value as a type, whose text is the catalogue's own."""
    return exp.Cast(this=value, to=kind(type_))


def kind(type_: str) -> exp.DataType:
    """A type by Postgres's own name for it."""
    return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=type_)


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """A call of a function of Postgres's."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def whole_row(alias: str) -> exp.Column:
    """The row of an alias as one value, even where it has a column of that name."""
    return exp.Column(this=exp.Star(), table=identifier(alias))


def aliased(value: exp.Expr, name: str) -> exp.Expr:
    """A value under a name; a column that is called so already needs none."""
    if isinstance(value, exp.Column) and value.name == name:
        return value
    return exp.Alias(this=value, alias=identifier(name))


def lateral(query: exp.Select, alias: str) -> exp.Join:
    """A `left join lateral (…) as alias on true`."""
    return exp.Join(
        this=exp.Lateral(this=exp.Subquery(this=query), alias=exp.TableAlias(this=identifier(alias))),
        side="LEFT",
        on=exp.Boolean(this=True),
    )


def all_of(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """Conditions of which all hold."""
    return _chained(exp.And, conditions)


def any_of(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """Conditions of which one holds."""
    return _chained(exp.Or, conditions)


def matching(pairs: Iterable[tuple[str, str]], here: str, there: str) -> list[exp.Expr]:
    """What a relation compares, between two aliases."""
    return [exp.EQ(this=column(theirs, there), expression=column(own, here)) for own, theirs in pairs]


def select(
    expressions: list[exp.Expr], source: exp.Expr, conditions: list[exp.Expr], **rest: exp.Expr | list[exp.Join]
) -> exp.Select:
    """A select with its parts."""
    return exp.Select(
        expressions=expressions,
        from_=exp.From(this=source),
        where=exp.Where(this=all_of(conditions)) if conditions else None,
        **rest,
    )


def _chained(operator: type[exp.Expr], conditions: Sequence[exp.Expr]) -> exp.Expr:
    wrapped = [exp.Paren(this=one) if isinstance(one, exp.Connector) else one for one in conditions]
    found = wrapped[0] if len(wrapped) > 1 else conditions[0]
    for one in wrapped[1:]:
        found = operator(this=found, expression=one)
    return found


class Aliases:
    """Names for the tables of one statement, none of them twice, so that none hides another."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, name: str) -> str:
        """The name itself, or with a number when it is taken."""
        found, number = name, 1
        while found in self._taken:
            number += 1
            found = f"{name.encode()[: LONGEST_NAME - 5].decode(errors='ignore')}_{number}"
        self._taken.add(found)
        return found

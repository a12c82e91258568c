"""The rows of a structured query as they are handed out: no list is cut without a word, and numbers are exact."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from flux.errors import QueryRefused
from flux.explain.compiler import Compiled

Row = dict[str, Any]


def handed_out(rows: list[Row], compiled: Compiled) -> list[Row]:
    """The rows as Postgres gave them, with Decimals inside relations too.

    Raises QueryRefused where a list that asked for no limit is longer than the project allows.
    """
    for one in compiled.lists:
        name = one.keys[-1]
        if any(isinstance(row[name], list) and len(row[name]) > one.most for row in _holding(rows, one.keys)):
            raise QueryRefused(
                f"max_limit: {name} has more rows here than the {one.most} that the project allows",
                path=one.path,
                hint=f"Give {name} a limit, ask for count({name}), or raise max_limit under [queries] in flux.toml.",
            )
    for keys in compiled.exact:
        for row in _holding(rows, keys):
            row[keys[-1]] = _number(row[keys[-1]])
    return rows


def _holding(rows: list[Row], keys: tuple[str, ...]) -> Iterator[Row]:
    """The objects that have the last of some keys, which lead there through lists of related rows."""
    waiting: list[tuple[Any, int]] = [(rows, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, list):
            waiting += [(one, depth) for one in value]
        elif isinstance(value, dict) and depth < len(keys) - 1:
            waiting.append((value[keys[depth]], depth + 1))
        elif isinstance(value, dict):
            yield value


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(one) for one in value]
    return None if value is None else Decimal(value)

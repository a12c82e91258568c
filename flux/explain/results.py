"""The rows of a structured query as they are handed out: no list of related rows is cut without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flux.errors import QueryRefused
from flux.explain.compiler import Compiled

Row = dict[str, Any]


def checked(rows: list[Row], compiled: Compiled) -> list[Row]:
    """The rows; raises QueryRefused where a list that asked for no limit is longer than the project allows."""
    for one in compiled.lists:
        if any(isinstance(found, list) and len(found) > one.most for found in _at(rows, one.keys)):
            name = one.keys[-1]
            raise QueryRefused(
                f"max_limit: {name} has more rows here than the {one.most} that the project allows",
                path=one.path,
                hint=f"Give {name} a limit, ask for count({name}), or raise max_limit under [queries] in flux.toml.",
            )
    return rows


def _at(rows: list[Row], keys: tuple[str, ...]) -> Iterator[Any]:
    """The values that keys lead to, through lists of related rows."""
    waiting: list[tuple[Any, int]] = [(row, 0) for row in rows]
    while waiting:
        value, depth = waiting.pop()
        if depth == len(keys):
            yield value
        elif isinstance(value, list):
            waiting += [(one, depth) for one in value]
        elif isinstance(value, dict):
            waiting.append((value.get(keys[depth]), depth + 1))

"""Values of the record exactly as they were recorded: a number that went through JSON as a float has lost digits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flux.engine.sandbox_database import Connection

Mutation = Mapping[str, Any]
Values = Mapping[str, Any]

_ROWS = """
    select id, xact_id::text, new_values::text, old_values::text
    from flux.state_mutations
    where id = any (%s)
"""


class Number(str):
    """A number of JSON in its own digits; equal to the float it reads as."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return float(self) == float(other) if isinstance(other, int | float) else str(self) == other

    __hash__ = str.__hash__


def exact(mutations: Sequence[Mutation], records: Sequence[Connection]) -> list[Mutation]:
    """The same mutations with numbers as they are in one of the records, also where a mutation is turned round."""
    inexact = [one["id"] for one in mutations if _has_float(one["new_values"]) or _has_float(one["old_values"])]
    if not inexact:
        return list(mutations)
    found: dict[tuple[int, str], tuple[Values | None, Values | None]] = {}
    for connection in records:
        for number, xact, new, old in connection.execute(_ROWS, (inexact,)).fetchall():
            found[number, xact] = (_loads(new), _loads(old))
    return [_corrected(one, *found.get((one["id"], str(one["xact_id"])), (None, None))) for one in mutations]


def as_text(value: Any) -> str | None:
    """A value of the record as `->>` gives it, to be cast to its column's type."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_text(value) if isinstance(value, dict | list) else str(value)


def json_text(value: Any) -> str:
    """A value as JSON, with numbers in their own digits."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)}: {json_text(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(json_text, value))}]"
    return str(value) if isinstance(value, Number | Decimal) else json.dumps(value)


def _corrected(mutation: Mutation, new: Values | None, old: Values | None) -> Mutation:
    for one, other in ((new, old), (old, new)):
        if _same(one, mutation["new_values"]) and _same(other, mutation["old_values"]):
            return {**mutation, "new_values": one, "old_values": other}
    return mutation


def _same(exact_: Values | None, loose: Values | None) -> bool:
    if exact_ is None or loose is None:
        return exact_ is loose
    return exact_.keys() == loose.keys() and all(exact_[name] == loose[name] for name in loose)


def _loads(text: str | None) -> Values | None:
    if text is None:
        return None
    values: Values = json.loads(text, parse_float=Number)
    return values


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    return any(map(_has_float, value)) if isinstance(value, list) else isinstance(value, float)

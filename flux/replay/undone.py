"""Mutations turned round: what takes back what some mutations did, in the form of mutations themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Mutation = Mapping[str, Any]

_OPPOSITE = {"INSERT": "DELETE", "DELETE": "INSERT", "TRUNCATE": "INSERT", "UPDATE": "UPDATE"}


def undone(mutations: Iterable[Mutation]) -> list[Mutation]:
    """What takes these committed mutations back, newest first; those that were rolled back need nothing."""
    committed = [mutation for mutation in mutations if not mutation["rolled_back"]]
    return [_turned(mutation) for mutation in sorted(committed, key=lambda mutation: mutation["id"], reverse=True)]


def _turned(mutation: Mutation) -> Mutation:
    key, previous = mutation["row_key"], mutation["previous_key"]
    return {
        **mutation,
        "operation": _OPPOSITE[mutation["operation"]],
        "row_key": previous if previous is not None else key,
        "previous_key": key if previous is not None else None,
        "new_values": mutation["old_values"],
        "old_values": mutation["new_values"],
    }

"""A replay split into parts that can go on at the same time, because none can see what another does."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flux.engine.questions import Questions
from flux.replay.touched import independent
from flux.replay.window import Plan


def groups_of(questions: Questions, plan: Plan, parallel: int, *, as_of: bool) -> list[Plan]:
    """The plan in at most so many parts of about one size; requests on states of their own can be split at will."""
    ids = [step.request["request_id"] for step in plan.requests if step.request is not None]
    if parallel <= 1 or len(ids) <= 1:
        return [plan]
    if as_of:
        parts = [frozenset(ids[number::parallel]) for number in range(min(parallel, len(ids)))]
    else:
        links = [(row["table_name"], row["other"]) for row in questions.ask("tables_linked")]
        parts = _packed(independent(plan.touched, links), parallel)
    return [plan.of(part) for part in parts]


def _packed(groups: Sequence[frozenset[UUID]], parts: int) -> list[frozenset[UUID]]:
    """Groups put together into at most so many parts, the largest first, each into the part that is the smallest."""
    packed: list[set[UUID]] = [set() for _ in range(min(parts, len(groups)))]
    for group in sorted(groups, key=len, reverse=True):
        min(packed, key=len).update(group)
    return [frozenset(part) for part in packed]

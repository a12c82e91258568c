"""What concurrency makes uncertain: writes of others that took effect while a request ran, on tables it touched.

A request has one recorded snapshot, that of its first statement. Under READ COMMITTED each later statement saw more,
and which of them saw what is not recorded. Where nothing was committed in between, there is nothing to tell.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import islice
from uuid import UUID

from flux.context import short_id
from flux.replay.order import Step, ended_at
from flux.replay.touched import Tables, Touched

#: Writers named in a doubt.
MOST_NAMED = 3


def note_overlaps(ordered: Sequence[Step], touched: Mapping[UUID, Touched]) -> None:
    """Add to the doubts of each request which writes of others it may have seen otherwise than its replay will."""
    writers = [(number, step) for number, step in enumerate(ordered) if step.transactions]
    marks = [step.mark or 0 for _, step in writers]
    for number, step in enumerate(ordered):
        touch = touched.get(step.request["request_id"]) if step.request is not None else None
        if step.seen is None or touch is None or touch.reads_once:
            continue
        missed = []
        for position, writer in islice(writers, bisect_right(marks, step.seen), None):
            if _came_after(writer, position, step, number):  # and so did all that was committed after it
                break
            if writer is not step and not touch.tables.isdisjoint(writer.tables):
                missed.append(writer)
        if missed:
            step.doubts.append(_doubt(missed, touch.tables))


def _came_after(writer: Step, position: int, step: Step, number: int) -> bool:
    """Whether a write was committed when a request was over: when it had committed itself, or had been answered."""
    if step.writes:
        return position >= number
    assert step.request is not None  # noqa: S101  # for the type checker
    return max(transaction.recorded_at for transaction in writer.transactions) > ended_at(step.request)


def _doubt(missed: Sequence[Step], tables: Tables) -> str:
    names = ", ".join(dict.fromkeys(_name(writer) for writer in missed[:MOST_NAMED]))
    more = f" and {len(missed) - MOST_NAMED} more" if len(missed) > MOST_NAMED else ""
    shared = sorted(tables & frozenset().union(*(writer.tables for writer in missed)))
    where = ", ".join(table.removeprefix("public.") for table in shared[:MOST_NAMED])
    return f"others wrote to {where} while it ran, and what it saw of that is not known ({names}{more})"


def _name(writer: Step) -> str:
    if writer.request is not None:
        return short_id(writer.request["request_id"])
    transaction = writer.transactions[0]
    return short_id(transaction.request_id) if transaction.request_id else transaction.actor or "someone outside Flux"

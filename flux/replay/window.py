"""What is to be replayed, and from which state: requests, what others wrote between them, and the order of it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flux.engine.questions import Questions
from flux.engine.sandbox import Moment
from flux.replay.order import CLOCKS, Snapshot, Step, Transaction, ended_at, in_order, steps_of
from flux.replay.overlaps import note_overlaps
from flux.replay.touched import Tables, Touched, touched_by

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order, and the moment before the first of them. `touched` says what each request touched."""

    steps: tuple[Step, ...]
    moment: Moment
    touched: Mapping[UUID, Touched]

    @property
    def requests(self) -> tuple[Step, ...]:
        """The steps that are requests to be run again."""
        return tuple(step for step in self.steps if step.request is not None)

    @property
    def tables(self) -> Tables:
        """Every table that a request touched."""
        return frozenset().union(*(touch.tables for touch in self.touched.values()))

    def of(self, requests: frozenset[UUID]) -> Plan:
        """The part of it with these requests and what others wrote."""
        steps = tuple(step for step in self.steps if step.request is None or step.request["request_id"] in requests)
        return Plan(steps, self.moment, {key: touch for key, touch in self.touched.items() if key in requests})


def plan_in_order(questions: Questions, rows: Sequence[Row]) -> Plan:
    """Requests, given as rows of flux.trace_requests, in the order in which they and the writes of others took effect.

    The moment is that of the earliest snapshot any of them took. What others wrote before it is in the state; what they
    wrote after it are steps.
    """
    first = _earliest(rows)
    touched = touched_by(questions, [row["request_id"] for row in rows])
    ordered = _ordered(questions, rows, first, max(map(ended_at, rows)))
    note_overlaps(ordered, touched)
    while ordered and ordered[-1].request is None:  # nobody sees it any more
        ordered.pop()
    return Plan(tuple(ordered), moment_of(first), touched)


def plan_each_as_of(questions: Questions, rows: Sequence[Row]) -> Plan:
    """Requests in the order in which they began, each of them to be replayed on the state that it saw."""
    touched = touched_by(questions, [row["request_id"] for row in rows])
    steps = []
    for row in rows:
        ordered = _ordered(questions, [row], row, ended_at(row))
        note_overlaps(ordered, touched)
        steps += [step for step in ordered if step.request is not None]
    return Plan(tuple(steps), moment_of(_earliest(rows)), touched)


def plan_in_place(questions: Questions, rows: Sequence[Row]) -> Plan:
    """Requests in the order in which they began, to be replayed on the data as it is now."""
    steps = steps_of(rows, ())
    return Plan(tuple(steps), Moment(), touched_by(questions, [row["request_id"] for row in rows]))


def _ordered(questions: Questions, rows: Sequence[Row], first: Row, until: datetime) -> list[Step]:
    began = min(row["started_at"] for row in rows)
    transactions = questions.ask("transactions_since", taken=first["snapshot"], moment=began, until=until + CLOCKS)
    row_order = questions.ask("row_order_since", moment=began, until=until + CLOCKS) if len(transactions) > 1 else []
    return in_order(
        steps_of(rows, map(Transaction.of, transactions)),
        [(int(pair["earlier"]), int(pair["later"])) for pair in row_order],
    )


def _earliest(rows: Sequence[Row]) -> Row:
    """The request whose first snapshot is the oldest; where none ran SQL, the one that began first."""
    seeing = [row for row in rows if row["snapshot"]]
    if seeing:
        return min(seeing, key=lambda row: (Snapshot.parse(row["snapshot"]).age, row["started_at"]))
    return min(rows, key=lambda row: row["started_at"])


def moment_of(row: Row) -> Moment:
    """The state that a request saw, given by its row as Python values or as JSON: by its snapshot, or by its time."""
    if row["snapshot"]:
        return Moment(seen_by=UUID(str(row["request_id"])))
    began = row["started_at"]
    return Moment(at=datetime.fromisoformat(began) if isinstance(began, str) else began)

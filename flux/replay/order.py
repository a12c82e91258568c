"""The order in which a window is run again: that in which it took effect, by transactions and snapshots, not by clocks.

Every snapshot shows a beginning of the order of commits: what one shows, each later one shows too. So the snapshots
that requests took, sorted by how many transactions each shows, are a ruler: a transaction belongs between the last
snapshot that does not show it and the first that does, and a request that changed nothing belongs exactly where its
first snapshot stands. Only between two neighbouring snapshots, where nobody can have seen a difference, the recorded
times decide, corrected by what is known of single rows: who wrote a row later committed later.

The way is that of R3 (PVLDB 16(11), 2023), which orders transactions by their snapshots.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, groupby
from typing import Any
from uuid import UUID

#: Clocks of two machines that record are taken to differ by no more than this.
CLOCKS = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a statement could see, read from the text of a pg_snapshot: `xmin:xmax:under way`."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """A snapshot from Postgres's own text of it."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(part) for part in running.split(",") if part))

    @property
    def age(self) -> int:
        """How many transactions it shows as ended; the later of two snapshots of one server shows more."""
        return self.xmax - len(self.running)

    def shows(self, transaction: int) -> bool:
        """Whether it shows a transaction that committed; the rule of pg_visible_in_snapshot."""
        return transaction < self.xmin or (transaction < self.xmax and transaction not in self.running)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A committed transaction that wrote something. `request_id` is None for a write from outside Flux."""

    xact_id: int
    request_id: UUID | None
    actor: str | None
    began_at: datetime
    recorded_at: datetime
    last_id: int
    writes: int
    tables: frozenset[str]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Transaction:
        """From a row of flux.transactions_since."""
        names = ("request_id", "actor", "began_at", "recorded_at", "last_id", "writes")
        return cls(xact_id=int(row["xact_id"]), tables=frozenset(row["tables"]), **{name: row[name] for name in names})


@dataclass(slots=True)
class Step:
    """One thing that happened: a request to be run again (`request` is its row), or what others wrote.

    `place` is where its clock puts it, `mark` which snapshot of the ruler is the first that shows it; `seen` is the
    mark of its own first snapshot. None where there is none.
    """

    request: Mapping[str, Any] | None
    transactions: tuple[Transaction, ...]
    place: datetime
    snapshot: Snapshot | None = None
    mark: int | None = None
    seen: int | None = None
    doubts: list[str] = field(default_factory=list)

    @property
    def tables(self) -> frozenset[str]:
        """The tables it wrote to for good."""
        return frozenset().union(*(transaction.tables for transaction in self.transactions))

    @property
    def writes(self) -> bool:
        """Whether it changed anything for good."""
        return bool(self.transactions)


def steps_of(requests: Iterable[Mapping[str, Any]], transactions: Iterable[Transaction]) -> list[Step]:
    """A step for each request to be run again, and one for each transaction of anybody else."""
    rows = {row["request_id"]: row for row in requests}
    own: dict[UUID, list[Transaction]] = {}
    others = []
    for transaction in transactions:
        if transaction.request_id is not None and transaction.request_id in rows:
            own.setdefault(transaction.request_id, []).append(transaction)
        else:
            others.append(Step(None, (transaction,), transaction.recorded_at))
    return [_request_step(row, tuple(own.get(key, ()))) for key, row in rows.items()] + others


def _request_step(row: Mapping[str, Any], transactions: tuple[Transaction, ...]) -> Step:
    began, ended = row["started_at"], ended_at(row)
    snapshot = Snapshot.parse(row["snapshot"]) if row["snapshot"] else None
    late = bool(transactions) or _refused_by_rows(row)
    return Step(row, transactions, ended if late else began, snapshot)


def ended_at(row: Mapping[str, Any]) -> datetime:
    """When a request had ended, as far as is known."""
    moment: datetime = row["started_at"] + timedelta(microseconds=row["duration_us"] or 0)
    return moment


def _refused_by_rows(row: Mapping[str, Any]) -> bool:
    """Whether rows that were there made it fail (23…: unique, foreign key, …).

    Such a check looks at what is committed by the time of the statement, not by that of the first snapshot.
    """
    return str(row["error_code"] or "").startswith("23")


def in_order(steps: Sequence[Step], row_order: Iterable[tuple[int, int]] = ()) -> list[Step]:
    """The steps in the order in which they took effect; `row_order` are pairs of transactions, the earlier first."""
    ruler = sorted({step.snapshot.age: step.snapshot for step in steps if step.snapshot}.items())
    ages, snapshots = [age for age, _ in ruler], [snapshot for _, snapshot in ruler]
    for step in steps:
        step.seen = bisect_left(ages, step.snapshot.age) if step.snapshot else None
        step.mark = _mark(step, snapshots)
    marked = [step for step in steps if step.mark is not None]
    marked.sort(key=lambda step: (step.mark, not step.writes, step.place))
    return _with_loose(_by_rows(marked, row_order), [step for step in steps if step.mark is None])


def _mark(step: Step, snapshots: Sequence[Snapshot]) -> int | None:
    """The first snapshot that shows all of a step; for one that wrote nothing, its own. None: the clock decides."""
    if step.transactions:
        last = max(transaction.xact_id for transaction in step.transactions)
        shown = bisect_left(snapshots, True, key=lambda snapshot: snapshot.shows(last))
        return max(shown, step.seen + 1) if step.seen is not None else shown
    if step.request is not None and _refused_by_rows(step.request):
        return None
    return step.seen


def _by_rows(ordered: list[Step], row_order: Iterable[tuple[int, int]]) -> list[Step]:
    """Move steps that wrote between the same two snapshots, so that each row gets its writes in their order."""
    step_of = {transaction.xact_id: step for step in ordered for transaction in step.transactions}
    before: dict[int, list[Step]] = {}
    for earlier, later in row_order:
        first, second = step_of.get(earlier), step_of.get(later)
        if first is not None and second is not None and first is not second and first.mark == second.mark:
            before.setdefault(id(second), []).append(first)
    groups = groupby(ordered, key=lambda step: (step.mark, step.writes)) if before else [(None, ordered)]
    return [step for _, group in groups for step in _after_their_own(list(group), before)]


def _after_their_own(group: list[Step], before: Mapping[int, list[Step]]) -> list[Step]:
    """A group in its order, but each step behind those it comes after; early commits may make that a circle, and then
    the first in time goes first.
    """
    placed: dict[int, Step] = {}
    begun: set[int] = set()
    stack = group[::-1]
    while stack:
        step = stack[-1]
        if id(step) not in begun:
            begun.add(id(step))
            stack += sorted(
                (first for first in before.get(id(step), ()) if id(first) not in begun),
                key=lambda first: first.place,
                reverse=True,
            )
        else:
            placed.setdefault(id(stack.pop()), step)
    return list(placed.values())


def _with_loose(ordered: list[Step], loose: list[Step]) -> list[Step]:
    """Put those that only a clock places among the others: before the first that is later, but behind what they saw."""
    marks = [step.mark or 0 for step in ordered]
    latest = list(accumulate((step.place for step in ordered), max))
    places = []
    for number, step in enumerate(sorted(loose, key=lambda step: step.place)):
        seen = bisect_right(marks, step.seen) if step.seen is not None else 0
        places.append((max(seen, bisect_right(latest, step.place)), number, step))
    for position, _, step in sorted(places, reverse=True, key=lambda place: place[:2]):
        ordered.insert(position, step)
    return ordered

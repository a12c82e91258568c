"""A window is run again in the order in which it took effect, whatever the clocks said."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given, settings

from flux.replay.order import Snapshot, Step, Transaction, in_order, steps_of
from flux.replay.overlaps import note_overlaps
from flux.replay.touched import Touched

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def request(number, began, took=0.0, snapshot=None, error_code=None):
    """A row of flux.trace_requests, as far as the order looks at it; times in seconds after noon."""
    return {
        "request_id": UUID(int=number),
        "started_at": NOON + timedelta(seconds=began),
        "duration_us": round(took * 1_000_000),
        "snapshot": snapshot,
        "error_code": error_code,
    }


def transaction(xact_id, at, request_number=None, tables=("public.users",), actor="psql (me)"):
    """A committed transaction that wrote last so many seconds after noon."""
    moment = NOON + timedelta(seconds=at)
    return Transaction(
        xact_id, UUID(int=request_number) if request_number else None, None if request_number else actor,
        moment, moment, xact_id, 1, frozenset(tables),
    )  # fmt: skip


def names(ordered):
    """The request numbers, or the negative numbers of others' transactions."""
    return [step.request["request_id"].int if step.request else -step.transactions[0].xact_id for step in ordered]


def test_a_writer_stands_at_its_end_and_a_reader_at_its_start():
    """Nobody saw a write before its commit; what a reader does after its snapshot changes nothing."""
    rows = [request(1, 0, took=10, snapshot="100:100:"), request(2, 5, took=20, snapshot="100:101:100")]

    ordered = in_order(steps_of(rows, [transaction(100, 9, 1)]))

    assert names(ordered) == [2, 1]


def test_a_snapshot_decides_against_the_clocks():
    """Two machines' clocks differ; what a request saw had been committed, however late its own clock says."""
    rows = [request(1, 0.5, snapshot="100:101:"), request(2, 1.0, took=1, snapshot="100:100:")]

    ordered = in_order(steps_of(rows, [transaction(100, 2, 2)]))

    assert names(ordered) == [2, 1]


def test_writes_of_others_stand_among_the_requests():
    """A correction made in psql between two requests is there for the second and not for the first."""
    rows = [request(1, 1, snapshot="100:100:"), request(2, 3, snapshot="101:101:")]

    ordered = in_order(steps_of(rows, [transaction(100, 2)]))

    assert names(ordered) == [1, -100, 2]


def test_two_writes_to_one_row_keep_their_order():
    """The second waited for the first; the clocks of two workers may tell it the other way round."""
    rows = [request(1, 0, took=2, snapshot="100:100:"), request(2, 0, took=1, snapshot="100:100:")]
    transactions = [transaction(101, 2, 1), transaction(100, 1, 2)]

    assert names(in_order(steps_of(rows, transactions))) == [2, 1]
    assert names(in_order(steps_of(rows, transactions), [(101, 100)])) == [1, 2]


def test_requests_that_wait_for_each_other_still_get_an_order():
    """Early commits of two requests on the same rows make a circle; none may be lost over it."""
    rows = [request(1, 0, took=2, snapshot="100:100:"), request(2, 0, took=1, snapshot="100:100:")]
    transactions = [transaction(number, number - 99, owner) for number, owner in ((100, 1), (101, 2), (102, 1))]

    assert sorted(names(in_order(steps_of(rows, transactions), [(100, 101), (101, 102)]))) == [1, 2]


def test_a_request_that_rows_made_fail_stands_at_its_end():
    """A duplicate is found against what was committed while it waited, which its first snapshot need not show."""
    rows = [
        request(1, 0, took=3, snapshot="100:100:"),
        request(2, 1, took=4, snapshot="100:101:100", error_code="23505"),
    ]

    assert names(in_order(steps_of(rows, [transaction(100, 3, 1)]))) == [1, 2]


def test_a_request_without_sql_stands_where_its_clock_puts_it():
    """It saw nothing of the database, but on other code it may."""
    rows = [request(1, 1, snapshot="100:100:"), request(2, 2, took=9), request(3, 3, snapshot="100:100:")]

    assert names(in_order(steps_of(rows, []))) == [1, 2, 3]


@dataclass
class History:
    """Transactions of a server as it hands out numbers, and what each of them could see."""

    xids: itertools.count = field(default_factory=lambda: itertools.count(100))
    running: list[int] = field(default_factory=list)
    highest: int = 99
    committed: list[int] = field(default_factory=list)

    def begin(self):
        self.running.append(next(self.xids))
        return self.running[-1]

    def commit(self, xid):
        self.running.remove(xid)
        self.highest = max(self.highest, xid)
        self.committed.append(xid)

    def snapshot(self):
        """As GetSnapshotData makes it: xmax is one past the highest number that has ended."""
        shown = sorted(xid for xid in self.running if xid <= self.highest)
        xmin = shown[0] if shown else self.highest + 1
        return f"{xmin}:{self.highest + 1}:{','.join(map(str, shown))}"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_order_agrees_with_every_snapshot_of_any_history(data):
    """What each reader sees in the replay is what it saw: all that its snapshot shows, and nothing else."""
    history, rows, transactions, open_, seen = History(), [], [], [], {}
    for tick in range(data.draw(st.integers(1, 40))):
        skew = data.draw(st.floats(-0.9, 0.9))
        act = data.draw(st.sampled_from(["read", "begin", "end", "outside"]))
        number = len(rows) + 1
        if act == "read":
            rows.append(request(number, tick + skew, snapshot=history.snapshot()))
            seen[number] = set(history.committed)
        elif act == "begin":
            row = request(number, tick + skew, snapshot=history.snapshot())
            rows.append(row)
            seen[number] = set(history.committed)
            open_.append((history.begin(), row))
        elif act == "outside":
            xid = history.begin()
            history.commit(xid)
            transactions.append(transaction(xid, tick + skew))
        elif open_:
            xid, row = open_.pop(data.draw(st.integers(0, len(open_) - 1)))
            history.commit(xid)
            transactions.append(transaction(xid, tick + skew, row["request_id"].int))
            row["duration_us"] = max(0, round((tick + skew) * 1e6 - (row["started_at"] - NOON).total_seconds() * 1e6))

    ordered = in_order(steps_of(rows, transactions))

    assert len(ordered) == len(steps_of(rows, transactions))
    done: set[int] = set()
    for step in ordered:
        number = step.request["request_id"].int if step.request else None
        if number is not None and not step.writes:
            assert done == seen[number]
        elif number is not None:
            assert done >= seen[number]
        done |= {each.xact_id for each in step.transactions}


def test_a_snapshot_is_read_as_postgres_writes_it():
    """The order rests on it."""
    snapshot = Snapshot.parse("10:20:10,14")

    assert [snapshot.shows(xid) for xid in (9, 10, 12, 14, 19, 20)] == [True, False, True, False, True, False]
    assert Snapshot.parse("10:10:").running == frozenset()


def doubts(rows, transactions, touched):
    """What is uncertain of each request, by its number."""
    ordered = in_order(steps_of(rows, transactions))
    note_overlaps(ordered, {UUID(int=number): touch for number, touch in touched.items()})
    return {step.request["request_id"].int: step.doubts for step in ordered if step.request}


USERS = Touched(frozenset({"public.users"}))


def test_what_was_written_while_a_request_ran_is_a_doubt():
    """Which of its statements saw it is not recorded, so an exact replay cannot be promised."""
    rows = [request(1, 0, took=10, snapshot="100:100:")]

    found = doubts(rows, [transaction(100, 5)], {1: USERS})

    assert found == {1: ["others wrote to users while it ran, and what it saw of that is not known (psql (me))"]}


def test_what_a_request_cannot_have_met_is_no_doubt():
    """A fidelity that doubts everything is read by nobody."""
    rows = [request(1, 0, took=10, snapshot="100:100:")]
    orders = Touched(frozenset({"public.orders"}))
    once = Touched(frozenset({"public.users"}), reads_once=True)

    assert doubts(rows, [transaction(100, 5)], {1: orders}) == {1: []}
    assert doubts(rows, [transaction(100, 5)], {1: once}) == {1: []}
    assert doubts(rows, [transaction(100, 50)], {1: USERS}) == {1: []}


def test_a_writer_that_did_not_see_what_stands_before_it_is_a_doubt():
    """In commit order its replay sees what its first statement could not."""
    rows = [request(1, 0, took=10, snapshot="100:100:"), request(2, 1, took=2, snapshot="100:101:100")]
    transactions = [transaction(100, 9, 1), transaction(101, 2, 2)]

    found = doubts(rows, transactions, {1: USERS, 2: USERS})

    assert found[1] == ["others wrote to users while it ran, and what it saw of that is not known (req:00000000)"]
    assert found[2] == []


def test_a_step_says_which_tables_it_wrote():
    """What is independent of what rests on it."""
    step = Step(None, (transaction(1, 0, tables=("a", "b")), transaction(2, 0, tables=("b", "c"))), NOON)

    assert step.tables == {"a", "b", "c"}

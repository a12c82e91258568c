"""Which step is which: found by what the steps are, wherever they stand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from executions import execution, query, signup, span
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.replay import alignment
from flux.replay.alignment import align, grow
from flux.replay.compare import compare
from flux.replay.edits import cheapest_edits
from flux.replay.likeness import Likeness

NAMES = st.sampled_from(["load", "check", "store"])
LEAVES = st.one_of(
    st.builds(lambda table, key: query(f"select * from {table} where id = %s", key, output=[{"id": key}], rows=1),
              st.sampled_from(["users", "orders"]), st.integers(1, 3)),
    st.builds(lambda name, sum_: span("tool", name, input={"args": [sum_], "kwargs": {}}, output={"ok": True}),
              st.sampled_from(["stripe.charge", "mail.send"]), st.integers(1, 3)),
    st.builds(lambda text: span("log", text, attributes={"level": "info"}), st.sampled_from(["began", "ended"])),
)  # fmt: skip
STEPS = st.recursive(
    LEAVES,
    lambda inner: st.builds(lambda name, steps: span("function", name, *steps), NAMES, st.lists(inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@st.composite
def trees(draw):
    """gateway > function > anything."""
    return span("gateway", "POST /signup", span("function", "create_user", *draw(st.lists(STEPS, max_size=5))))


def walked(step):
    """A step and all inside it."""
    yield step
    for inner in step["inside"]:
        yield from walked(inner)


@given(trees())
@settings(deadline=None)
def test_an_execution_is_the_same_as_itself(tree):
    """Whoever sees a difference where there is none stops reading."""
    one = execution(tree)
    other = execution(tree, number=2, began="2026-04-01T08:00:00+00:00", took_us=90_000, code_sha="fde789")

    difference = compare(one, other)

    assert difference.same, difference.verdict
    assert len(difference.spans) == len(one.spans)


@given(trees(), st.data())
@settings(deadline=None)
def test_one_planted_value_is_found_and_only_it(tree, data):
    """The change that matters must not drown in others that were made up by a wrong alignment."""
    steps = list(walked(tree))
    place = data.draw(st.integers(0, len(steps) - 1))
    member = data.draw(st.sampled_from(["input", "output", "error", "sql"]))
    other = copy.deepcopy(tree)
    chosen = list(walked(other))[place]
    planted: dict[str, Any] = {
        "input": {"args": ["PLANTED"]}, "output": {"planted": 1}, "error": {"type": "Planted", "message": "x"},
    }  # fmt: skip
    if member == "sql":
        chosen["attributes"] = {**(chosen["attributes"] or {}), "db.query.text": "select planted"}
        chosen["kind"] = "db"
        if steps[place]["kind"] != "db":
            member = "kind"
    else:
        chosen[member] = planted[member]

    difference = compare(execution(tree), execution(other, number=2))

    found = difference.differing_spans
    if member in ("kind", "sql") and (len(found) == 2 or found[0].a is None or found[0].b is None):
        assert sorted((pair.a is None, pair.b is None) for pair in found) == [(False, True), (True, False)]
        return
    assert len(found) == 1, [change for pair in found for change in pair.changes]
    assert found[0].b["span_id"] == place + 1
    assert {change.path.split(".")[0].split("[")[0] for change in found[0].changes} == {member}
    assert not difference.same


@given(trees(), st.data())
@settings(deadline=None)
def test_a_step_added_around_others_shifts_nothing(tree, data):
    """A helper function is what most refactorings add; everything in it is still what it was."""
    other = copy.deepcopy(tree)
    around = data.draw(st.sampled_from([step for step in walked(other) if step["kind"] != "log"]))
    inside = list(around["inside"])
    begin = data.draw(st.integers(0, len(inside)))
    end = data.draw(st.integers(begin, len(inside)))
    around["inside"] = [*inside[:begin], span("function", "helper", *inside[begin:end]), *inside[end:]]

    for one, two, alone in ((tree, other, "a"), (other, tree, "b")):
        found = compare(execution(one), execution(two, number=2)).differing_spans

        assert len(found) == 1
        assert getattr(found[0], alone) is None
        assert found[0].either["name"] == "helper"


@given(trees(), trees())
@settings(deadline=None)
def test_every_step_is_there_once_and_in_order(tree, other):
    """A step that the alignment loses is a difference that nobody sees."""
    a, b = execution(tree), execution(other, number=2)

    for most in (60_000, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(alignment, "MOST_PAIRS", most)
            pairs = align(a.spans, b.spans)

        for side, whole in enumerate((a, b)):
            assert [pair[side].span["span_id"] for pair in pairs if pair[side]] == [
                step["span_id"] for step in whole.spans
            ]
        assert all(one.span["kind"] == two.span["kind"] for one, two in pairs if one and two)


SMALL = st.recursive(
    st.builds(span, st.just("tool"), st.sampled_from(["stripe.charge", "mail.send"])),
    lambda inner: st.builds(lambda name, steps: span("function", name, *steps), NAMES, st.lists(inner, max_size=3)),
    max_leaves=4,
)


@given(st.lists(SMALL, min_size=1, max_size=3), st.lists(SMALL, min_size=1, max_size=3))
@settings(deadline=None, max_examples=300)
def test_the_edits_found_are_the_cheapest(ours, theirs):
    """The two tables of the algorithm are easy to get wrong by one, and it still looks right."""
    a, b = (grow(execution(*steps).spans) for steps in (ours, theirs))
    if sum(node.size for node in (*a, *b)) > 14:
        return
    cost = Likeness().cost

    found = cheapest_edits(a, b, cost)

    sizes = sum(node.size for node in (*a, *b))
    price = sizes - 2 * len(found) + sum(cost(one, other) for one, other in found.items())
    assert price == pytest.approx(cheapest(tuple(a), tuple(b), cost, {}))


def cheapest(a, b, cost, known):
    """The least cost of two rows of trees by the definition of the edit distance, without any table."""
    key = (a, b)
    if key not in known:
        if not a or not b:
            known[key] = sum(node.size for node in (*a, *b))
        else:
            one, other = a[-1], b[-1]
            known[key] = min(
                1 + cheapest((*a[:-1], *one.inside), b, cost, known),
                1 + cheapest(a, (*b[:-1], *other.inside), cost, known),
                cost(one, other)
                + cheapest(tuple(one.inside), tuple(other.inside), cost, known)
                + cheapest(a[:-1], b[:-1], cost, known),
            )
    return known[key]


def test_statements_repeated_are_counted_not_listed():
    """N+1 is one fact, though it is eleven steps."""
    lines = [query("select * from plans where id = %s", number) for number in range(12)]

    difference = compare(signup(lines[0]), signup(span("function", "load", *lines), number=2))

    assert [(one.name, one.a, one.b) for one in difference.repeated] == [("select plans", 1, 12)]
    assert difference.verdict == "select plans ×12 instead of ×1 · 1 step only in B"


def test_an_edited_statement_is_still_the_same_step():
    """One column more in a select is a change of a step, not two steps."""
    before = query("select id, email from users where id = %s", 42, rows=1)
    after = query("select id, email, plan from users where id = %s", 42, rows=1)

    found = compare(signup(before), signup(after, number=2)).differing_spans

    assert [change.path for pair in found for change in pair.changes] == ["sql"]


def test_different_calls_are_not_taken_for_each_other():
    """A mail instead of a charge is a call gone and a call come."""
    one, other = span("tool", "stripe.charge", input={}), span("tool", "mail.send", input={})

    found = compare(signup(one), signup(other, number=2)).differing_spans

    assert [(pair.a and pair.a["name"], pair.b and pair.b["name"]) for pair in found] == [
        ("stripe.charge", None),
        (None, "mail.send"),
    ]


def test_layout_of_a_statement_does_not_count():
    """A formatter at work is no change of behaviour."""
    difference = compare(signup(query("select 1  from a")), signup(query("select 1\n  from a"), number=2))

    assert difference.same


def test_thousands_of_steps_are_compared_in_a_moment():
    """A runaway loop is just when somebody compares."""
    steps = [query(f"select * from t{number % 7} where id = %s", number % 50) for number in range(5_000)]
    changed = [*steps[:10], query("select 'PLANTED' from t1"), *steps[10:2_500], *steps[2_501:]]

    difference = compare(signup(*steps), signup(span("function", "load", *changed), number=2))

    assert len([pair for pair in difference.spans if pair.a is None or pair.b is None]) == 3


def test_attempts_that_were_made_again_are_left_out():
    """After a serialization failure the first attempt is history; the replay had no such neighbour."""
    attempt = span("function", "create_user", query("select 1", rows=1), output={"passed": True})
    failed = span("function", "create_user", query("select 1", error={"type": "SerializationFailure"}))
    twice = execution(span("gateway", "POST /signup", failed, attempt), attempt=2)
    once = execution(span("gateway", "POST /signup", attempt), number=2)

    difference = compare(twice, once)

    assert difference.same
    assert difference.notes == ("A took 2 attempts, of which the last is compared",)


def test_of_equal_statements_the_one_with_the_same_parameters_is_meant():
    """What is told of a step must be told of that step, also where all around it changed."""
    ours = signup(
        span("tool", "first", input=[1]), query("select * from a where id = %s", 3), span("tool", "last", input=[1])
    )
    lines = [query("select * from a where id = %s", number) for number in (1, 2, 3, 4)]
    theirs = signup(span("tool", "first", input=[2]), *lines, span("tool", "last", input=[2]), number=2)

    pairs = align(ours.spans, theirs.spans)

    assert [other.span["input"] for one, other in pairs if one and one.span["kind"] == "db"] == [[3]]


def test_an_insert_of_other_columns_is_still_that_insert():
    """Its table says more than the list of its columns."""
    before = query("insert into users (email) values (%s)", name="insert users")
    after = query("insert into users (a, b, c, d, e, f, g) values (%s, %s, %s, %s, %s, %s, %s)", name="insert users")

    assert len(compare(signup(before), signup(after, number=2)).spans) == 3


def test_a_step_belongs_to_the_one_around_it():
    """A statement that moved from one function to another is no longer the same step."""
    line = query("select * from a where id = %s", 1)
    charge = [span("tool", "stripe.charge", input=[number]) for number in (1, 2)]
    ours = signup(span("function", "load", charge[0], line), span("function", "store", charge[1]))
    theirs = signup(span("function", "load", charge[0]), span("function", "store", line, charge[1]), number=2)

    difference = compare(ours, theirs)

    assert [(pair.a is None, pair.b is None) for pair in difference.differing_spans] == [(False, True), (True, False)]
    assert [pair.a_depth for pair in difference.spans if pair.a] == [0, 1, 2, 3, 3, 2, 3]

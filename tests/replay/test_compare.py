"""How two executions differ: every value that counts, none that does not, and nothing that nobody knows."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from executions import BEGAN, Generated, execution, inserted, query, signup, span, write
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.replay.compare import compare
from flux.replay.recorded import RecordedRequest

LATER = "2026-04-01T08:00:00+00:00"
GENERATED = [
    Generated("public.users", "id", "sequence"),
    Generated("public.users", "token", "random"),
    Generated("public.users", "created_at", "time"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def paths(difference):
    """Where the two differ, in the request, the steps and the writes."""
    return [
        change.path
        for pair in (difference.request, *difference.spans, *difference.mutations)
        for change in pair.changes
    ]


def volatile(difference):
    """Where the two differ as any two runs do."""
    return {
        change.path
        for pair in (difference.request, *difference.spans, *difference.mutations)
        for change in pair.volatile
    }


def moment(began, seconds):
    """A time so long after another."""
    return (datetime.fromisoformat(began) + timedelta(seconds=seconds)).isoformat()


# What counts


@given(JSON, JSON)
@settings(deadline=None)
def test_two_outputs_are_the_same_only_when_they_are(one, other):
    """1, 1.0, true and "1" are four things to whoever gets the answer."""
    difference = compare(execution(output=one), execution(output=other, number=2), only="output")

    assert difference.same == (typed(one) == typed(other))


def typed(value: Any) -> Any:
    """A value with its types, so that == tells what JSON tells; a member that is null is one that is not there."""
    if isinstance(value, dict):
        return ("object", {name: typed(item) for name, item in value.items()})
    if isinstance(value, list):
        return ("list", [typed(item) for item in value])
    return (type(value).__name__, repr(value))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"status": 500}, ["status"]),
        ({"outcome": "error"}, ["outcome"]),
        ({"output": {"passed": True, "more": None}}, ["output.more"]),
        ({"output": None}, ["output"]),
        ({"input": {"email": "b@c.com"}}, ["input.email"]),
        ({"path": "/login"}, ["path"]),
        ({"headers": {"accept": "text/html"}}, ["headers.accept"]),
        ({"error_type": "ValueError", "error_message": "no"}, ["error.type", "error.message"]),
        ({"actor": "alice"}, ["actor"]),
    ],
)
def test_what_came_in_and_went_out_counts(columns, found):
    """Each member by itself, named by its path."""
    difference = compare(execution(), execution(number=2, **columns))

    assert paths(difference) == found
    assert not difference.same


@pytest.mark.parametrize(
    "columns",
    [
        {"number": 2, "began": LATER, "took_us": 900_000, "code_sha": "def456"},
        {"headers": {"accept": "*/*", "traceparent": "00-1-2-01", "date": "now", "x-request-id": "x"}},
        {"trace_id": "abc", "xact_id": "4711", "caller_request_id": "c"},
    ],
)
def test_what_no_two_runs_share_does_not_count(columns):
    """Ids, durations, the moment and the code are not behaviour."""
    assert compare(execution(), execution(**columns)).same


def test_the_line_of_an_error_counts_only_in_the_same_code():
    """A comment above it moves an error by a line; another file is another error."""
    error = {"type": "ValueError", "message": "no"}

    def at(location, number, code):
        failed = signup(query("select 1", error={**error, "location": location}), number=number, code_sha=code)
        return failed

    assert compare(at("f.py:9", 1, "abc"), at("f.py:12", 2, "def")).same
    assert paths(compare(at("f.py:9", 1, "abc"), at("f.py:12", 2, "abc"))) == ["error.location"]
    assert paths(compare(at("f.py:9", 1, "abc"), at("g.py:9", 2, "def"))) == ["error.location"]


# What was written


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"new": {"plan": "pro"}}, ["new_values.plan"]),
        ({"old": {"plan": "trial"}}, ["old_values.plan"]),
        ({"key": {"id": "43"}}, ["row_key.id"]),
        ({"rolled_back": True}, ["rolled_back"]),
    ],
)
def test_each_value_of_a_write_counts(change, found):
    """A wrong row, a wrong value, and a write that did not stay are three kinds of wrong."""
    members = {"key": {"id": "42"}, "new": {"plan": "free"}, "old": {"plan": None}}

    def one(number, **changed):
        whole = {**members, **changed}
        return signup(query("update users set plan = %s"), number=number, mutations=[
            write("UPDATE", "users", whole.pop("key"), **whole),
        ])  # fmt: skip

    assert paths(compare(one(1), one(2, **change), GENERATED)) == found


def test_a_write_that_is_missing_counts():
    """What is not done is as wrong as what is done wrongly."""
    rows = [inserted("users", id=str(number), email=f"{number}@b.com") for number in (1, 2, 3)]

    difference = compare(signup(mutations=rows), signup(mutations=[rows[0], rows[2]], number=2))

    assert [(pair.a["row_key"], pair.b) for pair in difference.differing_mutations] == [({"id": "2"}, None)]
    assert difference.verdict == "1 write only in A"


@given(st.permutations(range(6)))
@settings(deadline=None)
def test_in_which_order_a_statement_found_its_rows_does_not_count(order):
    """A sandbox's table holds its rows in another order than the one that was written to for years."""
    rows = [write("UPDATE", "users", {"id": str(n)}, new={"n": str(n % 2)}, old={"n": "7"}) for n in range(6)]

    difference = compare(signup(mutations=rows), signup(mutations=[rows[place] for place in order], number=2))

    assert difference.same, difference.verdict


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_one_planted_write_is_found_and_only_it(rows, data):
    """Equal rows and generated keys must not hide it, or make more of it."""
    whole = [inserted("users", id=str(n), name=name, n=str(value)) for n, (name, value) in enumerate(rows, start=1)]
    other = [
        {**row, "new_values": {**row["new_values"], "id": str(int(row["new_values"]["id"]) + 100)}} for row in whole
    ]
    for row in other:
        row["row_key"] = {"id": row["new_values"]["id"]}
    chosen = data.draw(st.integers(0, len(rows) - 1))
    other[chosen] = {**other[chosen], "new_values": {**other[chosen]["new_values"], "n": "PLANTED"}}

    difference = compare(signup(mutations=whole), signup(mutations=other, number=2), GENERATED)

    assert paths(difference) == ["new_values.n"]
    assert difference.differing_mutations[0].b["row_key"] == other[chosen]["row_key"]


# What is excused


def test_a_generated_key_is_excused_wherever_it_turns_up_again():
    """One other number for a user makes another everywhere; that is one fact, and no difference."""

    def with_id(key, number):
        return signup(
            query("insert into users (email) values (%s) returning id", "a@b.com", output=[{"id": key}]),
            query("insert into orders (user_id) values (%s)", key),
            span("tool", "POST mail.example/users", input={"body": {"to": f"user-{key}", "path": f"/users/{key}"}}),
            span("log", f"user {key} signed up"),
            mutations=[
                inserted("users", id=str(key), email="a@b.com"),
                inserted("orders", span_id=4, key="user_id", user_id=str(key)),
                write("UPDATE", "users", {"id": str(key)}, 4, new={"n": "1"}, old={"n": "0"}),
            ],
            output={"user_id": key}, number=number,
        )  # fmt: skip

    difference = compare(with_id(42, 1), with_id(57, 2), GENERATED)

    assert paths(difference) == []
    assert difference.same
    assert {"output.user_id", "input[0]", "input.body.to", "input.body.path", "name"} <= volatile(difference)
    assert "volatile" in difference.verdict


def test_a_generated_key_excuses_no_other_number():
    """42 became 57, so 43 has no business here."""

    def with_id(key, told, number):
        return signup(
            query("insert into users default values"),
            mutations=[inserted("users", id=str(key))], output={"user_id": told}, number=number,
        )  # fmt: skip

    assert paths(compare(with_id(42, 42, 1), with_id(57, 43, 2), GENERATED)) == ["output.user_id", "output.user_id"]


def test_a_generated_key_has_one_counterpart():
    """Two users that became one are not the same two users."""

    def with_ids(told, number):
        return signup(
            query("insert into users default values"), query("insert into users default values"),
            mutations=[inserted("users", id=str(10 * number + at), span_id=2 + at) for at in (1, 2)],
            output=told, number=number,
        )  # fmt: skip

    assert compare(with_ids([11, 12], 1), with_ids([21, 22], 2), GENERATED).same
    assert not compare(with_ids([11, 12], 1), with_ids([21, 21], 2), GENERATED).same


def test_a_key_that_the_function_gave_itself_counts():
    """A column may have a default and still get a wrong value from the code."""

    def given_id(key, number):
        return signup(
            query("insert into users (id) values (%s)", key), mutations=[inserted("users", id=str(key))], number=number
        )

    assert "new_values.id" in paths(compare(given_id(42, 1), given_id(57, 2), GENERATED))


def test_two_generated_values_do_not_become_one():
    """Two tokens that are the same token now were not drawn at random."""

    def with_tokens(first, second, number):
        rows = [
            inserted("users", id=str(at), email=f"{at}", token=token) for at, token in enumerate((first, second), 1)
        ]
        return signup(query("insert into users select 1"), mutations=rows, number=number)

    assert compare(with_tokens("aaaa", "bbbb", 1), with_tokens("cccc", "dddd", 2), GENERATED).same
    assert not compare(with_tokens("aaaa", "bbbb", 1), with_tokens("cccc", "cccc", 2), GENERATED).same


def test_a_time_that_the_function_gave_itself_counts():
    """created_at has a default, and here it was not used."""

    def created(at, number):
        insert = query("insert into users (email, created_at) values (%s, %s)", "a@b.com", at)
        return signup(insert, mutations=[inserted("users", email="a@b.com", created_at=at)], number=number)

    found = compare(created("2020-01-01 00:00:00+00", 1), created("2021-01-01 00:00:00+00", 2), GENERATED)

    assert "new_values.created_at" in paths(found)


def test_rows_that_refer_to_a_generated_key_find_each_other():
    """Lines of an order, in whichever order they were written."""

    def ordered(key, items, number):
        return signup(
            query("insert into users (email) values (%s)", "a@b.com"),
            query("insert into lines select 1"),
            mutations=[
                inserted("users", id=str(key), email="a@b.com"),
                *(inserted("lines", "line", 4, user_id=str(key), item=item, size=item * 2) for item in items),
            ],
            number=number,
        )  # fmt: skip

    assert compare(ordered(42, "abc", 1), ordered(57, "cab", 2), GENERATED).same


def test_a_key_drawn_from_its_sequence_by_hand_is_generated():
    """select nextval, then insert: the parameter is what the database answered."""

    def drawn(key, number):
        return signup(
            query("select nextval('users_id_seq')", output=[{"nextval": key}]),
            query("insert into users (id) values (%s)", key),
            mutations=[inserted("users", id=str(key), span_id=4)], number=number,
        )  # fmt: skip

    assert compare(drawn(42, 1), drawn(57, 2), GENERATED).same


@pytest.mark.parametrize(
    ("one", "other", "excused"),
    [
        (moment(BEGAN, 0.01), moment(LATER, 0.02), True),
        (moment(BEGAN, 3_600), moment(LATER, 3_600.2), True),
        (moment(BEGAN, 3_600), moment(LATER, 7_200), False),
        (moment(BEGAN, 0.01), moment(BEGAN, 0.01).replace("2026", "2025"), False),
        (moment(BEGAN, 0.01).replace("T", " "), moment(LATER, 0.02).replace("T", " ").replace("+00:00", "+00"), True),
        (1_773_152_521.41, 1_775_030_400.02, True),
        (1_773_152_521_410, 1_775_030_400_020, True),
        (1_773_152_521, 17, False),
        ("2020-01-01T00:00:00+00:00", moment(LATER, 0.01), False),
        (f"began {moment(BEGAN, 0.01)}", f"began {moment(LATER, 0.01)}", True),
        (f"began {moment(BEGAN, 0.01)}", f"ended {moment(LATER, 0.01)}", False),
        ("2026-03-10", "2026-04-01", True),
        ("2026-03-10", "2026-04-02", False),
        ({"$repr": "<Box at 0x7f01aa>"}, {"$repr": "<Box at 0x7f02bb>"}, True),
        ({"$repr": "<Box at 0x7f01aa>"}, {"$repr": "<Can at 0x7f02bb>"}, False),
    ],
)
def test_times_of_the_runs_themselves_are_excused(one, other, excused):
    """What the database called now() is another now in each run, and as far from it as it was."""
    a, b = execution(output={"at": one}), execution(output={"at": other}, number=2, began=LATER)

    difference = compare(a, b)

    assert difference.same is excused
    assert volatile(difference) == ({"output.at"} if excused else set())


def test_a_replay_is_told_the_time_of_what_it_replays():
    """The recorded clock in one place and the database's own in the other are both the run's time."""
    original = execution(output={"at": moment(BEGAN, 0.001)})
    replay = execution(
        output={"at": moment(BEGAN, 0.03)},
        number=2,
        began=LATER,
        kind="replay",
        replay_of=original.request["request_id"],
    )

    assert compare(original, replay).same
    assert compare(original, replay).request.volatile


def test_chance_is_excused_by_its_order():
    """Two requests that each drew a token have two tokens."""

    def drew(token, told, number):
        return execution(output={"token": told}, number=number, attributes={"tape": [["uuid", token], ["now", "x"]]})

    one, other = "0a1b2c3d-0000-4000-8000-000000000001", "ffffffff-0000-4000-8000-000000000002"
    third = "eeeeeeee-0000-4000-8000-000000000003"

    assert compare(drew(one, one, 1), drew(other, other, 2)).same
    assert not compare(drew(one, one, 1), drew(other, third, 2)).same


def test_rows_in_no_asked_order_may_come_in_any():
    """And then also the answer that lists them; but an order that was asked for must be kept."""
    rows = [{"id": 1}, {"id": 2}, {"id": 3}]
    turned = [rows[2], rows[0], rows[1]]

    def listed(sql, found, number):
        names = [f"user {row['id']}" for row in found]
        return signup(query(sql, output=found), output=names, number=number)

    plain = compare(listed("select id from users", rows, 1), listed("select id from users", turned, 2))
    ordered = compare(
        listed("select id from users order by id", rows, 1), listed("select id from users order by id", turned, 2)
    )

    assert plain.same
    assert volatile(plain) == {"output"}
    assert not ordered.same


# What nobody knows


OMITTED = {"$omitted": {"bytes": 70_000, "sha256": "aa", "head": "[1, 2"}}


def test_values_too_large_to_keep_are_compared_by_their_hash():
    """Equal hashes are equal values, and different ones differ."""
    other = copy.deepcopy(OMITTED)
    other["$omitted"]["sha256"] = "bb"

    assert compare(execution(output=OMITTED), execution(output=OMITTED, number=2)).same
    assert paths(compare(execution(output=OMITTED), execution(output=other, number=2))) == ["output"]


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ({"outcome": "crashed"}, {"outcome": "crashed"}, "A: its process died"),
        ({"attributes": {"spans_omitted": 7}}, {}, "A: 7 of its steps were too many to keep"),
        ({}, {"attributes": {"mutations_not_kept": "3 of 10"}}, "B: writes that were rolled back: 3 of 10"),
        ({"output": OMITTED}, {"output": "x" * 69_998}, "output: too large to keep in A"),
        ({"output": {"$streamed": True}}, {"output": {"$streamed": True}}, "output: what was streamed was not kept"),
    ],
)
def test_what_is_not_known_is_never_the_same(a, b, reason):
    """A comparison that says same where the record has a hole is worse than none."""
    difference = compare(signup(**a), signup(**b, number=2))

    assert not difference.same
    assert any(text.startswith(reason) for text in difference.unknown), difference.unknown
    assert difference.verdict.startswith("not known to be the same: ")


def test_steps_that_were_lost_are_told():
    """Numbers of steps have no gaps, so one that is missing is known to be."""
    whole = signup(query("select 1"), query("select 2"))
    spans = tuple(step for step in whole.spans if step["span_id"] != 3)
    holed = RecordedRequest(whole.request, spans, whole.mutations)

    assert compare(holed, holed).unknown == (
        "A: 1 of its 4 steps were not recorded",
        "B: 1 of its 4 steps were not recorded",
    )


def test_redacted_values_are_counted():
    """They look the same, and whether they are, nobody knows."""
    difference = compare(
        execution(input={"password": "[redacted]"}), execution(input={"password": "[redacted]"}, number=2)
    )

    assert difference.notes == ("1 redacted value could not be compared",)


@pytest.mark.parametrize(
    ("only", "found"), [("output", ["status"]), ("spans", ["sql"]), ("mutations", ["new_values.n"])]
)
def test_one_part_can_be_compared_alone(only, found):
    """For a test that cares about the answer and not about how it came to be."""
    one = signup(query("select x from a"), mutations=[inserted("users", id="1", n="1")])
    other = signup(
        query("select x + 1 from a", name="select x"),
        mutations=[inserted("users", id="1", n="2")],
        status=201,
        input=None,
        number=2,
    )

    assert paths(compare(one, other, only=only)) == found


# What is said


@pytest.mark.parametrize(
    ("columns", "verdict"),
    [
        ({"status": 500, "outcome": "error", "error_type": "psycopg.errors.UniqueViolation", "error_message": "dup"},
         "500 instead of 200 · UniqueViolation: dup"),
        ({"output": {"passed": False}}, "output.passed true → false"),
        ({"mutations": [inserted("users", id="42", plan="pro")]}, "insert users: new_values.plan free → pro"),
        ({}, "same: status and output, 3 steps, 1 write"),
    ],
)  # fmt: skip
def test_the_verdict_says_what_matters_most(columns, verdict):
    """One line, the end first; the whole is below it."""
    rows = {"mutations": [inserted("users", id="42", plan="free")]}
    insert = span("db", "insert users", sql="insert into users (plan) values (%s)")
    other = execution(
        span("gateway", "POST /signup", span("function", "create_user", insert)), **{**rows, **columns}, number=2
    )
    one = execution(span("gateway", "POST /signup", span("function", "create_user", insert)), **rows)

    assert compare(one, other).verdict == verdict

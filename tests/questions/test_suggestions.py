"""flux.root_cause and flux.suggestions: the record's own words on why a request failed, and what it does not know."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import story
from story import CARD_DECLINED, UNIQUE, db_span, failed_columns, failing, request, write

THIS = UUID("dead0000-0000-4000-8000-00000000000a")
WHEN = "2026-03-10T16:00:00Z"


def error(code, message, **members):
    return {"type": "Error", "code": code, "message": message, "location": "functions/f.py:1", **members}


def fail(connection, what, *, parameters=(), **columns):
    """A request whose statement failed in this way."""
    spans = failing(THIS, "insert x", "insert into x values (%s)", what, parameters)
    request(connection, THIS, WHEN, spans, **failed_columns(what, **columns))


def suggestions(questions, of=THIS):
    return questions.ask("suggestions", request=of)


def cause(questions, of=THIS):
    return questions.ask("root_cause", request=of)[0]


def test_the_cause_is_the_deepest_step_with_the_same_error(past, questions):
    """The statement failed; that the function and the gateway failed with it is not news."""
    found = cause(questions, story.DUPLICATE)

    assert (found["kind"], found["name"], found["certainty"]) == ("db", "insert users", "certain")
    assert found["detail"] == "Key (email)=(a@b.com) already exists."


def test_a_failure_that_was_dealt_with_is_not_the_cause(blank, questions):
    """A function may catch an error and go on; what failed later is what counts."""
    request(
        blank, THIS, WHEN,
        [
            {"kind": "gateway", "name": "POST /x", "error": CARD_DECLINED},
            {"kind": "function", "name": "x", "error": CARD_DECLINED},
            db_span("insert users", "insert …", error=UNIQUE),
            {**db_span("select users", "select …"), "parent_id": 2},
        ],
        **failed_columns(CARD_DECLINED),
    )  # fmt: skip

    assert cause(questions)["name"] == "x"


def test_an_error_raised_in_answer_to_another_names_the_first_as_likely(blank, questions):
    """`except UniqueViolation: raise HTTPError(409)` must not hide the statement."""
    request(
        blank, THIS, WHEN,
        [
            {"kind": "gateway", "name": "POST /x", "error": CARD_DECLINED},
            {"kind": "function", "name": "x", "error": CARD_DECLINED},
            db_span("insert users", "insert …", error=UNIQUE),
        ],
        **failed_columns(CARD_DECLINED),
    )  # fmt: skip

    found = cause(questions)

    assert (found["name"], found["certainty"]) == ("insert users", "likely")
    assert found["explanation"] == "it ended as HTTPError: stripe.charge answered 502"


def test_a_unique_violation_names_the_request_that_wrote_the_row(past, questions):
    """The blame hop: from the value in the way to whoever put it there."""
    first = suggestions(questions, story.DUPLICATE)[0]

    assert first["certainty"] == "certain"
    assert first["about"] == story.SIGNED_UP
    assert first["suggestion"].startswith("req:1a2b3c4d wrote the row that is in the way: users id=42")
    assert first["command"] == "flux state history users --id 42"


def test_a_unique_violation_against_an_unrecorded_row_says_so(blank, questions):
    """Where the record ends, so does what Flux claims."""
    fail(blank, UNIQUE)

    first = suggestions(questions)[0]

    assert first["certainty"] == "unknown"
    assert "no recorded write put email=a@b.com into users" in first["suggestion"]


def test_a_unique_violation_with_oneself_says_so(blank, questions):
    """The row in the way may be one's own, rolled back with everything else."""
    write(blank, "insert into users (id, email) values (1, 'a@b.com')", by=THIS, span=2, rolled_back=True)
    fail(blank, UNIQUE)

    assert suggestions(questions)[0]["suggestion"] == (
        "this request itself had written email=a@b.com into users before, in step 2"
    )


FOREIGN_KEY = error(
    "23503", "violates foreign key", table="orders", constraint="orders_user_id_fkey",
    detail='Key (user_id)=(42) is not present in table "users".',
)  # fmt: skip


def test_a_missing_parent_names_the_request_that_deleted_it(past, questions):
    """Somebody deleted the user while the order was under way: this is who."""
    deleter = uuid4()
    write(past, "delete from users where id = 42", by=deleter)
    fail(past, FOREIGN_KEY)

    first = suggestions(questions)[0]

    assert (first["about"], first["certainty"]) == (deleter, "certain")
    assert f"req:{str(deleter)[:8]} deleted id=42 from users" in first["suggestion"]


def test_a_parent_that_never_was_says_so(blank, questions):
    """No delete in the record is an answer too, and not a certain one."""
    fail(blank, FOREIGN_KEY)

    assert "no row id=42 was ever seen to leave users" in suggestions(questions)[0]["suggestion"]


def test_a_row_still_referred_to_names_who_refers_to_it(past, questions):
    """A parent that cannot go: the child that holds it, and who wrote that."""
    child = uuid4()
    write(past, "insert into orders values (7, 42, 1)", by=child)
    fail(past, error(
        "23503", "update or delete violates", table="orders", constraint="orders_user_id_fkey",
        detail='Key (id)=(42) is still referenced from table "orders".',
    ))  # fmt: skip

    first = suggestions(questions)[0]

    assert first["about"] == child
    assert "still refers to it: id=7" in first["suggestion"]
    assert first["command"] == "flux state history orders --id 7"


@pytest.mark.parametrize(
    ("input", "said", "certainty"),
    [
        ({"email": None}, "argument `email` of create_user was null, and users.email may not be", "certain"),
        ({"user": {"email": None}}, "argument `user.email` of create_user was null", "certain"),
        ({"email": "a@b"}, "argument `email` of create_user was given (a@b), but did not reach users.email", "likely"),
        ({}, "was not given an argument `email`", "likely"),
    ],
)
def test_a_missing_value_names_the_argument_it_came_from(blank, questions, input, said, certainty):
    """The column says what is missing; the caller needs to know which argument that is."""
    fail(blank, error("23502", "null value", table="users", column="email"), input=input)

    first = suggestions(questions)[0]

    assert said in first["suggestion"]
    assert first["certainty"] == certainty


def test_a_value_of_the_wrong_type_names_its_argument(blank, questions):
    """The message quotes the value; the record knows which argument held it."""
    fail(blank, error("22P02", 'invalid input syntax for type integer: "abc"'), input={"items": [{"qty": "abc"}]})

    assert suggestions(questions)[0]["suggestion"] == 'argument `items.0.qty` of create_user was "abc"'


def test_a_value_too_long_names_its_argument(blank, questions):
    """Postgres does not say which value; only one was longer than the column."""
    fail(blank, error("22001", "value too long for type character varying(5)"), input={"a": "ok", "b": "longer"})

    assert suggestions(questions)[0]["suggestion"] == "argument `b` of create_user was 6 characters long"


def test_a_check_violation_says_what_was_demanded(blank, questions):
    """The name of a constraint is no explanation; its condition is."""
    fail(blank, error("23514", "violates check", table="orders", constraint="total_not_negative"), parameters=[-5])

    assert suggestions(questions)[0]["suggestion"] == (
        "constraint total_not_negative of orders demands ((total >= (0)::numeric)); given were [-5]"
    )


def test_a_deadlock_names_the_other_request_by_its_transaction(blank, questions):
    """Postgres names transactions; the record knows whose they were."""
    other = uuid4()
    request(blank, other, "2026-03-10T15:59:59.9Z", function="other", xact_id="5000000754", duration_us=900_000)
    detail = "Process 1 waits for ShareLock on transaction 705033458; blocked by process 2."
    fail(blank, error("40P01", "deadlock detected", detail=detail))

    first = suggestions(questions)[0]

    assert (first["about"], first["certainty"]) == (other, "certain")


def test_a_serialization_failure_names_who_wrote_the_same_row(past, questions):
    """There is no transaction in the message; who wrote the same row at the same time is likely the one."""
    other = uuid4()
    write(past, "update users set plan = 'x' where id = 42", by=other)
    write(past, "update users set plan = 'y' where id = 42", by=THIS, rolled_back=True)
    request(past, other, "2026-03-10T15:59:59.99Z", function="other")
    fail(past, error("40001", "could not serialize access"))

    first = suggestions(questions)[0]

    assert (first["about"], first["certainty"]) == (other, "likely")
    assert "which wrote users id=42 at the same time" in first["suggestion"]


def test_a_timeout_names_the_step_that_took_the_time(blank, questions):
    """Thirty seconds went somewhere."""
    request(
        blank, THIS, WHEN,
        [
            {"kind": "gateway", "name": "POST /x", "duration_us": 30_000_000},
            {"kind": "function", "name": "x", "duration_us": 29_999_000},
            db_span("select orders", "select * from orders where user_id = %s", [1], duration_us=29_500_000),
        ],
        outcome="timeout", status=504, error_message="x ran longer than 30 s", duration_us=30_000_000,
    )  # fmt: skip

    first = suggestions(questions)[0]

    assert first["suggestion"] == "29500.0 ms of 30000.0 ms went into step 3, db select orders"
    assert first["command"] == "create index on orders (user_id)"


def test_a_failed_tool_says_how_its_other_calls_did(past, questions):
    """Is it them or us: the last hour of the same tool tells."""
    request(past, THIS, "2026-03-10T14:30:00Z", [{"kind": "tool", "name": "stripe.charge", "duration_us": 9_000}])

    assert (
        "0 of its 1 other calls within the hour failed too, and they usually took 9.0 ms"
        in (suggestions(questions, story.FAILED)[0]["suggestion"])
    )


def test_an_error_in_code_names_the_query_that_found_nothing(blank, questions):
    """'NoneType' is not subscriptable: because the row was not there."""
    what = {**error(None, "'NoneType' object is not subscriptable"), "type": "TypeError"}
    request(
        blank, THIS, WHEN,
        [
            {"kind": "gateway", "name": "GET /x", "error": what},
            {"kind": "function", "name": "x", "error": what},
            db_span("select users", "select * from users where id = %s", [7], rows=0),
        ],
        **failed_columns(what),
    )  # fmt: skip

    first = suggestions(questions)[0]

    assert (first["suggestion"], first["certainty"]) == ("step 3, select users, found no row for [7]", "likely")


def test_a_loop_of_queries_names_the_query_and_the_index(blank, questions):
    """N+1 is worth saying even of a request that went well."""
    spans = [
        {"kind": "gateway", "name": "GET /x"},
        {"kind": "function", "name": "x", "duration_us": 60_000},
        *(
            {**db_span("select orders", "select * from orders where user_id = %s", [n]), "parent_id": 2}
            for n in range(6)
        ),
    ]
    request(blank, THIS, WHEN, spans)

    assert [(one["suggestion"], one["command"]) for one in suggestions(questions)] == [
        (
            "N+1: select orders ran 6 times in steps 3 to 8, 6.0 ms in all: fetch them with one statement",
            "create index on orders (user_id)",
        )
    ]


def test_an_index_that_is_there_is_not_suggested(blank, questions):
    """Advice that was followed already is noise."""
    blank.execute("create index on orders (user_id)")

    assert story.one(blank, "select flux.suggested_index('select * from orders where user_id = $1')") is None


def test_an_answer_of_the_function_itself_is_told_from_a_missing_route(blank, questions):
    """`raise HTTPError(404)` in one's own code has nothing to do with routes; the row that was not there has."""
    what = {"type": "HTTPError", "message": "no user 99", "code": "XF201", "location": "functions/users.py:20"}
    request(
        blank,
        THIS,
        WHEN,
        [
            {"kind": "gateway", "name": "PATCH /users/99", "error": what},
            {"kind": "function", "name": "rename_user", "error": what},
            db_span("update users", "update users set name = %s where id = %s returning id", ["x", 99], rows=0),
        ],
        **failed_columns(what, status=404, outcome="refused"),
    )

    assert [one["suggestion"] for one in suggestions(questions)] == [
        "create_user answered 404 itself, at functions/users.py:20",
        'step 3, update users, found no row for ["x", 99]',
    ]


def test_a_route_that_does_not_exist_is_answered_with_those_that_do(past, questions):
    """A 404 of the gateway is most often a typo in the path."""
    request(past, THIS, "2026-03-10T16:00:00Z", status=404, outcome="refused", function=None, route=None)

    assert suggestions(questions)[0]["suggestion"].startswith("routes that were served: POST /")


def test_what_no_rule_knows_is_called_unknown(blank, questions):
    """A guess dressed as an answer is worse than none."""
    fail(blank, error("XX000", "something else"))

    assert [(one["certainty"], one["command"]) for one in suggestions(questions)] == [
        ("unknown", "flux trace dead0000 --full")
    ]


def test_a_crash_is_told_with_what_is_missing(blank, questions):
    """The process died: its steps are not known, and nothing may suggest otherwise."""
    request(blank, THIS, WHEN, outcome="crashed", status=500, duration_us=None, input={"a": 1})

    assert questions.ask("record_gaps", request=THIS)
    assert cause(questions)["certainty"] == "unknown"
    assert suggestions(questions)[0]["certainty"] == "unknown"


def test_a_request_that_went_well_has_no_cause(past, questions):
    """Asking why of a good request must not find fault."""
    assert questions.ask("root_cause", request=story.UPGRADED) == []
    assert suggestions(questions, story.UPGRADED) == []

"""Whether a commit passes: only what is about this fault counts, and what says nothing is skipped with its reason."""

from __future__ import annotations

import pytest

from flux.replay.difference import Change, Compared, Difference, MutationPair, SpanPair
from flux.replay.judgement import criterion, judge
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Call, Ran
from flux.replay.verdicts import Replayed

OK = {
    "request_id": "550e8400-0000-4000-8000-000000000004", "status": 200, "outcome": "ok", "function": "upgrade",
    "method": "POST", "path": "/upgrade", "error_type": None, "error_message": None, "error_code": None,
    "error_signature": None, "error_location": None, "output": {"total": 58},
}  # fmt: skip
FAILED = {
    **OK, "status": 500, "outcome": "error", "error_type": "stripe.PaymentFailed", "error_code": None,
    "error_message": "stripe answered 504 to 'cus_1'", "error_signature": "aaaaaaaaaaaa",
    "error_location": "functions/billing.py:9", "output": None,
}  # fmt: skip


def recorded(row, **changes):
    return RecordedRequest({**row, **changes}, (), ())


def called(row):
    """A record with one call in it."""
    return RecordedRequest(row, ({"kind": "tool"},), ())


def replayed(original, row, difference=None, calls=(), **changes):
    run = recorded(row, **changes)
    return Replayed(original, run, difference, Ran(run.request_id, run.status, run.outcome, calls=tuple(calls)))


def answer(original, row, expect=None, **more):
    return judge(criterion(expect, original), replayed(original, row, **more))


def new_call():
    return Call(3, "POST stripe.example/v2", "new", None, None)


def difference(*paths, spans=(), mutations=(), unknown=()):
    changes = tuple(Change(path, 1, 2) for path in paths)
    return Difference(
        same=not paths and not spans and not mutations and not unknown, verdict="", request=Compared(OK, OK, changes),
        spans=tuple(SpanPair(None, {"kind": "tool", "name": name}) for name in spans),
        mutations=tuple(MutationPair(None, {"operation": "INSERT", "table_name": name}) for name in mutations),
        unknown=tuple(unknown),
    )  # fmt: skip


def test_the_same_signature_is_bad():
    """What is looked for."""
    found = answer(recorded(FAILED), FAILED)

    assert found == ("fails", "PaymentFailed: stripe answered 504 to 'cus_1'")


def test_the_same_error_in_another_place_is_bad():
    """A renamed function or file is not where the fault began; other values in the message are no other fault."""
    found = answer(
        recorded(FAILED), FAILED, error_signature="bbbbbbbbbbbb", error_location="functions/old.py:7",
        error_message="stripe answered 503 to 'cus_2'",
    )  # fmt: skip

    assert found[0] == "fails"
    assert "functions/old.py:7" in found[1]


@pytest.mark.parametrize(
    "other",
    [{"error_type": "KeyError"}, {"error_message": "stripe is away"}, {"error_code": "23505"}, {"status": 502}],
)
def test_another_failure_says_nothing(other):
    """It may hide this fault or be there without it."""
    found = answer(recorded(FAILED), FAILED, error_signature="bbbbbbbbbbbb", **other)

    assert found[0] == "skipped"
    assert "in another way" in found[1]


def test_a_good_answer_passes():
    """Also a refusal by the function: it does not fail."""
    assert answer(recorded(FAILED), OK) == ("passes", "")
    assert answer(recorded(FAILED), OK, status=409, outcome="refused", error_code="XF201")[0] == "passes"


def test_a_call_without_an_answer_says_nothing():
    """Older code called another service, and the record does not know what that would have said."""
    found = answer(called(FAILED), FAILED, calls=[new_call()], error_type="ToolNotRecorded")
    swallowed = answer(called(FAILED), OK, calls=[new_call()])

    assert found[0] == swallowed[0] == "skipped"
    assert "POST stripe.example/v2" in found[1]


def test_getting_past_the_failure_to_a_further_call_passes():
    """Errors before the first call are common; code without them goes on to calls nobody has answers to."""
    known = Call(3, "POST stripe.example/v1", "exact", None, None)

    before_any = answer(recorded(FAILED), FAILED, calls=[new_call()], error_type="ToolNotRecorded")
    after_one = answer(called(FAILED), FAILED, calls=[known, new_call()], error_type="ToolNotRecorded")

    assert before_any[0] == after_one[0] == "passes"
    assert "POST stripe.example/v2" in before_any[1]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("404", "there is no route POST /upgrade"),
        ("405", "/upgrade does not take POST"),
        ("422", "the input is invalid"),
    ],
)
def test_what_could_not_be_asked_cannot_have_the_fault(code, message):
    """The route, the function or its argument came later."""
    found = answer(
        recorded(FAILED), OK, outcome="refused", status=int(code), error_code=code, error_message=message
    )  # fmt: skip

    assert found[0] == "absent"
    assert message in found[1]


def test_a_404_of_the_function_is_an_answer():
    """Only what the gateway refuses by itself means that there is nothing to ask."""
    found = answer(recorded(FAILED), OK, outcome="refused", status=404, error_code="XF201", error_message="no user 7")

    assert found == ("passes", "")


def test_a_missing_route_can_be_the_fault_itself():
    """Who took the route away?"""
    refused = {**OK, "outcome": "refused", "status": 404, "error_code": "404", "error_message": "there is no route /up"}

    assert answer(recorded(refused), refused)[0] == "fails"
    assert answer(recorded(refused), OK)[0] == "passes"


def test_a_module_that_cannot_be_imported_says_nothing():
    """Unless that is the fault that is looked for."""
    broken = {
        **FAILED, "error_type": "FunctionBroken", "error_code": "XF205", "error_message": "b.py:1: SyntaxError",
    }  # fmt: skip

    assert answer(recorded(FAILED), broken) == ("skipped", "b.py:1: SyntaxError")
    assert answer(recorded(broken), broken)[0] == "fails"


@pytest.mark.parametrize("outcome", ["timeout", "crashed"])
def test_a_hang_and_a_death_are_the_same_fault_again(outcome):
    """Their messages say how long or by which signal, which differs from run to run."""
    then = {**FAILED, "outcome": outcome, "error_message": "function f ran longer than 30 s"}

    assert (
        answer(recorded(then), then, error_message="the replay ran longer than its time limit", status=504)[0]
        == "fails"
    )
    assert answer(recorded(FAILED), then)[0] == "skipped"


def test_a_request_that_cannot_be_run_again_says_nothing():
    """There is no run to judge."""
    original = recorded(FAILED)

    found = judge(criterion(None, original), Replayed(original, obstacle="its input was redacted"))

    assert found == ("skipped", "its input was redacted")


def test_of_a_good_request_bad_is_to_do_as_it_did():
    """The search then finds the first commit that behaves as recorded."""
    original = recorded(OK)

    assert answer(original, OK, difference=difference())[0] == "fails"
    assert answer(original, OK, difference=difference("output.total"))[0] == "passes"


@pytest.mark.parametrize(
    ("expect", "found"),
    [
        ("same", "fails"), ("same output", "passes"), ("same spans", "fails"), ("same mutations", "passes"),
        ("changed", "passes"), ("changed output", "fails"), ("changed spans", "passes"), (" same   output ", "passes"),
    ],
)  # fmt: skip
def test_one_part_of_the_behaviour_can_be_looked_at(expect, found):
    """An extra call is no other answer."""
    assert answer(recorded(OK), OK, expect, difference=difference(spans=["stripe.charge"]))[0] == found


def test_what_is_not_known_to_be_the_same_is_not_called_so():
    """An omitted output may be anything."""
    found = answer(recorded(OK), OK, "same", difference=difference(unknown=["the output was too large to keep"]))

    assert found[0] == "skipped"
    assert "too large to keep" in found[1]


def test_a_call_too_many_can_be_counted():
    """The record has no answer to it, but that it was made is the fault."""
    assert answer(recorded(OK), OK, "tool <= 1", calls=[new_call()])[0] == "passes"
    assert answer(recorded(OK), OK, "status < 500", calls=[new_call()])[0] == "skipped"


def test_what_is_bad_is_said():
    """It stands in the answer, so that nobody has to guess what was searched."""
    assert criterion(None, recorded(FAILED)).text.startswith("it fails as it did: PaymentFailed")
    assert criterion("db<=3 and tool=1", recorded(OK)).text == "this does not hold: db <= 3 and tool = 1"
    assert criterion("same output", recorded(OK)).text == "its output is not as recorded"

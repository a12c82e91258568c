"""Finding requests: by the first digits of an id, by filters, as they end, and grouped by how they failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import story
from story import UNIQUE, failed_columns, healthy, request

from flux.errors import Ambiguous, NotFound, NotInstalled, UsageError


@pytest.mark.parametrize("given", ["4f9a", "req:4f9a3b2c", "REQ:4F9A", str(story.UPGRADED), "4f9a3b2c-0000"])
def test_a_request_is_named_by_its_first_digits(past, questions, given):
    """People paste what they see, in whatever form they saw it."""
    assert questions.value("request_named", given=given) == story.UPGRADED


def test_an_ambiguous_prefix_lists_its_matches(past, questions):
    """The reader must be able to choose without another question."""
    request(past, UUID("4f9affff-0000-4000-8000-000000000001"), "2026-03-10T18:00:00Z")

    with pytest.raises(Ambiguous, match="2 requests begin with 4f9a") as raised:
        questions.value("request_named", given="4f9a")

    assert "req:4f9affff" in raised.value.message
    assert "POST /upgrade upgrade" in raised.value.message


@pytest.mark.parametrize(
    ("given", "kind"), [("ffff", NotFound), ("4f9", UsageError), ("zzzz", UsageError), ("", UsageError)]
)
def test_a_prefix_that_names_nothing_is_an_error_with_a_hint(past, questions, given, kind):
    """Not found is an answer; a typing error is another."""
    with pytest.raises(kind) as raised:
        questions.value("request_named", given=given)

    assert "flux trace" in raised.value.hint


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, 5),
        ({"most": 2}, 2),
        ({"function_name": "upgrade"}, 2),
        ({"status_like": "500"}, 2),
        ({"status_like": "5xx"}, 2),
        ({"status_like": "error"}, 2),
        ({"status_like": "OK"}, 3),
        ({"slower_than_us": 80_000}, 3),
        ({"since": datetime(2026, 3, 10, 14, 30, tzinfo=UTC)}, 1),
        ({"failed_only": True, "function_name": "upgrade"}, 1),
    ],
)
def test_filters_find_what_they_say(past, questions, filters, found):
    """Every filter narrows, and all of them together."""
    assert len(questions.ask("requests_matching", **filters)) == found


def test_errors_are_grouped_by_what_they_share(past, questions):
    """A thousand equal failures are one line."""
    request(past, uuid4(), "2026-03-10T16:00:00Z", **failed_columns(UNIQUE, code_sha="b0b"))

    first, second = questions.ask("errors_since")

    assert (first["times"], first["functions"], second["times"]) == (2, ["create_user"], 1)
    assert (first["first_code_sha"], first["last_code_sha"]) == ("3f2a91c0ffee", "b0b")
    assert first["first_seen"] < first["last_seen"]


def test_refused_requests_are_no_errors_unless_asked_for(past, questions):
    """A scanner that asks for /wp-admin must not hide what is broken."""
    request(past, uuid4(), "2026-03-10T16:00:00Z", status=404, outcome="refused", function=None, route=None)

    assert len(questions.ask("errors_since")) == 2
    assert len(questions.ask("errors_since", with_refused=True)) == 3


def test_since_when_compares_with_the_last_good_run(past, questions):
    """What was different when it still worked is the best lead there is."""
    since = questions.ask("since_when", request=story.DUPLICATE)[0]

    assert (since["times"], since["good_request_id"], since["good_code_sha"]) == (1, story.SIGNED_UP, "3f2a91c0ffee")
    assert since["input_differences"] is None


def test_since_when_says_what_the_input_differed_in(past, questions):
    """Fields that differ between the good run and the bad one, by name."""
    again = uuid4()
    request(past, again, "2026-03-10T16:00:00Z", input={"email": "x", "plan": "pro"}, **failed_columns(UNIQUE))

    since = questions.ask("since_when", request=again)[0]

    assert since["input_differences"] == "email: a@b.com → x, plan: not given → pro"
    assert (since["times"], since["first_request_id"]) == (2, story.DUPLICATE)


def test_what_ended_is_told_once_and_late_commits_are_not_missed(blank, questions):
    """A request commits after it began, and after others that began later: it must still come."""
    now = datetime.now(UTC)
    early, late = uuid4(), uuid4()
    request(blank, late, (now - timedelta(seconds=1)).isoformat())
    seen = [row["request_id"] for row in questions.ask("requests_finished")]
    request(blank, early, (now - timedelta(seconds=3)).isoformat())

    assert seen == [late]
    assert [row["request_id"] for row in questions.ask("requests_finished", seen=seen)] == [early]


def test_a_long_request_is_told_when_it_ends(blank, questions):
    """It began before the window; that it ended inside it is what counts."""
    began = datetime.now(UTC) - timedelta(minutes=5)
    request(blank, uuid4(), began.isoformat(), duration_us=299_000_000)
    request(blank, uuid4(), began.isoformat(), duration_us=2_000_000)

    assert [row["duration_us"] for row in questions.ask("requests_finished")] == [299_000_000]


def test_a_running_request_is_told_only_when_it_ended(blank, questions):
    """After an early commit its row is there already, but it has not ended."""
    request(blank, uuid4(), datetime.now(UTC).isoformat(), outcome="running", status=None, duration_us=None)

    assert questions.ask("requests_finished") == []


def test_missing_steps_are_called_missing(blank, questions):
    """A record with holes must never pass for a whole one."""
    whole, holed, empty = uuid4(), uuid4(), uuid4()
    request(blank, whole, "2026-03-10T16:00:00Z", healthy("select 1"))
    request(blank, holed, "2026-03-10T16:00:00Z", healthy("select 1"))
    blank.execute("delete from flux.execution_spans where request_id = %s and span_id = 2", (holed,))
    request(blank, empty, "2026-03-10T16:00:00Z")

    assert questions.ask("record_gaps", request=whole) == []
    assert questions.ask("record_gaps", request=holed) == [{"gap": "1 of its 3 steps were not recorded"}]
    assert questions.ask("record_gaps", request=empty) == [{"gap": "none of its steps were recorded"}]
    assert [step["orphaned"] for step in questions.ask("span_tree", request=holed)] == [False, True]


def test_a_question_this_database_does_not_know_says_what_to_do(questions):
    """An older database must be told from a wrong question."""
    with pytest.raises(NotInstalled) as raised:
        questions.ask("no_such_question")

    assert "flux db migrate" in raised.value.hint


@pytest.mark.parametrize("view", ["requests", "spans", "mutations", "errors", "slow_queries"])
def test_the_views_are_there_for_psql(past, questions, view):
    """psql is a first-class client: each view reads by itself, as flux_reader too."""
    past.execute("set local role flux_reader")

    assert questions.ask(view)

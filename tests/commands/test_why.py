"""flux why: the whole answer on one screen."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.why import why
from flux.errors import Ambiguous, NotFound

DUPLICATE = """\
  ✗ req:d0b1e000  POST /signup → create_user                      500 error  44ms
    2026-03-10 15:00:00.000 UTC · code 3f2a91c0ffee

  ROOT CAUSE
    UniqueViolation: duplicate key value violates unique constraint
    "users_email_key"
    Key (email)=(a@b.com) already exists.
    step 3, db insert users · SQLSTATE 23505

  LOCATION
    functions/create_user.py:6  in create_user
    6 │ user = ctx.db.one("insert into users (id, email) values (%s, %s)", 43, …

  DATA CHANGES
    none: it wrote no tracked table

  SPAN TREE
    POST /signup                                      44ms  ✗
    └─ function  create_user                          43ms  ✗
       └─ db  insert users                           1.0ms  ✗ root cause
             UniqueViolation: duplicate key value violates unique constraint
             "users_email_key"

  SINCE WHEN
    this error was recorded once: here
    last good run before: req:1a2b3c4d 2026-03-10 12:00:00, in the same code

  SUGGESTION
    req:1a2b3c4d wrote the row that is in the way: users id=42, at 2026-03-10
    12:00:00
    → flux state history users --id 42
    likely: if it may be there already, say so: insert … on conflict (email) do
    nothing, or answer 409
"""


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, for tests that only read it."""
    return story.told(new_database(), tmp_path_factory.mktemp("shop"))


@pytest.fixture
def changed(database_url, tmp_path):
    """The story, for a test that changes it."""
    return story.told(database_url, tmp_path)


def test_the_answer_is_whole(past):
    """Cause, place, data, steps, since when, and what to do next: nothing else needs to be opened."""
    result = story.run(why, past, "d0b1")

    assert result.output == DUPLICATE
    assert result.exit_code == 0


def test_what_was_rolled_back_is_shown(past):
    """The write that did not happen is part of what happened."""
    assert "rolled back  UPDATE  users id=42  plan: pro → null" in story.run(why, past, "550e").output


def test_a_request_that_went_well_is_said_to(past):
    """No cause is invented for a request that did not fail."""
    result = story.run(why, past, "4f9a")

    assert "It did not fail." in result.output
    assert "ROOT CAUSE" not in result.output
    assert "committed    UPDATE  users id=42  plan: free → pro" in result.output
    assert result.exit_code == 0


def test_a_request_with_holes_is_never_all_well(changed, database_url):
    """A good status with lost steps is not known to be good."""
    with psycopg.connect(database_url) as connection:
        connection.execute("delete from flux.execution_spans where request_id = %s", (story.UPGRADED,))

    result = story.run(why, changed, "4f9a")

    assert "It did not fail, as far as it was recorded." in result.output
    assert "NOT RECORDED\n    none of its steps were recorded" in result.output
    assert result.exit_code == 1


def test_escape_sequences_in_the_record_stay_in_it(changed, database_url):
    """An attacker's e-mail address must not clear the screen of whoever looks into it."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update flux.trace_requests set error_message = %s, path = %s, error_stack = null where request_id = %s",
            ("\x1b[2Jgone\x07\x9bm", "/\x1b]0;x\x07", story.DUPLICATE),
        )
        connection.execute("update users set name = %s where id = 42", ("\x1b[2J\x9bm",))

    for arguments in (("d0b1",), ("d0b1", "--json")):
        output = story.run(why, changed, *arguments).output

        assert "\x1b" not in output
        assert "\x9b" not in output


def test_json_has_every_section(past):
    """What people read as sections, programs read as keys."""
    answer = json.loads(story.run(why, past, "d0b1", "--json").output)

    assert set(answer) == {
        "request", "root_cause", "steps", "repeated", "gaps", "data_changes", "since_when", "suggestions",
    }  # fmt: skip
    assert answer["suggestions"][0]["about"] == str(story.SIGNED_UP)


def test_an_unknown_request_is_not_found(past):
    """Exit code 1, with the way to find the right one."""
    error = story.run(why, past, "ffff").exception

    assert isinstance(error, NotFound)
    assert "flux trace" in error.hint


def test_an_ambiguous_id_lists_its_matches(changed, database_url):
    """Four digits may not be enough; then the candidates are the answer."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into flux.trace_requests (request_id, kind, outcome, started_at) "
            "values ('550effff-0000-4000-8000-000000000000', 'invoke', 'ok', now())"
        )

    error = story.run(why, changed, "550e").exception

    assert isinstance(error, Ambiguous)
    assert "req:550e8400" in error.message
    assert "req:550effff" in error.message

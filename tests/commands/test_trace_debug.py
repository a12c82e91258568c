"""flux trace debug without a screen: --plain, --at, --json, and a pipe."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.trace import trace
from flux.errors import NotFound, UsageError

SIGNUP = """\
  Step 1/3  gateway
  ─────────────────────────────────────
  Input:   POST /signup  { email: "a@b.com" }
  Output:  { passed: true, tenant_id: "t_123" }
  Time:    4ms

  Step 2/3  create_user
  ─────────────────────────────────────
  Input:   { email: "a@b.com" }
  Output:  { userId: "u_42" }
  Time:    81ms

  Step 3/3  insert users
  ─────────────────────────────────────
  SQL:     insert into users values (42)
  Input:   –
  Output:  1 row
  Time:    1ms
"""

SIGNED_UP = "51640000-0000-4000-8000-000000000021"


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, and the sign-up of the product page."""
    project = story.told(new_database(), tmp_path_factory.mktemp("walked"))
    with psycopg.connect(project.database_url) as connection:
        story.request(
            connection, SIGNED_UP, "2026-03-10T17:00:00Z",
            [
                {"kind": "gateway", "name": "POST /signup", "duration_us": 4_000, "input": {"email": "a@b.com"},
                 "output": {"tenant_id": "t_123", "passed": True}},
                {"kind": "function", "name": "create_user", "duration_us": 81_000, "input": {"email": "a@b.com"},
                 "output": {"userId": "u_42"}},
                {"kind": "db", "name": "insert users",
                 "attributes": {"db.query.text": "insert into users values (42)", "db.response.returned_rows": 1}},
            ],
        )  # fmt: skip
    return project


def test_the_plain_layout_is_that_of_the_product_page(past):
    """What people saw before they came."""
    assert story.run(trace, past, "debug", SIGNED_UP, "--plain").stdout == SIGNUP


def test_a_pipe_gets_the_plain_layout(past):
    """A full screen there would be a hang."""
    result = story.run(trace, past, "debug", SIGNED_UP)

    assert (result.stdout, result.exit_code) == (SIGNUP, 0)


def test_at_prints_one_step(past):
    """For a script, a message, or a bug report."""
    assert (
        story.run(trace, past, "debug", "req:5164", "--at", "2").stdout == "\n".join(SIGNUP.splitlines()[6:11]) + "\n"
    )


def test_a_step_that_is_not_there_is_an_error(past):
    """It names how many there are."""
    result = story.run(trace, past, "debug", "5164", "--at", "4")

    assert isinstance(result.exception, UsageError)
    assert result.exception.message == "the request has 3 steps, and no step 4"
    assert isinstance(story.run(trace, past, "debug", "ffff").exception, NotFound)


def test_an_error_and_a_write_are_printed_where_they_happened(past):
    """With their table, their row and their columns."""
    output = story.run(trace, past, "debug", "550e").stdout

    assert "  Writes:  UPDATE users id=42  (rolled back)\n             plan: pro → null\n" in output
    assert output.count("At:      functions/upgrade.py:9") == 1, "only where it began"


def test_json_has_every_step_with_stable_keys(past):
    """All that the screen shows, for programs."""
    answer = json.loads(story.run(trace, past, "debug", "550e", "--json").stdout)

    assert list(answer) == ["request", "root_cause", "gaps", "steps"]
    assert [(step["step"], step["of"], step["inside_step"]) for step in answer["steps"]] == [
        (1, 4, None), (2, 4, 1), (3, 4, 2), (4, 4, 2),
    ]  # fmt: skip
    assert list(answer["steps"][0]) == [
        "step", "of", "request_id", "span_id", "inside_step", "kind", "name", "offset_us", "duration_us", "rows", "sql",
        "input", "output", "error", "source", "attributes", "logs", "writes", "in_the_way", "handed_off",
    ]  # fmt: skip
    write = answer["steps"][2]["writes"][0]
    assert write["changes"] == [{"name": "plan", "in_key": False, "old": "pro", "new": None}]
    one = json.loads(story.run(trace, past, "debug", "550e", "--json", "--at", "4").stdout)
    assert [step["name"] for step in one["steps"]] == ["stripe.charge"]


def test_a_record_with_holes_is_told_and_fails(new_database, tmp_path):
    """Half a record must not look like the whole, neither to people nor to scripts."""
    project = story.told(new_database(), tmp_path)
    with psycopg.connect(project.database_url) as connection:
        connection.execute("delete from flux.execution_spans where request_id = %s", (story.FAILED,))

    result = story.run(trace, project, "debug", "550e")

    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert result.stderr == "not recorded: none of its steps were recorded\n"
    assert "Step 1/1  upgrade  (http req:550e8400)" in result.stdout
    assert "HTTPError: stripe.charge answered 502" in result.stdout

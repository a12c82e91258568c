"""flux trace: the list of requests, and one of them step by step."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.trace import trace
from flux.errors import UsageError

TREE = """\
  POST /upgrade                                       44ms  ✗
  └─ function  upgrade                                44ms  ✗
     ├─ db  update users                             1.0ms
     └─ tool  stripe.charge                           40ms  ✗ root cause
           HTTPError: stripe.charge answered 502
"""


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, for tests that only read it."""
    return story.told(new_database(), tmp_path_factory.mktemp("shop"))


@pytest.fixture
def changed(database_url, tmp_path):
    """The story, for a test that changes it."""
    return story.told(database_url, tmp_path)


def test_the_list_is_in_the_order_of_a_log(past):
    """The newest stands last, next to the prompt; each failure with its reason."""
    lines = story.run(trace, past).output.splitlines()

    assert [line.split("req:")[1][:8] for line in lines] == ["1a2b3c4d", "a3c91ef0", "4f9a3b2c", "550e8400", "d0b1e000"]
    assert lines[3].endswith("500    44ms  HTTPError: stripe.charge answered 502 (functions/upgrade.py:9)")


@pytest.mark.parametrize(
    ("arguments", "count"),
    [(("--status", "5xx"), 2), (("--function", "rename"), 1), (("--slow", "80"), 3), (("--limit", "1"), 1)],
)
def test_filters_narrow_the_list(past, arguments, count):
    """Each does what its help says."""
    assert len(story.run(trace, past, *arguments).output.splitlines()) == count


def test_nothing_found_is_not_silence(past):
    """An empty answer says so, and a script sees it by the exit code."""
    result = story.run(trace, past, "--function", "nope")

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "no such request is recorded\n")


def test_one_request_is_a_tree_with_the_error_in_place(past):
    """What happened, in order, how long it took, and where it broke."""
    result = story.run(trace, past, "req:550e")

    assert TREE in result.output
    assert result.exit_code == 0


def test_full_shows_sql_and_parameters(past):
    """What exactly was asked of the database."""
    output = story.run(trace, past, "550e", "--full").output

    assert "sql     update users set plan = %s where id = %s" in output
    assert "in      [null,42]" in output


def test_flame_shows_bars(past):
    """The same steps on the axis of time."""
    assert "█" in story.run(trace, past, "550e", "--flame").output


def test_a_record_with_holes_says_so(changed, database_url):
    """Steps that were lost must not look as if they never were."""
    with psycopg.connect(database_url) as connection:
        connection.execute("delete from flux.execution_spans where request_id = %s and span_id = 2", (story.FAILED,))

    result = story.run(trace, changed, "550e")

    assert "not recorded: 1 of its 4 steps were not recorded" in result.output
    assert result.exit_code == 1


def test_json_has_request_steps_and_cause(past):
    """Stable keys for programs."""
    answer = json.loads(story.run(trace, past, "550e", "--json").output)

    assert answer["request"]["request_id"] == str(story.FAILED)
    assert [step["kind"] for step in answer["steps"]] == ["gateway", "function", "db", "tool"]
    assert answer["root_cause"][0]["span_id"] == 4


def test_flame_without_a_request_is_an_error(past):
    """A flag that does nothing would be a lie."""
    assert isinstance(story.run(trace, past, "--flame").exception, UsageError)


def test_a_time_that_is_none_is_refused_with_examples(past):
    """A wrong --since says how to write a right one."""
    result = story.run(trace, past, "--since", "soon")

    assert result.exit_code == 2
    assert "write 10m (ago), 14:00, yesterday" in result.stderr.replace("\n", " ")

"""flux trace diff: two executions beside each other, the verdict above them, and an exit code for scripts."""

from __future__ import annotations

import json
from uuid import UUID

import psycopg
import pytest
import story

from flux.commands.trace import trace
from flux.errors import NotFound, UsageError

REPLAY = UUID("4e1a0000-0000-4000-8000-000000000001")
REPLAYED_CODE = "abc1234500000000000000000000000000000000"


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, for tests that only read it, and a replay of what failed in it."""
    project = story.told(new_database(), tmp_path_factory.mktemp("shop"))
    with psycopg.connect(project.database_url) as connection:
        story.request(
            connection, REPLAY, "2026-03-11T09:00:00Z", story.healthy("update users"), kind="replay",
            function="upgrade", route="/upgrade", replay_of=str(story.FAILED), code_sha=REPLAYED_CODE,
        )  # fmt: skip
    return project


def diff(project, *arguments):
    """The command's result."""
    return story.run(trace, project, "diff", *arguments)


def test_an_execution_is_the_same_as_itself(past):
    """Exit code 0 means the same, and nothing else does."""
    result = diff(past, "550e8400", "req:550e")

    assert result.exit_code == 0, result.output
    assert "  ✔ same: status and output, 4 steps, 1 write\n" in result.stdout


def test_what_differs_is_told_in_its_place(past):
    """The verdict first; then both trees as one, the write, and what each side held."""
    result = diff(past, "4f9a3b2c", "550e8400")

    assert result.exit_code == 1
    assert "+     tool  stripe.charge  ✗" in result.stdout
    assert "≠ UPDATE users id=42\n      rolled_back  false → true" in result.stdout
    assert "rolled_back  false → true" in result.stdout
    assert "550e8400" in result.stdout.splitlines()[2]


def test_a_wide_terminal_shows_both_sides(past):
    """Reading two columns is how people compare."""
    lines = story.run(trace, past, "diff", "4f9a3b2c", "550e8400", columns=120).stdout.splitlines()

    assert any("UPDATE users id=42" in line[:60] and "UPDATE users id=42" in line[60:] for line in lines)
    assert max(map(len, lines)) <= 120


def test_no_line_is_wider_than_the_terminal(past):
    """A wrapped tree is unreadable."""
    assert max(map(len, diff(past, "4f9a3b2c", "550e8400").stdout.splitlines())) <= 80


def test_last_good_is_the_last_good_run_of_the_same_function(past):
    """The comparison that a failure asks for, without looking for its other side."""
    answer = json.loads(diff(past, "550e8400:last-good", "550e8400", "--json").stdout)

    assert answer["a"]["request_id"] == str(story.UPGRADED)
    assert answer["b"]["request_id"] == str(story.FAILED)


def test_no_good_run_is_said(past):
    """A comparison with something else would mislead."""
    result = diff(past, "550e8400", "1a2b3c4d:last-good")

    assert isinstance(result.exception, NotFound)
    assert "no good run of the same function before req:1a2b3c4d" in result.exception.message


@pytest.mark.parametrize("name", ["abc123:550e8400", f"{REPLAYED_CODE}:req:550e", "abc123:4e1a0000"])
def test_a_replay_that_is_there_is_found_by_its_code(past, name):
    """What bisect prints is shown at once, and not run again."""
    answer = json.loads(diff(past, "550e8400", name, "--json").stdout)

    assert answer["b"]["request_id"] == str(REPLAY)
    assert answer["b"]["replay_of"] == str(story.FAILED)


def test_json_has_stable_keys(past):
    """For programs: both sides, the verdict, and every pair."""
    answer = json.loads(diff(past, "4f9a3b2c", "550e8400", "--json").stdout)

    found = ["same", "verdict", "request", "spans", "mutations", "repeated", "unknown", "notes"]
    assert list(answer) == ["a", "b", *found]
    assert list(answer["spans"][0]) == ["a", "b", "differs", "changes", "volatile"]
    assert {"path": "status", "a": 200, "b": 500} in answer["request"]["changes"]
    assert [pair["a"] is None for pair in answer["spans"]] == [False, False, False, True]


@pytest.mark.parametrize(
    ("only", "code", "words"),
    [("mutations", 1, "writes"), ("spans", 1, "steps"), ("output", 1, "went out")],
)
def test_one_part_alone(past, only, code, words):
    """The other parts are neither shown nor counted."""
    result = diff(past, "4f9a3b2c", "550e8400", "--only", only)
    titles = [line.strip(" ≠~") for line in result.stdout.splitlines()]

    assert result.exit_code == code
    assert words in titles
    assert len({"writes", "steps", "went out"} & set(titles)) == 1


def test_writes_that_are_the_same_are_the_same_alone(past):
    """A script that cares for the data asks for the data."""
    result = diff(past, "1a2b3c4d", "1a2b3c4d", "--only", "mutations")

    assert result.exit_code == 0
    assert "✔ same: 1 write\n" in result.stdout


def test_a_record_with_a_hole_is_not_the_same(database_url, tmp_path):
    """Exit code 1, and the hole is named."""
    project = story.told(database_url, tmp_path)
    with psycopg.connect(database_url) as connection:
        connection.execute("delete from flux.execution_spans where request_id = %s and span_id = 3", (story.FAILED,))

    result = diff(project, "550e8400", "550e8400")

    assert result.exit_code == 1
    assert "not known: A: 1 of its 4 steps were not recorded" in result.stdout


@pytest.mark.parametrize("name", ["", ":550e8400", "last-good", "abc:", ":last-good"])
def test_a_name_of_nothing_is_refused_with_examples(past, name):
    """A wrong name says how to write a right one."""
    result = diff(past, "550e8400", name)

    assert isinstance(result.exception, UsageError | NotFound), result.output
    assert isinstance(result.exception, UsageError) or name == ""


def test_control_characters_stay_in_the_record(database_url, tmp_path):
    """What was recorded must not move the cursor of whoever reads it."""
    project = story.told(database_url, tmp_path)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update flux.trace_requests set output = %s where request_id = %s",
            (json.dumps({"note": "\x1b[2J\u202e"}), story.FAILED),
        )

    result = diff(project, "4f9a3b2c", "550e8400")

    assert "note" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout


def test_the_list_is_what_trace_does_by_default(past):
    """Who types flux trace, with options or without, gets what was always there."""
    assert story.run(trace, past).stdout == story.run(trace, past, "show").stdout
    assert "--slow" in story.run(trace, past, "--help").stdout

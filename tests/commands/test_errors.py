"""flux errors: each kind of failure once."""

from __future__ import annotations

import json

import pytest
import story

from flux.commands.errors import errors


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, for tests that only read it."""
    return story.told(new_database(), tmp_path_factory.mktemp("shop"))


def test_each_kind_of_failure_is_told_once_with_the_next_question(past):
    """How often, where, since when, and the command that explains it."""
    output = story.run(errors, past).output

    assert "  1×  HTTPError: stripe.charge answered 502\n      upgrade · functions/upgrade.py:9\n" in output
    assert "      flux why 550e8400\n" in output


def test_errors_of_one_function(past):
    """The filter leaves only its failures."""
    found = json.loads(story.run(errors, past, "--function", "upgrade", "--json").output)

    assert [(row["times"], row["last_request_id"]) for row in found] == [(1, str(story.FAILED))]


def test_no_errors_is_said_only_of_what_was_recorded(past):
    """Without a single recorded request nobody knows whether something failed."""
    fine = story.run(errors, past, "--function", "rename")
    unknown = story.run(errors, past, "--since", "1s")

    assert (fine.exit_code, fine.stderr) == (0, "no recorded request failed\n")
    assert (unknown.exit_code, unknown.stderr) == (1, "no requests were recorded in that time, so nothing is known\n")


def test_a_limit_says_what_it_left_out(past):
    """The rest is counted."""
    result = story.run(errors, past, "--limit", "1")

    assert result.stdout.count("flux why") == 1
    assert "and 1 kinds more; --limit 2 shows all" in result.stderr

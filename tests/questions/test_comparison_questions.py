"""What a comparison asks the record: a whole request, the last good run before it, a replay on other code."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
import story

CODE = "abc1234500000000000000000000000000000000"
OTHER = "abc1236600000000000000000000000000000000"


@pytest.fixture
def past(connection):
    """The story, in a transaction that is rolled back."""
    story.tell(connection)
    return connection


def replay(connection, number, code, at="2026-03-11T09:00:00Z", **columns):
    """A replay of the failed request."""
    request_id = UUID(f"4e1a0000-0000-4000-8000-{number:012}")
    members = {"function": "upgrade", "route": "/upgrade", "replay_of": str(story.FAILED), **columns}
    story.request(connection, request_id, at, story.healthy("update users"), kind="replay", code_sha=code, **members)
    return request_id


def test_a_whole_record_has_everything(past):
    """Request, steps in order, and writes, the attempted ones too."""
    [whole] = story.rows(past, "whole_record", story.FAILED)

    assert whole["request_row"]["request_id"] == str(story.FAILED)
    assert [span["span_id"] for span in whole["spans"]] == [1, 2, 3, 4]
    assert [(row["operation"], row["rolled_back"]) for row in whole["mutations"]] == [("UPDATE", True)]


def test_an_unknown_request_has_no_record(past):
    """No rows, rather than a row of nothing."""
    assert story.rows(past, "whole_record", UUID(int=9)) == []


def test_what_a_replay_wrote_is_part_of_its_record(past):
    """It wrote that in its sandbox, which is gone."""
    request_id = replay(past, 1, CODE)
    row = {
        "id": 7, "recorded_at": "2026-03-11T09:00:00Z", "request_id": str(request_id), "table_name": "public.users",
        "operation": "UPDATE", "rolled_back": False,
    }  # fmt: skip
    past.execute(
        "insert into flux.replay_mutations select * from jsonb_populate_record(null::flux.replay_mutations, %s)",
        (json.dumps(row),),
    )

    [whole] = story.rows(past, "whole_record", request_id)

    assert [mutation["id"] for mutation in whole["mutations"]] == [7]


def test_the_last_good_run_is_of_the_same_function_and_no_replay(past):
    """A replay that went well says nothing of what was served."""
    replay(past, 1, CODE, at="2026-03-10T14:22:01.300Z")

    assert story.one(past, "select flux.last_good(%s)", (story.FAILED,)) == story.UPGRADED
    assert story.one(past, "select flux.last_good(%s)", (story.SIGNED_UP,)) is None


def test_the_last_good_run_before_a_replay_is_that_before_what_it_replays(past):
    """Not the latest one before somebody replayed it."""
    request_id = replay(past, 1, CODE)
    story.request(past, UUID(int=5), "2026-03-10T23:00:00Z", (), function="upgrade", route="/upgrade")

    assert story.one(past, "select flux.last_good(%s)", (request_id,)) == story.UPGRADED


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (CODE, True), ("abc12345", True), ("ABC12345", True), ("abc12", False), ("abc123", False), ("main", False),
        (f"{CODE}+0123456789ab", False), ("3", False),
    ],
)  # fmt: skip
def test_a_replay_is_found_by_its_commit(past, code, found):
    """By enough of its digits, and only where they can mean one commit alone."""
    first, second = replay(past, 1, CODE), replay(past, 2, CODE, at="2026-03-12T09:00:00Z")
    replay(past, 3, OTHER)
    replay(past, 4, f"{CODE}+ffffffffffff", at="2026-03-13T09:00:00Z")

    assert story.one(past, "select flux.replay_on(%s, %s)", (story.FAILED, code)) == (second if found else None)
    assert first != second


def test_a_replay_is_found_by_its_deployment(past):
    """v3 is the code that was stored as version 3."""
    request_id = replay(past, 1, f"{CODE}+ffffffffffff")
    past.execute(
        """insert into flux.stored_deployments
               (version, code_sha, content_sha, bundle, project, files, functions, stored_by)
           values (3, %s, repeat('a', 64), '', 'shop', 1, '{}', 'alice')""",
        (f"{CODE}+ffffffffffff",),
    )

    assert story.one(past, "select flux.replay_on(%s, 'v3')", (story.FAILED,)) == request_id
    assert story.one(past, "select flux.replay_on(%s, '4')", (story.FAILED,)) is None

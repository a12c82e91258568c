"""flux tail: requests as they end, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
import story

from flux.engine.following import Follower
from flux.engine.questions import asking


@pytest.fixture
def following(project, database_url):
    """Starts flux tail with arguments; ends it after the test."""
    story.settle(replace(project, database_url=database_url))
    running = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", "from flux.cli import main; main()", "tail", *arguments],
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert "following" in process.stderr.readline()
        return process

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=10)


def test_a_request_is_shown_within_a_quarter_of_a_second_of_its_commit(following, database_url):
    """Live means that the eye does not wait."""
    process = following("--json")
    time.sleep(1)
    shown = uuid4()
    with psycopg.connect(database_url) as connection:
        story.request(connection, shown, datetime.now(UTC).isoformat())
    committed = time.monotonic()

    line = process.stdout.readline()

    assert time.monotonic() - committed < 0.25
    assert json.loads(line)["request_id"] == str(shown)


def test_since_begins_with_the_past(following, database_url, tmp_path):
    """What just happened is often what one wants to follow."""
    story.told(database_url, tmp_path)
    process = following("--since", "2026-03-10T14:30Z")

    assert "req:d0b1e000" in process.stdout.readline()


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({}, {"good", "slow", "bad"}),
        ({"failed_only": True}, {"bad"}),
        ({"slower_than_us": 500_000}, {"slow"}),
        ({"function_name": "good"}, {"good"}),
    ],
)
def test_filters_choose_and_nothing_is_told_twice(database_url, wanted, told):
    """Each request once, and only those asked for."""
    follower = Follower(None, wanted)
    with asking(database_url) as questions, psycopg.connect(database_url, autocommit=True) as connection:
        now = datetime.now(UTC).isoformat()
        story.request(connection, uuid4(), now, function="before")
        assert follower.news(questions) == []

        story.request(connection, uuid4(), now, function="good")
        story.request(connection, uuid4(), now, function="slow", duration_us=600_000)
        story.request(connection, uuid4(), now, function="bad", outcome="error", status=500)

        assert {row["function"] for row in follower.news(questions)} == told
        assert follower.news(questions) == []

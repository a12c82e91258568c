"""flux queue: what waits, what is dead, and what is done about it by hand."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.queue import queue
from flux.errors import NotFound, UsageError


@pytest.fixture
def shop(database_url, tmp_path):
    """A project with jobs: two dead, one for tomorrow, one that failed."""
    return story.queueing(story.told(database_url, tmp_path))


def run(shop, *words):
    """What flux queue says."""
    return story.run(queue, shop, *words)


def state(shop, job):
    """Where a job is."""
    with psycopg.connect(shop.database_url) as connection:
        return connection.execute(
            "select state from flux.queue where job_id = %s union all "
            "select state from flux.finished_jobs where job_id = %s",
            (job, job),
        ).fetchall()


def test_stats_count_by_queue_and_function(shop):
    """One look says where it is stuck."""
    lines = run(shop, "stats").output.splitlines()

    assert lines[0].split() == ["ready", "scheduled", "running", "failed", "dead", "oldest", "done/min", "p95"]
    assert lines[1] == "default"
    assert lines[2].split()[:6] == ["report", "–", "–", "–", "1", "–"]
    assert lines[3] == "mail"
    assert lines[5].split()[:6] == ["send_welcome", "–", "1", "–", "–", "1"]


def test_list_shows_jobs_with_what_is_known_of_them(shop):
    """The order is that in which they run; a failure says why, in place."""
    output = run(shop, "list").output

    assert "job:1002   scheduled send_welcome         mail · in 24h" in output
    assert "pushed by req:1a2b3c4d" in output
    assert "└─ ValueError: no" in output
    assert "job:1002" not in run(shop, "list", "--state", "failed").output
    assert "report" not in run(shop, "list", "--queue", "mail").output


def test_dead_names_the_request_to_ask_about(shop):
    """The way from a dead job to its cause is one command."""
    lines = run(shop, "dead", "--function", "send_welcome").output.splitlines()

    assert lines[0].startswith("job:1001")
    assert lines[0].endswith("send_welcome · 0 attempts")
    assert lines[1].strip() == "└─ ConnectError: no mail server"
    assert lines[2].strip() == "flux why 550e8400"


def test_retry_brings_a_dead_job_back(shop):
    """With its input, and as many attempts again."""
    assert "job:1001 is in the queue" in run(shop, "retry", "job:1001").output

    assert state(shop, 1001) == [("ready",)]


def test_retry_all_brings_back_those_that_are_asked_for(shop):
    """After the service is mended, one command; but not for jobs of others."""
    assert "1 job is in the queue" in run(shop, "retry", "--all", "--function", "report").output

    assert state(shop, 1003) == [("ready",)]
    assert state(shop, 1001) == [("dead",)]


def test_retry_runs_a_waiting_job_now(shop):
    """Whoever has mended the cause need not wait for the hour."""
    run(shop, "retry", "1002")

    assert state(shop, 1002) == [("ready",)]


def test_a_dead_job_whose_key_is_taken_stays_dead(shop):
    """Two unfinished jobs of one key are what keys are there to prevent."""
    with psycopg.connect(shop.database_url) as connection:
        connection.execute("update flux.finished_jobs set key = 'k' where job_id = 1001")
        connection.execute("select flux.enqueue('send_welcome', key => 'k')")

    assert isinstance(run(shop, "retry", "1001").exception, NotFound)
    assert state(shop, 1001) == [("dead",)]


def test_cancel_takes_a_job_out(shop):
    """It will not run; it is not forgotten either."""
    assert "job:1002 is cancelled" in run(shop, "cancel", "1002").output

    assert state(shop, 1002) == [("cancelled",)]
    assert isinstance(run(shop, "cancel", "1002").exception, NotFound)


def test_a_queue_is_paused_limited_and_resumed(shop):
    """Said in stats, where one looks when nothing runs."""
    run(shop, "pause", "mail")
    run(shop, "limit", "mail", "3")

    assert "mail  paused, at most 3 at once" in run(shop, "stats").output
    run(shop, "resume", "mail")
    run(shop, "limit", "mail", "0")
    assert "mail\n" in run(shop, "stats").output


def test_a_queue_nobody_knows_is_remarked(shop):
    """A pause of a queue that is written wrong pauses nothing."""
    assert "nothing was ever in a queue mial" in run(shop, "pause", "mial").stderr


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["retry"], UsageError),
        (["retry", "1", "--all"], UsageError),
        (["retry", "77"], NotFound),
        (["cancel", "x"], UsageError),
    ],
)
def test_what_cannot_be_meant_is_refused(shop, words, kind):
    """Nothing is done by guess."""
    assert isinstance(run(shop, *words).exception, kind)


def test_every_answer_can_be_had_as_json(shop):
    """Programs read the same."""
    assert {row["function"] for row in json.loads(run(shop, "stats", "--json").stdout)} == {"send_welcome", "report"}
    assert {row["state"] for row in json.loads(run(shop, "list", "--json").stdout)} == {"scheduled", "failed"}
    assert [row["job_id"] for row in json.loads(run(shop, "dead", "--json").stdout)] == [1003, 1001]
    assert json.loads(run(shop, "retry", "--all", "--json").stdout) == {"retried": 2}

"""flux cron: schedules and ticks as a person sees them, and a hand on them."""

from __future__ import annotations

import json
from datetime import datetime

import psycopg
import pytest
import story

from flux.commands.cron import cron
from flux.errors import NotFound

HISTORY = """\
  2026-03-10 01:30:00  ✔ nightly  done       job:1233      81ms  req:a3c91ef0
                         made up for a missed tick
                         2 ticks before it did not run
"""


@pytest.fixture
def shop(database_url, tmp_path):
    """The story, with a nightly function that ran once."""
    return story.handing_on(story.told(database_url, tmp_path))


def ask(project, query):
    """Rows from the database."""
    with psycopg.connect(project.database_url) as connection:
        return connection.execute(query).fetchall()


def test_history_looks_as_promised(shop):
    """What ran when, why, and what was left out."""
    assert story.run(cron, shop, "history", "nightly").output == HISTORY


def test_history_of_a_run_that_failed_says_why(shop):
    """The reason stands there, not only that there is one."""
    with psycopg.connect(shop.database_url) as connection:
        connection.execute("update flux.finished_jobs set state = 'dead', error = 'no' where job_id = 1233")

    output = story.run(cron, shop, "history").output

    assert "✗ nightly  dead " in output
    assert output.splitlines()[-1] == "                         no"


def test_list_says_when_it_runs_next_and_how_it_went(shop):
    """02:30 in Berlin, told in the zone of this machine."""
    first, second = story.run(cron, shop, "list").output.splitlines()

    assert first.startswith("  nightly  30 2 * * * Europe/Berlin  next 20")
    assert first[-8:] in ("00:30:00", "01:30:00")
    assert second == "    ✔ last 2026-03-10 01:30:00, done  req:a3c91ef0"


def test_json_has_the_next_tick(shop):
    """For a program that watches over schedules."""
    (row,) = json.loads(story.run(cron, shop, "list", "--json").output)

    assert (row["function"], row["state"], row["last_state"]) == ("nightly", "going", "done")
    assert datetime.fromisoformat(row["next_tick"]) > datetime.fromisoformat(row["after"])


def test_run_makes_a_job(shop):
    """Whether or not a worker runs here: the next one takes it."""
    output = story.run(cron, shop, "run", "nightly").output

    ((job, kind, function),) = ask(shop, "select job_id, kind, function from flux.jobs where job_id <> 1234")
    assert output == f"  nightly runs as job:{job}\n"
    assert (kind, function) == ("cron", "nightly")
    assert "run by hand" in story.run(cron, shop, "history").output


def test_pause_and_resume_say_what_they_changed(shop):
    """A second pause is no error, and no news."""
    actions = (["pause", "nightly"], ["pause", "nightly"], ["list"], ["resume", "nightly"], ["resume", "nightly"])
    said = [story.run(cron, shop, *action).output for action in actions]

    assert said[0] == "  nightly is paused\n"
    assert said[1] == "  nightly was already paused\n"
    assert "30 2 * * * Europe/Berlin  paused\n" in said[2]
    assert said[3] == "  nightly goes on\n"
    assert said[4] == "  nightly was not paused\n"


@pytest.mark.parametrize("action", ["run", "pause", "resume", "history"])
def test_a_name_without_a_schedule_is_refused_with_those_there_are(shop, action):
    """A typo must not look like success."""
    result = story.run(cron, shop, action, "nihgtly")

    assert isinstance(result.exception, NotFound)
    assert result.exception.message == "no function nihgtly runs by the clock"
    assert result.exception.hint == "There are: nightly."


def test_nothing_by_the_clock_is_said(database_url, tmp_path):
    """An empty answer is explained on stderr."""
    project = story.told(database_url, tmp_path)

    result = story.run(cron, project, "list")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no function runs by the clock" in result.stderr

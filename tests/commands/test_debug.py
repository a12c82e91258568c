"""flux debug without a screen; tests/screens has the screen."""

from __future__ import annotations

import json

import psycopg
import story

from flux.commands.debug import debug
from flux.config import Project


def test_a_pipe_gets_the_failures_newest_first(new_database, tmp_path):
    """One line each, as flux trace prints them."""
    project = story.told(new_database(), tmp_path)
    lines = story.run(debug, project).stdout.splitlines()

    assert [line.split("req:")[1][:8] for line in lines] == ["d0b1e000", "550e8400"]
    assert lines[1].endswith("HTTPError: stripe.charge answered 502 (functions/upgrade.py:9)")
    assert len(story.run(debug, project, "--limit", "1").stdout.splitlines()) == 1
    assert [row["function"] for row in json.loads(story.run(debug, project, "--json").stdout)] == [
        "create_user", "upgrade",
    ]  # fmt: skip
    with psycopg.connect(project.database_url) as connection:
        refused = {"status": 404, "outcome": "refused", "function": None}
        story.request(connection, story.UPGRADED.__class__(int=1), "2026-03-11T00:00:00Z", **refused)
    assert len(story.run(debug, project).stdout.splitlines()) == 2
    assert len(story.run(debug, project, "--refused", "--plain").stdout.splitlines()) == 3


def test_no_failure_is_good_news_only_where_something_is_recorded(new_database, tmp_path):
    """An empty record says nothing about failures."""
    project = Project(root=tmp_path, name="shop", database_url=new_database())
    (tmp_path / "functions").mkdir()

    empty = story.run(debug, project)
    assert (empty.exit_code, empty.stderr) == (1, "no requests were recorded, so nothing is known\n")

    with psycopg.connect(project.database_url) as connection:
        story.request(connection, story.SIGNED_UP, "2026-03-11T00:00:00Z")
    good = story.run(debug, project)
    assert (good.exit_code, good.stderr) == (0, "no recorded request failed\n")

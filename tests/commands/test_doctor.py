"""flux doctor: names everything that keeps the record from being whole."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
import pytest
import story

from flux.commands.doctor import doctor
from flux.engine.installer import install


@pytest.fixture
def healthy(project, database_url):
    project = replace(project, database_url=database_url)
    install(database_url, project)
    return project


def findings(project):
    return json.loads(story.run(doctor, project, "--json").output)


def test_a_healthy_project_has_no_problem(healthy):
    """The base line: everything looked at, nothing found."""
    result = story.run(doctor, healthy)

    assert result.exit_code == 0 or "fsync" in result.output, result.output
    assert "✔ installed" in result.output


def test_every_table_that_is_not_recorded_is_named(healthy, database_url):
    """A table without a recorder is a hole in every later answer; one left out on purpose is only a note."""
    with psycopg.connect(database_url) as connection:
        connection.execute("create table public.forgotten (id int primary key)")
        connection.execute("create table public.left_out (id int primary key)")
        connection.execute("select flux.untrack('public.forgotten'), flux.untrack('public.left_out')")
        connection.execute("delete from flux.tracking_choices where table_name = 'public.forgotten'")

    found = {row["finding"]: row for row in findings(healthy) if row["subject"] == "tracking"}

    forgotten = next(row for text, row in found.items() if text.startswith("forgotten is not recorded"))
    left_out = next(row for text, row in found.items() if text.startswith("left_out is not recorded"))
    assert (forgotten["state"], forgotten["hint"]) == ("problem", "Run `flux db track forgotten`.")
    assert left_out["state"] == "note"


def test_a_module_that_does_not_load_is_named_with_its_line(healthy):
    """Its routes answer 500; this is where to look."""
    (healthy.root / "functions" / "broken.py").write_text("x = 1\nimport nowhere_to_be_found\n")

    result = story.run(doctor, healthy)

    assert "functions/broken.py:2" in result.output
    assert result.exit_code == 1


def test_a_database_that_cannot_be_reached_is_the_finding(project):
    """The doctor is asked when things are bad; it must not fall over them."""
    result = story.run(doctor, replace(project, database_url="postgresql://127.0.0.1:1/none"))

    assert result.exit_code == 3
    assert "✗ database" in result.output
    assert "? tracking" in result.output


def test_a_database_without_flux_says_what_to_run(project, bare_url):
    """Exit code 4 tells a script what is missing."""
    result = story.run(doctor, replace(project, database_url=bare_url))

    assert result.exit_code == 4
    assert "Run `flux db migrate`." in result.output

"""flux rollback: an earlier version is the one to run again."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.deployments import deployments
from flux.commands.rollback import rollback
from flux.errors import NotDeployed, NotFound


@pytest.fixture(autouse=True)
def _database(shop, monkeypatch):
    """A command finds its project by itself, and the database by the environment."""
    monkeypatch.setenv("DATABASE_URL", shop.database_url)


def test_without_a_version_it_is_the_one_before(shop, deployed):
    """In an outage nobody wants to look it up; and what a rollback does not do is said."""
    deployed(1)
    deployed(2)

    result = story.run(rollback, shop, "--note", "too many errors")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith("  ✔ v1  ")
    assert result.stdout.splitlines()[0].endswith(" is active again, in place of v2")
    assert result.stderr == "the database is not rolled back: migrations and data stay as they are\n"
    history = json.loads(story.run(deployments, shop, "--history", "--json").stdout)
    assert [(row["kind"], row["version"], row["note"]) for row in history] == [
        ("rollback", 1, "too many errors"),
        ("deploy", 2, "number 2"),
        ("deploy", 1, "number 1"),
    ]


def test_a_version_is_named_by_number_or_code(shop, deployed):
    """v1, 1, or what `flux trace` shows of a request that worked."""
    deployed(1)
    deployed(2)
    code = json.loads(story.run(deployments, shop, "--json").stdout)[0]["code_sha"]

    for given, version in (("v1", 1), (code, 2), ("1", 1)):
        found = json.loads(story.run(rollback, shop, given, "--json").stdout)
        assert found["deployment"]["version"] == version
        assert found["workers"] == {"serving": 0, "behind": 0}


def test_without_a_way_back_it_says_so(shop, deployed):
    """Exit code 1, and what to do."""
    nothing = story.run(rollback, shop)
    deployed(1)
    first = story.run(rollback, shop)
    unknown = story.run(rollback, shop, "v9")

    assert (nothing.exit_code, first.exit_code, unknown.exit_code) == (1, 1, 1)
    assert isinstance(nothing.exception, NotDeployed)
    assert "flux deploy" in nothing.exception.hint
    assert str(first.exception) == "no version ran before v1"
    assert isinstance(unknown.exception, NotFound)


def test_it_needs_no_project(shop, deployed, tmp_path_factory, monkeypatch):
    """On a gateway machine there is only DATABASE_URL."""
    deployed(1)
    deployed(2)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)

    result = story.CliRunner().invoke(rollback, [])

    assert result.exit_code == 0, result.output
    with psycopg.connect(shop.database_url) as connection:
        assert connection.execute("select version from flux.active_deployment()").fetchone() == (1,)
    assert list(elsewhere.iterdir()) == []

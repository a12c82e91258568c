"""flux deploy: what works goes into the database, and what does not changes nothing."""

from __future__ import annotations

import json

import psycopg
import pytest
import story
from repository import Repository

from flux.commands.deploy import deploy
from flux.errors import DeployRefused, MigrationFailed


def rows(shop, query):
    with psycopg.connect(shop.database_url) as connection:
        return connection.execute(query).fetchall()


def answer(shop, *arguments):
    result = story.run(deploy, shop, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def _database(shop, monkeypatch):
    """A command finds its project by itself, and the database by the environment."""
    monkeypatch.setenv("DATABASE_URL", shop.database_url)


def test_a_deployment_says_what_it_did(shop):
    """Step by step: packed, loaded, migrated, switched, and who runs it."""
    (shop.root / ".env").write_text("KEY=1")

    result = story.run(deploy, shop, "--note", "the first one")

    assert result.exit_code == 0, result.output
    packed, left_out, loaded, migrated, switched, workers = result.stdout.splitlines()
    assert packed.startswith("  ✔ packed 3 files, ")
    assert left_out == "  – left out .env: it holds secrets, by its name"
    assert loaded == "  ✔ 1 function loaded from the bundle"
    assert migrated == "  ✔ applied db/migrations/0001_users.sql"
    assert switched.startswith("  ✔ v1  ")
    assert switched.endswith(" is active")
    assert workers == "  – no worker follows this database yet: start `flux serve --from-database`"
    assert rows(shop, "select version, note, functions from flux.deployments") == [(1, "the first one", 1)]


def test_its_json_has_every_step(shop):
    """CI reads the version from it."""
    found = answer(shop)

    assert set(found) == {
        *("code_sha", "content_sha", "files", "bytes", "left_out", "functions"),
        *("migrations", "warnings", "deployment", "workers"),
    }
    assert found["deployment"] == {"version": 1, "code_sha": found["code_sha"], "previous": None, "is_new": True}
    assert found["files"] == ["db/migrations/0001_users.sql", "flux.toml", "functions/app.py"]
    assert found["workers"] == {"serving": 0, "behind": 0}


def test_deploying_the_same_again_changes_nothing(shop):
    """A job that runs twice must not count as two deployments."""
    answer(shop)
    again = answer(shop)

    assert (again["deployment"]["version"], again["deployment"]["is_new"]) == (1, False)
    assert len(rows(shop, "select from flux.deployment_history")) == 1


def test_a_clean_tree_is_deployed_under_its_commit(shop):
    """So that every request names code that `git show` finds."""
    story.settle(shop)
    repository = Repository(shop.root)
    commit = repository.commit({})
    clean = answer(shop)
    (shop.root / "functions" / "more.py").write_text("")
    dirty = answer(shop)

    assert clean["code_sha"] == commit
    assert dirty["code_sha"].startswith(f"{commit}+")


def test_a_bundle_that_cannot_be_loaded_changes_nothing(shop):
    """Found out before the migrations run, and told with file and line."""
    (shop.root / "functions" / "broken.py").write_text("import json\nimport nowhere_at_all\n")

    result = story.run(deploy, shop)

    assert result.exit_code == 1
    assert isinstance(result.exception, DeployRefused)
    assert "\n  functions/broken.py:2: ModuleNotFoundError: No module named 'nowhere_at_all'" in str(result.exception)
    assert rows(shop, "select from flux.deployments") == []
    assert rows(shop, "select to_regclass('users')") == [(None,)]


def test_a_module_that_git_ignores_is_missed_before_the_switch(shop):
    """It works here, and would nowhere else: that is why an unpacked copy is tried."""
    (shop.root / ".gitignore").write_text("rates.py\n")
    (shop.root / "functions" / "rates.py").write_text("")
    (shop.root / "functions" / "app.py").write_text("import rates\n")

    result = story.run(deploy, shop)

    assert "functions/app.py:1: ModuleNotFoundError: No module named 'rates'" in str(result.exception)


def test_a_migration_that_fails_leaves_the_old_code_running(shop):
    """New code over an old table answers nobody."""
    answer(shop)
    (shop.root / "db" / "migrations" / "0002_more.sql").write_text("select 1;\ncreate table users ();\n")
    (shop.root / "functions" / "app.py").write_text((shop.root / "functions" / "app.py").read_text() + "# new\n")

    result = story.run(deploy, shop)

    assert isinstance(result.exception, MigrationFailed)
    assert "0002_more.sql:2" in str(result.exception)
    assert rows(shop, "select version from flux.active_deployment()") == [(1,)]


def test_a_project_without_functions_is_not_deployed(shop):
    """An empty functions/ is a wrong folder or a wrong .gitignore, and would take every route away."""
    (shop.root / ".gitignore").write_text("functions/\n")

    result = story.run(deploy, shop)

    assert result.exit_code == 1
    assert "holds no function" in str(result.exception)


def test_a_dry_run_changes_nothing(shop):
    """For a pull request: would it be refused?"""
    found = answer(shop, "--dry-run")

    assert found["functions"] == ["number"]
    assert found["deployment"] is None
    assert rows(shop, "select from flux.deployments") == []
    assert rows(shop, "select to_regclass('users')") == [(None,)]

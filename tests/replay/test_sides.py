"""The sides of a comparison that are not there yet: a request run again on other code, from a real repository."""

from __future__ import annotations

import os

import psycopg
import pytest
import story
from repository import Repository

from flux.commands.trace import trace
from flux.config import Project
from flux.engine.installer import install
from flux.errors import UsageError
from flux.gateway.once import run_once
from flux.replay.sides import parts_of

FUNCTION = """
from flux import function


@function(route="POST /signup")
def signup(ctx, email: str, plan: str = "free") -> dict:
    {check}
    user = ctx.db.one("insert into users (email, plan) values (%s, %s) returning id, plan", email, {plan})
    return {{"user": user["id"], "plan": user["plan"]}}
"""
MIGRATION = "create table users (id bigint generated always as identity primary key, email text, plan text);\n"


class Shop:
    """A project in a repository of two commits, and a request that was recorded on the second."""

    def __init__(self, root, url):
        self.repository = Repository(root)
        self.url = url
        self.good = self.commit("a shop", check="pass", plan="plan")
        self.bad = self.commit("feat: pro for all", check='ctx.db.all("select 1 as checked")', plan='"pro"')
        self.project = Project.load(root)
        install(url, self.project)
        recorded = run_once(self.project, url, "signup", {"email": "a@b.com"}).record
        self.request = str(recorded.context.request_id)

    def commit(self, message, **changes):
        """Write the function and commit it."""
        toml = f'[project]\nname = "shop"\n[database]\nurl = "{self.url}"\n'
        files = {"flux.toml": toml, "db/migrations/0001_users.sql": MIGRATION}
        return self.repository.commit({**files, "functions/shop.py": FUNCTION.format(**changes)}, message)

    def diff(self, *sides):
        """The command's result, in the folder as it is."""
        return story.run(trace, self.project, "diff", *sides)

    def replays(self):
        """How many replays are recorded."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(
                "select count(*) from flux.trace_requests where replay_of is not null"
            ).fetchone()[0]


@pytest.fixture
def shop(database_url, tmp_path, monkeypatch):
    """The shop; git sees no settings of the machine."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return Shop(tmp_path / "shop", database_url)


def test_a_request_is_replayed_on_code_that_never_ran_it(shop):
    """The planted commit is found by looking at both sides of it, and the tree is not touched."""
    before = shop.repository.git("status", "--porcelain"), shop.repository.git("rev-parse", "HEAD")

    result = shop.diff(f"{shop.good[:7]}:{shop.request}", f"{shop.bad[:7]}:{shop.request[:8]}")

    assert result.exit_code == 1, result.output
    assert f"replaying req:{shop.request[:8]} on {shop.good[:7]} …" in result.stderr
    assert "≠ output.plan free → pro · insert users: new_values.plan free → pro" in result.stdout
    assert "+     db  select" in result.stdout
    assert (shop.repository.git("status", "--porcelain"), shop.repository.git("rev-parse", "HEAD")) == before


def test_the_same_code_gives_the_same(shop):
    """The recorded request and its replay on its own code: exit code 0, the generated key too."""
    result = shop.diff(shop.request, f"{shop.bad}:{shop.request}")

    assert result.exit_code == 0, result.output
    assert "✔ same: status and output" in result.stdout


def test_a_replay_is_made_once(shop):
    """Comparing again takes no time, and does not fill the record."""
    sides = (f"{shop.good[:7]}:{shop.request}", f"{shop.bad[:7]}:{shop.request}")

    first, second = shop.diff(*sides), shop.diff(*sides)

    assert shop.replays() == 2
    assert second.stdout == first.stdout
    assert "replaying" not in second.stderr


def test_the_working_tree_is_run_as_it_is_each_time(shop):
    """It changes under the same name, so an old replay says nothing."""
    shop.diff(shop.request, f"{shop.project.root}:{shop.request}")
    shop.repository.write({"functions/shop.py": FUNCTION.format(check="pass", plan='"gold"')})

    result = shop.diff(shop.request, f"{shop.project.root}:{shop.request}")

    assert "output.plan pro → gold" in result.stdout
    assert shop.replays() == 2


def test_unknown_code_is_said(shop):
    """And no replay is made of something else."""
    result = shop.diff(shop.request, f"nosuchthing:{shop.request}")

    assert result.exception is not None
    assert not isinstance(result.exception, SystemExit)
    assert "nosuchthing" in str(result.exception)
    assert shop.replays() == 0


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("550e8400", (None, "550e8400", False)),
        (" req:550e ", (None, "550e", False)),
        ("550e:last-good", (None, "550e", True)),
        ("req:550e:last-good", (None, "550e", True)),
        ("abc123:550e", ("abc123", "550e", False)),
        ("abc123:req:550e", ("abc123", "550e", False)),
        ("../other tree:550e", ("../other tree", "550e", False)),
        ("C:/shop:550e", ("C:/shop", "550e", False)),
        ("v3:550e:last-good", ("v3", "550e", True)),
    ],
)
def test_a_side_is_read_as_it_is_written(given, parts):
    """Code may have colons of its own; a request's digits have none."""
    assert parts_of(given) == parts


@pytest.mark.parametrize("given", ["", ":", ":550e", "last-good", "abc:"])
def test_what_names_nothing_is_refused(given):
    """Before anything is asked of the database."""
    with pytest.raises(UsageError):
        parts_of(given)

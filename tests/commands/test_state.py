"""flux state: history, blame and show as a person sees them."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.state import state
from flux.errors import NotFound, NotRecorded, UsageError

HISTORY = """\
  users id=42  (4 mutations)

  2026-03-10 12:00:00  INSERT  email=a@b.com, plan=free             req:1a2b3c4d
  2026-03-10 14:21:59  UPDATE  name: null → Alice Smith             req:a3c91ef0
  2026-03-10 14:22:01  UPDATE  plan: free → pro                     req:4f9a3b2c
  2026-03-10 14:22:01  UPDATE  plan: pro → null  (rolled back)      req:550e8400
"""
BLAME = """\
  email  a@b.com      req:1a2b3c4d  2026-03-10 12:00:00  create_user
  name   Alice Smith  req:a3c91ef0  2026-03-10 14:21:59  rename
  plan   pro          req:4f9a3b2c  2026-03-10 14:22:01  upgrade
         later attempt req:550e8400 rolled back
"""


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, for tests that only read it."""
    return story.told(new_database(), tmp_path_factory.mktemp("shop"))


@pytest.fixture
def changed(database_url, tmp_path):
    """The story, for a test that changes it."""
    return story.told(database_url, tmp_path)


def test_history_looks_as_promised(past):
    """The layout of the product page, to the column."""
    assert story.run(state, past, "history", "users", "--id", "42").output == HISTORY


def test_blame_looks_as_promised(past):
    """plan = pro is owned by 4f9a3b2c, and the later attempt of 550e8400 is told."""
    assert story.run(state, past, "blame", "users", "--id", "42").output == BLAME


def test_history_says_when_it_shows_only_a_part(past):
    """A short answer must not look like a short history."""
    output = story.run(state, past, "history", "users", "--id", "42", "--limit", "1").output

    assert "(4 mutations)" in output
    assert "… 3 older ones; --limit 4 shows all" in output


def test_a_long_change_goes_on_below(changed, database_url):
    """Nothing of a change is hidden, and no line is wider than the terminal."""
    with psycopg.connect(database_url) as connection:
        connection.execute("update users set name = %s where id = 42", ("日本語 " * 30,))

    lines = story.run(state, changed, "history", "users", "--id", "42").output.splitlines()

    assert sum(line.count("日") for line in lines) == 30
    assert all(len(line) + sum(line.count(character) for character in "日本語") <= 100 for line in lines)


def test_history_as_json_has_everything(past):
    """Programs get whole ids, exact times and both values."""
    changes = json.loads(story.run(state, past, "history", "users", "--id", "42", "--json").output)

    assert changes[2]["request_id"] == str(story.UPGRADED)
    assert (changes[2]["old_values"], changes[2]["new_values"]) == ({"plan": "free"}, {"plan": "pro"})


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (("history", "usres", "--id", "42"), NotFound, 'no table "usres"'),
        (("history", "users", "--id", "7"), NotFound, "public.users has no row id=7, and none was ever recorded"),
        (("blame", "users", "--id", "7"), NotFound, "has no row id=7"),
        (("history", "users", "--id", "x"), UsageError, 'cannot have the key "x"'),
        (("show", "users", "--id", "42", "--at", "whenever"), UsageError, "neither a time nor a request id"),
        (("show", "users", "--id", "42", "--at", "2020-01-01"), NotRecorded, "what was before 2026-03-10"),
        (("show", "users", "--id", "42", "--at", "2999-01-01"), UsageError, "lies in the future"),
        (("show", "users", "--id", "42", "--at", "ffff"), NotFound, "no request begins with ffff"),
    ],
)
def test_what_is_not_there_is_said(past, arguments, kind, said):
    """A wrong table, a wrong key and a row never seen are three different answers."""
    error = story.run(state, past, *arguments).exception

    assert isinstance(error, kind)
    assert said in error.message


def test_a_row_older_than_the_record_is_not_called_missing(changed, database_url):
    """It is there; only its changed is not known."""
    with psycopg.connect(database_url) as connection:
        connection.execute("select flux.untrack('public.users')")
        connection.execute("insert into users (id, email) values (1, 'old')")

    error = story.run(state, changed, "history", "users", "--id", "1").exception

    assert isinstance(error, NotRecorded)
    assert "has a row id=1, but no write to it is recorded" in error.message


def test_show_gives_the_row_as_it_was(changed, database_url):
    """The row before a change, by the moment before it."""
    with psycopg.connect(database_url) as connection:
        before = story.one(connection, "select clock_timestamp()")
    with psycopg.connect(database_url) as connection:
        connection.execute("update users set plan = 'team' where id = 42")

    then = story.run(state, changed, "show", "users", "--id", "42", "--at", before.isoformat())
    now = story.run(state, changed, "show", "users", "--id", "42", "--at", "now", "--json")

    assert "  plan   pro\n" in then.output
    assert json.loads(now.output)["plan"] == "team"

"""flux state checkout and flux state undo, as a person in a shell meets them."""

from __future__ import annotations

import json
from uuid import UUID

import psycopg
import pytest
import story

from flux.commands.state import state
from flux.errors import CannotUndo, NotFound, NotRecorded, UsageError

RAISED = UUID("c0ffee00-0000-4000-8000-000000000007")
LATER = UUID("c0ffee11-0000-4000-8000-000000000008")


@pytest.fixture
def shop(database_url, tmp_path):
    """The story, and a raise of a plan that nobody has touched since."""
    project = story.told(database_url, tmp_path)
    with psycopg.connect(database_url) as connection:
        story.write(connection, "update users set plan = 'team' where id = 42", by=RAISED)
        story.request(connection, RAISED, "2026-03-10T16:00:00Z", story.healthy("update users"), function="raise_plan")
    return project


def plan(url):
    with psycopg.connect(url) as connection:
        return story.one(connection, "select plan from public.users where id = 42")


def test_checkout_gives_the_url_alone_on_stdout(shop, database_url):
    """psql "$(flux state checkout …)" must work; how to drop it is talk."""
    result = story.run(state, shop, "checkout", "now", "--tables", "users,orders")

    url = result.stdout.strip()
    name = url.rpartition("/")[2].partition("?")[0]
    assert result.stdout == f"{url}\n"
    assert "holds the 2 tables asked for, of 3" in result.stderr
    assert f"to drop it: flux state checkout --drop {name}" in result.stderr
    assert plan(url) == plan(database_url) == "team"
    with psycopg.connect(url) as connection:
        connection.execute("update public.users set plan = 'mine'")
    assert plan(database_url) == "team"

    listed = story.run(state, shop, "checkout", "--list")
    assert name in listed.stdout and "kept" in listed.stdout
    assert story.run(state, shop, "checkout", "--drop", name).stderr == f"dropped {name}\n"
    assert "no sandbox" in story.run(state, shop, "checkout", "--list").stdout


def test_checkout_of_a_request_as_json(shop, database_url):
    """A program gets what it holds, and what it could not be given."""
    with psycopg.connect(database_url) as connection:
        story.request(connection, LATER, "2026-11-22T00:00:00Z", [])
        connection.execute(
            "update flux.trace_requests set snapshot = pg_current_snapshot(), started_at = now() where request_id = %s",
            (LATER,),
        )
    with psycopg.connect(database_url) as connection:
        connection.execute("update users set plan = 'gone' where id = 42")

    made = json.loads(story.run(state, shop, "checkout", "c0ffee11", "--json").stdout)

    assert set(made) == {"url", "name", "tables", "choice", "notes"}
    assert made["tables"] == ["public.memberships", "public.orders", "public.users"]
    assert plan(made["url"]) == "team"
    listed = json.loads(story.run(state, shop, "checkout", "--list", "--json").stdout)
    assert [(one["name"], one["keep"]) for one in listed] == [(made["name"], True)]
    assert json.loads(story.run(state, shop, "checkout", "--drop", made["name"], "--json").stdout) == {
        "dropped": made["name"]
    }


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ((), UsageError, "say what to check out"),
        (("now", "--list"), UsageError, "say what to check out"),
        (("whenever",), UsageError, "neither a time nor a request id"),
        (("2999-01-01",), UsageError, "lies in the future"),
        (("2020-01-01",), NotRecorded, "is not recorded"),
        (("ffffffff",), NotFound, "no request begins with"),
        (("now", "--tables", "usres"), NotFound, 'no table "usres"'),
        (("--drop", "postgres"), NotFound, 'no sandbox "postgres"'),
    ],
)
def test_what_cannot_be_checked_out_is_said(shop, arguments, kind, said):
    """Nothing is made, and nothing but a sandbox of this database is ever dropped."""
    error = story.run(state, shop, "checkout", *arguments).exception

    assert isinstance(error, kind)
    assert said in error.message
    assert "no sandbox" in story.run(state, shop, "checkout", "--list").stdout


def test_undo_prints_what_it_would_run(shop, database_url):
    """Reading comes before running; nothing is changed by it."""
    output = story.run(state, shop, "undo", "c0ffee00").output

    assert output.startswith("-- takes back req:c0ffee00 POST /signup: 1 row\nbegin;\n")
    assert "    set plan = 'pro'\n    where present.id = '42' and present.plan is not distinct from 'team'\n" in output
    assert output.endswith("commit;\n")
    assert plan(database_url) == "team"


def test_undo_apply_takes_it_back_once(shop, database_url):
    """The second time there is nothing that is as the request left it."""
    result = story.run(state, shop, "undo", "c0ffee00", "--apply")

    assert (result.stdout, plan(database_url)) == ("", "pro")
    assert result.stderr == "took back req:c0ffee00: 1 row, recorded as writes of flux undo\n"
    again = story.run(state, shop, "undo", "c0ffee00", "--apply").exception
    assert isinstance(again, CannotUndo)
    assert "users id=42  by flux undo req:c0ffee00@" in again.message


def test_undo_as_json(shop, database_url):
    """A program gets the statements, and whether they were run."""
    answer = json.loads(story.run(state, shop, "undo", "c0ffee00", "--json").stdout)

    assert (answer["request_id"], answer["rows"], answer["applied"]) == (str(RAISED), 1, False)
    assert len(answer["statements"]) == 1
    assert answer["statements"][0] in answer["script"]
    assert json.loads(story.run(state, shop, "undo", "c0ffee00", "--apply", "--json").stdout)["applied"] is True
    assert plan(database_url) == "pro"


@pytest.mark.parametrize(
    ("request_id", "kind", "said"),
    [
        ("4f9a3b2c", CannotUndo, "users id=42  by req:c0ffee00 raise_plan"),
        ("550e8400", NotRecorded, "committed no writes"),
        ("ffffffff", NotFound, "no request begins with"),
    ],
)
def test_undo_refuses_what_is_not_its_own_any_more(shop, request_id, kind, said):
    """With the name of the request that stands in the way; attempts that were rolled back need no undoing."""
    error = story.run(state, shop, "undo", request_id).exception

    assert isinstance(error, kind)
    assert said in error.message

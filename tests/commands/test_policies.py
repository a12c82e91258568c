"""flux policies: what Postgres enforces, and how it differs from the file, as a person sees it."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.policies import policies
from flux.config import Project
from flux.engine.installer import install
from flux.errors import NotFound, PolicyError, UnknownRole

FILE = """
[roles.anon]
[roles.member]

[tables.todos.anon]
select = { columns = ["id", "title"] }

[tables.todos.member]
rows = "owner_id = claim('sub')::int"
select = { columns = ["id", "owner_id", "title", "email"], mask = { email = "left(email, 2) || '…'" } }
insert = { columns = ["owner_id", "title"] }
delete = true
"""
LIST = """\
  anon on public.todos
    select  columns   id, title
            hidden    owner_id, email
            rows      every row
  member on public.todos
    select  columns   all
            mask      email = left(email, 2) || '…'
            rows      (owner_id = (claim('sub'))::integer)
    insert  columns   owner_id, title
            hidden    id, email
            new rows  (owner_id = (claim('sub'))::integer)
    delete  rows      (owner_id = (claim('sub'))::integer)
"""


@pytest.fixture(scope="module")
def shop(new_database, tmp_path_factory):
    """A project with policies, enforced."""
    root = tmp_path_factory.mktemp("shop")
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "db" / "migrations" / "0001.sql").write_text(
        "create table todos (id int primary key, owner_id int, title text, email text)"
    )
    (root / "db" / "policies.toml").write_text(FILE)
    made = Project(root=root, name="shop", database_url=new_database())
    install(made.database_url, made)
    return made


def test_policies_look_as_promised(shop):
    """Each role and table, and what is not there."""
    result = story.run(policies, shop)

    assert result.output == LIST
    assert result.exit_code == 0


def test_one_role_or_table_is_shown_alone(shop):
    """A long list is hard to check."""
    assert story.run(policies, shop, "--role", "anon").output == "".join(LIST.splitlines(True)[:4])
    assert story.run(policies, shop, "todos").output == LIST


def test_json_has_stable_keys(shop):
    """For scripts that check who may do what."""
    answer = json.loads(story.run(policies, shop, "--json", "--role", "anon").stdout)

    assert answer == {
        "policies": [
            {
                "role": "anon",
                "table_name": "public.todos",
                "operation": "select",
                "columns": ["id", "title"],
                "hidden": ["owner_id", "email"],
                "masks": None,
                "row_condition": "true",
                "row_check": None,
            }
        ],
        "drift": [],
    }


def test_a_role_or_table_that_nobody_knows_is_refused(shop):
    """An empty list would say that they may do nothing."""
    assert isinstance(story.run(policies, shop, "--role", "membr").exception, UnknownRole)
    assert isinstance(story.run(policies, shop, "todoz").exception, NotFound)


def test_what_was_changed_by_hand_is_drift(database_url, shop):
    """What Postgres does is shown, and that the file says otherwise, with exit code 4."""
    changed = Project(root=shop.root, name="shop", database_url=database_url)
    install(database_url, changed)
    with psycopg.connect(database_url) as connection:
        connection.execute("alter policy flux_anon_select on todos using (owner_id = 1)")

    result = story.run(policies, changed)

    assert "rows      (owner_id = 1)\n" in result.stdout
    assert "✗ policy flux_anon_select on public.todos: changed by hand\n" in result.stdout
    assert result.exit_code == 4


def test_a_file_that_was_edited_since_is_drift(database_url, tmp_path):
    """Until it is enforced, what it says is only said; a file that cannot be read is not passed over."""
    (tmp_path / "db").mkdir()
    made = Project(root=tmp_path, name="shop", database_url=database_url)
    install(database_url, made)
    (tmp_path / "db" / "policies.toml").write_text("[roles.member]\n")

    result = story.run(policies, made)
    (tmp_path / "db" / "policies.toml").write_text("[role.member]\n")

    assert result.exit_code == 4
    assert "db/policies.toml: changed since it was enforced" in result.stdout
    assert isinstance(story.run(policies, made).exception, PolicyError)

"""flux explain: a query before it runs, as a person sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
import story

from flux.commands.explain import explain
from flux.config import Project
from flux.engine.installer import install
from flux.errors import BadQuery, NotFound, UnknownName, UnknownRole, UsageError

POLICIES = """
[roles.member]

[tables.todos.member]
rows = "owner_id = claim('sub')::int"
select = { columns = ["id", "title", "done", "owner_id", "email"], mask = { email = "left(email, 2) || '…'" } }
update = { columns = ["title", "done"] }

[tables.people.member]
select = { rows = "id > 1" }
"""
TABLES = """
create table people (id int primary key, name text not null);
create table todos (
    id int primary key, title text not null check (title <> ''), done bool, owner_id int references people,
    email text, secret text
);
insert into people values (1, 'Ann'), (2, 'Bob');
insert into todos select n, 'todo ' || n, n % 2 = 0, 1 + n % 2, 'mail@example.com', 's' from generate_series(1, 6) as n;
"""
SHOWN = """\
  QUERY
    operation   select
    tables      public.todos
    $1          f  (boolean)

  POLICIES
    role        member with sub=2
    select todos
      hidden    secret
      masked    email is read as (left(email, 2) || '…')::text
      rows      owner_id = '2'::text::int

  COMPILED SQL
    SELECT id, email
    FROM
      (
        SELECT id, title, done, owner_id, ("left"(email, 2) || '…')::TEXT AS
          email
        FROM public.todos
        WHERE owner_id = '2'::TEXT::INTEGER
      ) AS todos
    WHERE done = $1

  GUARD
    complexity  6, limit 100
    depth       1, limit 5
    verdict     allowed

"""
SENT = UUID("5e470000-0000-4000-8000-000000000001")
LATER = UUID("5e470000-0000-4000-8000-000000000002")


@pytest.fixture(scope="module")
def shop(new_database, tmp_path_factory):
    """A project with policies that are enforced, and two recorded requests."""
    root = tmp_path_factory.mktemp("shop")
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "db" / "migrations" / "0001.sql").write_text(TABLES)
    (root / "db" / "policies.toml").write_text(POLICIES)
    made = Project(root=root, name="shop", database_url=new_database())
    install(made.database_url, made)
    with psycopg.connect(made.database_url) as connection:
        query = "select title from todos where id = %s and done = %s"
        spans = [story.db_span("select todos", query, [2, True]), story.db_span("savepoint", "savepoint")]
        role = {"function": "mine", "attributes": {"db.role": "member"}, "claims": {"sub": "1"}}
        story.request(connection, SENT, "2026-03-10T12:00:00Z", [*spans, story.db_span("odd", "selec 1")], **role)
        story.request(
            connection, LATER, "2026-03-10T13:00:00Z", [story.db_span("select todos", query, [4, True])], **role
        )
    return made


def answered(shop, *arguments):
    """The single answer of a run with --json, and the exit code."""
    result = story.run(explain, shop, *arguments, "--json")
    (answer,) = json.loads(result.stdout)["queries"]
    return answer, result.exit_code


def test_an_explained_query_looks_as_promised(shop):
    """Query, policies with the values of claims, the SQL that comes of it, the guard."""
    query = "select id, email from todos where done = %s"

    result = story.run(explain, shop, query, "--parameter", "f", "--role", "member", "--claim", "sub=2")

    assert result.output == SHOWN
    assert result.exit_code == 0


def test_a_structured_query_is_shown_as_it_runs(shop, tmp_path):
    """The same compiler serves ctx.db.query."""
    path = tmp_path / "query.json"
    path.write_text(json.dumps({"table": "todos", "columns": ["title", "owner.name"], "limit": 5}))

    answer, code = answered(shop, str(path))

    assert code == 0
    assert answer["query"]["structured"]
    assert answer["query"]["tables"] == ["public.todos", "public.people"]
    assert [one["value"] for one in answer["query"]["parameters"]] == [5]
    assert answer["guard"]["enforced"]


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ('{"table": "todos",}', BadQuery, "line 1, column 19"),
        ('{"table": "todo"}', UnknownName, "no table todo"),
        ('{"table": "todos", "columns": ["titel"]}', UnknownName, "titel"),
        ("select 1 from todos whre true", BadQuery, "line 1, column"),
        ("", BadQuery, "no statement"),
    ],
)
def test_bad_input_is_named_where_it_stands(shop, query, error, words):
    """Line and column, or the name and the nearest one."""
    raised = story.run(explain, shop, query).exception

    assert isinstance(raised, error)
    assert words in raised.message


def test_a_table_that_is_not_there_comes_with_the_nearest_name(shop):
    """Postgres alone says only that there is none."""
    answer, code = answered(shop, "select * from todoos")

    assert code == 1
    assert answer["postgres"]["error"]["hint"] == "Did you mean todos?"


def test_type_errors_are_found_before_anything_runs(shop):
    """Postgres reads the statement without running it."""
    answer, code = answered(shop, "update todos set done = 5")

    assert code == 1
    assert "type boolean" in answer["postgres"]["error"]["message"]


def test_a_query_that_a_policy_refuses_is_refused_here_too(shop):
    """The preview and Postgres agree, and the preview says which column."""
    answer, code = answered(shop, "select secret from public.todos", "--role", "member", "--claim", "sub=2")

    assert code == 1
    assert answer["refused"] == ["member may not select public.todos.secret"]
    assert "permission denied" in answer["postgres"]["error"]["message"]
    assert answer["compiled_sql"] is None


def test_what_the_compiled_sql_cannot_show_is_said(shop):
    """A function reads tables by itself; a table that is wrapped has no primary key, which `group by id` needs."""
    with psycopg.connect(shop.database_url) as connection:
        connection.execute("create function all_of_them() returns bigint language sql as 'select count(*) from todos'")

    answer, _ = answered(shop, "select all_of_them()", "--role", "member")
    service, _ = answered(shop, "select all_of_them()")

    grouped, _ = answered(shop, "select id, name from people group by id", "--role", "member")

    assert grouped["postgres"]["accepts"]
    assert "Postgres does not take the compiled SQL: column" in grouped["partial"][0]
    assert answer["partial"] == ["the function all_of_them may read tables by itself"]
    assert service["partial"] == []


def test_a_hidden_column_of_a_structured_query_is_refused_as_ctx_db_does(shop):
    """With the policies that hide it beside."""
    query = json.dumps({"table": "people", "columns": ["name"], "filters": [{"column": "todos.secret", "value": "s"}]})
    refused = "filters[0].column: the role member may not read secret of todos"

    answer, code = answered(shop, query, "--role", "member")
    result = story.run(explain, shop, query, "--role", "member")

    assert (code, result.exit_code) == (1, 1)
    assert answer["guard"]["refusal"]["message"] == refused
    assert ["secret"] in [one["hidden"] for one in answer["policies"]]
    assert f"verdict refused: {refused}" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select 1; commit", "changes what belongs to the runtime: commit"),
        ("set role flux_app", "changes what belongs to the runtime: set role flux_app"),
        ("set search_path = x", "sets something for other requests too: set search_path = x"),
    ],
)
def test_what_ctx_db_does_not_run_is_refused_here_too(shop, query, words):
    """Explained as allowed, it would be found out in production."""
    result = story.run(explain, shop, query)

    assert result.exit_code == 1
    assert f"verdict refused: this statement {words}" in " ".join(result.output.split())


def test_a_role_that_does_not_exist_is_an_error(shop):
    """Explaining for nobody would show a freedom that nobody has."""
    assert isinstance(story.run(explain, shop, "select 1", "--role", "membr").exception, UnknownRole)


def test_a_dry_run_is_told_and_leaves_nothing(shop):
    """The whole point: what would it do?"""
    query = "update todos set title = 'x' where id < 4"

    result = story.run(explain, shop, query, "--dry-run", "--role", "member", "--claim", "sub=2")

    assert "    rows        2, in " in result.stdout
    assert "      writes    title: todo 1 → x" in result.stdout
    assert "✔ rolled back" in result.stdout
    with psycopg.connect(shop.database_url) as connection:
        assert connection.execute("select count(*) from todos where title = 'x'").fetchone() == (0,)


def test_a_dry_run_that_breaks_a_rule_says_which_and_exits_with_1(shop):
    """A script must see it."""
    broken, code = answered(shop, "update todos set title = ''", "--dry-run")
    refused, other = answered(shop, "vacuum todos", "--dry-run")
    unknown, third = answered(shop, "delete from todos where id = $1", "--dry-run")

    assert (code, other, third) == (1, 1, 1)
    assert broken["dry_run"]["error"]["constraint"] == "todos_title_check"
    assert "outside the transaction" in refused["dry_run"]["refused"]
    assert unknown["dry_run"]["refused"] == "1 parameter of it has no value"


def test_a_plan_is_postgres_s_own(shop):
    """Its cost, its scans, and what has never been counted."""
    result = story.run(explain, shop, "select * from todos where id = 3", "--plan")

    assert "  PLAN\n    estimate    cost " in result.stdout
    assert " on todos" in result.stdout
    assert "has not counted todos yet" in result.stdout


def test_every_query_of_a_request_is_explained_as_it_was_sent(shop):
    """Its parameters, its role and its claims; what cannot be read does not hide the rest."""
    result = story.run(explain, shop, "--request", "5e470000-0000-4000-8000-000000000001", "--json")

    first, odd = json.loads(result.stdout)["queries"]
    assert (first["role"], first["claims"]) == ("member", {"sub": "1"})
    assert [one["value"] for one in first["query"]["parameters"]] == [2, True]
    assert first["query"]["source"]["span_id"] == 1
    assert "syntax error" in odd["postgres"]["error"]["message"]
    assert result.exit_code == 1


def test_the_queries_of_a_function_are_explained_once_each(shop):
    """With how often they were sent, and the parameters of the last time."""
    result = story.run(explain, shop, "--function", "mine", "--json")

    answers = {answer["query"]["sql"]: answer for answer in json.loads(result.stdout)["queries"]}
    sent = answers["select title from todos where id = $1 and done = $2"]
    assert sent["query"]["source"]["times"] == 2
    assert sent["query"]["parameters"][0]["value"] == 4
    assert sent["role"] == "member"


def test_nothing_recorded_is_said(shop):
    """An empty answer must not look like a good one."""
    assert story.run(explain, shop, "--function", "nobody").exit_code == 1
    assert isinstance(story.run(explain, shop, "--request", "ffffffff").exception, NotFound)


def test_without_a_database_the_rest_is_said_to_be_unknown(shop):
    """What the text tells is told, and exit code 3 says that it is not all."""
    away = replace(shop, database_url="postgresql://127.0.0.1:1/none")

    result = story.run(explain, away, "select * from todos where id = %s", "--role", "member")
    form = story.run(explain, away, '{"table": "todos"}')

    assert "tables      todos" in result.stdout
    assert "$1          no value" in result.stdout
    assert "there is no database: types, policies, plan and dry run are" in result.stdout
    assert (result.exit_code, form.exit_code) == (3, 3)


def test_lines_fit_into_80_columns_and_values_cannot_move_the_cursor(shop):
    """A recorded value is not to be trusted with a terminal."""
    query = "select title, count(*) over (partition by owner_id order by title) from todos where title = %s and done"

    result = story.run(explain, shop, query, "--parameter", "\x1b[2J" + "long " * 40, "--role", "member", "--plan")

    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout


def test_one_of_query_request_and_function_is_needed(shop):
    """Two at once would be two answers."""
    assert isinstance(story.run(explain, shop).exception, UsageError)
    assert isinstance(story.run(explain, shop, "select 1", "--request", "5e47").exception, UsageError)

"""Limits of the project: what a query asks for is counted on its tree, and refused with the rule and the number."""

from __future__ import annotations

import pytest

from flux.config import Project, Queries
from flux.errors import ConfigError, QueryRefused
from flux.explain.guard import judge, require
from flux.explain.parser import read_statements
from flux.explain.results import handed_out


def judged(text, **limits):
    """The verdict on SQL text."""
    (reading,) = read_statements(text)
    return judge(reading.tree, Queries(**limits))


def test_rows_have_a_default_and_a_cap(ask):
    """A query that says nothing gets the default; one that asks for more than the cap is refused, not cut."""
    limits = Queries(default_limit=2, max_limit=3)

    assert ask.compiled(limits, table="todos").parameters == (2,)
    assert ask.compiled(limits, table="todos", limit=3).parameters == (3,)
    with pytest.raises(QueryRefused, match="max_limit: 4 rows are asked for, the project allows 3"):
        ask.compiled(limits, table="todos", limit=4)
    with pytest.raises(QueryRefused, match=r"columns\[0\].limit: max_limit: 4 rows"):
        ask.compiled(limits, table="todos", columns=[{"relation": "comments", "limit": 4}])


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["comments.body"], r"^columns: max_limit: comments has more rows here than the 1 that the project allows$"),
        ([{"relation": "comments", "as": "said"}], r"^columns\[0\]: max_limit: said has more rows"),
        (["id", {"relation": "owner", "columns": [{"relation": "todos_by_owner"}]}], r"^columns\[1\].columns\[0\]: "),
        (["owner.comments_by_author.todo.comments.id"], "max_limit: comments has more rows"),
    ],
)
def test_a_list_of_related_rows_above_the_cap_is_refused_not_cut(ask, columns, told):
    """Else one row could bring a whole table, and a list that is cut looks like one that is whole."""
    ask.connection.execute("insert into todos (title, owner_id) values ('rest', 1)")
    compiled = ask.compiled(Queries(default_limit=1, max_limit=1), table="todos", columns=columns, order=["id"])
    rows = ask.connection.execute(compiled.sql, compiled.parameters).fetchall()

    with pytest.raises(QueryRefused, match=told) as raised:
        handed_out(rows, compiled)
    assert "Give " in raised.value.hint


def test_lists_that_fit_or_that_say_their_limit_are_given_as_they_are(ask):
    """Whoever asks for the first only knows that there may be more; no more than the cap is one too many."""
    limits = Queries(default_limit=5, max_limit=2)
    asked = ["id", "comments.body", {"relation": "comments", "as": "first", "columns": ["body"], "limit": 1}]

    compiled = ask.compiled(limits, table="todos", columns=asked, filters=[{"column": "id", "value": 1}])
    rows = ask.connection.execute(compiled.sql, compiled.parameters).fetchall()

    assert handed_out(rows, compiled) == [
        {"id": 1, "comments": [{"body": "hi"}, {"body": "yo"}], "first": [{"body": "hi"}]}
    ]


def test_a_refused_query_names_the_rule_and_the_number(ask):
    """So that one knows whether to ask for less or to allow more."""
    columns = ["owner.name", "comments.author.name", "todo_tags.tag.label"]

    with pytest.raises(QueryRefused, match=r"max_complexity: this query has \d+, the project allows 20") as caught:
        ask.compiled(Queries(max_complexity=20), table="todos", columns=columns)
    with pytest.raises(QueryRefused, match="max_depth: this query has 3, the project allows 2"):
        ask.compiled(Queries(max_depth=2), table="todos", columns=columns)

    assert caught.value.hint == "Ask for less, or raise max_complexity under [queries] in flux.toml."
    assert caught.value.exit_code == 1


def test_the_default_limits_allow_three_relations_and_five_levels(ask):
    """Common screens fit; a chain of ten relations does not."""
    ask.compiled(table="todos", columns=["*", "owner.name", "comments.author.name", "count(comments)"], order=["-id"])
    ask.compiled(table="todos", columns=["comments.author.manager.profiles.bio"])

    with pytest.raises(QueryRefused, match="max_depth: this query has 6"):
        ask.compiled(table="todos", columns=["comments.author.manager.manager.profiles.bio"])


def test_sql_text_is_counted_like_a_structured_query(ask):
    """One scale for both, or the limit would say nothing."""
    form = ask.compiled(table="todos", filters=[{"column": "id", "op": "gt", "value": 1}], order=["id"]).verdict
    text = judged("select * from todos where id > %s order by id limit %s")

    assert (form.complexity, form.depth) == (text.complexity, text.depth)


def test_tables_and_nesting_count_and_columns_do_not():
    """A wide row costs little, a join or a subselect may cost all."""
    plain = judged("select a from t")
    wide = judged("select a, b, c, d from t")
    joined = judged("select a from t join u on t.id = u.id")
    nested = judged("select a from t where id in (select id from u)")

    assert plain.complexity == wide.complexity
    assert joined.complexity > plain.complexity
    assert nested.complexity > joined.complexity
    assert (plain.depth, joined.depth, nested.depth) == (1, 1, 2)
    with pytest.raises(QueryRefused, match="max_depth: this query has 2"):
        require(judged("select a from t where id in (select id from u)", max_depth=1))


def test_a_verdict_names_every_rule():
    """What explain shows, also where all is well; time is stated, Postgres watches it."""
    verdict = judged("select 1", timeout=2.5)

    assert verdict.allowed
    assert [(rule.name, rule.allowed) for rule in verdict.rules] == [
        ("max_complexity", 100), ("max_depth", 5), ("max_limit", 1000), ("timeout", 2.5),
    ]  # fmt: skip


def test_limits_are_read_from_the_project(tmp_path):
    """And a default above the cap is an error, not a puzzle."""
    file = tmp_path / "flux.toml"
    file.write_text(
        '[queries]\ndefault_limit = 5\nmax_limit = 10\nmax_depth = 2\nmax_complexity = 7\ntimeout = "1s500ms"\n'
    )
    assert Project.load(tmp_path).queries == Queries(5, 10, 2, 7, 1.5)

    file.write_text("[project]\n")
    assert Project.load(tmp_path).queries == Queries()

    file.write_text("[queries]\ndefault_limit = 11\nmax_limit = 10\n")
    with pytest.raises(ConfigError, match="default_limit must be from 1 to max_limit, 10"):
        Project.load(tmp_path)

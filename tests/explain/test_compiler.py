"""Structured queries give what the same question gives in SQL, each as one statement with bound parameters."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest

from flux.config import Queries
from flux.errors import BadQuery, BadValue, ColumnRefused, UnknownName
from flux.explain.catalogue import read_catalogue
from flux.explain.compiler import compile_form, render
from flux.explain.form import read_form
from flux.explain.parser import read_statements

KEY = "00000000-0000-0000-0000-000000000001"

OPERATORS = [
    ("id", "eq", 1, "id = 1"),
    ("id", "eq", "1", "id = 1"),
    ("done", "neq", True, "done <> true"),
    ("price", "gt", 1.5, "price > 1.5"),
    ("price", "gte", "1.50", "price >= 1.5"),
    ("price", "lt", Decimal("2.25"), "price < 2.25"),
    ("id", "lte", 2, "id <= 2"),
    ("title", "like", "%l%", "title like '%l%'"),
    ("title", "ilike", "BUY%", "title ilike 'BUY%'"),
    ("code", "eq", "abc", "code = 'abc'"),
    ("code", "eq", "abcd", "code = 'abcd'"),
    ("flags", "eq", "1010", "flags = b'1010'"),
    ("key", "eq", KEY, f"key = '{KEY}'"),
    ("key", "in", [UUID(KEY)], f"key = '{KEY}'"),
    ("mood", "in", ["ok", "happy"], "mood in ('ok', 'happy')"),
    ("mood", "gt", "sad", "mood > 'sad'"),
    ("id", "in", [1, "3"], "id in (1, 3)"),
    ("id", "in", [], "false"),
    ("id", "not_in", [1, 3], "id not in (1, 3)"),
    ("price", "in", [1.5, 7], "price in (1.5, 7)"),
    ("price", "is_null", None, "price is null"),
    ("price", "not_null", None, "price is not null"),
    ("id", "between", [2, 3], "id between 2 and 3"),
    ("created_at", "lt", "2026-02-01T00:00:00Z", "created_at < '2026-02-01'"),
    ("created_at", "gt", dt.datetime(2025, 1, 1, tzinfo=dt.UTC), "created_at > '2025-01-01'"),
    ("tags", "contains", ["home"], "tags @> '{home}'"),
    ("tags", "eq", [], "tags = '{}'"),
    ("tags", "overlaps", ["food", "x"], "tags && '{food,x}'"),
    ("meta", "contains", {"k": 1}, """meta @> '{"k": 1}'"""),
    ("meta", "contains", [2], "meta @> '[2]'"),
    ("meta", "eq", [1, 2], "meta = '[1, 2]'"),
    ("during", "contains", "[2,3)", "during @> '[2,3)'::int4range"),
    ("during", "overlaps", "[4,8)", "during && '[4,8)'"),
    ("title", "matches", "milk -bread", "to_tsvector(title) @@ websearch_to_tsquery('milk -bread')"),
    ("words", "matches", "walk", "words @@ websearch_to_tsquery('walk')"),
    ("owner.name", "eq", "Ann", "owner_id = 1"),
    ("owner.name", "is_null", None, "owner_id is null"),
    ("owner.manager.name", "eq", "Ann", "owner_id = 2"),
    ("comments.stars", "gte", 5, "id = 1"),
    ("comments.author.name", "eq", "Bob", "id = 1"),
    ("comments", "is_null", None, "id = 3"),
    ("comments", "not_null", None, "id < 3"),
    ("todo_tags.tag.label", "eq", "blue", "id in (1, 3)"),
    ("count(comments)", "eq", 0, "id = 3"),
    ("sum(comments.stars)", "gt", 7.5, "id = 1"),
    ("max(comments.author.name)", "eq", "Bob", "id = 1"),
]


@pytest.mark.parametrize(("column", "op", "value", "where"), OPERATORS)
def test_an_operator_means_what_postgres_means(ask, column, op, value, where):
    """Each beside the condition as it is written by hand."""
    condition = {"column": column, "op": op, **({} if value is None else {"value": value})}

    found = ask("todos", columns=["id"], filters=[condition], order=["id"])

    assert found == ask.sql(f"select id from todos where {where} order by id")


def test_conditions_nest(ask):
    """`or` inside `and` inside `not`, with the precedence that the brackets say."""
    filters = [
        {"not": {"and": [{"column": "done", "value": True}, {"column": "id", "op": "gt", "value": 1}]}},
        {"or": [
            {"column": "id", "value": 1},
            {"and": [{"column": "id", "value": 3}, {"column": "done", "value": False}]},
        ]},
    ]  # fmt: skip

    found = ask("todos", columns=["id"], filters=filters, order=["-id"])

    assert found == [{"id": 3}, {"id": 1}]


def test_relations_nest_to_any_depth_in_one_statement(ask):
    """No query a row, and no row multiplied by another relation's rows."""
    columns = [
        "title", "owner.name", "owner.manager.name", "comments.body", "comments.author.name",
        "comments.author.profiles.bio", "todo_tags.tag.label",
        "count(comments)", "sum(comments.stars)", "count(todo_tags)",
    ]  # fmt: skip

    limits = Queries(max_complexity=200)
    compiled = ask.compiled(limits, table="todos", columns=columns, order=["id"])
    rows = ask.connection.execute(compiled.sql, compiled.parameters).fetchall()

    assert len(read_statements(compiled.sql)) == 1
    assert rows == [
        {
            "title": "buy milk",
            "owner": {"name": "Ann", "manager": None},
            "comments": [
                {"body": "hi", "author": {"name": "Bob", "profiles": None}},
                {"body": "yo", "author": {"name": "Ann", "profiles": {"bio": "first"}}},
            ],
            "todo_tags": [{"tag": {"label": "red"}}, {"tag": {"label": "blue"}}],
            "count(comments)": 2,
            "sum(comments.stars)": 8,
            "count(todo_tags)": 2,
        },
        {
            "title": "sell bread",
            "owner": {"name": "Bob", "manager": {"name": "Ann"}},
            "comments": [{"body": "ok", "author": {"name": "Ann", "profiles": {"bio": "first"}}}],
            "todo_tags": [],
            "count(comments)": 1,
            "sum(comments.stars)": None,
            "count(todo_tags)": 0,
        },
        {
            "title": "walking dogs",
            "owner": None,
            "comments": [],
            "todo_tags": [{"tag": {"label": "blue"}}],
            "count(comments)": 0,
            "sum(comments.stars)": None,
            "count(todo_tags)": 1,
        },
    ]


def test_a_relation_takes_conditions_order_limit_and_a_name(ask):
    """The latest comment, not all of them."""
    latest = {
        "relation": "comments", "as": "latest", "columns": ["body"], "order": ["-id"], "limit": 1,
        "filters": [{"column": "stars", "op": "not_null"}],
    }  # fmt: skip

    found = ask("todos", columns=["id", latest, {"column": "owner.name", "as": "owned_by"}], order=["owner.name"])

    assert found == [
        {"id": 1, "latest": [{"body": "yo"}], "owned_by": "Ann"},
        {"id": 2, "latest": [], "owned_by": "Bob"},
        {"id": 3, "latest": [], "owned_by": None},
    ]


def test_totals_are_grouped_by_the_columns_beside_them(ask):
    """`count(*)` of the table itself, whole or for each value."""
    assert ask("todos", columns=["count(*)", "sum(price)"]) == [{"count(*)": 3, "sum(price)": Decimal("3.75")}]
    assert ask("todos", columns=["done", "count(*)"], order=["-count(*)"]) == [
        {"done": False, "count(*)": 2},
        {"done": True, "count(*)": 1},
    ]


@pytest.mark.parametrize(
    ("columns", "path", "told", "hint"),
    [
        (["titel"], "columns[0]", "todos has no column and no relation titel", "Did you mean title?"),
        (["owner.nme"], "columns[0]", "users has no column and no relation nme", "Did you mean name?"),
        (["comments.users.name"], "columns[0]", "users is more than one relation of", "one of author, editor."),
        (["owner.comments.id"], "columns[0]", "comments is more than one", "comments_by_author, comments_by_editor."),
        (["owner.users.id"], "columns[0]", "users is more than one", "manager, users_by_manager."),
        (["sum(title)"], "columns[0]", "sum adds numbers up, and title is text", None),
        (["count(nothing)"], "columns[0]", "no column and no relation nothing", None),
        (["id", "id"], "columns[1]", "two columns would be called id", 'Give one another name with "as".'),
        (["count(*)", "owner.name"], "columns", "stand beside no relation", None),
        ([{"relation": "owner", "limit": 1}], "columns[0]", "users is one row here, not a list", None),
        ([{"column": "comments.body", "as": "b"}], "columns[0]", "is a list, not one value", "max(comments.body)"),
        ([{"column": "id", "as": "x" * 64}], "columns[0]", "longer than 63 bytes", '"as"'),
    ],
)  # fmt: skip
def test_names_that_are_not_there_are_told_with_the_nearest(ask, columns, path, told, hint):
    """And where two foreign keys lead to one table, which names there are to choose from."""
    with pytest.raises(BadQuery) as caught:
        ask.compiled(table="todos", columns=columns)

    assert caught.value.path == path
    assert told in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_an_unknown_table_is_told_with_the_nearest(ask):
    """Also one that is not on the search path."""
    with pytest.raises(UnknownName, match="table: there is no table todo") as caught:
        ask.compiled(table="todo")
    with pytest.raises(UnknownName) as other:
        ask.compiled(table="app.Od Table")

    assert caught.value.hint == "Did you mean todos?"
    assert other.value.hint == "Did you mean app.Odd Table?"


@pytest.mark.parametrize(
    ("column", "op", "value", "told"),
    [
        ("id", "eq", "x", "id takes bigint, not 'x'"),
        ("id", "eq", 1.5, "id takes bigint, not 1.5"),
        ("id", "eq", 2**63, "id takes bigint"),
        ("id", "eq", True, "id takes bigint, not True"),
        ("id", "in", [1, "y"], "filters[0].value[1]: id takes bigint, not 'y'"),
        ("id", "between", [1, "y"], "filters[0].value[1]: id takes bigint, not 'y'"),
        ("done", "eq", "maybe", "done takes boolean"),
        ("price", "gt", "much", "price takes numeric"),
        ("title", "eq", 5, "title takes text, not 5"),
        ("title", "eq", {"a": 1}, "title takes text"),
        ("title", "like", 5, "title takes text, not 5"),
        ("title", "eq", "a\0b", "the character of code 0"),
        ("key", "eq", "1-2-3", "key takes uuid"),
        ("mood", "eq", "hapy", "mood takes public.mood, not 'hapy'"),
        ("created_at", "gt", 7, "created_at takes timestamp with time zone, not 7"),
        ("tags", "contains", 7, "tags takes text[], not 7"),
        ("tags", "contains", [7], "tags takes text, not 7"),
        ("id", "like", "1%", "like does not work on id, which is bigint"),
        ("title", "contains", "x", "contains does not work on title, which is text"),
        ("meta", "overlaps", [1], "overlaps does not work on meta, which is jsonb"),
        ("done", "matches", "x", "matches does not work on done, which is boolean"),
        ("tags", "in", [["a"]], "in does not work on tags, which is text[]"),
        ("raw", "eq", 1, "eq does not work on raw, which is json"),
    ],
)
def test_values_that_do_not_fit_are_refused_before_postgres_is_asked(ask, column, op, value, told):
    """The catalogue tells; what Postgres alone knows is left to it."""
    with pytest.raises(BadValue) as caught:
        ask.compiled(table="todos", filters=[{"column": column, "op": op, "value": value}])

    assert told in caught.value.message
    assert caught.value.path.startswith("filters[0]")


def test_a_shape_is_compiled_once(ask):
    """Its values are bound anew; its text and tree are the same."""
    one, other = (ask.compiled(table="todos", filters=[{"column": "id", "value": value}]) for value in (1, 2))

    assert one.tree is other.tree
    assert (one.parameters, other.parameters) == ((1, 100), (2, 100))
    assert one.types == ("bigint", "bigint")


def test_a_changed_catalogue_is_compiled_anew(ask):
    """What is kept belongs to the tables as they were."""
    form = read_form({"table": "tags"})
    before = compile_form(form, ask.catalogue, Queries())
    ask.connection.execute("alter table tags add colour text")
    after = compile_form(form, read_catalogue(ask.connection), Queries())

    assert "colour" in after.sql
    assert "colour" not in before.sql


def test_numbers_inside_relations_are_as_exact_as_beside_them(ask):
    """A float has 15 digits, and money is often kept with more."""
    ask.connection.execute("alter table todos alter price type numeric, add parts numeric[]")
    ask.connection.execute("update todos set price = 12345678901234567.1234567890, parts = '{0.10, null}' where id = 1")
    ask.connection.execute("update todos set price = 'NaN', owner_id = 1 where id = 2")
    ask.catalogue = read_catalogue(ask.connection)
    todos = {"relation": "todos", "columns": ["price", "parts", "avg(comments.stars)"], "order": ["price"]}
    sums = {"relation": "todos", "as": "sums", "columns": ["done", "sum(price)"], "order": ["sum(price)"]}
    price = {"column": "todo.price", "as": "price"}

    (ann, _, _) = ask.handed_out("users", columns=[todos, sums], order=["id"])
    said = ask.handed_out(
        "comments", columns=["todo.price", {"relation": "todo", "as": "one", "columns": ["comments.id"]}]
    )
    beside = ask.handed_out(
        "comments",
        columns=[price, {"relation": "author", "columns": [{"relation": "comments_by_author", "columns": [price]}]}],
    )

    big = Decimal("12345678901234567.1234567890")
    assert ann["todos"][0] == {"price": big, "parts": [Decimal("0.10"), None], "avg(comments.stars)": Decimal(4)}
    assert (str(ann["todos"][1]["price"]), ann["todos"][1]["parts"]) == ("NaN", None)
    assert [str(row["sum(price)"]) for row in ann["sums"]] == [str(big), "NaN"]
    assert said[0]["todo"] == {"price": big}
    assert beside[0]["price"] == big
    assert beside[0]["author"]["comments_by_author"][0]["price"] == big


def test_numbers_of_other_types_stay_what_they_are(ask):
    """Beside a relation they are ints and floats too; in JSON that was stored, a number is a float."""
    (one,) = ask.handed_out(
        "comments", columns=["todo.id", "todo.meta", {"relation": "author", "columns": ["id"]}], limit=1, order=["id"]
    )

    assert one == {"todo": {"id": 1, "meta": {"k": 1}}, "author": {"id": 2}}


def test_without_names_a_column_called_star_is_one_of_all(ask):
    """Asked for by its name, it is that one."""
    assert len(ask("app.Odd Table")[0]) == 12
    assert ask("app.Odd Table", columns=["*"]) == [{"*": 5}]


def test_without_names_a_query_asks_for_what_the_role_may_read(ask):
    """Else Postgres would refuse the whole of it; a column asked for by name is refused by its name."""
    ask.connection.execute("create role flux_test_member; grant select (id, todo_id) on comments to flux_test_member")
    ask.connection.execute("grant select (id) on todos to flux_test_member")
    member = read_catalogue(ask.connection, "flux_test_member")

    every = compile_form(read_form({"table": "comments"}), member, Queries())
    related = compile_form(read_form({"table": "todos", "columns": ["comments.*"]}), member, Queries())

    assert every.sql == "SELECT comments.id, comments.todo_id FROM comments LIMIT %s"
    assert "(SELECT comments.id, comments.todo_id FROM comments WHERE" in related.sql
    with pytest.raises(ColumnRefused, match="the role flux_test_member may not read stars of comments"):
        compile_form(read_form({"table": "comments", "columns": ["stars"]}), member, Queries())


def test_the_tree_is_the_statement(ask):
    """What explain shows is printed from the tree; Postgres reads both alike."""
    compiled = ask.compiled(table="app.Odd Table", filters=[{"column": "100%", "value": 2}], limit=1)
    text, numbers = render(compiled.tree)
    pretty, _ = render(compiled.tree, pretty=True)

    assert (text, numbers) == (compiled.sql, (0, 1))
    assert len(pretty.splitlines()) > 3
    assert ask.connection.execute(pretty, compiled.parameters).fetchall() == [ask("app.Odd Table")[0]]
    (reading,) = read_statements(compiled.sql)
    assert (reading.kind, reading.partial) == ("select", None)

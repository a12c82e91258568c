"""Two parsers read a statement, and where they differ, Postgres's is right and the other is not believed."""

from __future__ import annotations

import pytest

from flux.errors import BadQuery
from flux.explain.parser import difference, needs_quotes, numbered_marks, print_tree, read_statements


@pytest.mark.parametrize(
    "text",
    [
        "select a, count(*) from t join u using (id) where b = %s group by a having count(*) > 1 order by 1 limit 5",
        "with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select * from r",
        "insert into t (a, b) values (%s, default) on conflict (a) do update set b = excluded.b returning *",
        "update t set a = a + 1 from u where u.id = t.id returning t.*",
        "delete from t using u where u.id = t.id",
        "select now(), date_trunc('day', x), interval '1 day' from t",
        "select x ->> 'a', y @> '{1}', z::numeric(3, 1), t.* from t left join lateral (select 1) as l on true",
    ],
)
def test_statements_that_both_read_alike_are_not_partial(text):
    """Spellings that mean the same to Postgres are no difference."""
    (reading,) = read_statements(text)

    assert reading.partial is None
    assert print_tree(reading.tree)


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("listen ch", "listen", "Postgres cannot read what sqlglot prints"),
        ("savepoint a", "transaction", "Postgres cannot read what sqlglot prints"),
        ("notify ch, 'x'", "notify", "sqlglot cannot read it"),
        ("call work(1)", "call", "sqlglot does not read call statements"),
        ("select 'a' 'b'\n'c'", "select", None),
        ("select a !~* 'x' from t", "select", "sqlglot reads"),
    ],
)
def test_a_statement_that_is_misread_is_partial_and_says_why(text, kind, told):
    """Nothing is ever taken for another statement in silence."""
    try:
        (reading,) = read_statements(text)
    except BadQuery:
        assert told is None  # not a statement to Postgres either
        return

    assert reading.kind == kind
    assert reading.partial is not None
    assert told in reading.partial


def test_a_difference_in_a_string_is_a_difference():
    """Only known spellings are taken for equal."""
    assert difference("select 'a'", "select 'A'") is not None
    assert difference("select 'current_timestamp'", "select 'now()'") is not None
    assert difference("select f('DAY', x)", "select f('day', x)") is not None
    assert difference("select current_timestamp", "SELECT  now()") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("select 1\nfrom from t", 'line 2, column 6: syntax error at or near "from"'),
        ("select 'a", "line 1, column 8: unterminated quoted string"),
        ("select * frm t where x", "line 1, column"),
    ],
)
def test_what_postgres_cannot_read_is_named_by_line_and_column(text, told):
    """By its own parser, with no database there."""
    with pytest.raises(BadQuery) as caught:
        read_statements(text)

    assert told in caught.value.message


def test_statements_are_told_apart():
    """A semicolon in a string ends none."""
    assert [one.text for one in read_statements("select ';'; select 2")] == ["select ';'", "select 2"]
    assert read_statements("  -- nothing\n") == []


def test_marks_are_numbered_as_psycopg_reads_them():
    """`%%` is a percent sign, and a named mark is one parameter however often it stands there."""
    assert numbered_marks("select %s, 100 %% 7, %b") == "select $1, 100 % 7, $2"
    assert numbered_marks("select %(a)s, %(b)s, %(a)s") == "select $1, $2, $1"
    assert read_statements("select 'x%string'", marks=False)[0].text == "select 'x%string'"


def test_words_of_sql_are_quoted_and_plain_names_are_not():
    """As Postgres's own lexer has them."""
    names = ("title", "count", "name", "order", "user", "Ab", "é", "a b", "value")

    assert [name for name in names if needs_quotes(name)] == ["order", "user", "Ab", "é", "a b"]

"""No field of a structured query can become SQL: names are names, however odd, and values are parameters."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from flux.config import Queries
from flux.errors import BadQuery
from flux.explain.catalogue import Catalogue, Column, Table
from flux.explain.compiler import compile_form
from flux.explain.form import read_form
from flux.explain.parser import read_statements

ATTACKS = [
    "x'; drop table todos; --",
    'x"; drop table todos; --',
    "id) from todos; drop table todos; --",
    "1 or 1=1",
    "id, (select name from users limit 1)",
    "$$; drop table todos; $$",
    "%s",
    "%(0)s",
    "\\'; drop table todos; --",
    "count(*) from todos; drop table todos; --",
    "count(id); drop table todos",
    "owner.name); drop table todos; --",
]

FIRST = {"column": "id", "value": 1}

#: Where a document takes text, each with a hole; a name there is not known, or a value is only a value.
FIELDS = [
    lambda text: {"table": text},
    lambda text: {"table": f"app.{text}"},
    lambda text: {"table": "todos", "operation": text},
    lambda text: {"table": "todos", "columns": [text]},
    lambda text: {"table": "todos", "columns": [f"count({text})"]},
    lambda text: {"table": "todos", "columns": [f"owner.{text}"]},
    lambda text: {"table": "todos", "columns": [{"relation": text}]},
    lambda text: {"table": "todos", "columns": [{"column": "id", "as": text}]},
    lambda text: {"table": "todos", "columns": [{"relation": "comments", "as": text, "columns": ["id"]}]},
    lambda text: {"table": "todos", "columns": [{"relation": "comments", "order": [text]}]},
    lambda text: {"table": "todos", "filters": [{"column": text, "op": "eq", "value": 1}]},
    lambda text: {"table": "todos", "filters": [{"column": "title", "op": text, "value": 1}]},
    lambda text: {"table": "todos", "filters": [{"column": "title", "value": text}]},
    lambda text: {"table": "todos", "filters": [{"column": "title", "op": "like", "value": text}]},
    lambda text: {"table": "todos", "filters": [{"column": "title", "op": "matches", "value": text}]},
    lambda text: {"table": "todos", "filters": [{"column": "title", "op": "matches", "value": "x", "config": text}]},
    lambda text: {"table": "todos", "filters": [{"column": "title", "op": "in", "value": [text, "b"]}]},
    lambda text: {"table": "todos", "filters": [{"column": "tags", "op": "contains", "value": [text]}]},
    lambda text: {"table": "todos", "filters": [{"column": "tags", "op": "contains", "value": text}]},
    lambda text: {"table": "todos", "filters": [{"column": "meta", "op": "contains", "value": {text: text}}]},
    lambda text: {"table": "todos", "filters": [{"column": "mood", "value": text}]},
    lambda text: {"table": "todos", "filters": [{"column": "created_at", "op": "gt", "value": text}]},
    lambda text: {"table": "todos", "filters": [{"column": "during", "op": "overlaps", "value": text}]},
    lambda text: {"table": "todos", "order": [text]},
    lambda text: {"table": "todos", "order": [{"column": "id", "nulls": text}]},
    lambda text: {"table": "todos", "limit": text},
    lambda text: {"table": "todos", "operation": "insert", "data": {text: 1}},
    lambda text: {"table": "todos", "operation": "insert", "data": {"title": text}, "returning": ["title"]},
    lambda text: {"table": "todos", "operation": "insert", "data": [{"title": text, "meta": text}]},
    lambda text: {"table": "todos", "operation": "insert", "data": {"title": "x"}, "returning": [text]},
    lambda text: {"table": "todos", "operation": "update", "data": {text: 1}, "all": True},
    lambda text: {"table": "todos", "operation": "update", "data": {"title": text}, "filters": [FIRST]},
    lambda text: {"table": "users", "operation": "upsert", "data": {"name": "x"}, "conflict": [text]},
]  # fmt: skip


@pytest.mark.parametrize("field", range(len(FIELDS)))
def test_no_field_becomes_sql(ask, field):
    """Each is refused as a name that is not there, or is a value that changes nothing else."""
    for attack in ATTACKS:
        document = FIELDS[field](attack)
        before = ask.sql("select count(*) from todos")[0]["count"]
        try:
            compiled = ask.compiled(**document)
        except BadQuery:
            continue
        (statement,) = read_statements(compiled.sql, marks=bool(compiled.parameters))
        assert statement.kind == ("select" if compiled.operation == "select" else compiled.operation)
        assert statement.partial is None
        try:
            with ask.connection.transaction():
                ask.connection.execute(compiled.sql, compiled.parameters or None)
        except (psycopg.errors.DataError, psycopg.errors.UndefinedObject):
            pass  # a text that is no date, no range, no search configuration
        assert ask.sql("select count(*) from todos")[0]["count"] - before in (0, 1)


def test_columns_of_any_name_work(ask):
    """A column called `"; drop table` is read, written, compared, ordered by and counted."""
    odd = "app.Odd Table"
    names = ["; drop table", "a.b", "100%", "select", "o'brien", 'x" --', "%s", "s", "mood", "count(*)", "*"]
    values = {
        "; drop table": "x",
        "a.b": 1,
        "100%": 2,
        "select": 3,
        "o'brien": "q",
        'x" --': 1,
        "%s": "p",
        "count(*)": 4,
    }

    found = ask(
        odd,
        columns=names,
        filters=[{"column": name, "value": value} for name, value in values.items()],
        order=[f"-{name}" for name in names],
    )
    changed = ask(odd, operation="update", data={**values, "select": 7}, all=True, returning=["select", "100%"])
    added = ask(odd, operation="upsert", data=[{**values, "id": 1}, {**values, "id": 9}], returning=["id", "%s"])

    assert found == [{**values, "s": "s", "mood": "ok", "*": 5}]
    assert changed == [{"select": 7, "100%": 2}]
    assert added == [{"id": 1, "%s": "p"}, {"id": 9, "%s": "p"}]
    assert ask(odd, columns=["max(a.b)"]) == [{"max(a.b)": 1}]


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: len(name.encode()) <= 60
)


@settings(max_examples=60, deadline=None)
@given(table=NAMES, names=st.lists(NAMES, min_size=2, max_size=4, unique=True), value=NAMES)
def test_any_name_is_read_back_as_it_is(names_database, table, names, value):
    """Over names nobody thought of: what Postgres made of them is what the compiled statement asks for."""
    connection = names_database
    columns = {name: Column(name, "text") for name in names}
    found = Table("odd", table, columns=columns, visible=False, key="t")
    catalogue = Catalogue({"t": found})
    document = {
        "table": f"odd.{table}",
        "filters": [{"column": name, "value": value} for name in names],
        "order": [{"column": names[0]}],
    }
    row = dict.fromkeys(names, value)
    with connection.transaction(force_rollback=True):
        listed = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in names)
        connection.execute(sql.SQL("create table odd.{} ({})").format(sql.Identifier(table), listed))
        for form in ({"operation": "insert", "data": row}, {"operation": "insert", "data": [row]}, {}):
            asked = {"table": document["table"], **form} if form else document
            compiled = compile_form(read_form(asked), catalogue, Queries())
            cursor = connection.execute(compiled.sql, compiled.parameters)

        assert [column.name for column in cursor.description] == names
        assert cursor.fetchall() == [tuple(row.values())] * 2


@pytest.fixture(scope="module")
def names_database(new_database):
    """A connection with a schema in which tables come and go."""
    with psycopg.connect(new_database()) as connection:
        connection.execute("create schema odd")
        yield connection

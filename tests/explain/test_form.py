"""Structured queries are read whole: what is wrong is named with its place, before any database is asked."""

from __future__ import annotations

import pytest

from flux.errors import BadQuery, QueryRefused
from flux.explain.form import read_form


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"table": "todos",\n "filters": [}', "line 2, column 14: not JSON"),
        ('{"table": "a", "table": "b"}', "the key 'table' is there twice in one object"),
        ('{"table": "a", "limit": NaN}', "NaN is not JSON"),
        (b'{"table": "\xff"}', "byte 12: not UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "a query is an object, not a list"),
    ],
)
def test_json_that_cannot_be_read_is_named_by_line_and_column(text, told):
    """Queries are written by people and by guests in any language."""
    with pytest.raises(BadQuery) as caught:
        read_form(text)

    assert told in caught.value.message


@pytest.mark.parametrize(
    ("document", "path", "told"),
    [
        ({}, "table", "there is no name"),
        ({"table": 7}, "table", "a name is text, not 7"),
        ({"table": "a\0b"}, "table", "a name is text"),
        ({"table": "t", "operation": "upsrt"}, "operation", "did you mean upsert?"),
        ({"table": "t", "filter": []}, "filter", "did you mean filters?"),
        ({"table": "t", "data": {}}, "data", "select takes no data"),
        ({"table": "t", "operation": "insert", "filters": [], "data": {}}, "filters", "insert takes no filters"),
        ({"table": "t", "filters": {}}, "filters", "this is a list, not an object"),
        ({"table": "t", "filters": [{"column": "a", "op": "lke", "value": 1}]}, "filters[0].op", "did you mean like?"),
        ({"table": "t", "filters": [{"column": "a", "op": "like"}]}, "filters[0]", "like needs a value"),
        ({"table": "t", "filters": [{"column": "a", "value": None}]}, "filters[0].value", "eq with null is never true"),
        ({"table": "t", "filters": [{"or": [{"column": "a", "op": "in", "value": 1}]}]},
         "filters[0].or[0].value", "in takes a list, not a number"),
        ({"table": "t", "filters": [{"not": []}]}, "filters[0].not", "there is no filter in it"),
        ({"table": "t", "filters": [{"column": "a", "op": "between", "value": [1]}]},
         "filters[0].value", "two values, not 1"),
        ({"table": "t", "filters": [{"column": "a", "op": "is_null", "value": 3}]},
         "filters[0].value", "is_null takes no value"),
        ({"table": "t", "filters": [{"column": "a", "op": "matches", "value": "x", "config": "a'b"}]},
         "filters[0].config", "text search configuration"),
        ({"table": "t", "columns": ["a", 1]}, "columns[1]", "a column is text or an object, not a number"),
        ({"table": "t", "columns": [{"relation": "c", "limits": 1}]}, "columns[0].limits", "did you mean limit?"),
        ({"table": "t", "order": [{"column": "a", "nulls": "middle"}]}, "order[0].nulls", 'nulls is "first" or "last"'),
        ({"table": "t", "limit": -1}, "limit", "a whole number from 0 on, not -1"),
        ({"table": "t", "limit": True}, "limit", "a whole number"),
        ({"table": "t", "limit": 2**63}, "limit", "a whole number"),
        ({"table": "t", "operation": "insert"}, "data", "a row is an object of columns, not null"),
        ({"table": "t", "operation": "insert", "data": []}, "data", "there is no row in it"),
        ({"table": "t", "operation": "insert", "data": [{"a": 1}, {"b": 1}]}, "data[1]", "in some rows and not"),
        ({"table": "t", "operation": "update", "data": [{"a": 1}], "all": True}, "data", "takes one object, not"),
        ({"table": "t", "operation": "update", "data": {}, "all": True}, "data", "there is no column in it"),
        ({"table": "t", "operation": "delete", "all": "yes"}, "all", "all is true or false, not text"),
        ({"table": "t", "operation": "delete", "all": True, "filters": [{"column": "a", "value": 1}]},
         "all", "every row is meant"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_place(document, path, told):
    """A guest sees which part of its document to change."""
    with pytest.raises(BadQuery) as caught:
        read_form(document)

    assert caught.value.path == path
    assert caught.value.message.startswith(f"{path}: ")
    assert told in caught.value.message


@pytest.mark.parametrize("operation", ["update", "delete"])
def test_a_write_without_filters_is_refused_unless_all_is_said(operation):
    """A forgotten condition must not meet every row."""
    document = {"table": "todos", "operation": operation}
    if operation == "update":
        document["data"] = {"done": True}

    with pytest.raises(QueryRefused, match="would meet every row of todos"):
        read_form(document)
    with pytest.raises(QueryRefused):
        read_form({**document, "filters": [], "all": False})

    assert read_form({**document, "all": True}).shape.filters == ()


def test_queries_that_differ_in_values_only_have_one_shape():
    """The compiler keeps what it made by shape."""
    one, other = (
        read_form({"table": "t", "filters": [{"column": "a", "op": "in", "value": value}], "limit": len(value)})
        for value in ([1], [1, 2, 3])
    )

    assert one.shape == other.shape
    assert hash(one.shape) == hash(other.shape)
    assert (one.values, other.values) == (([1], 1), ([1, 2, 3], 3))
    assert one.shape != read_form({"table": "t", "filters": [{"column": "a", "op": "not_in", "value": [1]}]}).shape

"""Structured writes: what is written is what was given, and nothing is cut, lost or met by accident."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from flux.errors import BadQuery, BadValue, UnknownName

KEY = "00000000-0000-0000-0000-000000000001"

ROW = {
    "title": "new", "tags": ["a", "b"], "meta": {"a": [1, None]}, "price": "12345678.91", "code": "xy", "flags": "0001",
    "key": KEY, "mood": "happy", "during": "[1,3)", "owner_id": None, "raw": [1],
}  # fmt: skip


def test_a_row_and_a_list_of_rows_are_written_alike(ask):
    """A list is one parameter, whatever its length; the types come out the same."""
    columns = [*ROW, "done"]

    (one,) = ask("todos", operation="insert", data=ROW, returning=columns)
    many = ask("todos", operation="insert", data=[ROW] * 3, returning=columns)

    assert many == [one] * 3
    assert one["price"] == Decimal("12345678.91")
    assert one["meta"] == {"a": [1, None]}
    assert one["done"] is False
    assert len(ask.compiled(table="todos", operation="insert", data=[ROW] * 50).parameters) == 1


def test_values_of_python_are_written_alike_too(ask):
    """ctx.db.table() takes what Postgres gives back."""
    moment = dt.datetime(2026, 5, 1, 12, 30, 0, 123456, dt.UTC)
    row = {"title": "t", "created_at": moment, "key": UUID(KEY), "price": Decimal("0.10")}

    (one,) = ask("todos", operation="insert", data=row, returning=list(row))
    (two,) = ask("todos", operation="insert", data=[row], returning=list(row))

    assert one == row
    assert two == row


def test_what_cannot_be_written_is_refused_before(ask):
    """Generated columns and unknown ones, with their place."""
    with pytest.raises(BadValue, match=r"data\.id: id is generated"):
        ask.compiled(table="users", operation="insert", data={"id": 1, "name": "x"})
    with pytest.raises(BadValue, match=r"data\.words: words is generated"):
        ask.compiled(table="todos", operation="update", data={"words": "x"}, all=True)
    with pytest.raises(BadValue, match=r"data\[1\]\.price: price takes numeric"):
        ask.compiled(table="todos", operation="insert", data=[{"price": 1}, {"price": "x"}])
    with pytest.raises(UnknownName, match=r"data\.titel: todos has no column titel"):
        ask.compiled(table="todos", operation="insert", data={"titel": "x"})


def test_a_text_that_is_too_long_is_an_error_not_a_shorter_text(ask):
    """A cast to varchar(80) or char(3) would cut it in silence."""
    with pytest.raises(psycopg.errors.StringDataRightTruncation), ask.connection.transaction():
        ask("todos", operation="insert", data={"title": "x", "code": "abcd"})
    with pytest.raises(psycopg.errors.StringDataRightTruncation), ask.connection.transaction():
        ask("users", operation="insert", data=[{"name": "x", "email": "e" * 81}])


def test_update_and_delete_meet_the_rows_of_their_filters(ask):
    """Also where these are about related rows."""
    changed = ask(
        "todos",
        operation="update",
        data={"done": True, "meta": None},
        filters=[{"column": "owner.name", "value": "Ann"}],
        returning=["id", "done", "meta"],
    )
    filters = [{"column": "stars", "op": "is_null"}, {"column": "todo.owner.name", "op": "in", "value": ["Bob"]}]
    gone = ask("comments", operation="delete", filters=filters)
    rest = ask("todo_tags", operation="delete", all=True)

    assert (changed, gone, rest) == ([{"id": 1, "done": True, "meta": None}], 1, 3)
    assert ask("todos", columns=["count(*)"], filters=[{"column": "done", "value": True}]) == [{"count(*)": 2}]


def test_upsert_inserts_or_updates_by_a_unique_key(ask):
    """By the primary key, or by the columns of `conflict`, which must be one."""
    ask("profiles", operation="upsert", data=[{"user_id": 1, "bio": "changed"}, {"user_id": 2, "bio": "new"}])
    by_email = ask(
        "users", operation="upsert", data={"name": "Anne", "email": "ann@x"}, conflict=["email"], returning=["id"]
    )
    kept = ask("todo_tags", operation="upsert", data={"todo_id": 1, "tag_id": 1})

    assert ask("profiles", order=["user_id"]) == [{"user_id": 1, "bio": "changed"}, {"user_id": 2, "bio": "new"}]
    assert (by_email, kept) == ([{"id": 1}], 0)
    with pytest.raises(BadQuery, match="name is no unique key of users") as caught:
        ask.compiled(table="users", operation="upsert", data={"name": "x"}, conflict=["name"])
    assert caught.value.hint == "Its unique keys are: email; id."

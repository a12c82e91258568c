"""Replies: what a function returns, as HTTP."""

from __future__ import annotations

import enum
import json
import uuid
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flux import Response
from flux.errors import UnrecordableValue
from flux.runtime.response import render


@dataclass
class Point:
    x: int
    tag: Any = None


class Color(enum.Enum):
    RED = "red"


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"a": [1, None, True]}, {"a": [1, None, True]}),
        ([], []),
        (0, 0),
        (False, False),
        (Decimal("12.50"), "12.50"),
        (Decimal("0.1") + Decimal("0.2"), "0.3"),
        (datetime(2026, 3, 10, 12, tzinfo=UTC), "2026-03-10T12:00:00+00:00"),
        (date(2026, 3, 10), "2026-03-10"),
        (timedelta(days=1, hours=2), "P1DT7200S"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Point(1, Decimal("2")), {"x": 1, "tag": "2"}),
        (Color.RED, "red"),
        (Pair(1, 2), {"a": 1, "b": 2}),
        ((1, 2), [1, 2]),
        ({1: "a", uuid.UUID(int=1): "b"}, {"1": "a", "00000000-0000-0000-0000-000000000001": "b"}),
        ({"big": 2**70}, {"big": 2**70}),
        ({"big": 2**70, "price": Decimal("1.0")}, {"big": 2**70, "price": "1.0"}),
    ],
)
def test_values_have_the_json_form_a_caller_expects(value: Any, body: Any) -> None:
    """Rows of any Postgres type are returned as they come; numeric keeps every digit."""
    rendered = render(value)

    assert json.loads(rendered.body) == body
    assert (rendered.status, rendered.content_type) == (200, "application/json")
    assert rendered.value is value


def test_text_bytes_and_nothing_are_themselves() -> None:
    """A page is not a JSON string, a picture no JSON at all, and nothing has no body."""
    assert render("hé")[:4] == (200, [], "hé".encode(), "text/plain; charset=utf-8")
    assert render(b"\x00")[:4] == (200, [], b"\x00", "application/octet-stream")
    assert render(None)[:4] == (204, [], b"", None)


def test_response_chooses_status_headers_and_type() -> None:
    """A function that needs more than a value says so."""
    rendered = render(Response("<p>", 201, {"Content-Type": "text/html", "x-a": "1", "content-length": "9"}))

    assert rendered[:4] == (201, [("x-a", "1")], b"<p>", "text/html")
    assert rendered.value == "<p>"


def test_header_may_come_twice() -> None:
    """Two cookies are two headers."""
    pairs = [("set-cookie", "a=1"), ("set-cookie", "b=2")]

    assert render(Response({"a": 1}, headers=pairs)).headers == pairs


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_have_none(status: int) -> None:
    """A body would be read as the next reply on the connection."""
    assert render(Response({"a": 1}, status)).body == b""


def test_response_without_a_body_keeps_its_status() -> None:
    """A redirect is a status and a header."""
    assert render(Response(status=303, headers={"location": "/x"}))[:4] == (303, [("location", "/x")], b"", None)


@pytest.mark.parametrize("headers", [{"x-a": "1\r\nx-b: 2"}, {"x\n": "1"}, {"x-a": 1}])
def test_headers_cannot_be_split(headers: Any) -> None:
    """A line break in a header would let a caller's text write headers of its own."""
    with pytest.raises(ValueError, match="header"):
        Response(None, headers=headers)


@pytest.mark.parametrize("status", [99, 199, 600, "200"])
def test_status_is_one_of_http(status: Any) -> None:
    """Found where it is written, not in the server."""
    with pytest.raises(ValueError, match="status"):
        Response(None, status)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (
            {"users": [{"id": 1}, {"avatar": b"\x00"}]},
            r" at users\[1\]\.avatar .* a value of type bytes has",
        ),
        ({"a": object()}, r" at a .* a value of type object has no JSON form"),
        (Point(1, Point(2, object())), r" at tag\.tag "),
        (object(), r"^the returned value cannot be written as JSON: a value of type object"),
        ({"big": 2**70, "x": {"y": object()}}, r" at x\.y "),
        ({"a": "\ud800"}, r" at a "),
        ({"rows": (row for row in [1])}, r" at rows .* a value of type generator has no JSON form"),
    ],
)
def test_value_without_a_json_form_is_named_by_its_place(value: Any, place: str) -> None:
    """In a reply of a thousand rows nobody finds it by hand."""
    with pytest.raises(UnrecordableValue, match=place):
        render(value)


def test_value_inside_itself_is_refused() -> None:
    """No endless loop, no crash of the interpreter."""
    value: dict[str, Any] = {}
    value["self"] = value

    with pytest.raises(UnrecordableValue):
        render(value)

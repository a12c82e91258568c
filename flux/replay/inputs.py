"""What a recorded request had sent, taken apart again: the record keeps it by the names of arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from flux.runtime.arguments import Bound, Form
from flux.runtime.functions import Function

Row = Mapping[str, Any]

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Sent:
    """Path parameters, query and body, as Arguments.bind takes them."""

    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: object | None

    def bind(self, function: Function) -> Bound:
        """Arguments ready for the function; raises InvalidInput."""
        return function.bind(self.path, self.query, self.body)

    def given(self, function: Function) -> Mapping[str, object]:
        """What was sent by name, right or wrong."""
        return function.arguments.given(self.path, self.query, self.body)


def sent(request: Row, path: Mapping[str, str], function: Function) -> Sent:
    """What a recorded request had sent to a function whose route its path matches, with these path parameters."""
    query = query_of(request.get("query"))
    given = request.get("input")
    members = given if isinstance(given, Mapping) else {}
    members = {name: value for name, value in members.items() if name not in path and name not in query}
    return Sent(path, query, _body(request, members, function))


def query_of(text: str | None) -> dict[str, list[str]]:
    """The fields of a query, each with its values."""
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(text or "", keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return fields


def content_type(request: Row) -> str:
    """The type of the body that was sent; JSON where nothing was said."""
    headers = request.get("headers") or {}
    return str(headers.get("content-type", "application/json")).partition(";")[0].strip().lower()


def _body(request: Row, members: Mapping[str, Any], function: Function) -> object | None:
    raw = function.arguments.raw_body
    if raw is not None:
        return raw_bytes(members[raw]) if raw in members else None
    kind = content_type(request)
    if kind in _FORMS:
        return Form({name: _values(value, kind) for name, value in members.items()}) if members else None
    if set(members) == {"body"} and not isinstance(members["body"], Mapping) and not function.arguments.takes("body"):
        body: object = members["body"]  # which was no object
        return body
    return dict(members) if members or _had_body(request) else None


def _had_body(request: Row) -> bool:
    headers = request.get("headers") or {}
    return headers.get("content-length", "0") not in ("0", "") or "transfer-encoding" in headers


def _values(value: Any, kind: str) -> list[object]:
    values = value if isinstance(value, list) else [value]
    if kind != "multipart/form-data":
        return values
    return [raw_bytes(item) if isinstance(item, str) and item.startswith("\\x") else item for item in values]


def raw_bytes(text: Any) -> bytes:
    """Bytes of the form in which they are recorded: hex after a backslash and an x."""
    content = str(text)
    if content.startswith("\\x"):
        try:
            return bytes.fromhex(content[2:])
        except ValueError:
            pass
    return content.encode()

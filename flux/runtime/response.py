"""What a function returns, made into an HTTP reply.

JSON is strict here, unlike in the record: a value without a JSON form is an error that names its
place, because a caller cannot do anything with a stand-in. Decimals are text, which keeps every
digit; NaN and infinities are null.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import orjson

from flux.errors import UnrecordableValue

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
BYTES_TYPE = "application/octet-stream"

#: Statuses whose reply has no body, whatever was returned (RFC 9110).
BODILESS = frozenset({204, 205, 304})

#: How far into a value its trouble is looked for; orjson itself goes 254 levels deep.
_DEEPEST = 100

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Response:
    """A reply with a status and headers of its own. Headers given as pairs may repeat a name, as set-cookie does."""

    body: Any = None
    status: int = 200
    headers: Headers | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.status, int) or not 200 <= self.status <= 599:
            raise ValueError(f"the status of a Response is {self.status!r}, not a number from 200 to 599")
        for name, value in self.header_list():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ValueError(f"the header {name!r} of a Response has {value!r}, which is not text")
            if any(character in name + value for character in "\r\n\0"):
                raise ValueError(f"the header {name!r} of a Response has a line break in it")

    def header_list(self) -> list[tuple[str, str]]:
        """The headers as pairs."""
        if self.headers is None:
            return []
        return list(self.headers.items() if isinstance(self.headers, Mapping) else self.headers)


class Rendered(NamedTuple):
    """A reply as bytes, and the `value` it was made of, for the record.

    `content_type` is None when there is no body; `headers` are without it.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    content_type: str | None
    value: Any


def render(value: Any) -> Rendered:
    """The reply for a returned value: None is 204, text and bytes are themselves, all else is JSON.

    Raises UnrecordableValue, which names the place of what has no JSON form.
    """
    if isinstance(value, Response):
        return _render_response(value)
    if value is None:
        return Rendered(204, [], b"", None, None)
    body, content_type = _encode(value)
    return Rendered(200, [], body, content_type, value)


def encode_json(value: Any, what: str = "the returned value") -> bytes:
    """A value as JSON; raises UnrecordableValue, which says what it is and where in it the trouble lies."""
    try:
        return orjson.dumps(value, json_form, orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        refused = error
    try:  # integers over 64 bits, which JSON allows and orjson does not write
        return json.dumps(value, default=json_form, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        path, reason = _trouble(value) or ("", str(refused))
        raise UnrecordableValue(
            f"{what}{f' at {path}' if path else ''} cannot be written as JSON: {reason}",
            hint="Use dicts, lists, text, numbers, dates, UUIDs, Decimals or dataclasses.",
        ) from refused


def _render_response(response: Response) -> Rendered:
    headers = response.header_list()
    own_type = next((value for name, value in headers if name.lower() == "content-type"), None)
    headers = [(name, value) for name, value in headers if name.lower() not in ("content-type", "content-length")]
    if response.body is None or response.status in BODILESS:
        return Rendered(response.status, headers, b"", None, response.body)
    body, content_type = _encode(response.body)
    return Rendered(response.status, headers, body, own_type or content_type, response.body)


def _encode(value: Any) -> tuple[bytes, str]:
    if isinstance(value, str):
        return value.encode("utf-8", "replace"), TEXT_TYPE
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), BYTES_TYPE
    return encode_json(value), JSON_TYPE


def json_form(value: Any) -> Any:  # noqa: PLR0911  # a return for each kind reads best
    """The JSON form of what orjson does not know."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, timedelta | msgspec.Struct):
        return msgspec.to_builtins(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(type(value), "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    raise TypeError(f"a value of type {type(value).__qualname__} has no JSON form")


def _trouble(value: Any) -> tuple[str, str] | None:
    """Where the first part without a JSON form is, and why it has none."""
    for path, part in _leaves(value, "", 0):
        if type(part) is int:
            continue
        try:
            orjson.dumps(part, json_form, orjson.OPT_NON_STR_KEYS)
        except TypeError as error:
            return path.lstrip("."), str(error.__cause__ or error)
    return None


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Every part that has no parts itself, with its path; what lies inside itself ends somewhere."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if depth > _DEEPEST:
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]", depth + 1)
    else:
        yield path, value

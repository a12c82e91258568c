"""Values on their way to a guest and back: JSON, and what of Postgres and Python has no JSON of its own.

`docs/guests/protocol.md` is the other half of this module.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import orjson

from flux.errors import GuestProtocol
from flux.runtime.response import Response, json_form

BYTES, JSON, RESPONSE = "$bytes", "$json", "$response"

#: The largest integer that a double holds with all its neighbours.
MOST_EXACT = 2**53 - 1


def encoded(value: Any, *, exact_integers: bool) -> bytes:
    """A value as JSON; integers beyond MOST_EXACT are text where `exact_integers` is False."""
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
    try:
        return orjson.dumps(value, _stand_in, options if exact_integers else options | orjson.OPT_STRICT_INTEGER)
    except TypeError:  # an integer too large for 64 bits, or for 53
        if not exact_integers:
            value = _with_text(value)
        return json.dumps(value, default=_stand_in, ensure_ascii=False).encode("utf-8", "replace")


def decoded(value: Any) -> Any:
    """A parameter as the engine takes it: `{"$bytes": base64}` is bytes, `{"$json": value}` is JSON also for a list."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    if BYTES in value:
        return bytes_of(value[BYTES])
    if JSON in value:
        return orjson.dumps(value[JSON]).decode()
    return value


def bytes_of(text: Any) -> bytes:
    """The bytes of base64; raises GuestProtocol."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise GuestProtocol(f"$bytes is not base64: {error}") from None


def response_of(told: Any, name: str) -> Response:
    """The HTTP response that a function asked for by `$response`; raises GuestProtocol."""
    if not isinstance(told, dict) or not set(told) <= {"status", "headers", "body"}:
        raise GuestProtocol(f"the $response of {name} is not an object of status, headers and body")
    headers, body = told.get("headers"), told.get("body")
    if isinstance(body, dict) and set(body) == {BYTES}:
        body = bytes_of(body[BYTES])
    try:
        pairs = [(key, value) for key, value in headers] if isinstance(headers, list) else headers
        return Response(body, told.get("status", 200), pairs)
    except (TypeError, ValueError, AttributeError) as error:
        raise GuestProtocol(f"the $response of {name} cannot be sent: {error}") from None


def _stand_in(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, timedelta):
        return msgspec.to_builtins(value)
    if isinstance(value, Response):
        return {RESPONSE: {"status": value.status, "headers": value.header_list(), "body": value.body}}
    try:
        return json_form(value)
    except TypeError:
        pass
    try:
        return orjson.loads(orjson.dumps(value))  # times and ids, which orjson itself asks nobody about
    except TypeError:
        return str(value)  # networks, ranges and what else Postgres has: as it writes them


def _with_text(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MOST_EXACT:
        return str(value)
    if isinstance(value, Mapping):
        return {key: _with_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text(item) for item in value]
    return value

"""Any Python value as JSON that Postgres stores: the record must not fail because of what it records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

#: How much of an omitted value is kept for the reader, in bytes.
HEAD_BYTES = 1_000

_SURROGATE = re.compile(rb"\\ud[89a-f][0-9a-f]{2}")
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def to_json(value: Any) -> bytes:
    """Any Python value as JSON that a jsonb column takes; what has no JSON form is written as `{"$repr": …}`."""
    try:
        encoded = orjson.dumps(value, _stand_in, orjson.OPT_NON_STR_KEYS)
    except TypeError:  # integers over 64 bits and lone surrogates, which orjson refuses
        encoded = _SURROGATE.sub(rb"\\ufffd", _to_json_slowly(value).encode())
    return without_nul(encoded)


def without_nul(encoded: bytes) -> bytes:
    """JSON that jsonb takes: U+0000, which is legal in JSON, becomes U+FFFD."""
    return _NUL.sub(rb"\1\\ufffd", encoded) if b"\\u0000" in encoded else encoded


def _to_json_slowly(value: Any) -> str:
    try:
        return json.dumps(value, default=_stand_in, skipkeys=True)
    except (TypeError, ValueError, RecursionError):  # a value that contains itself
        return json.dumps(_represented(value))


def _represented(value: Any) -> dict[str, str]:
    """The stand-in for a value that has no JSON form, whatever its own __repr__ does."""
    try:
        return {"$repr": repr(value)[:HEAD_BYTES]}
    except Exception as error:  # noqa: BLE001  # user code, and recording must not fail a request
        return {"$repr": f"<{type(value).__qualname__}, whose repr raises {type(error).__name__}>"}


def _stand_in(value: Any) -> Any:
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return _represented(value)

"""When two calls ask the same: their arguments as they are compared, without what differs from one call to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Headers that name the call, the caller's library or the moment, and not what is asked for.
VOLATILE_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "date",
        "host",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-request-id",
    }
)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_BOUNDARY = re.compile(r";\s*boundary=[^;]*")


def normal(asked: Any) -> Any:
    """The recorded input of a tool call in the form in which it is compared."""
    if isinstance(asked, Mapping) and "method" in asked and isinstance(asked.get("headers", {}), Mapping):
        asked = {**asked, "headers": _headers(asked.get("headers", {}))}
    return _without_addresses(asked)


def _headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in headers.items() if name not in VOLATILE_HEADERS}
    if isinstance(kind := known.get("content-type"), str):
        known["content-type"] = _BOUNDARY.sub("", kind)
    return known


def _without_addresses(value: Any) -> Any:
    """Objects are recorded by their repr, in which their place in memory may stand."""
    if isinstance(value, Mapping):
        if set(value) == {"$repr"}:
            return {"$repr": _ADDRESS.sub("0x", str(value["$repr"]))}
        return {key: _without_addresses(item) for key, item in value.items()}
    return [_without_addresses(item) for item in value] if isinstance(value, list) else value

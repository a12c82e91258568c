"""Recorded values in the short form in which people write objects: { email: "a@b.com" }, on one line or on several."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import orjson

_BARE = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")

_NOTHING = object()

#: What is nested deeper than this is shown as compact JSON, so that a value made to be deep costs no stack.
_DEEPEST = 40


def object_text(value: Any, depth: int = 0) -> str:
    """A value on one line: keys bare where they can be, strings in quotes; what was too large to keep says so."""
    if _is_omitted(value):
        return _omitted(value)
    if not isinstance(value, dict | list) or not value or depth > _DEEPEST:
        return _scalar(value)
    if isinstance(value, list):
        return f"[{', '.join(object_text(item, depth + 1) for item in value)}]"
    return f"{{ {', '.join(f'{_key(key)}: {object_text(item, depth + 1)}' for key, item in value.items())} }}"


def object_lines(value: Any, columns: int, depth: int = 0) -> Iterator[str]:
    """A value on as many lines as it takes: what does not fit into so many columns goes on below, a member a line."""
    short = object_text(value)
    if not isinstance(value, dict | list) or not value or len(short) <= columns or _is_omitted(value):
        yield short
        return
    if depth > _DEEPEST:
        yield short
        return
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    members = (
        [("", item) for item in value] if isinstance(value, list) else [(f"{_key(k)}: ", v) for k, v in value.items()]
    )
    yield opening
    for label, item in members:
        for number, line in enumerate(object_lines(item, columns - 2 - len(label), depth + 1)):
            yield "  " + ("" if number else label) + line
    yield closing


def json_of(value: Any, default: Callable[[Any], Any] | None = None, *, indented: bool = False) -> str:
    """A value as JSON, with numbers in their own digits; `default` gives a stand-in for what JSON has no form of."""
    option = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indented else 0)
    stand_in = default or _stand_in
    try:
        return orjson.dumps(value, stand_in, option).decode()
    except TypeError:  # integers over 64 bits, or deep nesting: JSON allows both, and orjson does not write them
        try:
            return orjson.dumps(_spelt(value), stand_in, option).decode()
        except (TypeError, RecursionError):
            return "".join(_flat(value, stand_in))


def number(value: Decimal | int) -> orjson.Fragment:
    """A number of JSON in its own digits."""
    return orjson.Fragment(f"{value:f}" if isinstance(value, Decimal) else str(value))


def _stand_in(value: Any) -> Any:
    return number(value) if isinstance(value, Decimal) and value.is_finite() else str(value)


def _spelt(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _spelt(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_spelt(member) for member in value]
    return number(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def _flat(value: Any, default: Callable[[Any], Any]) -> Iterator[str]:
    """JSON on one line in pieces, without a call inside a call, however deep the value is."""
    waiting: list[tuple[str, Any, str]] = [("", value, "")]
    while waiting:
        before, one, after = waiting.pop()
        if not isinstance(one, dict | list) or not one:
            text = "" if one is _NOTHING else orjson.dumps(_spelt(one), default, orjson.OPT_NON_STR_KEYS).decode()
            yield before + text + after
            continue
        if isinstance(one, dict):
            opening, closing = "{", "}"
            members = [(f"{orjson.dumps(str(name)).decode()}:", member, ",") for name, member in one.items()]
        else:
            opening, closing = "[", "]"
            members = [("", member, ",") for member in one]
        yield before + opening
        members[-1] = (*members[-1][:2], "")
        waiting += [("", _NOTHING, closing + after), *reversed(members)]


def _scalar(value: Any) -> str:
    return json_of(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _scalar(name)


def _is_omitted(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"$omitted"} and isinstance(value["$omitted"], dict)


def _omitted(value: Any) -> str:
    omitted = value["$omitted"]
    return f"{omitted.get('bytes')} bytes, not kept; begins {omitted.get('head', '')}"

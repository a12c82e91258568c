"""The types of a tool's answer beside its JSON, so that a replay can give the same value back.

`kinds_of` names each part whose type JSON does not tell, by its path; `restored` makes the value anew. What cannot be
made is given as a dict whose members are attributes too, and is counted as not exact.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from uuid import UUID

from flux.errors import ToolNotRecorded

#: Parts of a value that are looked at; of a larger one only the beginning is told.
MOST_PARTS = 2_000

_PLAIN = (str, int, float, bool, type(None))


class Recalled(dict[str, Any]):
    """What is known of an object that cannot be made anew: its members, as items and as attributes."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise ToolNotRecorded(
                f"the record does not hold {name} of this answer",
                hint="Return plain values from tools, or give the answer with `flux incident replay --stub FILE`.",
            ) from None


def kinds_of(value: Any) -> dict[str, str] | None:
    """The names of types by path (`/charge/amount`, '' for the whole); None when JSON tells all."""
    found: dict[str, str] = {}
    left = [("", value)]
    seen = 0
    while left and seen < MOST_PARTS:
        path, part = left.pop()
        seen += 1
        kind = type(part)
        if kind in _PLAIN:
            continue
        if kind is not dict and kind is not list:
            found[path] = _name(kind)
        if isinstance(part, Mapping):
            left += [(f"{path}/{key}", item) for key, item in part.items()]
            if any(type(key) is not str for key in part):
                found[path] = f"{found.get(path, 'dict')} with keys of other types"
        elif isinstance(part, list | tuple):
            left += [(f"{path}/{index}", item) for index, item in enumerate(part)]
        elif dataclasses.is_dataclass(part):
            left += [(f"{path}/{member.name}", getattr(part, member.name)) for member in dataclasses.fields(part)]
    return found or None


def restored(content: Any, kinds: Mapping[str, str]) -> tuple[Any, tuple[str, ...]]:
    """The value of JSON and the types of its parts, and the names of the types that could not be made."""
    missing: list[str] = []
    return _restored(content, kinds, "", missing), tuple(dict.fromkeys(missing))


def _restored(content: Any, kinds: Mapping[str, str], path: str, missing: list[str]) -> Any:
    if isinstance(content, dict):
        content = {key: _restored(item, kinds, f"{path}/{key}", missing) for key, item in content.items()}
    elif isinstance(content, list):
        content = [_restored(item, kinds, f"{path}/{index}", missing) for index, item in enumerate(content)]
    name = kinds.get(path)
    if name is None or content is None:
        return content
    try:
        return _made(content, name)
    except (LookupError, TypeError, ValueError, InvalidOperation, AttributeError):
        missing.append(name)
        return Recalled(content) if isinstance(content, dict) else content


def _made(content: Any, name: str) -> Any:
    if name in _KNOWN:
        return _KNOWN[name](content)
    kind = find_class(name)
    if kind is None:
        raise LookupError(name)
    if issubclass(kind, Enum):
        return kind(content)
    if dataclasses.is_dataclass(kind) and isinstance(content, dict):
        made = object.__new__(kind)
        for member in dataclasses.fields(kind):
            object.__setattr__(made, member.name, content[member.name])
        return made
    if issubclass(kind, tuple) and isinstance(content, list):
        return kind(*content)
    raise TypeError(name)


def find_class(name: str) -> type[Any] | None:
    """A class by the names of its module and itself, among the modules that are imported."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:end]))
        for part in parts[end:]:
            found = getattr(found, part, None)
        if isinstance(found, type):
            return found
    return None


def _name(kind: type[Any]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_KNOWN: Mapping[str, Callable[[Any], Any]] = {
    "decimal.Decimal": Decimal,
    "datetime.datetime": datetime.fromisoformat,
    "datetime.date": date.fromisoformat,
    "datetime.time": time.fromisoformat,
    "uuid.UUID": UUID,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytes": lambda text: bytes.fromhex(text.removeprefix("\\x")),
    "bytearray": lambda text: bytearray.fromhex(text.removeprefix("\\x")),
}

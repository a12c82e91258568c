"""Why a value does not fit a type: every place in it that is wrong, not only the first."""

from __future__ import annotations

import dataclasses
import enum
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, NamedTuple

import msgspec

_AT = re.compile(r" - at `(?P<key>key in )?\$(?P<path>.*)`$")
_SEQUENCES = (list, set, frozenset, Sequence)


class Problem(NamedTuple):
    """A field by its path, such as `address.zip` or `items[2].price`, and what is wrong with it."""

    field: str
    message: str


def problems_of(value: object, hint: Any, path: str, *, strict: bool) -> list[Problem]:
    """Every problem that a value has with a type; none when it fits."""
    try:
        msgspec.convert(value, hint, strict=strict)
    except msgspec.ValidationError as error:
        inner = list(_inside(value, _narrow(hint, value), path, strict))
        return inner or [_problem(error, value, hint, path)]
    return []


def _inside(value: object, hint: Any, path: str, strict: bool) -> Iterator[Problem]:
    """The problems of the parts of a value."""
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if isinstance(value, Mapping):
        if origin in (dict, Mapping) and len(arguments) == 2:
            for key, item in value.items():
                yield from problems_of(item, arguments[1], f"{path}.{key}", strict=strict)
        for name, member, required in _members(origin):
            if name in value:
                yield from problems_of(value[name], member, f"{path}.{name}", strict=strict)
            elif required:
                yield Problem(f"{path}.{name}", "required, but missing")
    elif isinstance(value, list) and len(arguments) == 1 and origin in _SEQUENCES:
        for index, item in enumerate(value):
            yield from problems_of(item, arguments[0], f"{path}[{index}]", strict=strict)


def _members(cls: Any) -> list[tuple[str, Any, bool]]:
    """Name, type and whether it must be there, for each member of a dataclass, TypedDict or Struct."""
    if not isinstance(cls, type):
        return []
    if dataclasses.is_dataclass(cls):
        required = {
            field.name
            for field in dataclasses.fields(cls)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        }
        names = [field.name for field in dataclasses.fields(cls) if field.init]
    elif typing.is_typeddict(cls):
        required = set(getattr(cls, "__required_keys__", ()))
        names = list(cls.__annotations__)
    elif issubclass(cls, msgspec.Struct):
        known = msgspec.structs.fields(cls)
        return [(field.encode_name, field.type, field.required) for field in known]
    else:
        return []
    hints = typing.get_type_hints(cls, include_extras=True)
    return [(name, _bare(hints[name]), name in required) for name in names if name in hints]


def _bare(hint: Any) -> Any:
    """The type inside Required[…] and NotRequired[…]."""
    if typing.get_origin(hint) in (typing.Required, typing.NotRequired):
        return typing.get_args(hint)[0]
    return hint


def _narrow(hint: Any, value: object) -> Any:
    """The one type of a union that a value that is not null can be meant for."""
    if typing.get_origin(hint) is typing.Annotated:
        return _narrow(typing.get_args(hint)[0], value)
    if typing.get_origin(hint) not in (typing.Union, UnionType) or value is None:
        return hint
    choices = [choice for choice in typing.get_args(hint) if choice is not NoneType]
    return choices[0] if len(choices) == 1 else hint


def _problem(error: msgspec.ValidationError, value: object, hint: Any, path: str) -> Problem:
    """The one problem that msgspec names, under its path."""
    message = str(error)
    matched = _AT.search(message)
    if matched:
        message = message[: matched.start()]
        path += matched["path"].replace("[...]", ".*")
    choices = _choices(_narrow(hint, value))
    if choices and message.startswith("Invalid enum value"):
        message = f"expected one of {', '.join(map(repr, choices))}, got {value!r}"
    return Problem(path, message[:1].lower() + message[1:])


def _choices(hint: Any) -> list[object]:
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [member.value for member in hint]
    return []

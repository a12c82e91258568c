"""The type hints of a function's parameters: read, checked, and asked what they take."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import NoneType, SimpleNamespace, UnionType
from typing import Any

import msgspec

from flux.errors import BadDefinition


def signature(handler: Callable[..., Any]) -> inspect.Signature:
    """The signature of a user's function, whose hints may name what is not there yet."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(handler, annotation_format=Format.FORWARDREF)
    return inspect.signature(handler)


def read_hints(handler: Callable[..., Any], function: str, place: str) -> dict[str, Any]:
    """Resolved hints by name, that of **kwargs under `**`; ctx and the return value need none that resolves."""
    found: dict[str, Any] = {}
    namespace = inspect.unwrap(handler).__globals__
    for parameter in list(signature(handler).parameters.values())[1:]:
        if parameter.annotation is parameter.empty:
            continue
        name = "**" if parameter.kind is parameter.VAR_KEYWORD else parameter.name
        holder = SimpleNamespace(__annotations__={name: parameter.annotation})
        try:
            hint = typing.get_type_hints(holder, globalns=namespace, include_extras=True)[name]
        except (NameError, TypeError, AttributeError, SyntaxError) as error:
            raise BadDefinition(
                f"{place}: the type of {parameter.name} in {function} cannot be read: {error}",
                hint="Import it when the module is imported, not under TYPE_CHECKING only.",
            ) from error
        found[name] = hint | None if parameter.default is None and _lacks_none(hint) else hint
    return found


def check_hint(hint: Any, name: str, function: str, place: str) -> None:
    """Refuse a type that no JSON value can fill; raises BadDefinition."""
    if is_bytes(hint):
        return
    try:
        foreign = _foreign(msgspec.inspect.type_info(hint), set())
        with suppress(msgspec.ValidationError):
            msgspec.convert(msgspec.UNSET, hint)  # compiles the type: some unions are refused only here
    except (TypeError, NameError, AttributeError) as error:
        raise BadDefinition(f"{place}: the type of {name} in {function} cannot be used: {error}") from error
    if foreign is not None:
        raise BadDefinition(
            f"{place}: no JSON value can be a {foreign.__qualname__}, the type of {name} in {function}",
            hint="Use str, int, float, bool, Decimal, datetime, UUID, Literal, Enum, list, dict or a dataclass.",
        )


def _foreign(info: msgspec.inspect.Type, seen: set[type]) -> type | None:
    """A class inside the type that cannot be made from JSON."""
    if isinstance(info, msgspec.inspect.CustomType):
        return info.cls
    cls = getattr(info, "cls", None)
    if cls is not None:
        if cls in seen:
            return None
        seen.add(cls)
    inner = [getattr(info, part, None) for part in ("item_type", "key_type", "value_type")]
    inner += getattr(info, "types", ()) or getattr(info, "item_types", ())
    inner += [field.type for field in getattr(info, "fields", ())]
    found = (_foreign(part, seen) for part in inner if isinstance(part, msgspec.inspect.Type))
    return next((cls for cls in found if cls is not None), None)


def _lacks_none(hint: Any) -> bool:
    return hint is not Any and NoneType not in typing.get_args(hint)


def is_bytes(hint: Any) -> bool:
    """Whether the parameter takes the body as it came: `bytes`, or `bytes | None`."""
    return hint is bytes or (
        typing.get_origin(hint) in (typing.Union, UnionType) and set(typing.get_args(hint)) == {bytes, NoneType}
    )


def takes_many(hint: Any) -> bool:
    """Whether a repeated query parameter makes a list of it."""
    origin = typing.get_origin(hint) or hint
    if origin is typing.Annotated or origin in (typing.Union, UnionType):
        return any(takes_many(part) for part in typing.get_args(hint)[: 1 if origin is typing.Annotated else None])
    return (
        isinstance(origin, type)
        and issubclass(origin, list | tuple | set | frozenset | Sequence)
        and (not issubclass(origin, str | bytes))
    )

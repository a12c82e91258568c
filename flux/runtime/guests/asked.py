"""The arguments of one request of a guest's, taken out one by one, so that what is left over is what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from flux.errors import GuestProtocol

_Kind = TypeVar("_Kind")

_NAMES: Mapping[type, str] = {str: "string", dict: "object", list: "array", int: "integer", float: "number"}


class Args:
    """The arguments of one request, taken out by name; raises GuestProtocol for what is missing, wrong or unknown."""

    def __init__(self, op: str, given: object) -> None:
        self._op = op
        if given is not None and not isinstance(given, dict):
            raise GuestProtocol(f"the args of {op} are not an object")
        self._left: dict[str, Any] = dict(given or {})

    def take(self, name: str, kind: type[_Kind]) -> _Kind:
        """An argument that must be there."""
        value = self._left.pop(name, None)
        if not isinstance(value, kind):
            raise GuestProtocol(f"{self._op} needs {name} of type {_NAMES.get(kind, kind.__name__)}")
        return value

    def find(self, name: str, *kinds: type) -> Any:
        """An argument that may be missing or null."""
        value = self._left.pop(name, None)
        if value is not None and kinds and (not isinstance(value, kinds) or isinstance(value, bool)):
            expected = " or ".join(_NAMES.get(kind, kind.__name__) for kind in kinds)
            raise GuestProtocol(f"{name} of {self._op} must be of type {expected}")
        return value

    def rest(self) -> dict[str, Any]:
        """Every argument that is left."""
        left, self._left = self._left, {}
        return left

    def end(self) -> None:
        """Refuse what nobody took: a typo must not be an option that is silently ignored."""
        if self._left:
            raise GuestProtocol(f"{self._op} takes no {', '.join(map(str, self._left))}")

"""How unlike two steps are: 0 for the same step, 2 and more for two that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flux.replay.alignment import Node

#: More than one step taken away and one added, so never chosen.
UNLIKE = 2.5

#: From this share of common words on, two statements or names are one that was edited.
ENOUGH = 0.6

_NAME = 1.2
_INPUT = 0.3


class Likeness:
    """Compares steps by kind, name, statement and input; remembers what it compared, since steps repeat."""

    def __init__(self) -> None:
        self._labels: dict[tuple[Any, Any, bool], float] = {}

    def cost(self, a: Node, b: Node) -> float:
        """The cost of taking one step for the other."""
        top = a.depth <= 1 and b.depth <= 1
        known = (a.label, b.label, top)
        if known not in self._labels:
            self._labels[known] = _label_cost(*known)
        cost = self._labels[known]
        return cost if cost >= UNLIKE else cost + _INPUT * (1 - _common(a.input, b.input))


def _label_cost(a: tuple[str, str, str], b: tuple[str, str, str], top: bool) -> float:
    if a == b:
        return 0
    if a[0] != b[0]:
        return UNLIKE
    if top and a[0] in ("gateway", "function"):  # every request has one, whatever it is called
        return 1
    if a[2] and b[2]:
        if a[2].split(" ", 1)[0].lower() != b[2].split(" ", 1)[0].lower():
            return UNLIKE
        ratio = SequenceMatcher(None, a[2].split(" "), b[2].split(" "), autojunk=False).ratio()
        if a[1] == b[1]:  # insert users, whichever columns
            ratio = max(ratio, ENOUGH)
    else:
        ratio = SequenceMatcher(None, a[1], b[1], autojunk=False).ratio()
    return _NAME * (1 - ratio) if ratio >= ENOUGH else UNLIKE


def _common(a: Any, b: Any) -> float:
    """Which part of two inputs is the same, at first sight."""
    if a == b:
        return 1
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        names = a.keys() | b.keys()
        return float(sum(name in a and name in b and a[name] == b[name] for name in names) / len(names))
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return float(sum(one == other for one, other in zip(a, b, strict=True)) / len(a))
    return 0

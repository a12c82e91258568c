"""Where two recorded values differ: the changes that count, those that are excused, and what nobody can know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import orjson

from flux.encoding import to_json
from flux.redaction import REDACTED
from flux.replay.difference import MISSING, Change, Compared, Row
from flux.replay.variation import Variation

#: Stand-ins for what was not recorded, by the member that marks them.
_NOT_KEPT = ("$omitted", "$streamed", "$copied")

#: Longer lists of different length are compared place by place: finding what was moved in takes too long.
MOST_ALIGNED = 4_000


class Differences:
    """Collects what differs in one pair of things, which `prefix` names where something is unknown: "step 3"."""

    def __init__(self, variation: Variation, prefix: str = "") -> None:
        self.changes: list[Change] = []
        self.volatile: list[Change] = []
        self.unknown: list[str] = []
        self.redacted = 0
        self._variation = variation
        self._prefix = prefix

    def member(self, path: str, a: Any, b: Any, excused: Callable[[Any, Any], bool] | None = None) -> None:
        """Compare two values; `excused` says of those that differ whether they are volatile, beside what always is."""
        if excused is not None and canonical(a) != canonical(b) and excused(a, b):
            self.volatile.append(Change(path, a, b))
            return
        self._compare(path, a, b)

    def members(self, path: str, a: Row | None, b: Row | None, names: Sequence[str]) -> None:
        """Compare some members of two rows; what both lack is left out."""
        for name in names:
            one, other = (a or {}).get(name), (b or {}).get(name)
            if one is not None or other is not None:
                here = f"{path}.{name}" if path else name
                self.member(here, MISSING if one is None else one, MISSING if other is None else other)

    def not_known(self, what: str) -> None:
        """Note that something could not be compared."""
        self.unknown.append(f"{self._prefix}{what}")

    def rows(self, path: str, a: Any, b: Any) -> None:
        """Compare the rows of a query that asks for no order: the same rows in another order are excused."""
        order = _order(a, b)
        if order is None:
            self.member(path, a, b)
        elif order != sorted(order):
            self._variation.learn_order(order)
            self.volatile.append(Change(path, a, b))

    def of(self, a: Row | None, b: Row | None) -> Compared:
        """What was found, beside the two things it is about."""
        return Compared(a, b, tuple(self.changes), tuple(self.volatile))

    def _compare(self, path: str, a: Any, b: Any) -> None:
        if _is_not_kept(a) or _is_not_kept(b):
            self._compare_not_kept(path, a, b)
        elif isinstance(a, Mapping) and isinstance(b, Mapping) and "$repr" not in a:
            for name in [*a, *(name for name in b if name not in a)]:
                here = f"{path}.{name}" if path else str(name)
                self._compare(here, a.get(name, MISSING), b.get(name, MISSING))
        elif isinstance(a, list) and isinstance(b, list):
            self._compare_lists(path, a, b)
        elif canonical(a) == canonical(b):
            self.redacted += isinstance(a, str) and REDACTED in a
        elif MISSING not in (a, b) and self._variation.excuses(a, b):
            self.volatile.append(Change(path, a, b))
        else:
            self.changes.append(Change(path, a, b))

    def _compare_lists(self, path: str, a: list[Any], b: list[Any]) -> None:
        if self._is_reordered(a, b):
            self.volatile.append(Change(path, a, b))
            return
        for one, other in _places(a, b):
            here = f"{path}[{one if other is None else other}]"
            self._compare(here, MISSING if one is None else a[one], MISSING if other is None else b[other])

    def _is_reordered(self, a: list[Any], b: list[Any]) -> bool:
        """Whether a list follows rows that came in another order."""
        return len(a) == len(b) and any(
            len(order) == len(a)
            and all(_alike(a[place], other, self._variation) for place, other in zip(order, b, strict=True))
            for order in self._variation.orders
        )

    def _compare_not_kept(self, path: str, a: Any, b: Any) -> None:
        if a is MISSING or b is MISSING or a is None or b is None:
            self.changes.append(Change(path, a, b))
            return
        one, other = _omitted(a), _omitted(b)
        if one is None and other is None and canonical(a) == canonical(b):
            self.not_known(f"{path}: what was streamed was not kept")
        elif one is None or other is None:
            size = (one or other or {}).get("bytes")
            if size is None or len(to_json(b if one is not None else a)) != size:
                self.changes.append(Change(path, a, b))
            else:
                self.not_known(f"{path}: too large to keep in {'A' if one is not None else 'B'}")
        elif one.get("sha256") is None or one.get("sha256") != other.get("sha256"):
            self.changes.append(Change(path, a, b))


def canonical(value: Any) -> bytes | None:
    """A value in a form that is equal for equal values alone: 1, 1.0 and true are not the same; None for MISSING."""
    if value is MISSING:
        return None
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers over 64 bits
        return to_json(value)


def _is_not_kept(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and any(name in value for name in _NOT_KEPT)


def _omitted(value: Any) -> Mapping[str, Any] | None:
    found = value.get("$omitted") if isinstance(value, Mapping) and len(value) == 1 else None
    return found if isinstance(found, Mapping) else None


def _order(a: Any, b: Any) -> list[int] | None:
    """Where A had each row of B; None when they have not the same rows."""
    if not isinstance(a, list) or not isinstance(b, list) or len(a) != len(b):
        return None
    places: dict[bytes | None, list[int]] = {}
    for place, row in enumerate(a):
        places.setdefault(canonical(row), []).append(place)
    order = []
    for row in b:
        left = places.get(canonical(row))
        if not left:
            return None
        order.append(left.pop(0))
    return order


def _alike(a: Any, b: Any, variation: Variation) -> bool:
    found = Differences(variation)
    found.member("", a, b)
    return not found.changes and not found.unknown


def _places(a: Sequence[Any], b: Sequence[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Which place of A belongs to which of B, in order."""
    blocks = [("replace", 0, len(a), 0, len(b))]
    if len(a) != len(b) and len(a) + len(b) <= MOST_ALIGNED:
        ours, theirs = [canonical(item) for item in a], [canonical(item) for item in b]
        blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()  # type: ignore[assignment]
    for _, a_from, a_to, b_from, b_to in blocks:
        for step in range(max(a_to - a_from, b_to - b_from)):
            one, other = a_from + step, b_from + step
            yield (one if one < a_to else None), (other if other < b_to else None)

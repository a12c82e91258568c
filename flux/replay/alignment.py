"""Which step of one execution is which of the other: an alignment of two ordered trees.

Steps are matched by what they are, not by where they stand: the alignment is the one of least cost, where a step only
one side has costs 1 and a matched pair costs as much as it is unlike. It keeps the order of siblings and who is inside
whom, but a step may be added or taken away around others: a helper function shifts nothing.

The costs are those of the tree edit distance (K. Zhang, D. Shasha, SIAM J. Comput. 18(6), 1989), whose time grows with
the product of both sizes. So what is equal at the beginning and the end is taken off first, then what is equal and
unique in between divides the rest (patience diff), and what is still too large is matched in one pass by looking a
little ahead.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from flux.replay.changes import canonical
from flux.replay.edits import cheapest_edits
from flux.replay.likeness import Likeness
from flux.runtime.sameness import normal

Row = Mapping[str, Any]
Label = tuple[str, str, str]
Part = tuple[Sequence["Node"], Sequence["Node"]]

#: The largest product of two sizes for which the least cost is computed; some 0.3 s.
MOST_PAIRS = 60_000

#: How far the last resort looks ahead for an equal step.
AHEAD = 200


@dataclass(slots=True, eq=False)
class Node:
    """A step with those inside it. `label` is what it is, `whole` that, its input, and all inside it."""

    span: Row
    depth: int
    inside: list[Node] = field(default_factory=list)
    label: Label = ("", "", "")
    input: Any = None
    whole: int = 0
    size: int = 1

    def walk(self) -> Iterator[Node]:
        """It and all inside it, in the order of a tree."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.inside))


def grow(spans: Sequence[Row]) -> list[Node]:
    """The steps as trees; one whose parent was not recorded is a root."""
    nodes = {span["span_id"]: Node(span, 0) for span in spans}
    roots: list[Node] = []
    for span in spans:
        node, parent = nodes[span["span_id"]], nodes.get(span.get("parent_id"))
        (parent.inside if parent is not None and parent is not node else roots).append(node)
    order = [node for root in roots for node in _deepened(root)]
    for node in reversed(order):  # those inside come first
        _describe(node)
    return roots


def align(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Node | None, Node | None]]:
    """Each step beside its counterpart, in the order of both trees; None where a side has none."""
    ours, theirs = grow(a), grow(b)
    found: dict[Node, Node] = {}
    _match(ours, theirs, found, Likeness())
    return list(_merged(ours, theirs, found))


def _deepened(root: Node) -> Iterator[Node]:
    for node in root.walk():
        for inner in node.inside:
            inner.depth = node.depth + 1
        yield node


def _describe(node: Node) -> None:
    span = node.span
    sql = (span.get("attributes") or {}).get("db.query.text")
    node.label = (span["kind"], span["name"], " ".join(sql.split()) if sql else "")
    node.input = normal(span.get("input"))
    node.size = 1 + sum(inner.size for inner in node.inside)
    node.whole = hash((node.label, canonical(node.input), tuple(inner.whole for inner in node.inside)))


def _match(ours: Sequence[Node], theirs: Sequence[Node], found: dict[Node, Node], likeness: Likeness) -> None:
    """Match two rows of siblings and all inside them."""
    work: list[Part] = [(ours, theirs)]
    while work:
        a, b = _without_ends(*work.pop(), found)
        if not a or not b:
            continue
        if len(a) == len(b) == 1 and a[0].label == b[0].label:
            found[a[0]] = b[0]
            work.append((a[0].inside, b[0].inside))
        elif sum(node.size for node in a) * sum(node.size for node in b) <= MOST_PAIRS:
            found.update(cheapest_edits(a, b, likeness.cost))
        else:
            work += _divided(a, b, found)


def _without_ends(a: Sequence[Node], b: Sequence[Node], found: dict[Node, Node]) -> Part:
    """The rest after what is equal at the beginning and the end, which is matched."""
    first = 0
    while first < min(len(a), len(b)) and a[first].whole == b[first].whole:
        _same(a[first], b[first], found)
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last].whole == b[-1 - last].whole:
        _same(a[-1 - last], b[-1 - last], found)
        last += 1
    return a[first : len(a) - last], b[first : len(b) - last]


def _same(a: Node, b: Node, found: dict[Node, Node]) -> None:
    found.update(zip(a.walk(), b.walk(), strict=True))


def _divided(a: Sequence[Node], b: Sequence[Node], found: dict[Node, Node]) -> list[Part]:
    """Match what is equal and unique on both sides, else what is nearest; the parts that are left in between."""
    anchors = _anchors([node.whole for node in a], [node.whole for node in b])
    for one, other in anchors:
        _same(a[one], b[other], found)
    parts: list[Part] = []
    if not anchors:
        anchors = _nearest([node.label for node in a], [node.label for node in b])
        for one, other in anchors:
            found[a[one]] = b[other]
            parts.append((a[one].inside, b[other].inside))
    if not anchors:  # nothing here is alike, so what is inside may be: a helper around it all
        _match_flat(a, b, found)
        return parts
    ends = [(-1, -1), *anchors, (len(a), len(b))]
    for (a_from, b_from), (a_to, b_to) in pairwise(ends):
        parts.append((a[a_from + 1 : a_to], b[b_from + 1 : b_to]))
    return parts


def _match_flat(a: Sequence[Node], b: Sequence[Node], found: dict[Node, Node]) -> None:
    ours = [node for root in a for node in root.walk()]
    theirs = [node for root in b for node in root.walk()]
    for one, other in _nearest([node.label for node in ours], [node.label for node in theirs]):
        found[ours[one]] = theirs[other]


def _anchors(a: Sequence[int], b: Sequence[int]) -> list[tuple[int, int]]:
    """Places of what occurs once on each side, as many as are in the same order on both."""
    once_a, once_b = Counter(a), Counter(b)
    at = {value: place for place, value in enumerate(b) if once_b[value] == 1}
    pairs = [(place, at[value]) for place, value in enumerate(a) if once_a[value] == 1 and value in at]
    return _rising(pairs)


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of pairs whose second members rise."""
    tails: list[int] = []
    heads: list[int] = []
    before: list[int | None] = []
    for number, (_, place) in enumerate(pairs):
        at = bisect_left(tails, place)
        before.append(heads[at - 1] if at else None)
        tails[at : at + 1], heads[at : at + 1] = [place], [number]
    rising: list[tuple[int, int]] = []
    step = heads[-1] if heads else None
    while step is not None:
        rising.append(pairs[step])
        step = before[step]
    return rising[::-1]


def _nearest(a: Sequence[Label], b: Sequence[Label]) -> list[tuple[int, int]]:
    """Equal labels found in one pass: where the two differ, the nearest equal ones ahead are next."""
    pairs: list[tuple[int, int]] = []
    one = other = 0
    while one < len(a) and other < len(b):
        ahead: dict[Label, int] = {}
        for step, label in enumerate(b[other : other + AHEAD]):
            ahead.setdefault(label, step)
        near = [
            (step + ahead[label], step, ahead[label])
            for step, label in enumerate(a[one : one + AHEAD])
            if label in ahead
        ]
        if not near:
            one, other = one + AHEAD, other + AHEAD
            continue
        _, skip_a, skip_b = min(near)
        one, other = one + skip_a, other + skip_b
        while one < len(a) and other < len(b) and a[one] == b[other]:
            pairs.append((one, other))
            one, other = one + 1, other + 1
    return pairs


def _merged(
    ours: Sequence[Node], theirs: Sequence[Node], found: Mapping[Node, Node]
) -> Iterator[tuple[Node | None, Node | None]]:
    """Both trees as one list: what only A has stands before what only B has in its place."""
    matched = set(found.values())
    b = iter([node for root in theirs for node in root.walk()])
    waiting = [node for root in ours for node in root.walk()]
    for node in waiting:
        partner = found.get(node)
        if partner is None:
            yield node, None
            continue
        for other in b:
            if other is partner:
                break
            if other not in matched:
                yield None, other
        yield node, partner
    for other in b:
        yield None, other

"""The cheapest way to turn one row of ordered trees into another, after Zhang and Shasha (1989)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flux.replay.alignment import Node

Cost = Callable[["Node", "Node"], float]
Table = list[list[float]]


def cheapest_edits(a: Sequence[Node], b: Sequence[Node], cost: Cost) -> dict[Node, Node]:
    """Which node becomes which, where one that only a side has costs 1 and a pair costs `cost`."""
    ours, theirs = _Order(a), _Order(b)
    costs = [[cost(one, other) for other in theirs.nodes] for one in ours.nodes]
    trees: Table = [[0.0] * len(theirs.nodes) for _ in ours.nodes]
    for i in ours.keyroots:
        for j in theirs.keyroots:
            _forests(ours, theirs, i, j, costs, trees)
    return _traced(ours, theirs, costs, trees)


class _Order:
    """The nodes in postorder; `leftmost` is the place of each one's first leaf. A last, unseen node holds them all."""

    def __init__(self, roots: Sequence[Node]) -> None:
        self.nodes: list[Node] = []
        self.leftmost: list[int] = []
        for root in roots:
            self._add(root)
        seen: dict[int, int] = {}
        for place, first in enumerate(self.leftmost):
            seen[first] = place
        seen[0] = len(self.nodes)  # the whole row
        self.keyroots = sorted(seen.values())

    def _add(self, root: Node) -> None:
        stack: list[tuple[Node, int | None]] = [(root, None)]
        while stack:
            node, first = stack.pop()
            if first is not None:
                self.nodes.append(node)
                self.leftmost.append(first)
                continue
            stack.append((node, len(self.nodes)))  # what comes next in postorder is its first leaf
            stack.extend((inner, None) for inner in reversed(node.inside))

    def first(self, place: int) -> int:
        """The place of the first leaf below a node, or of the first of all."""
        return self.leftmost[place] if place < len(self.nodes) else 0


def _forests(ours: _Order, theirs: _Order, i: int, j: int, costs: Table, trees: Table) -> Table:
    """Costs between the forests left of node i and left of node j; those of whole trees are kept in `trees`."""
    a_from, b_from = ours.first(i), theirs.first(j)
    a_to, b_to = min(i, len(ours.nodes) - 1), min(j, len(theirs.nodes) - 1)
    a_left, b_left = ours.leftmost, theirs.leftmost
    table = [[float(k) for k in range(b_to - b_from + 2)]]
    for x in range(a_from, a_to + 1):
        above, row = table[-1], [float(x - a_from + 1)]
        before = a_left[x] - a_from
        whole, known, row_costs = a_left[x] == a_from, trees[x], costs[x]
        jump = table[before]
        for y in range(b_from, b_to + 1):
            k = y - b_from
            best = min(above[k + 1], row[k]) + 1
            if whole and b_left[y] == b_from:
                best = min(best, above[k] + row_costs[y])
                known[y] = best
            else:
                best = min(best, jump[b_left[y] - b_from] + known[y])
            row.append(best)
        table.append(row)
    return table


def _traced(ours: _Order, theirs: _Order, costs: Table, trees: Table) -> dict[Node, Node]:
    """Walk the tables back from their end, and note what became what."""
    found: dict[Node, Node] = {}
    work = [(len(ours.nodes), len(theirs.nodes))]
    while work:
        i, j = work.pop()
        a_from, b_from = ours.first(i), theirs.first(j)
        table = _forests(ours, theirs, i, j, costs, trees)
        x, y = len(table) - 1, len(table[0]) - 1
        while x and y:
            one, other = a_from + x - 1, b_from + y - 1
            cost = table[x][y]
            if cost == table[x - 1][y] + 1:
                x -= 1
            elif cost == table[x][y - 1] + 1:
                y -= 1
            elif ours.leftmost[one] == a_from and theirs.leftmost[other] == b_from:
                found[ours.nodes[one]] = theirs.nodes[other]
                x, y = x - 1, y - 1
            else:
                work.append((one, other))
                x, y = ours.leftmost[one] - a_from, theirs.leftmost[other] - b_from
    return found

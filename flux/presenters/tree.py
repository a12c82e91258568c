"""A request's steps as a tree or as flames: names to the left, times to the right, failures in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flux.presenters.moments import length
from flux.presenters.objects import json_of
from flux.presenters.request_line import error_text
from flux.presenters.text import cut, pad, paint, width, wrap

Step = Mapping[str, Any]

#: As many equal statements in a row are shown as one.
REPEATS = 5

#: A statement from this time on is flagged as slow, in microseconds.
SLOW_US = 100_000

#: Columns to the right of the names: a time and the flags.
FLAGS = 31

_BAR_COLOURS = {"gateway": "dim", "function": "green", "db": "cyan", "tool": "yellow", "queue": "yellow"}


@dataclass(slots=True)
class Node:
    """A step with the steps inside it; `times` counts equal ones folded into it."""

    step: Step
    inside: list[Node] = field(default_factory=list)
    times: int = 1
    total_us: int = 0

    @property
    def is_slow(self) -> bool:
        """Whether it is a statement or a call that took long."""
        return self.step["kind"] in ("db", "tool") and (self.step["duration_us"] or 0) >= SLOW_US


def grow(steps: Sequence[Step]) -> list[Node]:
    """The roots of the tree that flux.span_tree lists in order; equal statements in a row are folded."""
    nodes = {step["span_id"]: Node(step, total_us=step["duration_us"] or 0) for step in steps}
    roots: list[Node] = []
    for step in steps:
        node, parent = nodes[step["span_id"]], nodes.get(step["parent_id"])
        (parent.inside if parent else roots).append(node)
    for node in nodes.values():
        node.inside = list(_folded(node.inside))
    return roots


def _folded(nodes: Iterable[Node]) -> Iterator[Node]:
    run: list[Node] = []
    for node in [*nodes, None]:
        if node and run and _alike(run[0], node):
            run.append(node)
            continue
        if len(run) >= REPEATS:
            run[0].times = len(run)
            run[0].total_us = sum(one.total_us for one in run)
            del run[1:]
        yield from run
        run = [node] if node else []


def _alike(one: Node, other: Node) -> bool:
    same = one.step["sql"] is not None and one.step["sql"] == other.step["sql"]
    return same and not (one.step["error"] or other.step["error"] or one.inside or other.inside)


def tree_lines(
    roots: Sequence[Node], columns: int, *, cause: int | None = None, full: bool = False, short: bool = False
) -> Iterator[str]:
    """The tree; `cause` is the step to point at, `full` adds SQL, input and output, `short` leaves logs out."""
    for number, root in enumerate(roots):
        yield from _node_lines(root, "", "", columns, cause, full, short)
        if number < len(roots) - 1:
            yield ""


def _node_lines(
    node: Node, branch: str, under: str, columns: int, cause: int | None, full: bool, short: bool
) -> Iterator[str]:
    step = node.step
    flags = "".join(f"  {paint(flag, colour)}" for flag, colour in _flags(node, cause))
    times = pad(length(node.total_us if step["duration_us"] is not None else None), 7, right=True)
    if step["kind"] == "log":
        times = " " * 7
    room = max(12, columns - FLAGS - width(branch))
    name = cut(_title(node), room)
    colour = "red" if step["error"] else ""
    yield (
        paint(branch, "dim")
        + pad(paint(name, colour) if colour else _kind_coloured(step, name), room)
        + f"  {times}{flags}"
    )
    below = under + ("│  " if node.inside else "   ")
    if full:
        yield from _details(node, below, columns)
    elif step["error"] and step["span_id"] == cause:
        text = error_text(step["error"].get("type"), step["error"].get("message"))
        for line in wrap(text, columns - width(below) - 2)[:3]:
            yield paint(below, "dim") + paint(line, "red")
    shown = [inner for inner in node.inside if not (short and inner.step["kind"] == "log")]
    for number, inner in enumerate(shown):
        last = number == len(shown) - 1
        yield from _node_lines(
            inner, under + ("└─ " if last else "├─ "), under + ("   " if last else "│  "), columns, cause, full, short
        )


def _title(node: Node) -> str:
    step = node.step
    if step["kind"] == "log":
        return f"log: {step['name']}"
    title = step["name"] if step["kind"] == "gateway" else f"{step['kind']}  {step['name']}"
    return f"{title}  ×{node.times}" if node.times > 1 else title


def _kind_coloured(step: Step, name: str) -> str:
    kind = step["kind"]
    return paint(kind, "dim") + name[len(kind) :] if name.startswith(f"{kind} ") else name


def _flags(node: Node, cause: int | None) -> Iterator[tuple[str, str]]:
    step = node.step
    for note in step.get("notes", ()):
        yield note, "dim"
    if step["error"]:
        yield ("✗ root cause", "red") if step["span_id"] == cause else ("✗", "red")
    if node.times > 1:
        yield "N+1", "yellow"
    if node.is_slow:
        yield "slow", "yellow"
    if step["orphaned"]:
        yield "parent not recorded", "yellow"
    if step["kind"] == "db" and step["rows"] is not None and not step["error"] and node.times == 1:
        yield f"{step['rows']} row{'' if step['rows'] == 1 else 's'}", "dim"


def _details(node: Node, below: str, columns: int) -> Iterator[str]:
    step = node.step
    error = step["error"] or {}
    if any((inner.step["error"] or {}).get("message") == error.get("message") for inner in node.inside):
        error = {}  # the step inside says it
    parts = {
        "sql": " ".join(step["sql"].split()) if step["sql"] else None,
        "in": json_text(step["input"]),
        "out": json_text(step["output"]),
        "error": error_text(error.get("type"), error.get("message")) or None,
        "code": error.get("code"),
        "detail": error.get("detail"),
        "at": error.get("location"),
        "writes": str(step["writes"]) if step["writes"] else None,
    }
    for label, value in parts.items():
        if value is None:
            continue
        colour = "red" if label == "error" else "dim"
        for number, line in enumerate(wrap(value, max(20, columns - width(below) - 8))):
            yield paint(below, "dim") + paint(pad("" if number else label, 7), "dim") + " " + paint(line, colour)


def json_text(value: Any) -> str | None:
    """A recorded value as compact JSON; what was too large to keep says so; None stays None."""
    if value is None or value in ([], {}):
        return None
    if isinstance(value, dict) and set(value) == {"$omitted"}:
        omitted = value["$omitted"]
        return f"{omitted.get('bytes')} bytes, not kept; begins {omitted.get('head', '')[:200]}"
    return json_of(value)


def flame_lines(roots: Sequence[Node], columns: int, total_us: int) -> Iterator[str]:
    """Each step as a bar on the time axis of the request."""
    names = min(34, columns // 3 + 4)
    bars = max(10, columns - names - 12)
    begin = min((root.step["offset_us"] for root in roots), default=0)
    yield pad("", names) + "  " + paint(f"0{pad(length(total_us), bars - 1, right=True)}", "dim")
    stack = [(root, 0) for root in reversed(roots)]
    while stack:
        node, depth = stack.pop()
        stack += [(inner, depth + 1) for inner in reversed(node.inside)]
        step = node.step
        if step["kind"] == "log":
            continue
        left = min(bars - 1, round((step["offset_us"] - begin) / max(total_us, 1) * bars))
        long = max(1, min(bars - left, round(node.total_us / max(total_us, 1) * bars)))
        title = "  " * depth + (step["name"] if node.times == 1 else f"{step['name']} ×{node.times}")
        colour = "red" if step["error"] else _BAR_COLOURS.get(step["kind"], "green")
        yield (
            pad(cut(title, names), names)
            + "  "
            + " " * left
            + paint("█" * long, colour)
            + " " * (bars - left - long)
            + "  "
            + pad(length(node.total_us), 7, right=True)
        )

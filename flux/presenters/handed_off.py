"""What a request handed off, hung into the tree of its steps where it was pushed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.presenters.moments import length
from flux.presenters.tree import Node, grow

Row = Mapping[str, Any]


def graft(roots: Sequence[Node], request_id: Any, handed_off: Sequence[Row]) -> None:
    """Hang each attempt and each job still to run below the step that pushed it, at any depth."""
    nodes = {(request_id, node.step["span_id"]): node for node in _all(roots)}
    first = {request_id: roots[0]} if roots else {}
    for place, row in enumerate(handed_off):
        node = _node(place, row)
        parent = nodes.get((row["parent_request_id"], row["parent_span_id"])) or first.get(row["parent_request_id"])
        if parent is not None:
            parent.inside.append(node)
        if row["request_id"] is not None:
            first[row["request_id"]] = node
            own = {inner.step["span_id"][1]: inner for inner in _all(node.inside)}
            nodes |= {(row["request_id"], span_id): inner for span_id, inner in own.items()}


def _node(place: int, row: Row) -> Node:
    """An attempt with its steps, or a job still to run. Ids of its steps are made different from all others'."""
    steps = [
        {**step, "span_id": (place, step["span_id"]), "parent_id": step["parent_id"] and (place, step["parent_id"])}
        for step in row["steps"]
    ]
    inside = grow(steps)
    if inside and inside[0].step["kind"] == "gateway":
        inside = inside[0].inside
    called = short_id(row["request_id"]) if row["request_id"] else f"job:{row['job_id']}"
    root = {
        "span_id": (place, 0),
        "parent_id": None,
        "kind": row["kind"],
        "name": f"{row['function']}  {called}",
        "duration_us": row["duration_us"],
        "rows": None,
        "sql": None,
        "input": None,
        "output": None,
        "error": {"message": row["error"]} if row["error"] else None,
        "attributes": None,
        "writes": 0,
        "orphaned": False,
        "notes": list(_notes(row)),
    }
    return Node(root, inside, total_us=row["duration_us"] or 0)


def _notes(row: Row) -> Iterator[str]:
    if row["request_id"] is None:
        yield row["state"] if row["state"] != "failed" else "waits for its retry"
    elif row["waited_us"] is not None:
        yield f"waited {length(row['waited_us'])}"
    if row["attempt"] > 1:
        yield f"attempt {row['attempt']}"


def _all(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _all(node.inside)

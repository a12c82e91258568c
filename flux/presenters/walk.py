"""A request and what it handed off as one list of steps, in the order in which one walks through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flux.context import short_id

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One step, without the values that went in and out.

    `number` counts from 1; `place` is the number of its span in the request `request_id`, None for what stands for a
    whole attempt at a job; `above` is the number of the step around it. `begin_us` counts from the start of its own
    request, which took `whole_us`. `error` is the message of its failure, None where it went well. `branch` draws the
    tree to its left. `row` is what the record lists of it.
    """

    number: int
    above: int | None
    branch: str
    kind: str
    name: str
    request_id: UUID | None
    place: int | None
    begin_us: int
    duration_us: int | None
    whole_us: int | None
    error: str | None
    began: bool
    writes: int
    logs: int
    row: Row

    @property
    def title(self) -> str:
        """What it is called: gateway, or the name of what ran."""
        return "gateway" if self.kind == "gateway" else self.name

    @property
    def called(self) -> str:
        """Its request as people name it, or the job where none began."""
        return short_id(self.request_id) if self.request_id else f"job:{self.row['job_id']}"


@dataclass(slots=True)
class _Place:
    """A step before it has its number."""

    row: Row
    handed: Row | None
    request: Row
    inside: list[_Place]
    logs: int = 0

    @property
    def error(self) -> str | None:
        found: str | None = self.row["error"]
        return found


def steps_of(answer: Mapping[str, Any]) -> list[Step]:
    """The steps of what Questions.walk answers; log lines belong to the step that they were written in."""
    request = answer["request"]
    roots, known = _grown(answer["steps"], request)
    first = roots[0] if roots else None
    tops = {request["request_id"]: first}
    for row in answer["handed_off"]:
        inside, own = _grown(row["steps"], row)
        if inside and inside[0].row["kind"] == "gateway":  # says what the attempt says
            inside = [*inside[0].inside, *inside[1:]]
        place = _Place({"error": row["error"] or None}, row, row, inside)
        parent = known.get((row["parent_request_id"], row["parent_span_id"])) or tops.get(row["parent_request_id"])
        (parent.inside if parent else roots).append(place)
        known |= own
        if row["request_id"] is not None:
            tops[row["request_id"]] = place
    if not roots:  # nothing is known of its steps: it stands for them itself
        error = ": ".join(part for part in (request["error_type"], request["error_message"]) if part) or None
        name = request["function"] or " ".join(part for part in (request["method"], request["path"]) if part)
        whole = {"function": name, "state": request["outcome"], "waited_us": None, "job_id": None}
        roots = [_Place({"error": error}, {**request, **whole}, request, [])]
    return list(_numbered(roots))


def _grown(outline: Sequence[Row], request: Row) -> tuple[list[_Place], dict[tuple[Any, int], _Place]]:
    places = {row["span_id"]: _Place(row, None, request, []) for row in outline}
    roots = []
    for number, place in places.items():
        parent = places.get(place.row["parent_id"]) if place.row["parent_id"] != number else None
        if parent is None:
            roots.append(place)
        elif place.row["kind"] == "log":
            parent.logs += 1
        else:
            parent.inside.append(place)
    return roots, {(request["request_id"], number): place for number, place in places.items()}


def _numbered(roots: Iterable[_Place]) -> Iterator[Step]:
    stack: list[tuple[_Place, int | None, str, str]] = [(root, None, "", "") for root in reversed(list(roots))]
    number = 0
    while stack:
        place, above, branch, under = stack.pop()
        number += 1
        yield _step(place, number, above, branch)
        for last, inner in zip([True, *[False] * len(place.inside)], reversed(place.inside), strict=False):
            stack.append((inner, number, under + ("└─" if last else "├─"), under + ("  " if last else "│ ")))


def _passed_on(inner: str | None, outer: str) -> bool:
    """Whether an error is that of a step inside; that of an attempt at a job has its type in front."""
    return inner is not None and (outer == inner or outer.endswith(f": {inner}"))


def _step(place: _Place, number: int, above: int | None, branch: str) -> Step:
    handed, request = place.handed, place.request
    began = place.error is not None and not any(_passed_on(inner.error, place.error) for inner in place.inside)
    if handed is not None:
        return Step(
            number, above, branch, handed["kind"], handed["function"], handed["request_id"], None,
            0, handed["duration_us"], handed["duration_us"], place.error, began, 0, 0, handed,
        )  # fmt: skip
    row = place.row
    return Step(
        number, above, branch, row["kind"], row["name"], request["request_id"], row["span_id"],
        row["offset_us"], row["duration_us"], request["duration_us"], row["error"], began,
        row["writes"], place.logs, row,
    )  # fmt: skip

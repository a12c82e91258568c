"""How two executions differ: what came in, each step, what was written, what went out.

Durations, times of start, ids, code and the line of an error in other code never count. What any two runs differ in is
excused (flux.replay.variation); what the record does not hold is unknown, and then nothing is called the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from flux.replay.alignment import Node, align
from flux.replay.changes import Differences
from flux.replay.conclusion import conclusion, repetitions
from flux.replay.difference import MISSING, Change, Compared, Difference, MutationPair, Repeated, Row, SpanPair
from flux.replay.recorded import RecordedRequest
from flux.replay.variation import Variation
from flux.replay.writes import Writes
from flux.runtime.sameness import VOLATILE_HEADERS, normal

if TYPE_CHECKING:
    from flux.engine.generated import Generated

__all__ = ["MISSING", "Change", "Compared", "Difference", "MutationPair", "Repeated", "SpanPair", "compare"]

#: A part of an execution that may be compared alone.
Part = Literal["spans", "mutations", "output"]

#: What came in.
_ASKED = ["method", "path", "query", "route", "function", "input", "headers", "actor", "claims"]

_ERROR = ["type", "message", "code", "table", "column", "constraint", "detail"]

#: Ours and no step's doing, or said by the name of the step already.
_UNCOUNTED_ATTRIBUTES = ("flux.", "server.", "url.full", "db.query.text", "error.type")

_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)


def compare(
    a: RecordedRequest, b: RecordedRequest, generated: Sequence[Generated] = (), *, only: Part | None = None
) -> Difference:
    """How B differs from A; `generated` are the columns whose values the database makes itself.

    With `only`, what is not of that part is neither compared nor told; `output` is how it ended and what went out.
    """
    notes = [note for side, one in (("A", a), ("B", b)) if (note := _attempts(side, one))]
    unknown = [
        f"{side}: {gap}"
        for side, one in (("A", a), ("B", b))
        for part, gap in one.gaps_by_part()
        if only in (None, part) or part == "all"
    ]
    a, b = last_attempt(a), last_attempt(b)
    variation = Variation(a, b)
    aligned = align(a.spans, b.spans)
    partners = {one.span["span_id"]: other.span["span_id"] for one, other in aligned if one and other}
    writes = Writes(a, b, generated, partners, variation)
    for one, other in aligned:  # before any answer that lists the same rows is compared
        if one and other and _is_unordered(one.span) and _is_unordered(other.span):
            Differences(variation).rows("", one.span.get("output"), other.span.get("output"))
    same_code = a.code_sha is not None and a.code_sha == b.code_sha
    of_spans = [_compare_spans(one, other, variation, same_code) for one, other in aligned]
    of_mutations = list(writes.compared())
    request = _compare_requests(a, b, variation, same_code, ended_only=only == "output")
    if only not in (None, "spans"):
        of_spans = []
    if only not in (None, "mutations"):
        of_mutations = []
    if only in ("spans", "mutations"):
        request = (Compared(a.request, b.request), Differences(variation))
    spans, mutations = [pair for pair, _ in of_spans], [pair for pair, _ in of_mutations]
    found = [differences for _, differences in (request, *of_spans, *of_mutations)]
    unknown += dict.fromkeys(reason for differences in found for reason in differences.unknown)
    redacted = sum(differences.redacted for differences in found)
    if redacted:
        notes.append(f"{redacted} redacted value{'s' if redacted > 1 else ''} could not be compared")
    repeated = tuple(repetitions(spans))
    differs = any(pair.differs for pair in (request[0], *spans, *mutations))
    return Difference(
        same=not differs and not unknown,
        verdict=conclusion(request[0], spans, mutations, repeated, unknown, only),
        request=request[0],
        spans=tuple(spans),
        mutations=tuple(mutations),
        repeated=repeated,
        unknown=tuple(unknown),
        notes=tuple(notes),
    )


def last_attempt(recorded: RecordedRequest) -> RecordedRequest:
    """A request without the attempts that were made again after a serialization failure or a deadlock."""
    outside = {None, *(span["span_id"] for span in recorded.spans if span["kind"] == "gateway")}
    attempts = [span for span in recorded.spans if span["kind"] == "function" and span["parent_id"] in outside]
    if (recorded.request.get("attempt") or 1) < 2 or len(attempts) < 2:
        return recorded
    dropped = {span["span_id"] for span in attempts[:-1]}
    kept = []
    for span in recorded.spans:  # a step comes after the one around it
        if span["span_id"] in dropped or span["parent_id"] in dropped:
            dropped.add(span["span_id"])
        else:
            kept.append(span)
    mutations = tuple(row for row in recorded.mutations if row["span_id"] not in dropped)
    return RecordedRequest(recorded.request, tuple(kept), mutations)


def _attempts(side: str, recorded: RecordedRequest) -> str | None:
    made = recorded.request.get("attempt") or 1
    return f"{side} took {made} attempts, of which the last is compared" if made > 1 else None


def _compare_requests(
    a: RecordedRequest, b: RecordedRequest, variation: Variation, same_code: bool, *, ended_only: bool
) -> tuple[Compared, Differences]:
    found = Differences(variation)
    one, other = dict(a.request), dict(b.request)
    for row in (one, other):
        row["headers"] = {
            name: value for name, value in (row.get("headers") or {}).items() if name not in VOLATILE_HEADERS
        }
        row["error"] = {member: row.get(f"error_{member}") for member in ("type", "message", "code", "location")}
    if not ended_only:
        found.members("", one, other, [*(["kind"] if a.replay_of is None and b.replay_of is None else []), *_ASKED])
    found.members("", one, other, ["status", "outcome"])
    _compare_errors("error", one["error"], other["error"], found, same_code)
    found.members("", one, other, ["output"])
    return found.of(a.request, b.request), found


def _compare_spans(
    one: Node | None, other: Node | None, variation: Variation, same_code: bool
) -> tuple[SpanPair, Differences]:
    a, b = (one.span if one else None), (other.span if other else None)
    a_depth, b_depth = (one.depth if one else 0), (other.depth if other else 0)
    if a is None or b is None:
        return SpanPair(a, b, a_depth=a_depth, b_depth=b_depth), Differences(variation)
    found = Differences(variation, f"{a['kind']} {a['name']}: ")
    found.members("", a, b, ["name"])
    ours, theirs = a.get("attributes") or {}, b.get("attributes") or {}
    found.members("", {"sql": _statement(ours)}, {"sql": _statement(theirs)}, ["sql"])
    found.members("", {"input": normal(a.get("input"))}, {"input": normal(b.get("input"))}, ["input"])
    if _is_unordered(a) and _is_unordered(b):
        found.rows("output", a.get("output"), b.get("output"))
    else:
        found.members("", {"output": normal_answer(a)}, {"output": normal_answer(b)}, ["output"])
    names = [
        name for name in [*ours, *(name for name in theirs if name not in ours)]
        if not name.startswith(_UNCOUNTED_ATTRIBUTES)
    ]  # fmt: skip
    for name in names:
        found.member(f"attributes.{name}", ours.get(name, MISSING), theirs.get(name, MISSING))
    _compare_errors("error", a.get("error") or {}, b.get("error") or {}, found, same_code)
    pair = found.of(a, b)
    return SpanPair(a, b, pair.changes, pair.volatile, a_depth, b_depth), found


def _is_unordered(span: Row) -> bool:
    """Whether it is a statement that asks for its rows in no order."""
    sql = (span.get("attributes") or {}).get("db.query.text")
    return span["kind"] == "db" and not _ORDERED.search(sql or "")


def _compare_errors(path: str, a: Row, b: Row, found: Differences, same_code: bool) -> None:
    """Compare two errors; in other code the same error stands on another line."""
    found.members(path, a, b, _ERROR)
    one, other = a.get("location"), b.get("location")
    if one and other and not same_code and one.rpartition(":")[0] == other.rpartition(":")[0]:
        if one != other:
            found.volatile.append(Change(f"{path}.location", one, other))
        return
    found.members(path, a, b, ["location"])


def normal_answer(span: Row) -> Any:
    """The output of a step, without the headers of an answer that differ from one call to the next."""
    output = span.get("output")
    if span["kind"] != "tool" or not isinstance(output, dict) or not isinstance(output.get("headers"), dict):
        return output
    known = {name: value for name, value in output["headers"].items() if name not in VOLATILE_HEADERS}
    return {**output, "headers": known}


def _statement(attributes: Row) -> str | None:
    sql = attributes.get("db.query.text")
    return " ".join(sql.split()) if sql else None

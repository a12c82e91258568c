"""The line that says how two executions differ: the end first, then what was written, then the steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from flux.encoding import to_json
from flux.replay.difference import MISSING, Change, Compared, MutationPair, Repeated, SpanPair

#: How often a step must be repeated on one side to be told as a repetition.
OFTEN = 3

_LONGEST = 60


def conclusion(
    request: Compared,
    spans: Sequence[SpanPair],
    mutations: Sequence[MutationPair],
    repeated: Sequence[Repeated],
    unknown: Sequence[str],
    only: str | None = None,
) -> str:
    """The verdict; with `only`, on that part alone."""
    parts = [*_end(request), *_writes(mutations), *_steps(spans, repeated, bool(request.changes)), *_asked(request)]
    if parts:
        return " · ".join(parts)
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        return f"not known to be the same: {unknown[0]}{more}"
    counted = ["status and output"] if only in (None, "output") else []
    counted += [_count(len(spans), "step")] if spans or only == "spans" else []
    counted += [_count(len(mutations), "write")] if mutations or only == "mutations" else []
    excused = sum(len(pair.volatile) for pair in (request, *spans, *mutations))
    told = f"same: {', '.join(counted)}"
    return f"{told}; {_count(excused, 'volatile value')}" if excused else told


def repetitions(spans: Sequence[SpanPair]) -> Iterator[Repeated]:
    """Statements and calls that one step makes more than once, and not as often on both sides."""
    counts: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())
    within: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
    for number, pair in enumerate(spans):
        for side, span in enumerate((pair.a, pair.b)):
            if span is None:
                continue
            around = within[side].get(span["parent_id"])
            within[side][span["span_id"]] = number if pair.a and pair.b else around  # a helper counts for its caller
            if span["kind"] in ("db", "tool", "invoke", "queue", "event"):
                sql = (span.get("attributes") or {}).get("db.query.text")
                counts[side][around, span["kind"], span["name"], " ".join(sql.split()) if sql else None] += 1
    ours, theirs = counts
    for key in dict.fromkeys([*ours, *theirs]):
        if ours[key] != theirs[key] and max(ours[key], theirs[key]) >= OFTEN:
            yield Repeated(key[1], key[2], key[3], ours[key], theirs[key])


def short(value: Any) -> str:
    """A value in few characters."""
    if value is MISSING:
        return "none"
    text = value if isinstance(value, str) and value else to_json(value).decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _end(request: Compared) -> Iterator[str]:
    """How it ended: status, error, output."""
    found = {change.path: change for change in request.changes}
    status, outcome = found.get("status"), found.get("outcome")
    if status is not None:
        yield f"{short(status.b)} instead of {short(status.a)}"
    elif outcome is not None:
        yield f"{short(outcome.b)} instead of {short(outcome.a)}"
    error = _error(request)
    if error:
        yield error
    outputs = [change for change in request.changes if change.path.startswith("output")]
    if outputs and not (error and status is not None):
        yield f"{_told(outputs[0])}{_more(outputs)}"


def _error(request: Compared) -> str | None:
    if not any(change.path.startswith("error.") for change in request.changes):
        return None
    one, other = (_error_text(row or {}) for row in (request.a, request.b))
    if one is None or other is None:
        return other if one is None else f"no more {one}"
    return f"{other} instead of {one}" if one != other else "the error differs"


def _error_text(row: Any) -> str | None:
    kind = (row.get("error_type") or "").rpartition(".")[2]
    return ": ".join(part for part in (kind, row.get("error_message")) if part) or None


def _writes(mutations: Sequence[MutationPair]) -> Iterator[str]:
    changed = [pair for pair in mutations if pair.changes]
    if len(changed) == 1:
        pair = changed[0]
        table = pair.either["table_name"].removeprefix("public.")
        yield f"{pair.either['operation'].lower()} {table}: {_told(pair.changes[0])}{_more(pair.changes)}"
    elif changed:
        yield f"{len(changed)} writes differ"
    yield from _alone(mutations, "write")


def _steps(spans: Sequence[SpanPair], repeated: Sequence[Repeated], ended: bool) -> Iterator[str]:
    for one in repeated[:2]:
        yield f"{one.name} ×{one.b} instead of ×{one.a}"
    known = {(one.kind, one.name) for one in repeated}
    rest = [pair for pair in spans if (pair.either["kind"], pair.either["name"]) not in known]
    changed = [pair for pair in rest if pair.changes]
    # A request's end shows in all that is around it, so those tell nothing where another step does.
    told = [pair for pair in changed if pair.either["kind"] not in ("gateway", "function")]
    told = told or ([] if ended else changed)
    if told:
        name = f"{told[0].either['kind']} {told[0].either['name']}"
        yield f"{_count(len(told), 'step')} differ{'s' if len(told) == 1 else ''}, first {name}"
    yield from _alone(rest, "step")


def _alone(pairs: Sequence[Compared], what: str) -> Iterator[str]:
    for side, count in (("A", sum(pair.b is None for pair in pairs)), ("B", sum(pair.a is None for pair in pairs))):
        if count:
            yield f"{_count(count, what)} only in {side}"


def _asked(request: Compared) -> Iterator[str]:
    given = [
        change for change in request.changes
        if not change.path.startswith(("status", "outcome", "output", "error"))
    ]  # fmt: skip
    if given:
        yield f"{_told(given[0])}{_more(given)}"


def _told(change: Change) -> str:
    return f"{change.path} {short(change.a)} → {short(change.b)}"


def _more(changes: Sequence[Change]) -> str:
    return f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

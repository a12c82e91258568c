"""The answer of flux trace ID: a request's heading, its steps as a tree or flames, and what stands out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.deploy.identity import short_code
from flux.presenters.handed_off import graft
from flux.presenters.moments import length, precise
from flux.presenters.request_line import attempt_text, failure_text, origin, outcome_mark
from flux.presenters.text import cut, indent, paint, width, wrap
from flux.presenters.tree import flame_lines, grow, json_text, tree_lines

Row = Mapping[str, Any]


def trace_lines(answer: Mapping[str, Any], columns: int, *, full: bool = False, flame: bool = False) -> Iterator[str]:
    """A trace as lines: heading, steps, what is repeated or slow, what is missing, what to ask next."""
    request: Row = answer["request"]
    yield from heading(request, columns)
    yield from _given(request, columns)
    yield ""
    roots = grow(answer["steps"])
    if not flame:
        graft(roots, request["request_id"], answer.get("handed_off", ()))
    if flame:
        yield from indent(flame_lines(roots, columns - 2, request["duration_us"] or 1))
    else:
        cause = answer["root_cause"][0]["span_id"] if answer["root_cause"] else None
        yield from indent(tree_lines(roots, columns - 2, cause=cause, full=full))
    yield from _remarks(answer, columns)
    yield ""
    yield from indent([paint(f"next: {'  ·  '.join(_next(request, full, flame))}", "dim")])


def heading(request: Row, columns: int, verdict: str | None = None) -> Iterator[str]:
    """Two lines: what the request was and how it ended; when, and in which code."""
    mark, colour = outcome_mark(request["outcome"])
    what, where = origin(request)
    name = f"{what} {where}" + (f" → {request['function']}" if request["function"] and request["path"] else "")
    end = f"{request['status'] or '–'} {request['outcome']}  {length(request['duration_us'])}"
    room = columns - 18 - width(end)
    first = cut(verdict or name, room)
    space = " " * max(0, room - width(first))
    start = f"  {paint(mark, colour)} {paint(short_id(request['request_id']), 'cyan')}  "
    yield f"{start}{paint(first, 'bold')}{space} {paint(end, colour)}"
    facts = [precise(request["started_at"])]
    facts += [f"code {short_code(request['code_sha'])}"] if request["code_sha"] else ["code not known"]
    facts += [attempt_text(request)] if attempt_text(request) else []
    facts += [f"by {request['actor']}"] if request["actor"] else []
    facts += [f"handed off by {short_id(request['parent_request_id'])}"] if request["parent_request_id"] else []
    yield paint(cut(f"    {' · '.join(facts)}", columns), "dim")


def _given(request: Row, columns: int) -> Iterator[str]:
    reason = failure_text(request)
    for line in wrap(reason, columns - 4) if reason else []:
        yield "    " + paint(line, outcome_mark(request["outcome"])[1])
    for label, value in (("in ", request["input"]), ("out", request["output"])):
        text = json_text(value)
        if text:
            yield f"    {paint(label, 'dim')}  {cut(text, columns - 9)}"


def _remarks(answer: Mapping[str, Any], columns: int) -> Iterator[str]:
    lines: list[tuple[str, str]] = []
    for repeated in answer["repeated"]:
        share = f", {repeated['share']:.0%} of the time" if repeated["share"] else ""
        lines.append(
            (
                "yellow",
                f"N+1: {repeated['name']} ran {repeated['times']} times, {length(repeated['total_us'])}{share}: "
                f"{' '.join(repeated['sql'].split())}",
            )
        )
        if repeated["suggested_index"]:
            lines.append(("dim", f"     no index serves it: {repeated['suggested_index']}"))
    lines += [("yellow", f"not recorded: {gap['gap']}") for gap in answer["gaps"]]
    if lines:
        yield ""
    for colour, text in lines:
        for line in wrap(text, columns - 2):
            yield "  " + paint(line, colour)


def _next(request: Row, full: bool, flame: bool) -> Sequence[str]:
    name = str(request["request_id"])[:8]
    ways = " | ".join(way for way, shown in (("--full", full), ("--flame", flame)) if not shown)
    return [*([f"flux why {name}"] if request["outcome"] != "ok" else []), f"flux trace {name} {ways}"]

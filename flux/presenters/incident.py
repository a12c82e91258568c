"""The answer of flux incident replay: a line a request as it is replayed, the reason below it, and the totals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.presenters.moments import length
from flux.presenters.request_line import error_text
from flux.presenters.style import Style
from flux.presenters.text import cut, pad, paint, width, wrap
from flux.replay.verdicts import Replayed, Totals, Verdict

_MARKS: Mapping[Verdict, tuple[str, str]] = {
    "same": ("✔", "green"),
    "fixed": ("✔", "green"),
    "changed": ("≠", "yellow"),
    "regressed": ("≠", "red"),
    "failing": ("✗", "red"),
    "skipped": ("–", "dim"),
}

#: What the totals call those that do not simply pass.
_WORDS: Mapping[Verdict, str] = {
    "changed": "changed",
    "failing": "still failing",
    "regressed": "failing that passed before",
    "skipped": "not replayed",
}

#: What is particular to one request in a reason that many share.
_DETAIL = re.compile(r" \(.*\)$")

#: Columns for a path; longer ones are cut on a terminal.
PATHS = 32

#: Requests named for one reason that they may not be exact.
MOST_NAMED = 5


def began_lines(requests: int, where: str, code: str, *, in_place: bool) -> Iterator[str]:
    """What is replayed, on which code, and what is switched off."""
    noun = "request" if requests == 1 else "requests"
    yield f"  Replaying {paint(f'{requests:,} {noun}', 'bold')} {where}…"
    yield paint(f"  on {code}", "dim")
    yield ""
    yield "  Side-effects: hooks off · events off · cron off · jobs off · tool calls from the record"
    place = "in the connected database" if in_place else "in a sandbox"
    yield f"  Database writes: on, {place} · mutation log: on"
    yield ""


def replayed_lines(one: Replayed, style: Style) -> Iterator[str]:
    """One request: its mark, how it ended then and now, and below it why that is so."""
    mark, colour = _MARKS[one.verdict]
    row = one.recorded.request
    what = row["method"] or row["kind"]
    where = (row["path"] if row["method"] else row["function"]) or "–"
    then, now = row["status"], one.replay.status if one.replay else None
    status = str(now or "–") if one.replay is None or now == then else f"{then} → {now}"
    took = length(one.replay.request.get("duration_us")) if one.replay else ""
    start = f"  {paint(mark, colour)}  {paint(short_id(row['request_id']), 'cyan')}  {pad(what, 6)} "
    end = f"  {paint(pad(status, 3), colour)}  {pad(took, 6, right=True)}"
    room = max(12, min(PATHS, style.width - width(start) - width(end)))
    yield start + pad(cut(where, room) if style.terminal else where, room) + end
    yield from _reason(one, style, colour)


def _reason(one: Replayed, style: Style, colour: str) -> Iterator[str]:
    text = reason_text(one)
    lines = wrap(text, max(20, style.width - 8)) if text and style.terminal else [text] * bool(text)
    for number, line in enumerate(lines):
        yield f"     {'└─ ' if not number else '   '}{paint(line, colour)}"
    if one.verdict in ("changed", "regressed") and one.replay_id is not None:
        yield f"        {paint(f'flux trace diff {_digits(one.recorded.request_id)} {_digits(one.replay_id)}', 'dim')}"


def reason_text(one: Replayed) -> str:
    """Why a request is not just the same; empty where it is."""
    if one.verdict == "same":
        return ""
    if one.verdict == "skipped" or one.replay is None or one.difference is None:
        return f"not replayed: {one.obstacle}"
    if one.unanswered:
        names = ", ".join(dict.fromkeys(one.unanswered))
        return f"new call, which the record cannot answer: {names}; give an answer with --stub FILE"
    now = error_text(one.replay.request.get("error_type"), one.replay.request.get("error_message"))
    then = error_text(one.recorded.request.get("error_type"), one.recorded.request.get("error_message"))
    return {
        "failing": f"Still failing: {now or one.replay.outcome}" + ("" if now == then else f" (then: {then})"),
        "fixed": f"Fixed: {then or one.recorded.outcome}",
        "regressed": f"Passed before: {now or one.replay.outcome}",
        "changed": one.difference.verdict,
    }[one.verdict]


def total_lines(replayed: Sequence[Replayed], columns: int) -> Iterator[str]:
    """How many have which verdict, and how faithful it all was."""
    totals = Totals.of(replayed)
    fixed = totals.count("fixed")
    passing = f"{totals.count('same', 'fixed'):,} passing" + (f" ({fixed:,} of them failed before)" if fixed else "")
    counts = [f"{totals.replayed:,} replayed", passing]
    counts += [f"{count:,} {_WORDS[verdict]}" for verdict in _WORDS if (count := totals.count(verdict))]
    yield ""
    yield from (f"  {paint(line, 'bold')}" for line in wrap(" · ".join(counts), columns - 2))
    yield from _fidelity(replayed, totals, columns)


def _fidelity(replayed: Sequence[Replayed], totals: Totals, columns: int) -> Iterator[str]:
    """How many could be replayed exactly, and for each reason why not, which."""
    yield f"  fidelity: {totals.exact:,} of {totals.requests:,} exactly" + (
        f" · {totals.doubtful:,} perhaps not" if totals.doubtful else ""
    )
    reasons: dict[str, list[Replayed]] = {}
    for one in replayed:
        for reason in (one.obstacle,) if one.obstacle else one.doubts if not one.exact else ():
            reasons.setdefault(_DETAIL.sub("", reason), []).append(one)
    for reason, those in sorted(reasons.items(), key=lambda item: -len(item[1])):
        names = ", ".join(short_id(one.recorded.request_id) for one in those[:MOST_NAMED])
        more = f" and {len(those) - MOST_NAMED:,} more" if len(those) > MOST_NAMED else ""
        first, *rest = wrap(f"{names}{more}: {reason}", max(20, columns - 6))
        yield f"    {paint(f'· {first}', 'dim')}"
        yield from (f"      {paint(line, 'dim')}" for line in rest)


def as_json(one: Replayed) -> dict[str, Any]:
    """One replayed request with stable keys."""
    return {
        "request_id": str(one.recorded.request_id),
        "replay_id": str(one.replay_id) if one.replay_id else None,
        "method": one.recorded.request["method"],
        "path": one.recorded.request["path"],
        "function": one.recorded.request["function"],
        "verdict": one.verdict,
        "reason": reason_text(one) or None,
        "then": _ending(one.recorded.request),
        "now": _ending(one.replay.request) if one.replay else None,
        "difference": one.difference.as_json() if one.difference and not one.difference.same else None,
        "calls": [
            {
                "span_id": call.span_id, "name": call.name, "outcome": call.outcome, "arguments": call.arguments,
                "recorded_arguments": call.recorded_arguments,
            }
            for call in one.ran.calls
        ] if one.ran else [],
        "doubts": list(one.doubts),
        "obstacle": one.obstacle,
    }  # fmt: skip


def totals_json(replayed: Sequence[Replayed]) -> dict[str, Any]:
    """The totals with stable keys."""
    totals = Totals.of(replayed)
    verdicts: dict[str, int] = {name: totals.count(name) for name in _MARKS}
    return {
        "requests": totals.requests, "replayed": totals.replayed, **verdicts,
        "fidelity": {"exact": totals.exact, "doubtful": totals.doubtful, "not_replayed": totals.count("skipped")},
    }  # fmt: skip


def _ending(row: Mapping[str, Any]) -> dict[str, Any]:
    members = ("status", "outcome", "duration_us", "error_type", "error_message", "code_sha")
    return {name: row.get(name) for name in members}


def _digits(request_id: Any) -> str:
    return str(request_id)[:8]

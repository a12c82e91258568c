"""One request on one line, as flux trace, flux tail, flux dev and flux serve print it; under it, why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flux.context import short_id
from flux.presenters import moments
from flux.presenters.style import Style
from flux.presenters.text import cut, pad, paint, render, width

_JOBS = ("job", "cron", "event", "hook")

_MARKS = {
    "ok": ("✔", "green"),
    "refused": ("!", "yellow"),
    "running": ("…", "cyan"),
    "error": ("✗", "red"),
    "timeout": ("✗", "red"),
    "crashed": ("✗", "red"),
}


def request_line(row: Mapping[str, Any], style: Style, *, dated: bool = False) -> str:
    """A row of flux.trace_requests for people: on a terminal, a failure's reason stands on a second line.

    Anywhere else it is one line with the full date, nothing cut off, so that grep and awk can work with it.
    """
    terminal = style.terminal
    mark, colour = outcome_mark(row["outcome"])
    when = moments.full(row["started_at"]) if dated or not terminal else moments.clock(row["started_at"])
    what, where = origin(row)
    reason = failure_text(row)
    start = f"{paint(when, 'dim')}  {paint(mark, colour)} {paint(short_id(row['request_id']), 'cyan')}  {pad(what, 6)} "
    status = row["status"] if row["status"] is not None else "–"
    end = f"  {paint(f'{status:>3}', colour)}  {pad(moments.length(row['duration_us']), 6, right=True)}"
    if attempts := attempt_text(row):
        end += f"  {attempts}"
    if not terminal:
        return render(f"{start}{pad(where, 24)}{end}{'  ' + reason if reason else ''}", style.color)
    room = max(12, style.width - width(start) - width(end))
    lines = [start + pad(cut(where, room), room) + end]
    if reason:
        under = " " * (len(when) + 2) + "└─ "
        lines.append(under + paint(cut(reason, style.width - width(under)), colour))
    return "\n".join(render(line, style.color) for line in lines)


def attempt_text(row: Mapping[str, Any]) -> str:
    """How often it ran before it ended so; of a job, which of its attempts this was. Empty for the first."""
    attempt = row.get("attempt") or 1
    if attempt == 1:
        return ""
    return f"attempt {attempt}" if row["kind"] in _JOBS else f"{attempt} attempts"


def outcome_mark(outcome: str) -> tuple[str, str]:
    """The sign of an outcome and its colour."""
    return _MARKS.get(outcome, ("?", "yellow"))


def origin(row: Mapping[str, Any]) -> tuple[str, str]:
    """What started a request, in two words: POST and its path, or its kind and its function."""
    if row["method"] and row["path"]:
        return row["method"], row["path"]
    return row["kind"], row["function"] or "–"


def error_text(kind: str | None, message: str | None) -> str:
    """UniqueViolation: duplicate key …, without the module of the error's class."""
    name = (kind or "").rpartition(".")[2]
    return ": ".join(part for part in (name, message) if part)


def failure_text(row: Mapping[str, Any]) -> str:
    """Why a request did not end well, on one line; empty when it did."""
    if row["outcome"] == "ok":
        return ""
    text = error_text(row.get("error_type"), row.get("error_message"))
    if row["outcome"] in ("timeout", "crashed", "running") and not text.lower().startswith(row["outcome"]):
        text = f"{row['outcome']}: {text}" if text else row["outcome"]
    location = row.get("error_location")
    return f"{text} ({location})" if location and text else text

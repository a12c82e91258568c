"""The answers of flux queue: how queues do, the jobs that wait, and those that are dead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flux.presenters.moments import clock, length
from flux.presenters.text import cut, pad, paint, width

Row = Mapping[str, Any]

_STATES = {"running": "cyan", "ready": "green", "failed": "red", "scheduled": "dim"}
_COUNTS = ("ready", "scheduled", "running", "failed", "dead")


def stats_lines(rows: Sequence[Row]) -> Iterator[str]:
    """A line a function, under its queue."""
    if not rows:
        return
    most = max(12, *(width(row["function"]) for row in rows))
    titles = [pad(title, 9, right=True) for title in (*_COUNTS, "oldest", "done/min", "p95")]
    yield paint(f"  {pad('', most)} {' '.join(titles)}", "dim")
    shown = None
    for row in rows:
        if row["queue"] != shown:
            shown = row["queue"]
            yield f"{paint(shown, 'bold')}{_setting(row)}"
        counts = [_count(row, name) for name in _COUNTS]
        oldest = length(_microseconds(row["oldest"])) if row["oldest"] is not None else "–"
        p95 = length(int(row["p95_ms"] * 1000)) if row["p95_ms"] is not None else "–"
        rest = [pad(text, 9, right=True) for text in (oldest, f"{row['done_per_minute']:g}", p95)]
        yield f"  {pad(row['function'], most)} {' '.join([*counts, *rest])}"


def job_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """A line a job; under one that failed, why."""
    for row in rows:
        state = row["state"]
        start = f"{paint(pad(row['id'], 10), 'cyan')} {paint(pad(state, 9), _STATES[state])} {pad(row['function'], 20)}"
        facts = [
            row["queue"] if row["queue"] != "default" else "",
            f"priority {row['priority']}" if row["priority"] else "",
            _due(row["run_at"]) if state in ("scheduled", "failed") else "",
            f"attempt {row['attempt']} of {row['max_attempts']}" if row["attempt"] else "",
            f"key {row['key']}" if row["key"] else "",
            f"after {row['ordering_key']}" if row["ordering_key"] else "",
            row["pushed_by"] and f"pushed by {row['pushed_by']}",
        ]
        yield f"{start} {cut(' · '.join(fact for fact in facts if fact), max(20, columns - width(start) - 1))}".rstrip()
        if row["error"]:
            yield f"           └─ {paint(cut(_why(row), columns - 14), 'red')}"


def dead_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """Two lines a job: what it was, and why it failed, with the request to ask about."""
    for row in rows:
        attempts = f"{row['attempt']} attempt{'' if row['attempt'] == 1 else 's'}"
        ended = paint(clock(row["finished_at"]), "dim")
        yield f"{paint(pad(row['id'], 10), 'cyan')} {ended}  {row['function']} · {attempts}"
        yield f"           └─ {paint(cut(row['error'] or 'no error is known', columns - 14), 'red')}"
        if row["request"]:
            yield f"           {paint('flux why ' + row['request'].removeprefix('req:'), 'cyan')}"


def done_line(said: str) -> str:
    """What was done."""
    return f"  {paint('✔', 'green')} {said}"


def _setting(row: Row) -> str:
    parts = [paint("paused", "yellow")] if row["paused"] else []
    if row["concurrency_limit"]:
        parts.append(f"at most {row['concurrency_limit']} at once")
    return f"  {', '.join(parts)}" if parts else ""


def _count(row: Row, name: str) -> str:
    number = row[name]
    shown = pad(f"{number:,}" if number else "–", 9, right=True)
    return paint(shown, "red") if number and name in ("failed", "dead") else shown


def _why(row: Row) -> str:
    return f"{row['error']} ({row['request']})" if row["request"] else str(row["error"])


def _due(moment: datetime) -> str:
    left = _microseconds(moment - datetime.now(UTC))
    if left <= 0:
        return "due"
    hours = left / 3_600_000_000
    return f"in {hours / 24:.0f}d" if hours >= 48 else f"in {hours:.0f}h" if hours >= 1 else f"in {length(left)}"


def _microseconds(time: timedelta) -> int:
    return int(time.total_seconds() * 1_000_000)

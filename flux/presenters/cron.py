"""The answers of flux cron: schedules, and ticks with what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.presenters.moments import full, length
from flux.presenters.text import cut, pad, paint, wrap

Row = Mapping[str, Any]

_STATES = {
    "done": ("✔", "green"),
    "dead": ("✗", "red"),
    "failed": ("!", "yellow"),
    "running": ("…", "cyan"),
    "ready": ("…", "cyan"),
    "scheduled": ("…", "cyan"),
}

_REASONS = {"missed": "made up for a missed tick", "hand": "run by hand", "skipped": "skipped: no worker ran"}


def schedule_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """Two lines a schedule: when it runs, and how it went last."""
    for row in rows:
        zone = "" if row["timezone"] == "UTC" else f" {row['timezone']}"
        next_ = f"next {full(row['next_tick'])}" if row["next_tick"] else paint(row["state"], "yellow")
        yield f"  {paint(row['function'], 'bold')}  {paint(row['expression'] + zone, 'cyan')}  {next_}"
        if row["last_tick"] is None:
            yield paint("    has not run yet", "dim")
            continue
        mark, colour = state_mark(row["last_state"])
        said = f"last {full(row['last_tick'])}, {row['last_state'] or _REASONS['skipped']}"
        yield f"    {paint(mark, colour)} {said}  {paint(_request(row['last_request_id']), 'cyan')}".rstrip()
        if row["last_error"] and row["last_state"] != "done":
            for line in wrap(row["last_error"], columns - 6):
                yield "      " + paint(line, colour)


def tick_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """A line a tick, newest first; under one that failed, why."""
    names = max(len(row["function"]) for row in rows)
    for row in rows:
        mark, colour = state_mark(row["state"])
        job = f"job:{row['job_id']}" if row["job_id"] is not None else ""
        took = length(row["duration_us"]) if row["duration_us"] is not None else ""
        line = (
            f"  {paint(full(row['tick']), 'dim')}  {paint(mark, colour)} {pad(row['function'], names)}  "
            f"{pad(row['state'] or 'skipped', 9)}  {pad(job, 10)}  {pad(took, 6, right=True)}  "
            f"{paint(_request(row['request_id']), 'cyan')}"
        )
        yield line.rstrip()
        notes = [_REASONS[row["reason"]]] if row["reason"] in _REASONS else []
        if row["skipped"]:
            more = "1000 ticks or more" if row["skipped"] >= 1000 else _ticks(row["skipped"])
            notes.append(f"{more} before it did not run" if row["job_id"] else f"{more} did not run")
        if row["error"] and row["state"] != "done":
            notes.append(row["error"])
        for note in notes:
            yield " " * 25 + paint(cut(note, columns - 25), "dim")


def state_mark(state: str | None) -> tuple[str, str]:
    """The sign of a job's state and its colour."""
    return _STATES.get(state or "", ("–", "yellow"))


def _ticks(count: int) -> str:
    return "1 tick" if count == 1 else f"{count} ticks"


def _request(request_id: Any) -> str:
    return short_id(request_id) if request_id else ""

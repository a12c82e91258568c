"""The list of failures on a full screen: one line each, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flux.context import short_id
from flux.presenters.moments import full, length
from flux.presenters.request_line import failure_text, origin, outcome_mark
from flux.presenters.text import cut, pad, paint, width

Row = Mapping[str, Any]

#: From this width on there is the date beside the time, and how long it took.
WIDE = 110


def failure_line(row: Row, columns: int) -> str:
    """When, which request, where, how it ended and why, as far as there is room."""
    mark, colour = outcome_mark(row["outcome"])
    when = full(row["started_at"]) if columns >= WIDE else full(row["started_at"])[5:]
    status = f"{row['status'] if row['status'] is not None else '–':>3}"
    took = pad(length(row["duration_us"]), 8, right=True) if columns >= WIDE else ""
    where = cut(" ".join(origin(row)), columns // 4)
    start = f" {paint(when, 'dim')}  {paint(mark, colour)} {paint(short_id(row['request_id']), 'cyan')}  "
    start += f"{pad(where, columns // 4)}  {paint(status, colour)}{took}  "
    return start + paint(cut(failure_text(row), max(0, columns - width(start))), colour)


def failures_title(count: int, refused: bool) -> str:
    """The head of the list."""
    what = "failed or refused requests" if refused else "failed requests"
    if not count:
        return f"  {paint(f'No {what} are recorded', 'bold')}  {paint('new ones appear here', 'dim')}"
    return f"  {paint(f'{count:,} {what}', 'bold')}  {paint('newest first, live', 'dim')}"

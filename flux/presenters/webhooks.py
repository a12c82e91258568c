"""The answers of flux webhooks: receivers, and deliveries with what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.presenters.cron import state_mark
from flux.presenters.moments import full
from flux.presenters.text import cut, pad, paint

Row = Mapping[str, Any]


def webhook_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """Two lines a webhook: where it is and what it gets, and how the last delivery went."""
    for row in rows:
        signed = "" if row["signed"] else f"  {paint('not signed', 'yellow')}"
        yield f"  {paint(row['webhook'], 'bold')}  {paint(row['url'], 'cyan')}{signed}"
        yield f"    {cut(', '.join(row['events']), columns - 4)}"
        last = row["last"]
        if last is None:
            yield paint("    nothing was delivered yet", "dim")
        else:
            mark, colour = state_mark(last["state"])
            yield f"    {paint(mark, colour)} last {full(last['event_time'])}, {_how(last)}"


def delivery_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """A line a delivery, newest first; under one that is not done, why."""
    webhooks = max(len(row["webhook"]) for row in rows)
    types = min(32, max(len(row["event_type"] or "–") for row in rows))
    for row in rows:
        mark, colour = state_mark(row["state"])
        request = short_id(row["request_id"]) if row["request_id"] else ""
        line = (
            f"  {paint(mark, colour)} {pad('job:' + str(row['job_id']), 9)} {paint(full(row['event_time']), 'dim')}  "
            f"{pad(row['webhook'], webhooks)}  {pad(cut(row['event_type'] or '–', 32), types)}  "
            f"{_how(row)}  {paint(request, 'cyan')}"
        )
        yield line.rstrip()
        if row["error"] and row["state"] != "done":
            yield " " * 14 + paint(cut(row["error"], columns - 14), colour)


def _how(row: Row) -> str:
    said = row["state"] or "forgotten"
    if row["status"] is not None:
        said += f", answered {row['status']}"
    if (row["attempt"] or 0) > 1:
        said += f", {row['attempt']} attempts"
    return said

"""The answers of flux events: what was published, and who is told of what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.presenters.moments import full
from flux.presenters.objects import json_of
from flux.presenters.text import cut, pad, paint, wrap

Row = Mapping[str, Any]


def event_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """A line an event: when, what, to what, and the request that published it; what it says goes below."""
    types = min(32, max(len(row["type"]) for row in rows))
    for row in rows:
        by = short_id(row["request_id"]) if row["request_id"] else row["source"]
        what = pad(cut(row["type"], 32), types)
        about = f"  {row['subject']}" if row["subject"] else ""
        yield f"  {paint(full(row['time']), 'dim')}  {paint(what, 'bold')}  {paint(by, 'cyan')}{about}"
        if row["data"]:
            yield "    " + paint(cut(json_of(row["data"]), columns - 4), "dim")


def subscriber_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """A line a subscriber; under a hook, its condition and what keeps it from firing."""
    names = max(len(row["subscriber"]) for row in rows)
    for row in rows:
        mark, colour = ("✗", "red") if row["fault"] else ("✔", "green")
        start = f"  {paint(mark, colour)} {pad(row['kind'], 8)}  {paint(pad(row['subscriber'], names), 'bold')}  "
        first, *more = wrap(row["listens_to"], max(20, columns - names - 16))
        yield start + first
        under = " " * (names + 16)
        for line in more:
            yield under + line
        if row["condition"]:
            for line in wrap(f"when {' '.join(row['condition'].split())}", max(20, columns - len(under))):
                yield under + paint(line, "dim")
        if row["fault"]:
            for line in wrap(row["fault"], max(20, columns - len(under))):
                yield under + paint(line, "red")

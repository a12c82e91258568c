"""The answers of flux state: a row's history, who wrote each of its columns, and the row as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flux.context import short_id
from flux.presenters.moments import full
from flux.presenters.text import cut, pad, paint, width, wrap
from flux.presenters.tree import json_text
from flux.presenters.why import row_text

Row = Mapping[str, Any]

_COLOURS = {"INSERT": "green", "UPDATE": "cyan", "DELETE": "red", "TRUNCATE": "red"}


def history_lines(table: str, key: Mapping[str, Any], changes: Sequence[Row], columns: int) -> Iterator[str]:
    """One line a change, oldest first; long ones go on below, so that nothing is hidden."""
    total = changes[0]["mutations"] if changes else 0
    count = f"({total:,} mutation{'' if total == 1 else 's'})"
    yield f"  {paint(row_name(table, key), 'bold')}  {count}"
    yield ""
    if total > len(changes):
        yield "  " + paint(f"… {total - len(changes):,} older ones; --limit {total} shows all", "dim")
    tails = [writer(change) for change in changes]
    longest = max((len(change["operation"]) for change in changes), default=0)
    indent = 25 + longest
    # The changes get what the writers leave, but no less than 24 columns.
    room = max(24, columns - indent - 2 - max(map(width, tails), default=0))
    for change, tail in zip(changes, tails, strict=True):
        texts = _texts(change, room)
        operation = paint(pad(change["operation"], longest), _COLOURS[change["operation"]])
        start = f"  {paint(full(change['recorded_at']), 'dim')}  {operation}  "
        colour = ("dim",) if change["rolled_back"] else ()
        yield start + pad(paint(texts[0], *colour) if colour else texts[0], room) + "  " + paint(tail, "cyan")
        for text in texts[1:]:
            yield " " * indent + (paint(text, *colour) if colour else text)


def row_name(table: str, key: Mapping[str, Any]) -> str:
    """users id=42"""
    return f"{table.removeprefix('public.')} {row_text(key)}"


def writer(change: Row) -> str:
    """Who wrote: the request, or who it was outside Flux."""
    if change["request_id"]:
        return short_id(change["request_id"])
    return change["actor"] or "outside Flux"


def _texts(change: Row, room: int) -> list[str]:
    """What changed, in lines of at most so many columns; an attempt that was taken back says so at the end."""
    lines = wrap(change["change"] or "(key only)", room)
    if change["rolled_back"]:
        said = "(rolled back)"
        if width(lines[-1]) + 2 + width(said) <= room:
            lines[-1] += f"  {said}"
        else:
            lines.append(said)
    return lines


def blame_lines(table: str, key: Mapping[str, Any], blamed: Sequence[Row], columns: int) -> Iterator[str]:
    """One line a column: value, request, time, function; what else must be known of it stands behind or below."""
    state = blamed[0]["row_state"] if blamed else None
    if state:
        yield f"  {paint(row_name(table, key), 'bold')}  {paint(state, 'yellow')}"
        yield ""
    # The key stands in the question; it is worth a line only where a write changed it.
    blamed = [row for row in blamed if row["name"] not in key or row["operation"] == "UPDATE"]
    values = [value_text(row["value"]) for row in blamed]
    makers = max((width(row["function"] or "") for row in blamed), default=0)
    names = min(24, max((width(row["name"]) for row in blamed), default=0))
    room = min(max(8, columns - names - 48), max(map(width, values), default=0))
    for row, value in zip(blamed, values, strict=True):
        line = f"  {pad(cut(row['name'], names), names)}  {pad(cut(value, room), room)}  "
        if row["recorded_at"]:
            who = paint(pad(writer(row), 12), "cyan")
            line += f"{who}  {paint(full(row['recorded_at']), 'dim')}  {pad(row['function'] or '', makers)}"
        note = row["note"]
        if note and width(line) + 2 + width(note) <= columns:
            yield f"{line}  {paint(note, 'yellow')}"
            continue
        yield line
        for text in wrap(note, columns - names - 4) if note else []:
            yield " " * (names + 4) + paint(text, "yellow")


def show_lines(table: str, key: Mapping[str, Any], columns: Sequence[Row], at: datetime, room: int) -> Iterator[str]:
    """A row as it was, a column a line."""
    yield f"  {paint(row_name(table, key), 'bold')}  as of {full(at)}"
    yield ""
    names = max(width(column["name"]) for column in columns)
    for column in columns:
        first, *more = wrap(value_text(column["value"]), max(20, room - names - 4))
        yield f"  {pad(column['name'], names)}  {first}"
        for line in more:
            yield " " * (names + 4) + line


def value_text(value: Any) -> str:
    """A value as people read it: strings bare, null as null, documents as JSON."""
    if isinstance(value, str):
        return value or "''"
    if value is None:
        return "null"
    return json_text(value) or str(value)

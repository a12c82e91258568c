"""The answers of flux state checkout and undo: what a sandbox holds, which there are, SQL that takes writes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flux.context import short_id
from flux.presenters.moments import ago
from flux.presenters.text import pad, paint, safe, width, wrap


def sandbox_lines(name: str, choice: str, notes: Sequence[str], columns: int, *, stays: bool) -> Iterator[str]:
    """What is said beside the URL of a new sandbox."""
    for number, line in enumerate(wrap(f"holds {choice}", columns - 4)):
        yield f"  {paint('✔', 'green') if number == 0 else ' '} {line}"
    for note in notes:
        for number, line in enumerate(wrap(note, columns - 4)):
            yield f"  {paint('!', 'yellow') if number == 0 else ' '} {line}"
    yield f"  to drop it: flux state checkout --drop {name}"
    if not stays:
        yield "  its server runs only while Flux does: start `flux dev` to reach it"


def sandboxes_lines(sandboxes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line a sandbox, oldest first."""
    names = max((width(str(one["name"])) for one in sandboxes), default=0)
    for one in sandboxes:
        made = one.get("made_at")
        age = ago(datetime.fromisoformat(str(made))) if made else "not finished"
        kept = "kept" if one.get("keep") else "in use"
        yield f"  {pad(str(one['name']), names)}  {pad(kept, 6)}  {pad(age, 14)}  {one.get('as_of') or ''}"
    if not sandboxes:
        yield "  there is no sandbox of this database"


def undo_lines(request: Mapping[str, Any], script: str, rows: int) -> Iterator[str]:
    """The SQL, under a comment that says what it takes back."""
    what = " ".join(str(request[name]) for name in ("method", "path") if request.get(name)) or request["function"]
    yield f"-- takes back {short_id(request['request_id'])} {what}: {rows:,} row{'' if rows == 1 else 's'}"
    if any(safe(line.expandtabs()) != line.expandtabs() for line in script.split("\n")):
        yield "-- values hold control characters, shown here in place of being printed: run it with --apply,"
        yield "-- or take the script out of --json, which holds them as they are"
    yield from script.split("\n")

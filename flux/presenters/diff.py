"""The answer of flux trace diff: both requests, the verdict, and below it whatever differs, in its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from flux.context import short_id
from flux.presenters.beside import Entry, entry_lines, mark_of, ratio_text
from flux.presenters.text import paint, wrap
from flux.presenters.trace import heading
from flux.presenters.tree import json_text
from flux.replay.changes import canonical
from flux.replay.difference import Change, Compared, Difference, MutationPair, SpanPair

Row = Mapping[str, Any]

#: As many equal steps in a row are shown as one.
REPEATS = 5

#: With no more steps or writes than this, the equal ones are shown too.
FEW = 12

_AROUND = ("gateway", "function")
_LABELS = {"attributes.db.response.returned_rows": "rows", "attributes.http.response.status_code": "status"}


def diff_lines(difference: Difference, columns: int, *, full: bool = False) -> Iterator[str]:
    """A comparison as lines; `full` adds the equal steps and writes of long lists, and every volatile value."""
    yield from _sides(difference.request, columns)
    yield ""
    sign, colour = ("✔", "green") if difference.same else ("≠", "yellow")
    for number, line in enumerate(wrap(difference.verdict, columns - 4)):
        yield f"  {paint(' ' if number else sign, colour)} {paint(line, 'bold')}"
    yield from _section("request", _request_entries(difference.request), columns, full)
    steps = list(_folded(_step_entries(difference)))
    yield from _section("steps", steps if full else _interesting(steps, "step"), columns, full)
    writes = [_write_entry(pair) for pair in difference.mutations]
    yield from _section("writes", writes if full else _interesting(writes, "write"), columns, full)
    remarks = [*((f"not known: {text}", "yellow") for text in difference.unknown)]
    remarks += [(text, "dim") for text in difference.notes]
    if remarks:
        yield ""
    for text, shade in remarks:
        yield from (f"  {paint(line, shade)}" for line in wrap(text, columns - 2))
    yield ""
    yield f"  {paint('next: ' + '  ·  '.join(_next(difference, full)), 'dim')}"


def diff_json(difference: Difference) -> dict[str, Any]:
    """A comparison with stable keys: both sides in short, and all that was found."""
    members = (
        "request_id", "replay_of", "kind", "method", "path", "function", "status", "outcome", "started_at",
        "duration_us", "code_sha",
    )  # fmt: skip
    sides = {"a": difference.request.a or {}, "b": difference.request.b or {}}
    short = {side: {member: row.get(member) for member in members} for side, row in sides.items()}
    return {**short, **difference.as_json()}


def _sides(request: Compared, columns: int) -> Iterator[str]:
    for name, row in (("A", request.a), ("B", request.b)):
        assert row is not None, "a request is on both sides"  # noqa: S101
        dated = {**row, "started_at": datetime.fromisoformat(row["started_at"])}
        for number, line in enumerate(heading(dated, columns - 3)):
            yield f"{paint(name, 'bold') if number == 0 else ' '} {line}"
        if row.get("replay_of"):
            yield f"      {paint('replay of ' + short_id(row['replay_of']), 'dim')}"


def _section(title: str, entries: Iterable[Entry], columns: int, full: bool) -> Iterator[str]:
    lines = [line for entry in entries for line in entry_lines(entry, columns, full=full)]
    if lines:
        yield ""
        yield f"  {paint(title, 'bold')}"
        yield from lines


def _request_entries(request: Compared) -> Iterator[Entry]:
    """What came in and went out, a heading each."""
    for title, prefixes in (("came in", None), ("went out", ("status", "outcome", "error", "output"))):
        changes, volatile = (
            [
                change
                for change in found
                if change.path.startswith(("status", "outcome", "error", "output")) == bool(prefixes)
            ]
            for found in (request.changes, request.volatile)
        )
        if changes or volatile:
            yield Entry("≠" if changes else "~", title, title, changes=changes, volatile=volatile)


def _step_entries(difference: Difference) -> Iterator[Entry]:
    told = {_key(change) for change in difference.request.changes}
    for pair in difference.spans:
        changes = [change for change in pair.changes if change.path != "name"]
        if pair.either["kind"] in _AROUND:  # what the request says of itself is not said again
            changes = [change for change in changes if _key(change) not in told]
        a, b = pair.a or {}, pair.b or {}
        yield Entry(
            mark_of(pair),
            _step_title(pair.a), _step_title(pair.b),
            pair.a_depth, pair.b_depth,
            a.get("duration_us"), b.get("duration_us"),
            timed=pair.either["kind"] != "log",
            changes=[_labelled(change) for change in changes],
            volatile=[_labelled(change) for change in pair.volatile],
            more="" if pair.either["kind"] == "function" else ratio_text(a.get("duration_us"), b.get("duration_us")),
            title=_step_title(pair.b) if pair.a and pair.b and a["name"] == b["name"] else None,
            folds=[pair],
        )  # fmt: skip


def _step_title(span: Row | None) -> str | None:
    if span is None:
        return None
    if span["kind"] in ("gateway", "log"):
        return span["name"] if span["kind"] == "gateway" else f"log: {span['name']}"
    rows = (span.get("attributes") or {}).get("db.response.returned_rows")
    told = f"  {rows} row{'' if rows == 1 else 's'}" if span["kind"] == "db" and rows is not None else ""
    return f"{span['kind']}  {span['name']}{told}{'  ✗' if span.get('error') else ''}"


def _labelled(change: Change) -> Change:
    """A change of a step under the name by which people know it."""
    return replace(change, path=_LABELS.get(change.path, change.path.removeprefix("attributes.")))


def _folded(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Equal statements and calls in a row as one, with how often they are on each side."""
    run: list[Entry] = []
    for entry in [*entries, None]:
        if entry is not None and run and _alike(run[0].folds[0], entry.folds[0]):
            run.append(entry)
            continue
        if len(run) >= REPEATS:
            yield _fold(run)
        else:
            yield from run
        run = [entry] if entry else []


def _alike(one: SpanPair, other: SpanPair) -> bool:
    """Whether two pairs are of the same statement or call, in the same step, and nothing failed."""

    def what(pair: SpanPair) -> tuple[Any, ...]:
        span = pair.either
        depth = pair.b_depth if pair.b is not None else pair.a_depth
        return span["kind"], span["name"], (span.get("attributes") or {}).get("db.query.text"), depth

    failed = any(span and span.get("error") for pair in (one, other) for span in (pair.a, pair.b))
    return one.either["kind"] in ("db", "tool") and not failed and what(one) == what(other)


def _fold(run: Sequence[Entry]) -> Entry:
    pairs = [entry.folds[0] for entry in run]
    counts = [sum(getattr(pair, side) is not None for pair in pairs) for side in ("a", "b")]
    times = [sum((getattr(pair, side) or {}).get("duration_us") or 0 for pair in pairs) for side in ("a", "b")]
    first = next((entry for entry in run if entry.mark == "≠"), run[0])
    differing = sum(entry.mark == "≠" for entry in run)
    name = f"{pairs[0].either['kind']}  {pairs[0].either['name']}"
    titles = [f"{name}  ×{count}" if count else None for count in counts]
    mark = "≠" if counts[0] and counts[1] and (differing or counts[0] != counts[1]) else first.mark
    return replace(
        first, mark=mark, a=titles[0], b=titles[1], a_us=times[0], b_us=times[1], folds=pairs,
        more=f"so differ {differing} of them" if differing > 1 else "",
        title=f"{name}  " + " → ".join(dict.fromkeys(f"×{count}" for count in counts if count)),
    )  # fmt: skip


def _write_entry(pair: MutationPair) -> Entry:
    changes = [replace(change, path=_column(change.path)) for change in pair.changes]
    volatile = [replace(change, path=_column(change.path)) for change in pair.volatile]
    short = bool(changes) or pair.volatile != ()  # the values are below
    a, b = (_write_title(write, short=short) for write in (pair.a, pair.b))
    return Entry(mark_of(pair), a, b, changes=changes, volatile=volatile)


def _write_title(write: Row | None, *, short: bool) -> str | None:
    if write is None:
        return None
    key = ", ".join(f"{name}={value}" for name, value in (write.get("row_key") or {}).items())
    title = f"{write['operation']} {write['table_name'].removeprefix('public.')} {key}".rstrip()
    if short:
        return title
    before, after = write.get("old_values") or {}, write.get("new_values") or {}
    if write["operation"] == "UPDATE":
        told = ", ".join(f"{name}: {_short(before.get(name))} → {_short(value)}" for name, value in after.items())
    else:
        told = ", ".join(
            f"{name}={_short(value)}" for name, value in (after or before).items()
            if value is not None and name not in (write.get("row_key") or {})
        )  # fmt: skip
    return f"{title}{'  (rolled back)' if write['rolled_back'] else ''}  {told}".rstrip()


def _short(value: Any) -> str:
    return value if isinstance(value, str) and value else json_text(value) or "null"


def _column(path: str) -> str:
    member, _, column = path.partition(".")
    return {"new_values": column, "old_values": f"{column} before", "row_key": f"key {column}"}.get(member, path)


def _interesting(entries: Sequence[Entry], what: str) -> Iterator[Entry]:
    """What differs, what it is inside of, and its neighbours; the rest is counted."""
    if len(entries) <= FEW:
        yield from entries
        return
    shown: set[int] = set()
    around: dict[int, int] = {}
    for place, entry in enumerate(entries):
        depth = entry.a_depth if entry.b is None else entry.b_depth
        around = {above: at for above, at in around.items() if above < depth}
        if entry.mark not in "=~":
            shown |= {place - 1, place, place + 1, *around.values()}
        around[depth] = place
    for differs, part in groupby(range(len(entries)), shown.__contains__):
        places = list(part)
        if differs:
            yield from (entries[place] for place in places)
        else:
            told = f"⋯ {len(places)} equal {what}{'' if len(places) == 1 else 's'}"
            yield Entry("=", told, told, entries[places[0]].a_depth, entries[places[0]].b_depth)


def _next(difference: Difference, full: bool) -> Iterator[str]:
    for row in (difference.request.a or {}, difference.request.b or {}):
        name = str(row.get("request_id"))[:8]
        yield f"flux {'trace' if row.get('outcome') == 'ok' else 'why'} {name}"
    if not full:
        yield "--full"


def _key(change: Change) -> tuple[str, bytes | None, bytes | None]:
    return change.path, canonical(change.a), canonical(change.b)

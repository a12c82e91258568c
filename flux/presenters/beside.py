"""Two executions beside each other: in two columns where the terminal has room, else one under the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from flux.presenters.moments import length
from flux.presenters.text import cut, pad, paint, width, wrap
from flux.presenters.tree import json_text
from flux.replay.difference import MISSING, Change

#: From this width on there are two columns.
WIDE = 100

#: Longer values are cut, and begin shortly before their first difference.
LONGEST = 240
CONTEXT = 24

#: Changes listed of one thing; `full` lists all.
MOST_CHANGES = 12
MOST_VOLATILE = 2

#: Text that reads like a value of another type, or like nothing.
_AMBIGUOUS = re.compile(r'|true|false|null|\(none\)|["\[{].*|-?\d+(\.\d*)?([eE][-+]?\d+)?', re.DOTALL)

_MARKS = {"=": (" ", "dim"), "≠": ("≠", "yellow"), "-": ("−", "red"), "+": ("+", "green"), "~": ("~", "dim")}
_TIMES = 18


@dataclass(slots=True)
class Entry:
    """One thing of A beside one of B, as it is shown; a title is None where a side has none.

    `title` stands for both where there is one column only; without it, they stand there one after the other.
    `mark` is = (the same), ~ (only volatile values differ), ≠, - (only in A), or + (only in B).
    """

    mark: str
    a: str | None
    b: str | None
    a_depth: int = 0
    b_depth: int = 0
    a_us: int | None = None
    b_us: int | None = None
    timed: bool = False
    changes: Sequence[Change] = ()
    volatile: Sequence[Change] = ()
    more: str = ""
    title: str | None = None
    folds: list[Any] = field(default_factory=list)


def mark_of(pair: Any) -> str:
    """The mark of a compared pair."""
    if pair.a is None or pair.b is None:
        return "+" if pair.a is None else "-"
    return "≠" if pair.changes else "~" if pair.volatile else "="


def entry_lines(entry: Entry, columns: int, *, full: bool = False) -> Iterator[str]:
    """The lines of an entry: its title on each side, and below it what differs."""
    most = None if full else MOST_CHANGES
    volatile = entry.volatile if full else entry.volatile[:MOST_VOLATILE]
    shown = [*((change, "≠") for change in entry.changes[:most]), *((change, "~") for change in volatile)]
    lines = _wide(entry, shown, columns) if columns >= WIDE else _narrow(entry, shown, columns)
    yield from lines
    left_out = len(entry.changes) - len(entry.changes[:most])
    rest = [*([f"{left_out} more differences"] if left_out else []), *([entry.more] if entry.more else [])]
    for text in rest:
        yield "    " + "  " * _depth(entry) + paint(text, "dim")


def value_text(value: Any) -> str:
    """A recorded value as people read it: text bare, unless it could be taken for something else."""
    if value is MISSING:
        return "(none)"
    if isinstance(value, str) and value == value.strip() and not _AMBIGUOUS.fullmatch(value):
        return value
    return "null" if value is None else json_text(value) or str(value)


def _narrow(entry: Entry, shown: Sequence[tuple[Change, str]], columns: int) -> Iterator[str]:
    mark, colour = _MARKS[entry.mark]
    space = "  " * _depth(entry)
    times = _both_times(entry)
    room = columns - 4 - len(space) - (_TIMES if entry.timed else 0)
    sides = dict.fromkeys(side for side in (entry.a, entry.b) if side is not None)
    title = entry.title or " → ".join(sides)
    yield f"  {paint(mark, colour)} {space}" + pad(paint(cut(title, room), colour), room) + times
    for change, sign in shown:
        yield from _narrow_change(change, sign, "    " + space + "  ", columns)


def _narrow_change(change: Change, sign: str, space: str, columns: int) -> Iterator[str]:
    a, b = _texts(change)
    one = f"{change.path}  {a} {'→' if sign == '≠' else '~'} {b}"
    colours = ("red", "green") if sign == "≠" else ("dim", "dim")
    if width(space) + width(one) <= columns:
        arrow = "→" if sign == "≠" else "~"
        yield f"{space}{paint(change.path, 'dim')}  {paint(a, colours[0])} {paint(arrow, 'dim')} {paint(b, colours[1])}"
        return
    yield f"{space}{paint(change.path, 'dim')}" + (paint("  (volatile)", "dim") if sign == "~" else "")
    for name, text, colour in (("A", a, colours[0]), ("B", b, colours[1])):
        for number, line in enumerate(wrap(text, max(20, columns - width(space) - 5))):
            yield f"{space}  {paint(' ' if number else name, 'dim')}  {paint(line, colour)}"


def _wide(entry: Entry, shown: Sequence[tuple[Change, str]], columns: int) -> Iterator[str]:
    half = (columns - 5) // 2
    mark, colour = _MARKS[entry.mark]
    left = _cell(entry.a, entry.a_depth, entry.a_us, entry.timed, half, colour)
    right = _cell(entry.b, entry.b_depth, entry.b_us, entry.timed, half, colour)
    yield f" {left} {paint(mark, colour)} {right}"
    for change, sign in shown:
        a, b = _texts(change)
        colours = ("red", "green") if sign == "≠" else ("dim", "dim")
        label = f"{change.path}  "
        cells = []
        for text, depth, shade in ((a, entry.a_depth, colours[0]), (b, entry.b_depth, colours[1])):
            space = "  " * depth + "  "
            lines = wrap(label + text, max(20, half - len(space)))
            cells.append([pad(space + paint(line, shade), half) for line in lines])
        for number, (one, other) in enumerate(zip_longest(*cells, fillvalue=" " * half)):
            between = ("~" if sign == "~" else "≠") if number == 0 else " "
            yield f" {one} {paint(between, 'dim')} {other}"


def _cell(title: str | None, depth: int, us: int | None, timed: bool, columns: int, colour: str) -> str:
    if title is None:
        return " " * columns
    space = "  " * depth
    time = "  " + pad(length(us), 7, right=True) if timed else ""
    room = max(8, columns - len(space) - len(time))
    return pad(f"{space}{pad(paint(cut(title, room), colour), room)}{paint(time, 'dim')}", columns)


def _both_times(entry: Entry) -> str:
    """44ms → 81ms: a difference in time is shown, and never counts."""
    if not entry.timed:
        return ""
    sides = [length(us) for title, us in ((entry.a, entry.a_us), (entry.b, entry.b_us)) if title is not None]
    return paint(pad(" → ".join(sides), _TIMES, right=True), "dim")


def ratio_text(a_us: int | None, b_us: int | None) -> str:
    """How the times compare where that may be the point, else nothing: what took a millisecond is noise."""
    if not a_us or not b_us or abs(a_us - b_us) < 1_000 or 2 / 3 < b_us / a_us < 1.5:
        return ""
    return f"B took {b_us / a_us:.1f} times as long" if b_us > a_us else f"A took {a_us / b_us:.1f} times as long"


def _depth(entry: Entry) -> int:
    return entry.a_depth if entry.b is None else entry.b_depth


def _texts(change: Change) -> tuple[str, str]:
    """Both values in words; of long ones the part around their first difference."""
    a, b = value_text(change.a), value_text(change.b)
    if max(len(a), len(b)) <= LONGEST:
        return a, b
    same = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    begin = max(0, same - CONTEXT)
    return _part(a, begin), _part(b, begin)


def _part(text: str, begin: int) -> str:
    end = begin + LONGEST
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else "")

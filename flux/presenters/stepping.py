"""Around a step on the full screen: the head, its line in the tree, its place in time, the rows as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flux.context import short_id
from flux.presenters.beside import value_text
from flux.presenters.moments import length
from flux.presenters.request_line import origin, outcome_mark
from flux.presenters.steps import About, Line, heading
from flux.presenters.text import cut, pad, paint, width, wrap
from flux.presenters.walk import Step
from flux.presenters.why import row_text

Row = Mapping[str, Any]

#: A tree narrower than this shows no times.
NARROW = 34


def tree_line(step: Step, columns: int, *, folded: bool = False, found: bool = False) -> str:
    """A step as one line of the tree: what failed, wrote or was found is marked, its time stands to the right."""
    kind = "" if step.kind in ("gateway", "function") else f"{step.kind}  "
    flags = "".join(("*" if found else "", "w" if step.writes else "", "✗" if step.error is not None else ""))
    end = f" {flags}" if flags else ""
    times = pad(length(step.duration_us), 7, right=True) if columns >= NARROW and step.kind != "log" else ""
    branch = step.branch if len(step.branch) <= columns // 2 else "…" + step.branch[-(columns // 2) + 1 :]
    room = max(4, columns - width(branch) - width(end) - width(times) - 1)
    name = cut(f"{'+ ' if folded else ''}{kind}{step.title}", room)
    shade = ("red",) if step.error is not None else ("yellow",) if found else ()
    title = paint(name, *shade) if shade else _kind_dimmed(name, kind)
    return paint(branch, "dim") + pad(title, room) + paint(end, "red" if step.error is not None else "green") + times


def _kind_dimmed(name: str, kind: str) -> str:
    return paint(kind, "dim") + name[len(kind) :] if kind and name.startswith(kind) else name


def title_lines(step: Step, total: int, answer: Row, columns: int) -> list[str]:
    """The head of the screen: the step, the request and how it ended, and what its record lacks."""
    request: Row = answer["request"]
    mark, colour = outcome_mark(request["outcome"])
    ended = f"{request['status'] or '–'} {request['outcome']}  {length(request['duration_us'])}"
    end = f"{short_id(request['request_id'])}  {ended}"
    where = " ".join(origin(request))
    first = cut(heading(step, total), max(20, columns - width(end) - 8))
    room = columns - width(first) - width(end) - 9
    middle = f"{cut(where, room)}  " if room >= 12 else ""
    space = " " * max(1, columns - width(first) - width(middle) - width(end) - 6)
    lines = [f"  {paint(first, 'bold')}{space}{paint(middle, 'dim')}{paint(mark, colour)} {paint(end, colour)}"]
    gaps = "; ".join(gap["gap"] for gap in answer["gaps"])
    return [*lines, *(["  " + paint(cut(f"not recorded: {gaps}", columns - 4), "yellow")] if gaps else [])]


def strip_line(step: Step, columns: int) -> str:
    """Where in its request a step stands: the whole time as a line, the step's own as a bar."""
    whole = max(step.whole_us or 0, step.begin_us + (step.duration_us or 0), 1)
    end = f" {length(step.whole_us)}"
    told = pad(f" at {length(step.begin_us)}, for {length(step.duration_us)}", 24)
    room = max(10, columns - width(end) - width(told) - 4)
    left = min(room - 1, step.begin_us * room // whole)
    long = max(1, min(room - left, round((step.duration_us or 0) * room / whole)))
    colour = "red" if step.error is not None else "cyan"
    return (
        f"{told} 0 " + paint("─" * left, "dim") + paint("█" * long, colour)
        + paint("─" * (room - left - long), "dim") + end
    )  # fmt: skip


def state_lines(step: Step, rows: Iterable[Row], columns: int) -> Iterator[Line]:
    """The rows that a request wrote as they were at a step: what the step itself wrote first, changes in place."""
    yield Line(paint(cut(f"Rows as they were for {step.called} after step {step.number}", columns), "dim"))
    listed, written = 0, 0
    for row in rows:
        yield Line("")
        listed, written = listed + 1, row["rows"]
        about = About(row["table_name"], row["row_key"])
        name = f"{row['table_name'].removeprefix('public.')} {row_text(row['row_key'])}"
        seen, now = row["seen"] or {}, row["at_step"] or {}
        facts = ["written by this step"] if row["written"] else []
        facts += ["not there" if row["at_step"] is None else ""]
        facts += ["rolled back later"] if row["rolled_back"] and seen != now else []
        told = ", ".join(fact for fact in facts if fact)
        name = cut(name, columns)
        yield Line(paint(name, "bold") + "  " + paint(cut(told, columns - width(name) - 2), "yellow"), about)
        shown = now or seen
        names = min(24, max((width(column) for column in shown), default=0))
        for column in shown:
            label = f"  {pad(cut(column, names), names)}  "
            text = value_text(shown[column])
            before = value_text(seen[column]) if column in seen else None
            colours = () if row["at_step"] is not None else ("dim",)
            if row["at_step"] is not None and row["seen"] is not None and before is not None and before != text:
                text, colours = f"{before} → {text}", ("yellow",)
            for number, line in enumerate(wrap(text, max(12, columns - width(label)))):
                start = " " * width(label) if number else label
                yield Line(start + (paint(line, *colours) if colours else line), about)
    if not listed:
        yield Line(paint("this request wrote no tracked row with a key", "dim"))
    elif written > listed:
        yield Line("")
        yield Line(paint(cut(f"and {written - listed:,} more, each at its step", columns), "dim"))

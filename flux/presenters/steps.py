"""One step in full: what went in and came out, its time, its error with the source around it, SQL, logs, writes.

The layout is one for the full screen, for --at and for pipes: a label of 9 columns, and its value beside and below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flux.context import short_id
from flux.presenters.beside import value_text
from flux.presenters.moments import length
from flux.presenters.objects import object_lines, object_text
from flux.presenters.request_line import error_text
from flux.presenters.text import cut, paint, safe, width, wrap
from flux.presenters.walk import Step
from flux.presenters.why import row_text

Row = Mapping[str, Any]

#: Lines of a value that are shown before it is expanded.
FEW = 3

#: Columns of the rule below a heading.
RULE = 37

_LABEL = 9
_COLOURS = {"INSERT": "green", "UPDATE": "cyan", "DELETE": "red", "TRUNCATE": "red"}


class About(NamedTuple):
    """A row of data that a line is about; `written` is the write that is meant, where it is not the last one."""

    table: str
    key: Row
    written: Row | None = None


class Line(NamedTuple):
    """A painted line."""

    text: str
    about: About | None = None


def plain_lines(step: Step, total: int, detail: Row, columns: int) -> Iterator[str]:
    """A step as it is printed: heading, rule, and everything the record holds of it."""
    yield f"  {paint(heading(step, total), 'bold')}"
    yield paint(f"  {'─' * min(RULE, columns - 2)}", "dim")
    for line in step_lines(step, detail, columns - 2, most=None):
        yield f"  {line.text}"


def heading(step: Step, total: int) -> str:
    """Step 2/4  create_user"""
    handed = f"  ({step.kind} {step.called})" if step.place is None else ""
    return f"Step {step.number}/{total}  {step.title}{handed}"


def step_lines(
    step: Step, detail: Row, columns: int, *, most: int | None = FEW, pretty: bool = False
) -> Iterator[Line]:
    """What the record holds of a step; values take at most so many lines, or stand a member a line if `pretty`."""
    room = max(20, columns - _LABEL)
    fields = _Fields(room, None if pretty else most, pretty)
    span: Row = detail.get("span") or {}
    statement = (span.get("attributes") or {}).get("db.query.text")
    if statement:
        yield from fields.text("SQL", statement if pretty else " ".join(statement.split()), "cyan")
    yield from fields.value("Input", span.get("input"), _input_start(step, detail))
    yield from fields.value("Output", span.get("output"), _output_start(step, detail))
    yield from fields.text("Time", _time(step))
    if pretty:
        rest = {name: value for name, value in (span.get("attributes") or {}).items() if name != "db.query.text"}
        yield from fields.value("More", rest) if rest else ()
    yield from _error(step, detail, fields)
    yield from _in_the_way(detail, fields)
    yield from _logs(detail, fields)
    yield from _writes(detail, room)


def walk_json(answer: Row, steps: Iterable[Step], details: Iterable[Row], total: int) -> dict[str, Any]:
    """Steps with stable keys, and the request that they are of."""
    listed = []
    for step, detail in zip(steps, details, strict=True):
        span: Row = detail.get("span") or {}
        error = span.get("error")
        source = detail.get("source")
        listed.append(
            {
                "step": step.number,
                "of": total,
                "request_id": step.request_id,
                "span_id": step.place,
                "inside_step": step.above,
                "kind": step.kind,
                "name": step.name,
                "offset_us": step.begin_us,
                "duration_us": step.duration_us,
                "rows": step.row.get("rows"),
                "sql": (span.get("attributes") or {}).get("db.query.text"),
                "input": span.get("input"),
                "output": span.get("output"),
                "error": error or ({"message": step.error} if step.error is not None else None),
                "source": source,
                "attributes": span.get("attributes"),
                "logs": detail.get("logs") or [],
                "writes": detail.get("writes") or [],
                "in_the_way": detail.get("in_the_way"),
                "handed_off": {name: value for name, value in step.row.items() if name != "steps"}
                if step.place is None and step.above is not None
                else None,
            }
        )
    return {
        "request": answer["request"], "root_cause": answer["root_cause"], "gaps": answer["gaps"], "steps": listed
    }  # fmt: skip


class _Fields:
    """Labelled values, laid out."""

    def __init__(self, room: int, most: int | None, pretty: bool) -> None:
        self.room = room
        self.most = most
        self.pretty = pretty

    def value(self, label: str, value: Any, start: str = "") -> Iterator[Line]:
        """A recorded value, after a few words that are not one."""
        if value is None and start:
            return self.text(label, start)
        if not self.pretty or value is None:
            return self.text(label, f"{start}  {_object(value)}" if start else _object(value))
        lines = [start] if start else []
        return self.lines(label, [*lines, *object_lines(value, self.room)])

    def text(self, label: str, text: str, *colours: str) -> Iterator[Line]:
        """Words, as many lines of them as are wanted."""
        if self.most is not None:  # the rest is not looked at
            text = text[: (self.most + 1) * self.room]
        return self.lines(label, text.splitlines() if self.pretty else [text], *colours)

    def lines(self, label: str, lines: Iterable[str], *colours: str) -> Iterator[Line]:
        """Lines below each other beside one label; longer ones go on below, in the same column."""
        shown = []
        for line in lines:
            space = len(line) - len(line.lstrip(" "))
            pieces = wrap(line[space:], max(12, self.room - space))
            shown += [" " * space + piece for piece in pieces]
            if self.most is not None and len(shown) > self.most:
                shown = [*shown[: self.most - 1], cut(shown[self.most - 1], self.room - 1).rstrip("…") + "…"]
                break
        for number, line in enumerate(shown or [""]):
            start = "" if number else f"{label}:"
            yield Line(paint(f"{start:<{_LABEL}}", "dim") + (paint(line, *colours) if colours else safe(line)))


def _object(value: Any) -> str:
    return "–" if value is None else object_text(value)


def _input_start(step: Step, detail: Row) -> str:
    """What stands before the arguments: of the gateway the request line, of a job what it is."""
    request = detail.get("request") or {}
    if step.kind == "gateway" and request.get("method"):
        query = f"?{request['query']}" if request.get("query") else ""
        return f"{request['method']} {request['path']}{query}"
    return ""


def _output_start(step: Step, detail: Row) -> str:
    """What stands before the result: of the gateway the status, of a statement how many rows, of a job how it ended."""
    if step.kind == "gateway" and (detail.get("span") or {}).get("output") is None:
        return _status(detail.get("request") or {})
    if step.kind == "db" and step.row["rows"] is not None:
        return f"{step.row['rows']:,} row{'' if step.row['rows'] == 1 else 's'}"
    if step.place is None:
        return _status(detail.get("request") or {}) if step.request_id else str(step.row["state"])
    return ""


def _status(request: Row) -> str:
    return " ".join(str(part) for part in (request.get("status"), request.get("outcome")) if part)


def _time(step: Step) -> str:
    text = length(step.duration_us).replace(".0ms", "ms")
    if step.place is None and step.row.get("waited_us") is not None:
        text += f", after it waited {length(step.row['waited_us'])}"
    if step.place is None and step.row.get("attempt", 1) > 1:
        text += f", attempt {step.row['attempt']}"
    return text


def _error(step: Step, detail: Row, fields: _Fields) -> Iterator[Line]:
    if step.error is None:
        return
    error: Row = (detail.get("span") or {}).get("error") or {}
    message = error_text(error.get("type"), error.get("message")) or step.error or "it failed without a message"
    yield from fields.text("Error", message, "red")
    facts = {"Detail": error.get("detail"), "Code": error.get("code")}
    for label, value in facts.items():
        if value:
            yield from fields.text(label, str(value))
    if not step.began and not fields.pretty:
        return  # the step inside it shows where
    source = detail.get("source")
    place = error.get("location") or (source or {}).get("place")
    if place:
        where = f"{place}{'  in ' + str(source['function']) if source and source.get('function') else ''}"
        yield from fields.text("At", where, "cyan")
    for number, text in (source or {}).get("lines", ()):
        here = number == source["line"]  # type: ignore[index]  # there are lines
        start = f"{' ' * (_LABEL - 2)}{'> ' if here else '  '}{number:>4} │ "
        room = fields.room + _LABEL - width(start)
        space = len(text) - len(text.lstrip())
        for piece in wrap(text[space:], max(12, room - space)) if fields.pretty else [cut(text, room)]:
            yield Line(paint(start, *(() if here else ("dim",))) + (" " * space if fields.pretty else "") + piece)
            start = " " * width(start)
    if source and source.get("note"):
        for line in wrap(str(source["note"]), fields.room):
            yield Line(" " * _LABEL + paint(line, "yellow"))


def _in_the_way(detail: Row, fields: _Fields) -> Iterator[Line]:
    """The row that was there already, for a value that may be there only once."""
    found = detail.get("in_the_way")
    if not found:
        return
    about = About(found["table_name"], found["row_key"], found)
    who = short_id(found["request_id"]) if found["request_id"] else found["actor"] or "outside Flux"
    name = f"{found['table_name'].removeprefix('public.')} {row_text(found['row_key'])}"
    for line in fields.text("In way", f"{name}, written by {who}", "yellow"):
        yield Line(line.text, about)


def _logs(detail: Row, fields: _Fields) -> Iterator[Line]:
    for number, log in enumerate(detail.get("logs") or ()):
        facts = log["attributes"] or {}
        values = f"  {object_text(log['input'])}" if log["input"] else ""
        error = log["error"] or {}
        failed = f"  {error_text(error.get('type'), error.get('message'))}" if error else ""
        text = f"{facts.get('level') or 'log'}  {log['name']}{values}{failed}"
        colour = {"error": ("red",), "critical": ("red",), "warning": ("yellow",)}.get(str(facts.get("level")), ())
        yield from fields.text("" if number else "Log", text, *colour)


def _writes(detail: Row, room: int) -> Iterator[Line]:
    writes = detail.get("writes") or ()
    for number, write in enumerate(writes):
        row = About(write["table_name"], write["row_key"]) if write["row_key"] else None
        label = "" if number else "Writes:"
        name = f"{write['table_name'].removeprefix('public.')} {row_text(write['row_key'])}".rstrip()
        colour = _COLOURS.get(write["operation"], "yellow")
        taken = "  (rolled back)" if write["rolled_back"] else ""
        yield Line(
            paint(f"{label:<{_LABEL}}", "dim") + paint(write["operation"], colour)
            + f" {cut(name, room - len(taken) - 9)}" + paint(taken, "yellow"),
            row,
        )  # fmt: skip
        for change in write["changes"] or ():
            for line in _change(write, change, room - 2):
                yield Line(" " * (_LABEL + 2) + line, row)
    if writes and writes[0]["writes"] > len(writes):
        yield Line(" " * _LABEL + paint(f"and {writes[0]['writes'] - len(writes):,} writes more", "dim"))


def _change(write: Row, change: Row, room: int) -> Iterator[str]:
    """A column: before and after of an update, else the value that came or went."""
    old, new = (_column(change, side) for side in ("old", "new"))
    if write["operation"] != "UPDATE":
        text, colour = (new, "green") if write["operation"] == "INSERT" else (old, "red")
        sign = "+" if colour == "green" else "-"
        for number, line in enumerate(wrap(f"{change['name']}: {text}", room - 2)):
            yield paint(f"{' ' if number else sign} {line}", colour)
        return
    one = f"{change['name']}: {old} → {new}"
    if width(safe(one)) <= room:
        yield f"{safe(change['name'])}: {paint(old, 'red')} → {paint(new, 'green')}"
        return
    yield safe(cut(f"{change['name']}:", room))
    for sign, text, colour in (("-", old, "red"), ("+", new, "green")):
        for number, line in enumerate(wrap(text, room - 4)):
            yield "  " + paint(f"{' ' if number else sign} {line}", colour)


def _column(change: Row, side: str) -> str:
    return value_text(change[side]) if side in change else "?"

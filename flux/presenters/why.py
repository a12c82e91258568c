"""The answer of flux why ID, section by section: each line says what is recorded, and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.deploy.identity import short_code
from flux.presenters.moments import full
from flux.presenters.request_line import error_text, failure_text
from flux.presenters.text import cut, indent, paint, safe, wrap
from flux.presenters.trace import heading
from flux.presenters.tree import grow, json_text, tree_lines

Row = Mapping[str, Any]
Answer = Mapping[str, Any]

#: Writes listed of each kind; the rest is counted.
MOST_WRITES = 8

#: Suspect commits listed; the rest is counted.
MOST_SUSPECTS = 5

_DOUBT = {"likely": "likely: ", "unknown": "not known: "}


def why_lines(answer: Answer, columns: int) -> Iterator[str]:
    """Root cause, location, data changes, span tree, since when, suspects, suggestion; of a good one that it was."""
    request: Row = answer["request"]
    went_well = request["outcome"] == "ok"
    not_run = request["outcome"] == "refused" and own_frame(answer) is None
    yield from heading(request, columns)
    sections = {
        "ROOT CAUSE": [] if went_well else _root_cause(answer, columns - 4),
        "LOCATION": [] if went_well or not_run else _location(answer, columns - 4),
        "DATA CHANGES": _data_changes(answer["data_changes"], answer["gaps"], columns - 4),
        "SPAN TREE": _span_tree(answer, columns - 4),
        "SINCE WHEN": [] if went_well else _since_when(answer, columns - 4),
        "SUSPECTS": [] if went_well else suspect_lines(answer.get("suspects"), request, columns - 4),
        "SUGGESTION": _suggestions(answer["suggestions"], columns - 4),
        "NOT RECORDED": [line for gap in answer["gaps"] for line in wrap(gap["gap"], columns - 4)],
    }
    if went_well:
        yield ""
        known = "It did not fail, as far as it was recorded." if answer["gaps"] else "It did not fail."
        yield f"  {paint(known, 'yellow' if answer['gaps'] else 'green')}"
    for title, section in sections.items():
        lines = list(section)
        if lines:
            yield from ("", "  " + paint(title, "bold"), *indent(lines, 4))


def _root_cause(answer: Answer, columns: int) -> Iterator[str]:
    request = answer["request"]
    cause = answer["root_cause"][0] if answer["root_cause"] else {}
    message = error_text(cause.get("error_type"), cause.get("message")) or failure_text(request)
    for line in wrap(message or "the record holds no error", columns):
        yield paint(line, "red")
    for line in wrap(cause["detail"], columns) if cause.get("detail") else []:
        yield line
    facts = []
    if cause.get("span_id"):
        facts.append(f"step {cause['span_id']}, {cause['kind']} {cause['name']}")
    code = cause.get("code") or ""
    if len(code) == 5 and not code.startswith("XF"):
        facts.append(f"SQLSTATE {code}")
    elif cause.get("http_status"):
        facts.append(f"HTTP {cause['http_status']}")
    if cause.get("certainty") == "likely":
        facts.append("likely")
    for line in wrap(" · ".join(facts), columns) if facts else []:
        yield paint(line, "dim")
    for line in wrap(cause["explanation"], columns) if cause.get("explanation") else []:
        yield line


def _location(answer: Answer, columns: int) -> Iterator[str]:
    """file:line of the user's code, and that line as it was when it ran."""
    place = own_frame(answer)
    if place is None:
        yield "not known: no frame of your own code was recorded"
        return
    where = ":".join(str(place[part]) for part in ("file", "line", "column") if place.get(part))
    yield paint(where, "cyan") + f"  in {safe(str(place.get('function') or '?'))}"
    source = place.get("source")
    if source:
        number = f"{place['line']} │ "
        yield paint(number, "dim") + cut(source.strip(), columns - len(number))
    else:
        yield paint("its source line was not recorded", "dim")


def own_frame(answer: Answer) -> Row | None:
    """The innermost recorded frame of the user's code; without a stack, the recorded location alone."""
    request = answer["request"]
    frames = [frame for frame in request["error_stack"] or [] if frame.get("own")]
    if frames:
        found: Row = frames[-1]
        return found
    cause = answer["root_cause"][0] if answer["root_cause"] else {}
    file, _, line = (request["error_location"] or cause.get("location") or "").rpartition(":")
    return {"file": file, "line": line, "function": request["function"], "source": None} if file else None


def _data_changes(changes: Sequence[Row], gaps: Sequence[Row], columns: int) -> Iterator[str]:
    if not changes:
        yield "not known: its record is not whole" if gaps else "none: it wrote no tracked table"
        return
    for rolled_back, label, colour in ((False, "committed", "green"), (True, "rolled back", "yellow")):
        listed = [change for change in changes if change["rolled_back"] is rolled_back]
        if not listed:
            continue
        for number, change in enumerate(listed[:MOST_WRITES]):
            name = f"{change['table_name'].removeprefix('public.')} {row_text(change['row_key'])}".strip()
            start = f"{'' if number else label:<11}  "
            rest = f"{change['operation']:<6}  {name}  {change['change'] or ''}"
            yield paint(start, colour) + cut(rest, columns - len(start))
        more = listed[0]["writes"] - min(len(listed), MOST_WRITES)
        if more:
            yield " " * 13 + paint(f"and {more:,} more", "dim")


def row_text(row_key: Mapping[str, Any] | None) -> str:
    """id=42, as keys are written."""
    if not row_key:
        return ""
    return ",".join(
        f"{name}={value if isinstance(value, str) else json_text(value)}" for name, value in row_key.items()
    )


def _span_tree(answer: Answer, columns: int) -> Iterator[str]:
    if not answer["steps"]:
        return
    cause = answer["root_cause"][0]["span_id"] if answer["root_cause"] else None
    yield from tree_lines(grow(answer["steps"]), columns, cause=cause, short=True)


def _since_when(answer: Answer, columns: int) -> Iterator[str]:
    for since in answer["since_when"]:
        refused = answer["request"]["outcome"] == "refused" and not since["times"]
        lines = [] if refused else [_how_often(since, answer["request"])]
        if since["good_request_id"]:
            code = _compared(since["good_code_sha"], answer["request"]["code_sha"])
            lines.append(f"last good run before: {_run(since, 'good_request_id', 'good_at')}, {code}")
            if since["input_differences"]:
                lines.append(f"its input differed: {since['input_differences']}")
        elif answer["request"]["function"]:
            lines.append("no good run before it is recorded")
        if since["good_again_id"]:
            lines.append(f"good again: {_run(since, 'good_again_id', 'good_again_at')}")
        if since["failures_before"]:
            lines.append(f"of the {since['runs_before']} runs before it, {since['failures_before']} failed")
        for line in lines:
            yield from wrap(line, columns)


def _how_often(since: Row, request: Row) -> str:
    if not since["times"]:
        return "not known: this failure has no signature to count by"
    if since["times"] == 1:
        return "this error was recorded once: here"
    first = (
        "this request"
        if since["first_request_id"] == request["request_id"]
        else _run(since, "first_request_id", "first_seen")
    )
    code = f", in code {short_code(since['first_code_sha'])}" if since["first_code_sha"] else ""
    return f"{since['times']} times, first {first}{code}; last {full(since['last_seen'])}"


def _run(since: Row, request_id: str, at: str) -> str:
    return f"{short_id(since[request_id])} {full(since[at])}"


def _compared(good: str | None, failed: str | None) -> str:
    if good is None or failed is None:
        return "code not known"
    return "in the same code" if good == failed else f"in code {short_code(good)}, not {short_code(failed)}"


def suspect_lines(suspects: Answer | None, request: Row, columns: int) -> Iterator[str]:
    """The commits that may have broken it: those that touched the stack, or else the newest, and how many more."""
    if suspects is None:
        return
    if suspects.get("unknown"):
        yield from wrap(f"not known: {suspects['unknown']}", columns)
        return
    commits = suspects["commits"]
    touched = [commit for commit in commits if commit["touched"]]
    listed = touched[:MOST_SUSPECTS] or [commit for commit in commits if not commit["merge"]][:MOST_SUSPECTS]
    for commit in listed:
        name = f"{commit['name']}  "
        yield paint(name, "yellow") + cut(f'"{commit["subject"]}"', columns - len(name))
        did = f"wrote {commit['line']}" if commit["line"] else f"touched {commit['touched'][0]}" if touched else ""
        about = f"{commit['date']:%Y-%m-%d} by {commit['author']}" + (f", {did}" if did else "")
        yield " " * len(name) + paint(cut(about, columns - len(name)), "dim")
    for line in wrap(_others(suspects, len(listed), bool(touched)), columns):
        yield paint(line, "dim")
    if commits:
        yield "→ " + paint(f"flux bug bisect --request {str(request['request_id'])[:8]}", "cyan")


def _others(suspects: Answer, listed: int, touched: bool) -> str:
    """How many commits there were between the two ends, and what is to be known of them."""
    ends = f"between the last good run in {suspects['good']} and the first bad one in {suspects['bad']}"
    more = suspects["total"] - listed
    if not suspects["total"]:
        found = f"no commit {ends}"
    elif not touched:
        found = f"{suspects['total']} {_commits(suspects['total'])} {ends}, none of which touched a file of the stack"
    else:
        found = f"{more} more {_commits(more)} {ends}" if more else f"the only {_commits(listed)} {ends}"
    return found + ("; that one had changes that were in no commit" if suspects["dirty"] else "")


def _commits(number: int) -> str:
    return "commit" if number == 1 else "commits"


def _suggestions(suggestions: Sequence[Row], columns: int) -> Iterator[str]:
    for suggestion in suggestions:
        text = _DOUBT.get(suggestion["certainty"], "") + suggestion["suggestion"]
        yield from wrap(text, columns)
        if suggestion["command"]:
            yield "→ " + paint(cut(suggestion["command"], columns - 2), "cyan")


def verdict(answer: Answer) -> int:
    """The exit code: 1 where the record lacks something, else 0."""
    return 1 if answer["gaps"] else 0

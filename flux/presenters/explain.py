"""The answer of flux explain: a section each for query, policies, compiled SQL, guard, plan and dry run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flux.context import short_id
from flux.presenters.history import row_name, value_text
from flux.presenters.moments import length
from flux.presenters.text import cut, indent, pad, paint, width, wrap

Answer = Mapping[str, Any]
Line = tuple[str, str, str]

_PIECES = re.compile(r"""('(?:[^']|'')*')|("(?:[^"]|"")*")|(\$\d+)|\b([A-Z][A-Z_]+)\b""")
_PIECE_COLOURS = ("green", "", "yellow", "cyan")
_OPERATIONS = {"INSERT": "green", "UPDATE": "cyan", "DELETE": "red", "TRUNCATE": "red"}


def exit_code(answer: Answer) -> int:
    """0 where all is well and known, 1 where the answer is no, 3 where there was no database to ask."""
    guard, run = answer["guard"], answer["dry_run"]
    no = bool(answer["refused"]) or bool(guard and guard["enforced"] and guard["allowed"] is False)
    if answer["postgres"] is None:
        return 1 if no else 3
    no = no or not answer["postgres"]["accepts"]
    return int(no or bool(run and (run["refused"] or run["error"])))


def explanation_lines(answer: Answer, columns: int) -> Iterator[str]:
    """One explained query as lines."""
    sections = (
        ("QUERY", _query(answer)),
        ("POLICIES", _policies(answer)),
        ("COMPILED SQL", _compiled(answer, columns - 4)),
        ("GUARD", _guard(answer["guard"])),
        ("PLAN", _plan(answer["plan"], columns - 4)),
        ("DRY RUN", _dry_run(answer["dry_run"])),
        ("NOT KNOWN", ((("!", note, "yellow")) for note in answer["notes"])),
    )
    for name, lines in sections:
        shown = list(_laid_out(lines, columns - 4))
        if shown:
            yield "  " + paint(name, "bold")
            yield from indent(shown, 4)
            yield ""


def _laid_out(lines: Iterator[Line | str], columns: int) -> Iterator[str]:
    """Labels and what belongs to them in two columns; text that is laid out already stays."""
    for line in lines:
        if isinstance(line, str):
            yield line
            continue
        label, text, colour = line
        start = 2 if len(label) <= 1 else 12
        for number, part in enumerate(wrap(text, max(20, columns - start))):
            first = paint(pad("" if number else label, start), "dim" if start > 2 else colour)
            yield first + (paint(part, colour) if colour and start > 2 else part)


def sql_lines(text: str, columns: int) -> Iterator[str]:
    """SQL with its words in colours; a line that is too long goes on below."""
    for line in text.splitlines():
        space = len(line) - len(line.lstrip())
        room = max(20, columns - space - 2)
        for number, part in enumerate(wrap(line[space:], room)):
            yield " " * (space + (2 if number else 0)) + _PIECES.sub(_painted, part)


def _painted(found: re.Match[str]) -> str:
    colour = next(colour for piece, colour in zip(found.groups(), _PIECE_COLOURS, strict=True) if piece is not None)
    return paint(found[0], colour) if colour else found[0]


def _query(answer: Answer) -> Iterator[Line | str]:
    query = answer["query"]
    source = query["source"]
    if source:
        times = f", {source['times']:,} times; last" if source["times"] and source["times"] > 1 else ""
        yield (
            "sent",
            f"by {short_id(source['request_id'])} span {source['span_id']}{times}".replace("; last", ""),
            "dim",
        )
    yield "operation", f"{query['operation']}{', structured' if query['structured'] else ''}", ""
    yield "tables", ", ".join(query["tables"]) or "none", ""
    for one in query["parameters"]:
        value = value_text(one["value"]) if one["known"] else "no value"
        yield f"${one['number']}", f"{value}  ({one['type'] or 'type not known'})", "" if one["known"] else "yellow"
    error = (answer["postgres"] or {}).get("error")
    if error:
        yield "refused", f"Postgres: {error['message']}", "red"
        if error["hint"]:
            yield "hint", error["hint"], "dim"


def _policies(answer: Answer) -> Iterator[Line | str]:
    if answer["postgres"] is None:
        return
    claims = ", ".join(f"{name}={value_text(value)}" for name, value in (answer["claims"] or {}).items())
    if answer["role"] == "service":
        yield "role", "service, which sees everything: no policy applies", ""
        return
    yield "role", f"{answer['role']}{f' with {claims}' if claims else ', without claims'}", ""
    if not answer["policies"]:
        followed = answer["query"]["operation"] in ("select", "insert", "update", "delete")
        yield "tables", "none of them has a policy" if followed else "policies are not followed here", ""
    for one in answer["policies"]:
        yield paint(f"{one['operation']} {one['table'].removeprefix('public.')}", "bold")
        if not one["allowed"]:
            yield "  refused", f"{answer['role']} may not {one['operation']} it", "red"
            continue
        if one["operation"] == "select":
            yield "  hidden", ", ".join(one["hidden"]) or "no column", ""
        elif one["writable"] is not None:
            yield "  writes", ", ".join(one["writable"]), ""
        for name, mask in one["masks"].items() if one["operation"] == "select" else ():
            yield "  masked", f"{name} is read as {mask}", ""
        if one["operation"] != "insert":
            yield "  rows", one["rows"] or "every row", ""
        if one["check"]:
            yield "  new rows", f"must meet {one['check']}", ""
    for reason in answer["refused"]:
        yield "✗", reason, "red"


def _compiled(answer: Answer, columns: int) -> Iterator[Line | str]:
    if answer["compiled_sql"]:
        yield from sql_lines(answer["compiled_sql"], columns)
    elif answer["query"]["sql"] and not answer["refused"] and not (answer["guard"] or {}).get("refusal"):
        yield from sql_lines(answer["query"]["sql"], columns)
    for reason in answer["partial"]:
        yield "!", f"partial: {reason}", "yellow"


def _guard(guard: Answer | None) -> Iterator[Line | str]:
    if guard is None:
        return
    if guard["refusal"]:
        yield "verdict", f"refused: {guard['refusal']['message']}", "red"
        if guard["refusal"]["hint"]:
            yield "hint", guard["refusal"]["hint"], "dim"
        return
    if guard["allowed"] is None:
        yield "!", f"not counted: {guard['unread']}", "yellow"
        return
    for rule in guard["rules"]:
        if rule["value"] is None and (rule["allowed"] is None or rule["name"] != "timeout"):
            continue
        limit = "no limit" if rule["allowed"] is None else f"limit {rule['allowed']:g}"
        value = "" if rule["value"] is None else f"{rule['value']:g}, "
        unit = " s" if rule["name"] == "timeout" else ""
        yield rule["name"].removeprefix("max_"), f"{value}{limit}{unit}", "" if rule["holds"] else "red"
    if guard["allowed"]:
        yield "verdict", "allowed", "green"
    elif guard["enforced"]:
        yield "verdict", "refused", "red"
    else:
        yield "verdict", "above a limit, which holds for structured queries; SQL text runs", "yellow"


def _plan(plan: Answer | None, columns: int) -> Iterator[Line | str]:
    if plan is None:
        return
    yield (
        "estimate",
        f"cost {plan['cost']:,.0f}, {_rows(plan['rows'])}" + (", for any values" if plan["generic"] else ""),
        "",
    )
    for node in plan["nodes"]:
        name = "  " * node["depth"] + node["node"] + (f" on {_short(node['table'])}" if node["table"] else "")
        name += f" by {node['index']}" if node["index"] else ""
        tail = f"cost {node['cost']:,.0f}  {_rows(node['rows'])}"
        space = columns - width(tail) - 1
        yield pad(cut(name, space), space) + " " + paint(tail, "dim")
        for condition in node["conditions"].values():
            yield "  " * node["depth"] + "  " + paint(cut(condition, columns - 2 * node["depth"] - 2), "dim")
    for name in plan["uncounted"]:
        yield "!", f"Postgres has not counted {_short(name)} yet: run `analyze {_short(name)}`", "yellow"
    for one in plan["advice"]:
        yield "!", f"reads all {one['rows']:,} rows of {_short(one['table'])} for a few: {one['index']}", "yellow"
        if one["by"] == "rule":
            yield "", "by rule; with the extension hypopg it would be tried as a plan", "dim"
        elif one["used"]:
            yield "", f"tried by hypopg: cost {one['cost_before']:,.0f} → {one['cost']:,.0f}", "dim"
        else:
            yield "", "tried by hypopg: Postgres would not use it", "dim"


def _dry_run(run: Answer | None) -> Iterator[Line | str]:
    if run is None:
        return
    if run["refused"]:
        yield "✗", f"not tried: {run['refused']}", "red"
        return
    if run["rows"] is not None:
        yield "rows", f"{run['rows']:,}, in {length(run['duration_us'])}", ""
    for one in run["mutations"]:
        operation = paint(pad(one["operation"], 6), _OPERATIONS[one["operation"]])
        yield f"{operation} {cut(row_name(one['table_name'], one['row_key'] or {}), 30)}"
        yield "  writes", one["change"] or "", ""
    if run["mutation_count"] > len(run["mutations"]):
        yield "…", f"{run['mutation_count'] - len(run['mutations']):,} more mutations", "dim"
    for job in run["jobs"]:
        fault = f": {job['error']}" if job["error"] else ""
        yield "fires", f"{job['kind']} {job['function']}{fault}", "red" if fault else ""
    for event in run["events"]:
        yield "publishes", f"{event['type']}{' of ' + event['subject'] if event['subject'] else ''}", ""
    yield from _remarks(run)


def _remarks(run: Answer) -> Iterator[Line | str]:
    error = run["error"]
    if error:
        which = (
            f" ({error['constraint']})" if error["constraint"] and error["constraint"] not in error["message"] else ""
        )
        yield "✗", f"{error['message']}{which}", "red"
        for text in (error["detail"], error["hint"]):
            if text:
                yield "", text, "dim"
    for name in run["unrecorded"]:
        yield "!", f"writes to {_short(name)} are not recorded, and not listed here", "yellow"
    for name in run["sequences"]:
        yield "!", f"drew from {_short(name)}, and numbers do not come back", "yellow"
    yield "✔", "rolled back", "green"


def _rows(count: float) -> str:
    return f"{count:,.0f} row{'' if count == 1 else 's'}"


def _short(name: str) -> str:
    return name.removeprefix("public.")

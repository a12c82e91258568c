"""Postgres's plan of a statement, made readable, and the index that a slow part of it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.engine.rehearsal import Rehearsal
from flux.errors import BadQuery, StatementRefused
from flux.explain.catalogue import Catalogue, Table
from flux.explain.parser import needs_quotes
from flux.explain.syntax import column_name, conjuncts, expression_of, quoted

#: Rows from which on it matters that a scan reads all of a table, and the share of them under which an index helps.
LARGE = 10_000
SELECTIVE = 0.2

#: What EXPLAIN prints of values that are worked out elsewhere in the plan, which is no SQL.
_ELSEWHERE = re.compile(r"\((?:hashed )?(?:InitPlan|SubPlan|CTE) [^()]*\)(?:\.col\d+)?|\$\d+")
_CONDITIONS = ("Index Cond", "Recheck Cond", "Filter", "Hash Cond", "Merge Cond", "Join Filter")
_EQUALS, _RANGES = frozenset({"="}), frozenset({"<", "<=", ">", ">="})


def plan_of(rehearsal: Rehearsal, text: str, values: Sequence[Any] | None, catalogue: Catalogue) -> dict[str, Any]:
    """The plan of a statement for these values, or for any: cost, rows, its nodes from the top, scans, and advice.

    Raises StatementRefused.
    """
    root = rehearsal.plan(text, values)
    nodes = list(_nodes(root, 0))
    scans = [node for node in nodes if node["table"]]
    for scan in scans:
        table = catalogue.tables.get(scan["key"])
        scan["table_rows"] = table.estimated_rows if table else None
    advice = [_tried(rehearsal, text, values, root, one) for one in _advice(scans, catalogue)]
    return {
        "cost": root["Total Cost"],
        "rows": root["Plan Rows"],
        "generic": values is None,
        "nodes": nodes,
        "uncounted": sorted(
            {scan["table"] for scan in scans if scan["key"] in catalogue.tables and not scan["table_rows"]}
        ),
        "advice": advice,
    }


def _nodes(node: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    schema, name = node.get("Schema", ""), node.get("Relation Name")
    yield {
        "depth": depth,
        "node": " ".join(
            part for part in (node.get("Join Type") if "Join" in node["Node Type"] else None, _kind(node)) if part
        ),
        "table": f"{schema}.{name}" if name else None,
        "key": _key(schema, name) if name else None,
        "index": node.get("Index Name"),
        "cost": node["Total Cost"],
        "rows": node["Plan Rows"],
        "conditions": {key: node[key] for key in _CONDITIONS if key in node},
    }
    for inner in node.get("Plans", ()):
        yield from _nodes(inner, depth + 1)


def _kind(node: Mapping[str, Any]) -> str:
    operation = node.get("Operation")
    return str(operation if node["Node Type"] == "ModifyTable" and operation else node["Node Type"])


def _key(schema: str, name: str) -> str:
    """How the catalogue calls a table."""
    return ".".join(map(_typed, (schema, name)))


def _advice(scans: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    for scan in scans:
        table = catalogue.tables.get(scan["key"])
        rows = scan["table_rows"] or 0
        if "Seq Scan" not in scan["node"] or table is None or rows < LARGE or scan["rows"] > rows * SELECTIVE:
            continue
        columns = _columns(scan["conditions"].get("Filter"), table)
        if columns and not any(
            index.columns[: len(columns)] == columns and not index.partial for index in table.indexes
        ):
            names = ", ".join(map(_typed, columns))
            yield {"table": scan["table"], "rows": rows, "index": f"create index on {scan['key']} ({names})"}


def _columns(condition: str | None, table: Table) -> tuple[str, ...]:
    """The columns that an index for a condition begins with: those compared for equality, then one of a range."""
    if not condition:
        return ()
    try:
        tree = expression_of(_ELSEWHERE.sub("null", condition))
    except BadQuery:  # what EXPLAIN prints is not always SQL; then there is no rule for it
        return ()
    equal: dict[str, None] = {}
    ranged: dict[str, None] = {}
    for one in conjuncts(tree):
        comparison = one.a_expr
        operator = comparison.name[-1].string.sval if comparison.name else ""
        column = _column(comparison.lexpr) or _column(comparison.rexpr)
        if one.WhichOneof("node") == "null_test":
            column, operator = _column(one.null_test.arg), "=" if one.null_test.nulltesttype == 1 else ""
        if column in table.columns:
            (equal if operator in _EQUALS else ranged if operator in _RANGES else {})[column] = None
    return (*equal, *(name for name in list(ranged)[:1] if name not in equal))


def _column(node: Any) -> str:
    while node.WhichOneof("node") == "type_cast":
        node = node.type_cast.arg
    return column_name(node)


def _typed(name: str) -> str:
    """A name as it is typed."""
    return quoted(name) if needs_quotes(name) else name


def _tried(
    rehearsal: Rehearsal, text: str, values: Sequence[Any] | None, root: Mapping[str, Any], advice: dict[str, Any]
) -> dict[str, Any]:
    """An advised index, planned with where hypopg is installed: `by` "plan", with the cost it gives, or else "rule"."""
    found = rehearsal.ask("select extnamespace::regnamespace::text as place from pg_extension where extname = 'hypopg'")
    if not found:
        return {**advice, "by": "rule", "cost": None, "used": None}
    place = found[0]["place"]
    try:
        made = rehearsal.ask(f"select * from {place}.hypopg_create_index(%s)", advice["index"])  # noqa: S608  # a quoted schema
        plan = rehearsal.plan(text, values)
    except StatementRefused:
        return {**advice, "by": "rule", "cost": None, "used": None}
    finally:
        rehearsal.ask(f"select {place}.hypopg_reset()")
    used = any(node["index"] == made[0]["indexname"] for node in _nodes(plan, 0))
    return {**advice, "by": "plan", "cost": plan["Total Cost"], "cost_before": root["Total Cost"], "used": used}

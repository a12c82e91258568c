"""Executions made up for comparisons: rows as flux.whole_record gives them, of which a test says what matters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from flux.replay.recorded import RecordedRequest

BEGAN = "2026-03-10T14:22:01.400000+00:00"


class Generated(NamedTuple):
    """A column as flux.engine.sandbox.Generated describes it."""

    table: str
    column: str
    kind: str
    sequence: str | None = None


def span(kind: str, name: str, *inside: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A step with those inside it; `sql` and `rows` become its attributes."""
    attributes = dict(members.pop("attributes", {}))
    if "sql" in members:
        attributes["db.query.text"] = members.pop("sql")
    if "rows" in members:
        attributes["db.response.returned_rows"] = members.pop("rows")
    return {"kind": kind, "name": name, "attributes": attributes or None, "inside": inside, **members}


def query(sql: str, *parameters: Any, **members: Any) -> dict[str, Any]:
    """A statement as a step, named as the runtime names it."""
    verb, *rest = sql.split()
    table = next((word for word in rest if word not in ("into", "from", "set", "*")), "")
    name = members.pop("name", f"{verb} {table}")
    return span("db", name, sql=sql, input=list(parameters) or None, **members)


def execution(
    *roots: dict[str, Any],
    mutations: Sequence[dict[str, Any]] = (),
    number: int = 1,
    began: str = BEGAN,
    took_us: int = 40_000,
    **columns: Any,
) -> RecordedRequest:
    """A request that went well, unless `columns` say otherwise."""
    request_id = str(UUID(int=number, version=4))
    start = datetime.fromisoformat(began)
    spans: list[dict[str, Any]] = []

    def add(step: dict[str, Any], parent: int | None) -> None:
        number = len(spans) + 1
        members = {name: value for name, value in step.items() if name != "inside"}
        blank = {"input": None, "output": None, "error": None, "duration_us": 1_000}
        began_at = (start + timedelta(microseconds=number * 100)).isoformat()
        spans.append(
            {
                "request_id": request_id,
                "span_id": number,
                "parent_id": parent,
                "started_at": began_at,
                **blank,
                **members,
            }
        )
        for inner in step["inside"]:
            add(inner, number)

    for root in roots or [span("gateway", "POST /signup")]:
        add(root, None)
    request = {
        "request_id": request_id, "kind": "http", "method": "POST", "path": "/signup", "query": None,
        "route": "/signup", "function": "create_user", "headers": {"x-request-id": request_id, "accept": "*/*"},
        "input": {"email": "a@b.com"}, "output": {"passed": True}, "status": 200, "outcome": "ok",
        "error_type": None, "error_message": None, "error_code": None, "error_location": None,
        "error_signature": None, "started_at": start.isoformat(), "duration_us": took_us, "actor": None,
        "claims": None, "parent_request_id": None,
        "code_sha": "3f2a91c0ffee", "attempt": 1, "replay_of": None, "attributes": None, **columns,
    }  # fmt: skip
    rows = [
        {"id": number, "request_id": request_id, "xact_id": str(700 + number), **row}
        for number, row in enumerate(mutations, start=1)
    ]
    return RecordedRequest(request, tuple(spans), tuple(sorted(rows, key=lambda row: (row["rolled_back"], row["id"]))))


def write(operation: str, table: str, key: dict[str, Any] | None, span_id: int = 3, **members: Any) -> dict[str, Any]:
    """A mutation; `new` and `old` are its values."""
    return {
        "operation": operation, "table_name": f"public.{table}", "row_key": key, "previous_key": None,
        "new_values": members.pop("new", None), "old_values": members.pop("old", None), "span_id": span_id,
        "rolled_back": False, "actor": None, "trigger_depth": None, **members,
    }  # fmt: skip


def inserted(table: str, key: str = "id", span_id: int = 3, **values: Any) -> dict[str, Any]:
    """A row that came."""
    return write("INSERT", table, {key: values[key]} if key in values else None, span_id, new=values)


def signup(*statements: dict[str, Any], **columns: Any) -> RecordedRequest:
    """gateway, function, and these steps in it."""
    function = span("function", "create_user", *statements, output=columns.get("output", {"passed": True}))
    return execution(span("gateway", "POST /signup", function), **columns)

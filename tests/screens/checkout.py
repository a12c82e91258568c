"""One request with everything that a walk can meet, for the story of the screens."""

from __future__ import annotations

from uuid import UUID

import story

#: A request with a step of each kind, log lines, writes of several kinds, and what is wide or long in its values.
RICH = UUID("c0ffee00-0000-4000-8000-000000000011")
RENAMING = "update users set name = %s where id = %s"
HANDED = UUID("ca11ab1e-0000-4000-8000-000000000012")


def tell_richly(connection):
    """A checkout: a statement of each kind, a call that was retried, lines of log, a job that was handed off."""
    at = "2026-03-10T16:00:00Z"
    snapshot = story.one(connection, "select pg_current_snapshot()::text")
    story.write(connection, "insert into orders values (7, 42, 99.5)", by=RICH, span=3, at=at)
    story.write(
        connection, "update users set name = '山田 🚀 太郎', plan = 'max' where id = 42", by=RICH, span=4, at=at
    )
    story.write(connection, "delete from orders where id = 7", by=RICH, span=4, at=at)
    timed_out = {"type": "FetchTimeout", "message": "mail.example.com did not answer", "code": "XF202"}
    spans = [
        {"kind": "gateway", "name": "POST /checkout", "duration_us": 60_000},
        {"kind": "function", "name": "checkout", "duration_us": 59_000, "input": {"cart": "山田 🚀"},
         "output": {"order": 7, "lines": [{"sku": f"sku-{n}", "price": n} for n in range(30)]}},
        story.db_span("insert orders", "insert into orders values (%s, %s, %s)", [7, 42, "99.5"], rows=1, parent_id=2),
        story.db_span("update users", RENAMING, ["山田 🚀 太郎", 42], rows=1, parent_id=2),
        {"kind": "tool", "name": "mail.example.com", "parent_id": 2, "duration_us": 20_000, "error": timed_out},
        {"kind": "log", "name": "the mail is late", "parent_id": 2, "duration_us": None, "input": {"tries": 2},
         "attributes": {"level": "warning", "logger": "shop"}},
        {"kind": "queue", "name": "push send_receipt", "parent_id": 2, "input": {"order": 7}},
    ]  # fmt: skip
    story.request(
        connection, RICH, at, spans, route="/checkout", function="checkout", duration_us=60_000, snapshot=snapshot
    )
    job = {"id": 77, "queue": "default", "pushed_at": at, "run_at": at, "max_attempts": 3}
    story.request(
        connection, HANDED, "2026-03-10T16:00:01Z",
        [
            {"kind": "function", "name": "send_receipt", "input": {"order": 7}, "parent_id": None},
            {"kind": "tool", "name": "print", "output": {"pages": 2}},
        ],
        kind="job", method=None, path=None, route=None, function="send_receipt", parent_request_id=str(RICH),
        parent_span_id=7, attempt=2, attributes={"job": job}, status=None, input={"order": 7},
    )  # fmt: skip

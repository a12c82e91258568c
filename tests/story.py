"""A short past for the questions to be asked of: real tables, real triggers, and records as the runtime writes them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql

from flux.config import Project, Webhook
from flux.jobs.declarations import declare
from flux.runtime.loader import load

SIGNED_UP = UUID("1a2b3c4d-0000-4000-8000-000000000001")
RENAMED = UUID("a3c91ef0-0000-4000-8000-000000000002")
UPGRADED = UUID("4f9a3b2c-0000-4000-8000-000000000003")
FAILED = UUID("550e8400-0000-4000-8000-000000000004")
DUPLICATE = UUID("d0b1e000-0000-4000-8000-000000000005")

TABLES = """
    create table if not exists public.users (
        id     bigint primary key,
        email  text not null,
        name   text,
        plan   text,
        constraint users_email_key unique (email)
    );
    create table if not exists public.orders (
        id       bigint primary key,
        user_id  bigint constraint orders_user_id_fkey references public.users,
        total    numeric constraint total_not_negative check (total >= 0)
    );
    create table if not exists public.memberships (
        team    text,
        member  integer,
        role    text,
        primary key (team, member)
    );
    select flux.track('public.users'), flux.track('public.orders'), flux.track('public.memberships');
"""

Connection = psycopg.Connection[Any]


def tables(connection: Connection) -> None:
    """users, orders and memberships, empty and tracked."""
    connection.execute(TABLES)


def write(
    connection: Connection,
    statement: str,
    parameters: Sequence[Any] = (),
    *,
    by: UUID | None = None,
    span: int = 3,
    at: str | None = None,
    rolled_back: bool = False,
) -> None:
    """Run one statement as a request does, or from outside Flux; `at` moves the record of it in time."""
    connection.execute("savepoint attempt")
    before = one(connection, "select coalesce(max(id), 0) from flux.state_mutations")
    connection.execute("select set_config('flux.request_id', %s, true)", (str(by) if by else "",))
    connection.execute("select set_config('flux.span_id', %s, true)", (str(span) if by else "",))
    connection.execute(statement, parameters or None)  # type: ignore[arg-type]
    connection.execute("select set_config('flux.request_id', '', true), set_config('flux.span_id', '', true)")
    if at:
        connection.execute("update flux.state_mutations set recorded_at = %s where id > %s", (at, before))
    if not rolled_back:
        connection.execute("release savepoint attempt")
        return
    kept = connection.execute(
        "select to_jsonb(written)::text from flux.state_mutations as written where id > %s", (before,)
    ).fetchall()
    connection.execute("rollback to savepoint attempt")
    for (row,) in kept:
        connection.execute(
            """insert into flux.state_mutations
               select * from jsonb_populate_record(null::flux.state_mutations, %s::jsonb || '{"rolled_back": true}')""",
            (row,),
        )


def request(
    connection: Connection, request_id: UUID, at: str, spans: Sequence[dict[str, Any]] = (), **columns: Any
) -> None:
    """One request as the runtime records it; a span says `after_us` where it began and gets the rest by default."""
    began = datetime.fromisoformat(at)
    row = {
        "request_id": str(request_id),
        "kind": "http",
        "method": "POST",
        "path": columns.get("route", "/signup"),
        "route": "/signup",
        "function": "create_user",
        "status": 200,
        "outcome": "ok",
        "started_at": at,
        "duration_us": 81_000,
        "code_sha": "3f2a91c0ffee",
        "attempt": 1,
        **columns,
    }
    steps = []
    for number, step in enumerate(spans, start=1):
        after = timedelta(microseconds=step.pop("after_us", number * 100))
        steps.append(
            {
                "request_id": str(request_id),
                "span_id": number,
                "parent_id": number - 1 or None,
                "duration_us": 1_000,
                "started_at": (began + after).isoformat(),
                **step,
            }
        )
    connection.execute("select flux.record_request(%s::jsonb, %s::jsonb)", (json.dumps(row), json.dumps(steps)))


def db_span(name: str, statement: str, parameters: Sequence[Any] = (), **members: Any) -> dict[str, Any]:
    """A statement as a step; `rows` is how many it returned."""
    attributes = {"db.query.text": statement}
    if "rows" in members:
        attributes["db.response.returned_rows"] = members.pop("rows")
    return {"kind": "db", "name": name, "input": list(parameters), "attributes": attributes, **members}


def failing(
    request_id: UUID, name: str, statement: str, error: dict[str, Any], parameters: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """The three steps of a request whose statement failed: gateway, function, db."""
    return [
        {"kind": "gateway", "name": "POST /signup", "error": error, "duration_us": 44_000},
        {"kind": "function", "name": "create_user", "error": error, "duration_us": 43_000},
        db_span(name, statement, parameters, error=error),
    ]


def failed_columns(error: dict[str, Any], **columns: Any) -> dict[str, Any]:
    """The columns of a failed request that its error fills."""
    return {
        "status": 500,
        "outcome": "error",
        "duration_us": 44_000,
        "error_type": error["type"],
        "error_message": error["message"],
        "error_code": error.get("code"),
        "error_location": error.get("location"),
        "error_stack": error.get("stack"),
        "error_signature": error["type"] + (error.get("location") or ""),
        **columns,
    }


UNIQUE = {
    "type": "UniqueViolation",
    "message": 'duplicate key value violates unique constraint "users_email_key"',
    "code": "23505",
    "table": "users",
    "constraint": "users_email_key",
    "detail": "Key (email)=(a@b.com) already exists.",
    "location": "functions/create_user.py:6",
    "stack": [
        {
            "file": "functions/create_user.py",
            "line": 6,
            "function": "create_user",
            "source": 'user = ctx.db.one("insert into users (id, email) values (%s, %s)", 43, email)',
            "own": True,
        },
        {"file": "flux/runtime/database.py", "line": 60, "function": "one", "source": "cursor = …", "own": False},
    ],
}
CARD_DECLINED = {
    "type": "HTTPError",
    "message": "stripe.charge answered 502",
    "code": "XF201",
    "location": "functions/upgrade.py:9",
}


def tell(connection: Connection) -> None:
    """The past of users 42: signed up, renamed, upgraded; an upgrade that failed; a signup with the same e-mail."""
    tables(connection)
    write(
        connection,
        "insert into users (id, email, plan) values (42, 'a@b.com', 'free')",
        by=SIGNED_UP,
        at="2026-03-10T12:00:00Z",
    )
    request(connection, SIGNED_UP, "2026-03-10T12:00:00Z", healthy("insert users"), input={"email": "a@b.com"})
    write(connection, "update users set name = 'Alice Smith' where id = 42", by=RENAMED, at="2026-03-10T14:21:59Z")
    request(connection, RENAMED, "2026-03-10T14:21:59Z", healthy("update users"), function="rename", route="/rename")
    write(connection, "update users set plan = 'pro' where id = 42", by=UPGRADED, at="2026-03-10T14:22:01Z")
    request(connection, UPGRADED, "2026-03-10T14:22:01Z", healthy("update users"), function="upgrade", route="/upgrade")
    write(
        connection,
        "update users set plan = null where id = 42",
        by=FAILED,
        at="2026-03-10T14:22:01.500Z",
        rolled_back=True,
    )
    request(
        connection,
        FAILED,
        "2026-03-10T14:22:01.400Z",
        [
            {"kind": "gateway", "name": "POST /upgrade", "error": CARD_DECLINED, "duration_us": 44_000},
            {"kind": "function", "name": "upgrade", "error": CARD_DECLINED, "duration_us": 43_500},
            db_span("update users", "update users set plan = %s where id = %s", [None, 42]),
            {
                "kind": "tool",
                "name": "stripe.charge",
                "parent_id": 2,
                "duration_us": 40_000,
                "error": CARD_DECLINED,
                "attributes": {"http.response.status_code": 502},
            },
        ],
        function="upgrade",
        route="/upgrade",
        **failed_columns(CARD_DECLINED),
    )
    request(
        connection,
        DUPLICATE,
        "2026-03-10T15:00:00Z",
        failing(DUPLICATE, "insert users", "insert into users (id, email) values (%s, %s)", UNIQUE, [43, "a@b.com"]),
        input={"email": "a@b.com"},
        **failed_columns(UNIQUE),
    )


def healthy(statement: str) -> list[dict[str, Any]]:
    """Gateway, function and one statement, all well."""
    return [
        {"kind": "gateway", "name": "POST /signup", "duration_us": 81_000},
        {"kind": "function", "name": "create_user", "duration_us": 80_000},
        db_span(statement, statement, rows=1),
    ]


def one(connection: Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    """The single value a query gives."""
    row = connection.execute(query, parameters or None).fetchone()  # type: ignore[arg-type]
    return row[0] if row else None


def rows(connection: Connection, function: str, *arguments: Any) -> list[dict[str, Any]]:
    """All that a function of schema flux answers, as dicts."""
    call = sql.SQL("select * from {}({})").format(
        sql.Identifier("flux", function), sql.SQL(", ").join(sql.Placeholder() * len(arguments))
    )
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(call, arguments).fetchall()


def told(database_url: str, root: Path) -> Project:
    """A project whose database holds the story, committed."""
    with psycopg.connect(database_url) as connection:
        tell(connection)
    (root / "functions").mkdir(exist_ok=True)
    return Project(root=root, name="shop", database_url=database_url)


def settle(project: Project) -> None:
    """Write the project's flux.toml."""
    database = f"[database]\nurl = {json.dumps(project.database_url)}\n" if project.database_url else ""
    webhooks = "".join(
        f'[webhooks.{webhook.name}]\nurl = "{webhook.url}"\nevents = {json.dumps(webhook.events)}\n'
        + (f'secret = "env:{webhook.secret}"\n' if webhook.secret else "")
        for webhook in project.webhooks
    )
    (project.root / "flux.toml").write_text(f'[project]\nname = "{project.name}"\n{database}{webhooks}')


HANDED = """
from flux import function


@function(cron="30 2 * * *", timezone="Europe/Berlin")
def nightly(ctx) -> None: ...


@function(on="order.*")
def receipt(ctx) -> None: ...


@function(
    after="insert,update", table="orders", when="new.total > 100 and old.total is distinct from new.total"
)
def big_order(ctx, new: dict) -> None: ...
"""

EVENT = UUID("e0e00000-0000-4000-8000-000000000007")


def handing_on(project: Project) -> Project:
    """The story's project with a schedule, a subscriber, a hook, a webhook, and an event whose delivery failed."""
    (project.root / "functions" / "handed.py").write_text(HANDED)
    crm = Webhook("crm", "https://crm.example.com/hooks", ("order.*", "user.deleted"), "CRM_SECRET")
    project = replace(project, webhooks=(crm,))
    assert project.database_url is not None
    assert declare(project.database_url, project, load(project)) == {}
    with psycopg.connect(project.database_url) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(
            """
            insert into flux.events (id, source, type, subject, time, data, request_id, span_id)
            values (%s, '/shop/upgrade', 'order.paid', 'orders/42', '2026-03-10 14:22:01', '{"order": 42}', %s, 3)
            """,
            (EVENT, UPGRADED),
        )
        connection.execute(
            """
            insert into flux.jobs (
                job_id, kind, function, run_at, attempt, created_at, error, error_request_id
            )
            values (
                1234, 'event', 'flux.webhook', now() + interval '1 hour', 2, '2026-03-10 14:22:01',
                'POST crm.example.com/hooks answered 502 Bad Gateway', %s
            )
            """,
            (FAILED,),
        )
        connection.execute("insert into flux.deliveries values (1234, 'crm', %s, '2026-03-10 14:22:01')", (EVENT,))
        connection.execute(
            """
            insert into flux.finished_jobs (
                job_id, state, kind, queue, function, priority, run_at, attempt, max_attempts, depth,
                created_at, request_id, finished_at
            )
            values (1233, 'done', 'cron', 'default', 'nightly', 0, now(), 1, 10, 0, now(), %s, now())
            """,
            (RENAMED,),
        )
        connection.execute("insert into flux.cron_ticks values ('nightly', '2026-03-10 01:30', 'missed', 2, 1233)")
    return project


def run(command: click.Command, project: Project, *arguments: str, columns: int = 80) -> Result:
    """A command as in a shell in the project's folder, in UTC, whose output goes into a pipe."""
    settle(project)
    with chdir(project.root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.setenv("COLUMNS", str(columns))
        time.tzset()
        result = CliRunner().invoke(command, arguments)
    time.tzset()
    return result


def queueing(project: Project) -> Project:
    """The story's project with jobs: 1001 is dead, 1002 waits for tomorrow, 1003 is dead for another function."""
    with psycopg.connect(project.database_url) as connection:
        for job, function in ((1001, "send_welcome"), (1002, "send_welcome"), (1003, "report")):
            connection.execute(
                "insert into flux.jobs (job_id, function, queue, run_at, input, parent_request_id, parent_span_id)"
                " values (%s, %s, 'mail', now() + interval '1 day', '{\"user_id\": 42}', %s, 2)",
                (job, function, SIGNED_UP),
            )
            if job != 1002:
                connection.execute("select flux.end_job(%s, 'dead', 'ConnectError: no mail server', %s)", (job, FAILED))
        connection.execute("insert into flux.jobs (function, error, attempt) values ('report', 'ValueError: no', 2)")
    return project

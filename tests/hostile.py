"""Records whose every text is an attack on the terminal of who reads them, and what an answer may hold all the same."""

from __future__ import annotations

import json
import re
from uuid import UUID

import story
from psycopg import sql

#: Sets the title, clears the screen, moves the cursor, turns the text around, forges a line, and styles itself.
EVIL = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\x1b]52;c;b3duZWQ=\x07\u202egnp\r\x08\nforged line\u2028\x7f\ue003"
    "[red]x[/red][link=https://evil]\x1b[0m"
)

#: Without what Postgres' names and JSON keys cannot hold.
NAME = "evil\x1b[2J\u202e[red]\nforged line"

ATTACK = UUID("e711e711-0000-4000-8000-000000000031")
CALM = UUID("e711c0de-0000-4000-8000-000000000032")
ATTACKED_JOB = UUID("e711e711-1111-4000-8000-000000000033")

ERROR = {
    "type": NAME, "message": EVIL, "code": EVIL[:8], "location": f"{NAME}.py:3", "detail": EVIL,
    "stack": [{"file": f"{NAME}.py", "line": 3, "function": NAME, "source": EVIL, "own": True}],
}  # fmt: skip

OURS = re.compile(r"\x1b\[(0|1|2|31|32|33|36)m")
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def attack(connection):
    """Each table of the record, and one of the user's own."""
    table = sql.Identifier("public", NAME)
    column = sql.Identifier(NAME)
    connection.execute(sql.SQL("create table {} (id bigint primary key, {} text)").format(table, column))
    connection.execute("select flux.track(%s::regclass)", (f'public."{NAME}"',))
    insert = sql.SQL("insert into {} values (1, {})").format(table, sql.Literal(EVIL))
    update = sql.SQL("update {} set {} = {}").format(table, column, sql.Literal(EVIL * 2))
    snapshot = story.one(connection, "select pg_current_snapshot()::text")
    story.write(connection, insert, by=ATTACK, at="2026-03-10T18:00:00Z")
    story.write(connection, update, by=ATTACK, span=4, at="2026-03-10T18:00:00Z")
    columns = {
        "path": f"/{EVIL}", "query": EVIL, "route": f"/{NAME}", "function": NAME, "input": {NAME: EVIL}, "actor": EVIL,
        "output": [EVIL], "code_sha": NAME, "headers": {NAME: EVIL}, "snapshot": snapshot,
    }  # fmt: skip
    spans = [
        {"kind": "gateway", "name": EVIL, "input": {NAME: EVIL}, "error": ERROR},
        {"kind": "function", "name": NAME, "input": {NAME: EVIL}, "output": EVIL, "error": ERROR},
        story.db_span(EVIL, f"select '{EVIL}'", [EVIL], output=[{NAME: EVIL}], rows=1, parent_id=2),
        story.db_span(NAME, EVIL, [EVIL], error=ERROR, parent_id=2, duration_us=200_000),
        {"kind": "log", "name": EVIL, "input": {NAME: EVIL}, "attributes": {"level": NAME, NAME: EVIL}, "error": ERROR},
        {"kind": "tool", "name": EVIL, "input": {NAME: EVIL}, "output": {"$omitted": {"bytes": 9, "head": EVIL}}},
    ]
    calm = [{**span, "error": None} for span in spans[:3]]
    story.request(connection, CALM, "2026-03-10T17:00:00Z", calm, **columns)
    story.request(
        connection, ATTACK, "2026-03-10T18:00:00Z", spans, **story.failed_columns(ERROR), method=EVIL, **columns
    )
    connection.execute("update flux.trace_requests set error_signature = %s where request_id = %s", (EVIL, ATTACK))
    job = {"id": 1, "queue": NAME, "pushed_at": "2026-03-10T18:00:00Z", "run_at": "2026-03-10T18:00:00Z"}
    story.request(
        connection, ATTACKED_JOB, "2026-03-10T18:00:01Z", spans, kind="job", parent_request_id=str(ATTACK),
        parent_span_id=2, attributes={"job": job}, **columns | story.failed_columns(ERROR),
    )  # fmt: skip
    connection.execute(
        "insert into flux.jobs (job_id, function, queue, input, error, key, run_at) values"
        " (9001, %(name)s, %(name)s, to_jsonb(%(evil)s::text), %(evil)s, %(name)s, now() + interval '1 day'),"
        " (9002, %(name)s, %(name)s, '{}', %(evil)s, null, now() + interval '1 day')",
        {"name": NAME, "evil": EVIL},
    )
    connection.execute("select flux.end_job(9001, 'dead', %s, %s)", (EVIL, ATTACK))
    connection.execute(
        "insert into flux.events (id, source, type, subject, time, data)"
        " values (gen_random_uuid(), %s, %s, %s, now(), %s)",
        (EVIL, NAME, EVIL, json.dumps({NAME: EVIL})),
    )
    connection.execute("update flux.jobs set error = %s where job_id = 1234", (EVIL,))


def checked(output, *, multiline=False):
    """Nothing but our own colours, and no line that a value made; `multiline` for SQL, whose strings have lines."""
    plain = OURS.sub("", output)
    assert not FORBIDDEN.findall(plain)
    assert multiline or not [line for line in plain.split("\n") if line.startswith("forged")]
    assert "x7f\x1b[31m[red" not in output, "a value coloured itself"
    return plain

"""Numbers of rows in their own digits, as Postgres keeps them and a float does not."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
import story
from driving import walk_through

from flux.commands.trace import trace
from flux.screens.reader import Reader

BILLED = UUID("b111ed00-0000-4000-8000-000000000041")
TIPPED = UUID("71bbed00-0000-4000-8000-000000000042")
WASTED = UUID("3a57ed00-0000-4000-8000-000000000043")
TOTAL, MORE = "12345678901234567890.1234567890", "12345678901234567891.1234567890"


@pytest.fixture(scope="module")
def billed(new_database, tmp_path_factory):
    """Requests that write a row whose key and columns are numeric."""
    project = story.told(new_database(), tmp_path_factory.mktemp("billed"))
    statements = {
        BILLED: "insert into bills values (0.50, 12345678901234567890.1234567890, 0.10)",
        TIPPED: "update bills set total = total + 1",
        WASTED: "update bills set tip = ('1' || repeat('0', 5000))::numeric",
    }
    with psycopg.connect(project.database_url) as connection:
        connection.execute("create table bills (id numeric primary key, total numeric, tip numeric)")
        connection.execute("select flux.track('public.bills')")
        for second, (request_id, statement) in enumerate(statements.items()):
            at = f"2026-03-10T18:00:0{second}Z"
            snapshot = story.one(connection, "select pg_current_snapshot()::text")
            spans = [
                {"kind": "gateway", "name": "POST /pay"},
                {"kind": "function", "name": "pay"},
                story.db_span("write bills", statement, rows=1, parent_id=2),
            ]
            story.request(connection, request_id, at, spans, route="/pay", function="pay", snapshot=snapshot)
            story.write(connection, statement, by=request_id, at=at)
            connection.commit()
    return project


def test_a_written_number_is_printed_in_its_own_digits(billed):
    """Twenty digits of money are not 1.2e+19, and 0.10 is what was paid."""
    shown = story.run(trace, billed, "debug", "b111", "--at", "3").stdout

    assert "INSERT bills id=0.50" in shown
    assert f"+ total: {TOTAL}" in shown
    assert "+ tip: 0.10" in shown
    assert f'"new": {TOTAL}' in story.run(trace, billed, "debug", "b111", "--json").stdout


def test_a_number_longer_than_python_reads_is_printed(billed):
    """Postgres allows 131,072 digits."""
    lines = story.run(trace, billed, "debug", "3a57", "--at", "3").stdout.splitlines()
    digits = "".join(line.strip(" +") for line in lines[lines.index(next(x for x in lines if "- 0.10" in x)) + 1 :])

    assert digits == "1" + "0" * 5000
    assert f'"new": 1{"0" * 5000}' in story.run(trace, billed, "debug", "3a57", "--json").stdout


def test_a_row_is_shown_and_followed_by_its_exact_key(billed):
    """Both the state and the way to its last writer depend on every digit."""
    reader = Reader(billed, billed.database_url)

    assert f"{TOTAL} → {MORE}" in walk_through(reader, "71bb", "m", "s", size=(200, 24)).text
    assert "req:b111ed00" in walk_through(reader, "71bb", "m", "w").head
    reader.close()

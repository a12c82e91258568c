"""Replays leave records of their own, and what happened in production is told without them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
import story
from story import FAILED, UPGRADED, one, rows

from flux.engine.questions import Questions

REPLAY = UUID("9e91a700-0000-4000-8000-00000000000a")
AGAIN = UUID("9e91a700-0000-4000-8000-00000000000b")


@pytest.fixture
def past(connection):
    """The story, in which the failed upgrade and the good one were replayed, both failing at a tool."""
    story.tell(connection)
    for original, replay in ((FAILED, REPLAY), (UPGRADED, AGAIN)):
        replayed(connection, original, replay)
    return connection


def replayed(connection, original, replay):
    """The record of a request as a replay of it in a sandbox would leave it, a day later."""
    request = one(connection, "select to_jsonb(r) from flux.trace_requests as r where request_id = %s", [original])
    now = datetime(2026, 3, 11, 9, tzinfo=UTC).isoformat()
    request |= {
        "request_id": str(replay), "kind": "replay", "replay_of": str(original), "started_at": now, "xact_id": "77",
        "snapshot": "77:77:", "code_sha": "feed", "outcome": "error", "status": 500, "error_signature": "timeout here",
        "error_type": "Timeout",
    }  # fmt: skip
    spans = one(
        connection,
        "select jsonb_agg(to_jsonb(s) || %s order by span_id) from flux.execution_spans as s where request_id = %s",
        [json.dumps({"request_id": str(replay), "started_at": now}), original],
    )
    mutation = {
        "id": 1, "recorded_at": now, "request_id": str(replay), "span_id": 3, "xact_id": "77", "operation": "UPDATE",
        "table_name": "public.users", "row_key": {"id": "42"}, "rolled_back": False, "actor": None,
        "new_values": {"plan": "gold"}, "old_values": {"plan": "free"}, "previous_key": None, "trigger_depth": None,
    }  # fmt: skip
    connection.execute(
        "select flux.record_replay(%s, %s, %s)", [json.dumps(request), json.dumps(spans), json.dumps([mutation])]
    )


def test_a_replay_can_be_traced_when_its_sandbox_is_gone(past):
    """Its record is the only thing left of it."""
    trace = Questions(past).trace(str(REPLAY))

    assert trace["request"]["kind"] == "replay"
    assert trace["request"]["replay_of"] == FAILED
    assert len(trace["steps"]) == 4
    assert {step["span_id"]: step["writes"] for step in trace["steps"]}[3] == 1
    assert trace["gaps"] == []
    assert [row["change"] for row in rows(past, "data_changes", REPLAY)] == ["plan: free → gold"]


def test_transactions_of_the_sandbox_are_not_taken_for_those_of_this_database(past):
    """With a snapshot of another database the past would be rebuilt wrong."""
    assert rows(past, "request_record", REPLAY)[0]["xact_id"] is None
    assert rows(past, "request_record", REPLAY)[0]["snapshot"] is None


def test_replays_never_show_in_the_history_of_a_row(past):
    """The row was never gold; only in a sandbox that is gone."""
    history = rows(past, "state_history", "public.users", json.dumps({"id": "42"}))

    assert not [row for row in history if "gold" in row["change"]]
    assert {
        row["request_id"] for row in rows(past, "state_blame", "public.users", json.dumps({"id": "42"}))
    }.isdisjoint({REPLAY, AGAIN})
    assert one(past, "select count(*) from flux.state_mutations where request_id = any (%s)", [[REPLAY, AGAIN]]) == 0


def test_failures_of_replays_are_no_failures_of_production(past):
    """Who replays an incident twenty times has not had twenty incidents."""
    known = {row["last_request_id"] for row in rows(past, "errors_since")}

    assert known.isdisjoint({REPLAY, AGAIN})
    assert FAILED in known
    assert not one(past, "select count(*) from flux.errors where example = %s", [f"req:{str(REPLAY)[:8]}"])


def test_lists_and_tails_show_production_alone(past):
    """A replayed window of a thousand requests would push everything else off the list."""
    listed = {row["request_id"] for row in rows(past, "requests_matching")}
    ended = {row["request_id"] for row in rows(past, "requests_finished", datetime(2026, 3, 1, tzinfo=UTC))}

    assert listed == ended
    assert listed.isdisjoint({REPLAY, AGAIN})
    assert past.execute("select replay_of from flux.requests where request_id = %s", [REPLAY]).fetchone() == (
        "req:550e8400",
    )


def test_since_when_counts_no_replay(past):
    """A good run of other code is no proof that production was well."""
    replay_of_good = UUID("9e91a700-0000-4000-8000-00000000000c")
    replayed(past, FAILED, replay_of_good)
    past.execute(
        "update flux.trace_requests set outcome = 'ok', error_signature = %s where request_id = any (%s)",
        ["HTTPErrorfunctions/upgrade.py:9", [REPLAY, AGAIN, replay_of_good]],
    )

    past.execute(
        "update flux.trace_requests set started_at = '2026-03-10T14:22:01.3Z' where request_id = %s", [replay_of_good]
    )

    since = rows(past, "since_when", FAILED)[0]

    assert since["times"] == 1
    assert since["good_request_id"] == UPGRADED
    assert since["good_again_id"] is None
    assert since["runs_before"] == 1


def test_statements_of_replays_are_not_slow_queries(past):
    """They ran on a sandbox, perhaps on a laptop."""
    calls = {row[0]: row[1] for row in past.execute("select sql, calls from flux.slow_queries").fetchall()}

    assert calls["update users set plan = %s where id = %s"] == 1


def test_tools_of_replays_are_no_calls(past):
    """A replay answers from the record; how the tool does today is not known from it."""
    step = one(past, "select span_id from flux.execution_spans where request_id = %s and kind = 'tool'", [FAILED])

    suggested = rows(past, "suggest_tool", FAILED, step)[0]["suggestion"]

    assert "not called by any other request" in suggested


def test_a_window_holds_what_began_in_it_and_no_replay(past):
    """What was replayed yesterday is not to be replayed again as if it had happened."""
    hour = [datetime(2026, 3, 10, hour, tzinfo=UTC) for hour in (14, 15)]

    found = rows(past, "requests_between", *hour)

    assert [row["request_id"] for row in found] == [story.RENAMED, UPGRADED, FAILED]
    assert [row["request_id"] for row in rows(past, "requests_between", *hour, None, True)] == [FAILED]
    assert [row["request_id"] for row in rows(past, "requests_between", *hour, "rename")] == [story.RENAMED]
    assert rows(past, "requests_between", datetime(2026, 3, 11, tzinfo=UTC), datetime(2026, 3, 12, tzinfo=UTC)) == []


def test_replays_are_kept_by_the_day_and_for_as_long_as_the_rest(connection):
    """Without its partition a replay goes to the default one, and is never forgotten."""
    assert one(connection, "select flux.make_partition('replay_mutations', '2031-02-03')") == (
        "replay_mutations_2031_02_03"
    )
    assert one(connection, "select count(*) from flux.drop_partitions_before('2031-02-04') as t where t ~ 'replay'") > 0
    connection.execute("select flux.make_partitions()")
    today = one(connection, "select to_char(now() at time zone 'UTC', 'YYYY_MM_DD')")
    assert one(connection, "select to_regclass(%s) is not null", [f"flux.replay_mutations_{today}"])


def test_what_a_view_reads_is_what_its_query_touches(connection):
    """A sandbox without the table below the view would refuse the query."""
    story.tables(connection)
    connection.execute("create view public.payers as select * from public.users where plan is not null")
    connection.execute(
        "create view public.spenders as "
        "select payer.id, spent.total from public.payers as payer join public.orders as spent on true"
    )

    meant = {(row["name"], row["table_name"]) for row in rows(connection, "tables_meant", ["spenders", "users"])}

    assert meant == {("spenders", "public.users"), ("spenders", "public.orders"), ("users", "public.users")}

"""Schedules, events and hooks in a server as it is really run: declared at its start, and anew with each change."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from served import Served, eventually, make_project

STARTED = """
from flux import function


@function(cron="* * * * * *")
def clock(ctx) -> None:
    ctx.log.info("tick")


@function(route="POST /orders")
def order(ctx, email: str) -> dict:
    ctx.db.execute("insert into users (email) values (%s)", email)
    return {"event": str(ctx.events.publish("user.added", {"email": email}))}


@function(on="user.*")
def greet(ctx, data: dict) -> dict:
    return {"greeted": data["email"]}


@function(after="insert", table="users", when="new.email like '%@hooked.org'")
def hooked(ctx, new: dict) -> dict:
    return {"email": new["email"]}
"""

LATER = """
from flux import function


@function(after="insert", table="users")
def later(ctx, new: dict) -> dict:
    return {"email": new["email"]}
"""


def recorded(served: Served, function: str) -> list[dict[str, Any]]:
    """The requests of a function, waited for."""
    query = "select * from flux.trace_requests where function = %s and outcome = 'ok' order by started_at"
    return eventually(lambda: served.ask(query, function), 10)


def test_a_server_runs_what_its_functions_declare(serve, tmp_path):
    """Nothing is to be set up besides the functions: ticks, events and writes from psql find them."""
    make_project(tmp_path)
    (tmp_path / "functions" / "started.py").write_text(STARTED)
    served = serve("--workers", "2")

    answer = served.http.post("/orders", json={"email": "a@hooked.org"})
    served.ask("insert into users (email) values ('b@hooked.org'), ('c@other.org') returning id")

    assert answer.status_code == 200
    (greeted,) = recorded(served, "greet")
    assert (greeted["kind"], greeted["output"]) == ("event", {"greeted": "a@hooked.org"})
    assert str(greeted["parent_request_id"]) == answer.headers["x-request-id"]
    eventually(lambda: len(recorded(served, "hooked")) == 2)
    by_request, by_hand = recorded(served, "hooked")
    assert (by_request["output"], by_hand["output"]) == ({"email": "a@hooked.org"}, {"email": "b@hooked.org"})
    assert str(by_request["parent_request_id"]) == answer.headers["x-request-id"]
    assert by_hand["parent_request_id"] is None
    eventually(lambda: len(recorded(served, "clock")) >= 3)
    assert {row["kind"] for row in recorded(served, "clock")} == {"cron"}
    ticks = served.ask("select tick, job_id from flux.cron_ticks order by tick")
    assert all((late["tick"] - early["tick"]).total_seconds() == 1 for early, late in pairwise(ticks))


def test_dev_takes_up_hooks_as_they_are_written_and_lets_go_of_those_deleted(serve):
    """What a save changes is in force when the next write comes."""
    served = serve(command="dev")
    served.write_function("later.py", LATER)
    eventually(lambda: served.ask("select 1 from flux.hooks where function = 'later' and fault is null"), 10)

    served.ask("insert into users (email) values ('a@b.org') returning id")
    (hooked,) = recorded(served, "later")
    (served.root / "functions" / "later.py").unlink()
    eventually(lambda: not served.ask("select 1 from flux.hooks"), 10)
    served.ask("insert into users (email) values ('c@d.org') returning id")

    assert hooked["output"] == {"email": "a@b.org"}
    assert served.ask("select 1 from flux.jobs") == []
    assert served.ask("select 1 from pg_proc where proname like 'hook_of_%%'") == []

"""Which requests cannot be replayed, and which perhaps not exactly: said beforehand, from the record alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from outside import Outside
from past import Past, unlike

from flux.replay.fidelity import doubts, obstacle

FUNCTIONS = """
    import os, time, uuid
    from pathlib import Path

    FLAG = Path(__file__).parent / "flag"

    class Opaque:
        pass

    @function(route="POST /pay")
    def pay(ctx, card: str = "", note: str = "") -> dict:
        return {"length": len(card)}

    @function(route="GET /who")
    def who(ctx) -> dict:
        return {"token": ctx.request.headers.get("authorization", ""), "agent": ctx.request.headers.get("x-agent")}

    @function(route="GET /object")
    def object_(ctx) -> str:
        return str(type(ctx.tool("sdk", Opaque)))[:3]

    @function(route="POST /refuse")
    def refuse(ctx) -> dict:
        raise HTTPError(415, "not this")

    @function(route="GET /again", attempts=3)
    def again(ctx) -> dict:
        ctx.db.execute("insert into users (email) values (%s)", str(uuid.uuid4()))
        if not FLAG.exists():
            FLAG.touch()
            time.time()
            ctx.db.execute("do $$ begin raise exception 'again' using errcode = '40001'; end $$")
        return {"at": time.time()}

    @function(route="GET /clock")
    def clock(ctx, times: int) -> int:
        return [time.time() for _ in range(times)] and 1

    @function(route="POST /token")
    def token(ctx) -> dict:
        return {"card": uuid.uuid4().hex, "id": uuid.uuid4()}

    @function(route="GET /large")
    def large(ctx, url: str) -> int:
        return len(ctx.fetch(url).body)
"""

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def now(past: Callable[..., Past]) -> Past:
    return past(FUNCTIONS, toml='[recording]\nredact = ["card"]\n[gateway]\nbody_limit = "2MiB"\n')


def test_what_cannot_be_replayed_is_told_with_the_reason(now: Past) -> None:
    """A replay with half of the input would show a difference that there never was."""
    reasons = {
        "its input was redacted": now.ask("POST /pay", {"card": "4242"}),
        "its path or query was redacted": now.ask("GET /clock?times=1&card=4242"),
        "its input of 1048675 bytes was too large to keep": now.ask("POST /pay", {"note": "x" * 1_048_664}),
        "its body was too large to be read": now.ask("POST /pay", {"note": "x" * 2_100_000}),
        "it could not be read": now.ask("POST /pay", raw=b"{oops"),
        "its body was of a type that is not read": now.ask(
            "POST /pay", raw=b"<x/>", headers={"content-type": "text/xml"}
        ),
    }

    for reason, request in reasons.items():
        assert obstacle(request) == reason, request.request


def test_what_can_be_replayed_has_no_obstacle(now: Past) -> None:
    """A function that answers 415 by itself was run, and can be again."""
    for line in ("POST /refuse", "GET /nowhere", "DELETE /pay", "GET /who"):
        request = now.ask(line)
        assert obstacle(request) is None
        assert unlike(request, now.replay(request)[1]) == []


def test_doubts_are_told(now: Past, outside: Outside) -> None:
    """An exact replay and one that had to guess must not look the same."""
    told = [
        (now.ask("GET /who", headers={"authorization": "Bearer x"}), "it read the header authorization"),
        (now.ask("GET /object"), "sdk returned an object that is known by its text only"),
        (now.ask("GET /clock?times=2005"), "5 readings of clock and chance were too many to keep"),
        (now.ask("GET /nowhere"), "its body was not read then"),
        (now.ask(f"GET /large?url={outside.url}/large"), "was too large to keep"),
    ]

    for request, doubt in told:
        assert doubt in " ".join(doubts(request)), request.request["path"]
    assert doubts(now.ask("GET /who", headers={"x-agent": "me"})) == ()


def test_of_several_attempts_the_last_is_replayed(now: Past) -> None:
    """It gave the answer; what earlier ones were told and wrote is gone."""
    request = now.ask("GET /again")
    assert request.request["attempt"] == 2

    ran, replay = now.replay(request)

    assert replay.request["output"] == request.request["output"]
    assert ran.inexact == ()
    written = [row["new_values"] for row in request.mutations if not row["rolled_back"]]
    assert [row["new_values"] for row in replay.mutations] == written
    assert doubts(request) == ("it took 2 attempts, of which the last is replayed",)


def test_chance_that_became_a_secret_is_not_on_the_tape(now: Past) -> None:
    """Who lists a column as secret does not expect its value beside it."""
    request = now.ask("POST /token")
    (_, secret), (_, id_) = request.request["attributes"]["tape"]

    assert request.request["output"]["card"] == "[redacted]"
    assert secret is None
    assert id_ == request.request["output"]["id"]
    assert "uuid4 was asked for 1 more time than recorded" in now.replay(request)[0].inexact

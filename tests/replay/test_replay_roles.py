"""A request that ran as its caller is replayed as its caller: the same rows, and the same refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from past import Past, essence

SECRET = "a secret that is long enough for SHA-256"

POLICIES = """
    [roles.member]
    [tables.users.member]
    rows = "email = claim('sub')"
    select = { columns = ["id", "email", "plan"], mask = { plan = "left(plan, 1) || coalesce(claim('team'), '?')" } }
    update = { columns = ["email"], check = "true" }
"""
FUNCTIONS = """
    @function(route="GET /me", db_role="caller")
    def me(ctx) -> list:
        return ctx.db.all("select * from users")

    @function(route="POST /rename", db_role="caller")
    def rename(ctx, email: str) -> dict:
        ctx.db.execute("update users set email = %s", email)
        return ctx.db.one("select * from charges")
"""
SETTINGS = """
    [recording]
    redact = ["team"]
    [auth]
    jwt_secret = "env:TEST_JWT_SECRET"
"""


@pytest.fixture
def members(past: Callable[..., Past], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    """Functions for members, of whom there is one."""
    monkeypatch.setenv("TEST_JWT_SECRET", SECRET)
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "policies.toml").write_text(POLICIES)
    return past(FUNCTIONS, toml=SETTINGS)


def bearing(**claims: str) -> dict[str, str]:
    """The header of the member."""
    return {"authorization": f"Bearer {jwt.encode({'sub': 'first@b.c', 'role': 'member', **claims}, SECRET, 'HS256')}"}


def test_a_replay_runs_as_the_recorded_caller(members: Past) -> None:
    """Without the token, which is nowhere stored: the claims are enough."""
    request = members.ask("GET /me", headers=bearing())
    assert request.request["output"] == [{"id": 1, "email": "first@b.c", "plan": "f?"}]

    ran, replayed = members.replay(request)

    assert ran.inexact == ()
    assert essence(replayed) == essence(request)
    assert replayed.request["attributes"]["db.role"] == "member"


def test_a_replay_is_refused_what_the_caller_was_refused(members: Past) -> None:
    """A table that is closed to the caller was closed then too: it is no table that the sandbox lacks."""
    request = members.ask("POST /rename", {"email": "new@b.c"}, headers=bearing())
    assert (request.request["status"], request.request["error_code"]) == (403, "42501")
    assert [(row["operation"], row["rolled_back"]) for row in request.mutations] == [("UPDATE", True)]

    ran, replayed = members.replay(request)

    assert ran.denied_tables == ()
    assert essence(replayed) == essence(request)


def test_a_replay_says_which_claim_it_no_longer_knows(members: Past) -> None:
    """A redacted claim is another claim to a policy, so the replay may see other rows."""
    request = members.ask("GET /me", headers=bearing(team="blue"))
    assert request.request["claims"]["team"] == "[redacted]"

    ran, _ = members.replay(request)

    assert ran.inexact == ("the claim team was redacted: a policy that asks for it finds [redacted]",)

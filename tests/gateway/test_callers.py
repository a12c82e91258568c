"""Who asks: tokens that are good, tokens that are not, and what a caller of each role may do over HTTP."""

from __future__ import annotations

import time
from dataclasses import replace

import jwt
import pytest
from served import Served, eventually

from flux.auth import Auth
from flux.config import Project
from flux.errors import ConfigError
from flux.gateway.identity import Identity
from flux.gateway.problems import Refused

SECRET = "a secret that is long enough for SHA-256"

SETTINGS = """
    [project]
    name = "callers"
    [recording]
    redact = ["ssn"]
    [auth]
    jwt_secret = "env:TEST_JWT_SECRET"
    issuer = "https://id.example.com"
"""
TABLES = """
    create table todos (
        id int generated always as identity primary key, owner text not null, title text, email text, note text
    );
    insert into todos (owner, title, email) values ('ada', 'one', 'ada@b.c'), ('bob', 'two', 'bob@b.c');
"""
POLICIES = """
    [roles.member]
    [tables.todos.member]
    rows = "owner = claim('sub')"
    select = { columns = ["id", "owner", "title", "email"], mask = { email = "left(email, 1) || '…'" } }
    insert = { columns = ["owner", "title"] }
"""
FUNCTIONS = """
from flux import function

@function(route="GET /todos", db_role="caller")
def list_todos(ctx) -> list:
    return ctx.db.all("select title, email from todos order by id")

@function(route="POST /todos", db_role="caller")
def add_todo(ctx, owner: str, broken: bool = False) -> dict:
    ctx.queue.push("later", {})
    ctx.db.execute("insert into todos (owner, title) values (%s, 'new')", owner)
    try:
        ctx.db.execute("insert into todos (owner, title) values ('nobody', 'refused')")
    except Exception:
        pass
    ctx.queue.push("later", {})
    count = "select count(*) from todos"
    seen = [ctx.db.value(count), ctx.invoke("count_all"), ctx.db.value(count)]
    if broken:
        raise RuntimeError("broken")
    return {"seen": seen}

@function(route="GET /all")
def count_all(ctx) -> int:
    return ctx.db.value("select count(*) from todos")

@function(route="GET /whole")
def whole(ctx) -> list:
    return ctx.db.all("select * from todos where id < %s order by id", 3)

@function(route="GET /mine", db_role="caller")
def mine(ctx) -> list:
    return ctx.db.all("select * from todos where id < %s order by id", 3)

@function(route="GET /named", db_role="member")
def named(ctx) -> list:
    return ctx.db.all("select title from todos")

@function(route="GET /escape", db_role="caller")
def escape(ctx) -> list:
    return escaping(ctx)

@function(route="GET /escape/named", db_role="member")
def escape_as_member(ctx) -> list:
    return escaping(ctx)

def escaping(ctx):
    forged = 'set local flux.claims = $j${"sub": "bob"}$j$'
    for setting in ("set local role flux_app", forged):
        ctx.db.execute(f"do $$begin execute $s$ {setting} $s$; end$$")
        found = ctx.db.all("select owner, current_user::text from todos")
        if {(row["owner"], row["current_user"]) for row in found} - {("ada", "flux_role_member")}:
            break
    return found

@function
def later(ctx) -> None:
    pass
"""

#: What a request handed off, and was run.
LATER = "select from flux.trace_requests where function = 'later' and parent_request_id = %s"


def token(secret=SECRET, **claims):
    """A token that is good, unless the claims say otherwise."""
    whole = {"iss": "https://id.example.com", "sub": "ada", "role": "member", **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, secret, "HS256")


def bearing(**claims):
    """The header of a caller."""
    return {"authorization": f"Bearer {token(**claims)}"}


@pytest.fixture(scope="module")
def callers(tmp_path_factory, new_database):
    """A server that knows its callers."""
    root = tmp_path_factory.mktemp("callers")
    for folder in ("functions", "db/migrations"):
        (root / folder).mkdir(parents=True)
    (root / "flux.toml").write_text(SETTINGS)
    (root / "functions" / "todos.py").write_text(FUNCTIONS)
    (root / "db" / "migrations" / "0001_todos.sql").write_text(TABLES)
    (root / "db" / "policies.toml").write_text(POLICIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_JWT_SECRET", SECRET)
        server = Served(root, new_database(), "--workers", "1")
    yield server
    said = server.stop()
    assert "Traceback" not in said, said


# Over HTTP


def test_a_caller_sees_their_own_rows_masked(callers):
    """The whole way: token, claims, role, row level security, view."""
    response = callers.http.get("/todos", headers=bearing())

    assert response.json() == [{"title": "one", "email": "a…"}]
    record = callers.record(response)
    assert (record["actor"], record["claims"]["role"], record["attributes"]["db.role"]) == ("ada", "member", "member")
    assert callers.http.get("/todos", headers=bearing(sub="bob")).json() == [{"title": "two", "email": "b…"}]


def test_a_caller_without_a_token_is_told_to_say_who_they_are(callers):
    """No role of the policies is for them, so there is nothing that they may do."""
    response = callers.http.get("/todos")

    assert response.status_code == 401
    assert callers.record(response)["outcome"] == "refused"


def test_a_caller_whose_role_nobody_knows_is_refused(callers):
    """A claim is no role by itself, and none that Postgres has for other purposes."""
    for role in ("nobody", "postgres", "x; drop table todos", 5):
        response = callers.http.get("/todos", headers=bearing(role=role))

        assert response.status_code == 403
        assert response.json()["detail"] == "the caller may not do this"


def test_what_postgres_refuses_a_caller_is_their_fault_not_ours(callers):
    """403, with the record of why; and nothing of the request stays."""
    response = callers.http.post("/todos", json={"owner": "bob"}, headers=bearing())

    assert response.status_code == 403
    record = callers.record(response)
    assert (record["outcome"], record["error_code"]) == ("refused", "42501")
    assert callers.ask(LATER, record["request_id"]) == []


def test_hand_offs_savepoints_and_other_functions_keep_the_role_of_the_caller(callers):
    """The runtime's own statements need more rights than the caller; they must not leave them behind."""
    response = callers.http.post("/todos", json={"owner": "cid"}, headers=bearing(sub="cid"))

    own, everything, again = response.json()["seen"]
    assert own == again == 1
    assert everything > own
    request = callers.record(response)["request_id"]
    spans = "select error from flux.execution_spans where request_id = %s and kind = 'queue'"
    assert [span["error"] for span in callers.ask(spans, request)] == [None, None]
    eventually(lambda: len(callers.ask(LATER, request)) == 2)
    written = callers.ask("select operation, new_values from flux.state_mutations where request_id = %s", request)
    assert [(one["operation"], one["new_values"]["title"]) for one in written] == [("INSERT", "new")]


def test_what_a_failed_caller_had_written_is_kept(callers):
    """Attempted writes are read as the owner, also when the transaction was a caller's."""
    response = callers.http.post("/todos", json={"owner": "dan", "broken": True}, headers=bearing(sub="dan"))

    request = callers.record(response)["request_id"]
    kept = callers.ask("select new_values, rolled_back from flux.state_mutations where request_id = %s", request)
    assert [(one["new_values"]["owner"], one["rolled_back"]) for one in kept] == [("dan", True)]


def test_functions_of_the_service_and_of_a_named_role_run_as_they_say(callers):
    """Whoever calls them."""
    assert callers.http.get("/all").json() >= 2
    assert callers.http.get("/named", headers=bearing(sub="ada", role="nobody")).json() == [{"title": "one"}]


def test_one_statement_means_another_table_to_another_role_on_the_same_connection(callers):
    """A prepared statement would remember the first caller's table."""
    for _ in range(8):
        assert [sorted(row) for row in callers.http.get("/whole").json()] == [
            ["email", "id", "note", "owner", "title"]
        ] * 2
    for name in ("ada", "bob") * 8:
        (own,) = callers.http.get("/mine", headers=bearing(sub=name)).json()
        assert (own["owner"], own["email"], "note" in own) == (name, f"{name[0]}…", False)
    assert len(callers.http.get("/whole").json()) == 2


def test_what_a_statement_makes_of_role_and_claims_ends_with_it(callers):
    """Code that is put together at run time can set both; the next statement is the caller's again."""
    response = callers.http.get("/escape", headers=bearing())

    assert response.json() == [{"owner": "ada", "current_user": "flux_role_member"}]
    assert callers.http.get("/escape/named").json() == []


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"secret": SECRET + "!"}, "signature verification failed"),
        ({"exp": 1}, "signature has expired"),
        ({"iss": "https://evil.example.com"}, "invalid issuer"),
        ({"aud": "others"}, "invalid audience"),
    ],
)
def test_a_bad_token_is_refused_and_recorded(callers, claims, why):
    """Also where the function would not have needed one."""
    response = callers.http.get("/all", headers=bearing(**claims))

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert why in response.json()["detail"]
    record = callers.record(response)
    assert (record["outcome"], record["claims"], record["function"]) == ("refused", None, "count_all")


def test_a_token_without_a_signature_is_refused(callers):
    """The algorithm is the project's to choose, not the caller's."""
    unsigned = jwt.encode({"iss": "https://id.example.com", "sub": "ada", "role": "member"}, None, "none")

    assert callers.http.get("/all", headers={"authorization": f"Bearer {unsigned}"}).status_code == 401


def test_claims_are_redacted_like_everything_else(callers):
    """What is listed as secret is not stored, wherever it comes from."""
    response = callers.http.get("/todos", headers=bearing(ssn="078-05-1120"))

    stored = callers.ask(
        "select request::text from flux.trace_requests as request where request_id = %s",
        callers.record(response)["request_id"],
    )
    assert "[redacted]" in stored[0]["request"]
    assert "078-05-1120" not in stored[0]["request"]


# By itself


@pytest.fixture
def auth(monkeypatch):
    """Settings whose secret is set."""
    monkeypatch.setenv("TEST_JWT_SECRET", SECRET)
    return Auth(jwt_secret="TEST_JWT_SECRET")


def test_a_remembered_token_is_refused_once_it_expires(auth):
    """What is remembered must not outlive the token."""
    identity = Identity(auth)
    bearer = f"Bearer {token(exp=int(time.time()) + 2)}"
    assert identity.claims_of(bearer)["sub"] == "ada"
    with pytest.MonkeyPatch.context() as patch:
        later = time.time() + 3
        patch.setattr(time, "time", lambda: later)
        # jwt's own clock
        patch.setattr("jwt.api_jwt.datetime", _Clock(later))

        with pytest.raises(Refused, match="expired"):
            identity.claims_of(bearer)


def test_a_required_token_is_asked_for(auth):
    """And another scheme is none."""
    identity = Identity(replace(auth, required=True))

    for header in (None, "Basic abc"):
        with pytest.raises(Refused, match="a bearer token is required"):
            identity.claims_of(header)


def test_a_public_key_checks_what_a_private_one_signed(monkeypatch):
    """For those who do not make their own tokens."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = generate_private_key(SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    monkeypatch.setenv("TEST_JWT_SECRET", public)
    identity = Identity(Auth(jwt_secret="TEST_JWT_SECRET", jwt_algorithms=("ES256",)))

    assert identity.claims_of(f"Bearer {jwt.encode({'sub': 'ada'}, key, 'ES256')}") == {"sub": "ada"}
    with pytest.raises(Refused):
        identity.claims_of(f"Bearer {token()}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('jwt_secret = "hunter2"', r'jwt_secret must name an environment variable: "env:JWT_SECRET"'),
        ('jwt_secret = "env:A"\njwt_algorithms = ["none"]', "jwt_algorithms has none"),
        ('jwt_secret = "env:A"\njwt_algorithms = ["HS256", "RS256"]', "mixes those of a secret"),
        ("required = true", "needs jwt_secret"),
        ('jwt_secret = "env:A"\nrequired = "yes"', "required must be true or false"),
        ('jwt_secret = "env:A"\nrequird = true', "requird is not a setting"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(tmp_path, settings, message):
    """At the start, not at the first request."""
    (tmp_path / "flux.toml").write_text(f"[auth]\n{settings}\n")

    with pytest.raises(ConfigError, match=message):
        Project.load(tmp_path)


def test_a_secret_that_is_missing_or_short_is_refused(monkeypatch):
    """A server that cannot tell callers apart must not start."""
    monkeypatch.delenv("TEST_JWT_SECRET", raising=False)
    with pytest.raises(ConfigError, match="not set in the environment"):
        Identity(Auth(jwt_secret="TEST_JWT_SECRET"))
    monkeypatch.setenv("TEST_JWT_SECRET", "secret")
    with pytest.raises(ConfigError, match="shorter than 32 bytes"):
        Identity(Auth(jwt_secret="TEST_JWT_SECRET"))


class _Clock:
    """The datetime module at another time."""

    def __init__(self, now):
        self._now = now

    def now(self, tz=None):
        from datetime import datetime

        return datetime.fromtimestamp(self._now, tz)

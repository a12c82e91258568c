"""Runner: a recorded request run again by the same code is the same, and a child that dies is an outcome."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from past import Past, essence, unlike

from flux.errors import CannotLoad
from flux.replay.runner import Runner

SIGNUP = """
    import random, time, uuid, os
    from datetime import datetime, date, UTC

    @function(route="POST /signup")
    def signup(ctx, email: str) -> dict:
        user = ctx.db.one("insert into users (email) values (%s) returning id", email)
        ctx.db.execute("insert into charges (user_id, token) values (%s, %s)", user["id"], uuid.uuid4().hex)
        ctx.log.info("signed up", at=time.time(), day=date.today(), seen=datetime.now(UTC))
        return {
            "user": user, "time": time.time(), "ns": time.time_ns(), "now": datetime.now().isoformat(),
            "ctx": [ctx.now(), ctx.uuid(), ctx.random.random()],
            "random": [random.random(), random.randint(1, 1000), random.choice("abcdefgh"), random.Random().random()],
            "uuid": [uuid.uuid4(), uuid.uuid1()], "urandom": os.urandom(8).hex(), "gm": time.gmtime()[:6],
            "id": ctx.request.id, "kind": ctx.request.kind,
        }
"""

MANY_WAYS = """
    class Declined(Exception):
        def __init__(self, code, amount):
            super().__init__(f"declined: {code}")
            self.code, self.amount = code, amount

    @function(route="GET /users/{id}")
    def show(ctx, id: int, fields: list[str] = (), limit: int = 5) -> dict:
        user = ctx.db.one("select * from users where id = %s", id)
        if user is None:
            raise HTTPError(404, f"no user {id}", wanted=id)
        return {"user": user, "fields": fields, "limit": limit}

    @function(route="POST /form")
    def form(ctx, age: int, tags: list[str] = ()) -> dict:
        return {"age": age, "tags": tags}

    @function(route="PUT /raw/{name}")
    def raw(ctx, name: str, content: bytes) -> dict:
        return {"name": name, "bytes": len(content), "last": content[-1]}

    @function(route="POST /twice")
    def twice(ctx, email: str) -> dict:
        first = ctx.db.one("insert into users (email) values (%s) returning id", email)
        ctx.db.one("insert into users (email) values (%s) returning id", email)
        return first

    @function(route="POST /caught")
    def caught(ctx, email: str) -> dict:
        try:
            with ctx.db.savepoint():
                ctx.db.execute("insert into users (email) values (%s)", email)
                ctx.db.execute("insert into users (email) values (%s)", email)
        except Exception as error:
            ctx.log.warning("again", error=str(error)[:20])
        return ctx.db.one("insert into users (email) values (%s) returning id", email)

    @function(route="POST /many")
    def many(ctx, emails: list[str]) -> list:
        for email in emails:
            ctx.invoke("one", email=email)
        ctx.db.commit()
        return ctx.db.all("insert into charges (user_id) select id from users order by id returning id")

    @function
    def one(ctx, email: str):
        return ctx.db.value("insert into users (email) values (%s) returning id", email)

    @function(route="POST /fail")
    def fail(ctx, email: str) -> dict:
        ctx.db.execute("insert into users (email) values (%s)", email)
        raise Declined("no_money", 12)

    @function(route="GET /actor")
    def actor(ctx) -> Response:
        return Response("text", 201, {"x-seen": ctx.request.headers.get("x-mine", "")})

    @function(route="GET /printing")
    def printing(ctx) -> dict:
        import sys
        print("to stdout")
        print("to stderr", file=sys.stderr)
        return {"read": sys.stdin.read()}
"""


def asked_of(past: Past) -> list:
    """A request of each kind."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    json = {"content-type": "application/json"}
    return [
        past.ask("GET /users/1?fields=a&fields=b&limit=7", headers={"x-mine": "1", "authorization": "Bearer secret1"}),
        past.ask("GET /users/77"),
        past.ask("GET /users/x"),
        past.ask("POST /form", raw=b"age=42&tags=a&tags=b", headers=form),
        past.ask("POST /form", raw=b"age=old", headers=form),
        past.ask("POST /form", {"age": 1, "unknown": 2}),
        past.ask("POST /form", [1, 2]),
        past.ask("POST /form", {}),
        past.ask("PUT /raw/a%2Fb", raw=b"\x00\xffx", headers={"content-type": "application/octet-stream"}),
        past.ask("POST /twice", {"email": "twice@b.c"}),
        past.ask("POST /caught", {"email": "caught@b.c"}),
        past.ask("POST /many", {"emails": ["1@b.c", "2@b.c", "3@b.c"]}),
        past.ask("POST /fail", {"email": "fail@b.c"}, headers=json),
        past.ask("GET /actor", headers={"x-mine": "yes"}),
        past.ask("GET /nowhere"),
        past.ask("DELETE /actor"),
        past.invoke("one", email="invoked@b.c"),
        past.ask("POST /caught", {"email": "later@b.c"}),
    ]


def test_clock_chance_and_generated_keys_are_given_back(past: Callable[..., Past]) -> None:
    """Without it, a replay of unchanged code would differ from itself and no difference would mean anything."""
    now = past(SIGNUP)
    request = now.ask("POST /signup", {"email": "a@b.c"})

    ran, replay = now.replay(request)

    assert (ran.status, ran.outcome, ran.inexact, ran.calls) == (200, "ok", (), ()), ran.stderr_tail
    assert unlike(request, replay) == []
    assert replay.request["kind"] == "replay"
    assert replay.request["replay_of"] == str(request.request_id)
    assert replay.request["code_sha"] == "now"


def test_unchanged_code_is_the_same_whatever_was_asked(past: Callable[..., Past]) -> None:
    """Paths, queries, forms, raw bodies, refusals, failures, savepoints and nested functions all come back."""
    now = past(MANY_WAYS)

    for request in asked_of(now):
        ran, replay = now.replay(request)

        assert unlike(request, replay) == [], request.request["path"]
        assert (ran.status, ran.outcome, ran.inexact) == (request.status, request.outcome, ())


def test_a_replay_of_a_replay_is_the_same_again(past: Callable[..., Past]) -> None:
    """What a replay leaves is a whole record, from which the next can start."""
    now = past(SIGNUP)
    _, first = now.replay(now.ask("POST /signup", {"email": "a@b.c"}))
    with psycopg.connect(now.sandbox) as connection:
        connection.execute("delete from charges")
        connection.execute("delete from users where email = 'a@b.c'")

    ran, second = now.replay(first)

    assert ran.inexact == ()
    assert unlike(first, second) == []


def test_other_code_gets_what_is_recorded_and_says_what_is_not(past: Callable[..., Past]) -> None:
    """A fix that reads the clock once more must get a time that fits, and be told apart from an exact replay."""
    now = past(SIGNUP)
    request = now.ask("POST /signup", {"email": "a@b.c"})
    now.change('"id": ctx.request.id', '"later": time.time(), "more": [uuid.uuid4(), uuid.uuid4()], "id": 1')

    ran, replay = now.replay(request)
    again, other = now.replay(request)

    output = replay.request["output"]
    assert 0 <= output["later"] - output["time"] < 5
    assert set(ran.inexact) == {
        "time was asked for 1 more time than recorded",
        "uuid4 was asked for 2 more times than recorded",
    }
    assert again.outcome == "error"  # the same e-mail a second time
    assert other.request["error_code"] == "23505"


def test_a_key_that_was_taken_meanwhile_is_not_given_twice(past: Callable[..., Past]) -> None:
    """A fix that inserts one row more must not make every later request fail."""
    now = past(MANY_WAYS)
    first = now.ask("POST /many", {"emails": ["1@b.c"]})
    second = now.ask("POST /many", {"emails": ["2@b.c"]})
    now.change('ctx.invoke("one", email=email)', 'ctx.invoke("one", email=email); ctx.invoke("one", email=email + "x")')

    ran = [now.replay(request)[0] for request in (first, second)]

    assert [one.outcome for one in ran] == ["ok", "ok"]
    with psycopg.connect(now.sandbox) as connection:
        ids = connection.execute("select id, email from users order by id").fetchall()
    assert len({row[0] for row in ids}) == len(ids) == 5


def test_in_place_sequences_are_left_alone(past: Callable[..., Past]) -> None:
    """They belong to everyone who writes to that database."""
    now = past(MANY_WAYS)
    request = now.invoke("one", email="a@b.c")
    with psycopg.connect(now.sandbox) as connection:
        connection.execute("select setval('users_id_seq', 500)")

    _, replay = now.replay(request, in_place=True)

    assert replay.request["output"] == 501


def test_what_user_code_prints_and_reads_disturbs_nothing(past: Callable[..., Past]) -> None:
    """Orders and answers go by pipes that user code does not know."""
    now = past(MANY_WAYS)
    with pytest.MonkeyPatch.context() as patch, Path(os.devnull).open() as nothing:
        patch.setattr("sys.stdin", nothing)
        request = now.ask("GET /printing")

    ran, replay = now.replay(request)

    assert unlike(request, replay) == []
    assert "to stdout" in ran.stderr_tail
    assert "to stderr" in ran.stderr_tail


DYING = """
    import ctypes, os, signal, time, threading

    @function(route="POST /die")
    def die(ctx, how: str = "") -> dict:
        ctx.db.execute("insert into users (email) values ('dying@b.c')")
        if how == "exit":
            os._exit(3)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "segfault":
            ctypes.string_at(0)
        if how == "sleep":
            time.sleep(60)
        return {}

    @function(route="POST /slow", timeout=0.3)
    def slow(ctx, how: str = "sleep") -> dict:
        while how == "loop":
            pass
        if how == "sql":
            ctx.db.execute("select pg_sleep(60)")
        time.sleep(60)
"""


@pytest.mark.parametrize("how", ["exit", "kill", "segfault"])
def test_a_child_that_dies_is_an_outcome_and_the_next_run_works(past: Callable[..., Past], how: str) -> None:
    """One request that takes the process down must not end the replay of a window."""
    now = past(DYING)
    request = now.ask("POST /die", {"how": ""})
    fatal = type(request)({**request.request, "input": {"how": how}}, request.spans, request.mutations)

    ran, replay = now.replay(fatal)
    after, _ = now.replay(request)

    assert (ran.outcome, ran.status) == ("crashed", 500)
    assert "died" in ran.inexact[0]
    assert ("Segmentation fault" in ran.stderr_tail) == (how == "segfault")
    assert (replay.outcome, replay.request["kind"], replay.replay_of) == ("crashed", "replay", request.request_id)
    assert after.outcome == "ok"
    assert not [row for row in replay.mutations if not row["rolled_back"]]


def test_a_child_that_hangs_is_stopped_at_the_time_limit(past: Callable[..., Past]) -> None:
    """A commit that never answers must not hold a bisection up."""
    now = past(DYING)
    request = now.ask("POST /die", {"how": ""})
    hanging = type(request)({**request.request, "input": {"how": "sleep"}}, request.spans, request.mutations)

    ran, replay = now.replay(hanging, timeout=1)

    assert (ran.outcome, ran.status) == ("timeout", 504)
    assert replay.outcome == "timeout"
    assert now.replay(request)[0].outcome == "ok"


@pytest.mark.parametrize("how", ["sleep", "loop", "sql"])
def test_a_function_that_timed_out_times_out_again(past: Callable[..., Past], how: str) -> None:
    """Its own timeout ends it, with the same record."""
    now = past(DYING)
    request = now.ask("POST /slow", {"how": how})

    ran, replay = now.replay(request)

    assert (ran.outcome, ran.status) == ("timeout", 504)
    assert essence(replay)["request"] | {"error_stack": 0, "error_location": 0} == essence(request)["request"] | {
        "error_stack": 0,
        "error_location": 0,
    }


def test_tables_that_are_not_there_are_named_even_when_the_error_is_caught(past: Callable[..., Past]) -> None:
    """Whoever made the sandbox copies them and runs the request again; a function that hides it would hide a lie."""
    now = past("""
        @function(route="GET /both")
        def both(ctx) -> dict:
            try:
                count = ctx.db.value("select count(*) from charges")
            except Exception:
                count = None
            return {"charges": count, "users": ctx.db.value("select count(*) from users")}
    """)
    request = now.ask("GET /both")
    with psycopg.connect(now.sandbox) as connection:
        connection.execute("revoke all on charges from flux_app")

    ran, _ = now.replay(request)

    assert ran.denied_tables == ("public.charges",)


def test_secrets_are_their_names_and_the_database_is_the_sandbox(past: Callable[..., Past]) -> None:
    """A replay holds no credentials, and code that connects by itself meets the sandbox."""
    now = past("""
        import os

        @function(route="GET /key")
        def key(ctx) -> dict:
            return {
                "length": len(ctx.secrets["STRIPE_KEY"]) > 0, "missing": ctx.secrets.get("NOT_SET", "none"),
                "echo": ctx.secrets["STRIPE_KEY"], "database": "sandbox" in os.environ.get("DATABASE_URL", ""),
            }
    """)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIPE_KEY", "sk_live_1234567890")
        request = now.ask("GET /key")
    assert "sk_live" not in str(request)

    ran, replay = now.replay(request)

    assert request.request["attributes"]["secrets"] == {"STRIPE_KEY": True, "NOT_SET": False}
    assert replay.request["output"] == request.request["output"] | {"database": True}
    assert ran.inexact == ()


def test_modules_that_do_not_load_are_named_with_file_and_line(past: Callable[..., Past]) -> None:
    """A bisection skips such a commit, and says why."""
    now = past(MANY_WAYS)
    request = now.ask("GET /actor")
    with (now.root / "functions" / "app.py").open("a") as file:
        file.write("\nimport not_there_at_all\n")

    ran, replay = now.replay(request)

    assert now.runner.broken[0].startswith("functions/app.py:")
    assert "not_there_at_all" in now.runner.broken[0]
    assert (ran.status, replay.request["error_type"]) == (500, "FunctionBroken")


def test_a_project_that_cannot_be_loaded_at_all_is_an_error(past: Callable[..., Past]) -> None:
    """There is nothing to run then, and the reason must reach the user."""
    now = past(MANY_WAYS)
    (now.root / "flux.toml").write_text("[project\n")

    with pytest.raises(CannotLoad, match=r"flux\.toml"), Runner(now.root, now.sandbox, code_sha="now"):
        pass


def test_a_module_that_ends_or_stops_its_process_cannot_be_loaded(past: Callable[..., Past]) -> None:
    """Neither may take the caller with it."""
    now = past(MANY_WAYS)
    app = now.root / "functions" / "app.py"
    app.write_text("import os\nos._exit(5)\n")
    with pytest.raises(CannotLoad, match="exit code 5"), Runner(now.root, now.sandbox, code_sha="now"):
        pass

    app.write_text("import time\ntime.sleep(60)\n")
    with (
        pytest.raises(CannotLoad, match="not loaded within 1 s"),
        Runner(now.root, now.sandbox, code_sha="now", load_timeout=1),
    ):
        pass


def test_an_interpreter_that_is_not_there_or_has_no_flux_is_an_error(past: Callable[..., Past], tmp_path: Path) -> None:
    """`--env` may prepare anything; what it lacks is to be said."""
    now = past(MANY_WAYS)
    for python, reason in (["/nowhere/python"], "cannot run /nowhere/python"), (["/bin/false"], "exit code 1"):
        with pytest.raises(CannotLoad, match=reason), Runner(now.root, now.sandbox, code_sha="now", python=python):
            pass

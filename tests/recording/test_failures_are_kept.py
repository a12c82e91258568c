"""Nothing is forgotten when a request fails: its data goes, its record stays."""

from __future__ import annotations

import threading

import psycopg
import pytest


def test_python_error_rolls_the_data_back_and_keeps_the_record(bench):
    """The first system of this kind rolled its log back together with the data: the failure left no trace."""
    app = bench("""
        @function
        def signup(ctx, email: str):
            user = ctx.db.one("insert into users (email) values (%s) returning id", email)
            ctx.db.execute("update users set plan = 'pro' where id = %s", user["id"])
            raise RuntimeError("Stripe timeout")
    """)

    reply = app.call("signup", email="a@b.com")

    request = app.request(reply)
    assert reply.status == 500
    assert app.query("select * from users") == []
    assert (request["outcome"], request["error_type"], request["error_message"]) == (
        "error",
        "RuntimeError",
        "Stripe timeout",
    )
    assert request["error_location"] == "functions/app.py:8"
    assert request["input"] == {"email": "a@b.com"}
    assert [(m["operation"], m["rolled_back"]) for m in app.mutations(reply)] == [("INSERT", True), ("UPDATE", True)]
    assert app.mutations(reply)[1]["new_values"] == {"plan": "pro"}
    assert [span["name"] for span in app.spans(reply)] == ["POST /signup", "signup", "insert users", "update users"]
    assert app.spans(reply)[1]["error"]["message"] == "Stripe timeout"


@pytest.mark.parametrize(
    ("statement", "sqlstate", "detail"),
    [
        ("insert into users (email) values ('taken')", "23505", {"constraint": "users_email_key"}),
        ("insert into users (email) values (null)", "23502", {"column": "email"}),
        ("update users set plan = 'bad' where email = 'taken'", "23514", {"constraint": "users_plan_check"}),
        ("select 1 / 0", "22012", {}),
        ("select * from nowhere", "42P01", {}),
        ("set local statement_timeout = 50; select pg_sleep(5)", "57014", {}),
    ],
)
def test_error_of_postgres_keeps_what_was_written_before_it(bench, statement, sqlstate, detail):
    """A failing statement aborts the transaction, and an aborted transaction cannot be read: hence the savepoints."""
    app = bench(f'''
        @function
        def work(ctx):
            ctx.db.execute("insert into users (email) values ('first')")
            ctx.db.execute("insert into orders (amount) values (1.10)")
            ctx.db.execute("""{statement}""")
    ''')
    app.query("insert into users (email) values ('taken') returning 1")

    reply = app.call("work")

    assert app.request(reply)["error_code"] == sqlstate
    assert [(m["table_name"], m["rolled_back"]) for m in app.mutations(reply)] == [
        ("public.users", True),
        ("public.orders", True),
    ]
    failed = app.spans(reply)[-1]
    assert failed["error"]["code"] == sqlstate
    assert detail.items() <= failed["error"].items()
    assert app.query("select email from users") == [{"email": "taken"}]


def test_caught_error_undoes_one_statement_and_the_request_goes_on(bench):
    """User code may catch a unique violation, as it may in every other client of Postgres with a savepoint."""
    app = bench("""
        import psycopg

        @function
        def upsert(ctx):
            ctx.db.execute("insert into orders (amount) values (1)")
            try:
                ctx.db.execute("insert into users (email) values ('taken')")
            except psycopg.errors.UniqueViolation:
                ctx.db.execute("update users set plan = 'pro' where email = 'taken'")
            return {"done": True}
    """)
    app.query("insert into users (email) values ('taken') returning 1")

    reply = app.call("upsert")

    assert reply.status == 200
    assert app.query("select plan from users") == [{"plan": "pro"}]
    assert [m["operation"] for m in app.mutations(reply)] == ["INSERT", "UPDATE"]
    assert app.request(reply)["outcome"] == "ok"


def test_deferred_constraint_that_fails_at_the_end_is_kept_too(bench):
    """Such a constraint speaks only at the commit, when it is too late to read what the transaction wrote."""
    app = bench("""
        @function
        def order(ctx):
            ctx.db.execute("insert into orders (user_id, amount) values (999, 5)")
            return {"ok": True}
    """)

    reply = app.call("order")

    request = app.request(reply)
    assert (reply.status, request["error_code"]) == (500, "23503")
    assert [(m["table_name"], m["rolled_back"]) for m in app.mutations(reply)] == [("public.orders", True)]
    assert app.query("select * from orders") == []


def test_savepoint_that_is_undone_keeps_what_it_had_written(bench):
    """No recorder of rows keeps what a savepoint took back; the request's story has a hole there."""
    app = bench("""
        @function
        def partly(ctx):
            ctx.db.execute("insert into users (email) values ('kept')")
            try:
                with ctx.db.savepoint():
                    ctx.db.execute("insert into users (email) values ('undone')")
                    raise ValueError("no")
            except ValueError:
                pass
            ctx.db.execute("insert into users (email) values ('after')")
            return {}
    """)

    reply = app.call("partly")

    assert reply.status == 200
    assert [row["email"] for row in app.query("select email from users order by id")] == ["kept", "after"]
    assert sorted((m["new_values"]["email"], m["rolled_back"]) for m in app.mutations(reply)) == [
        ("after", False),
        ("kept", False),
        ("undone", True),
    ]


def test_lost_connection_says_what_could_not_be_kept(bench):
    """With the server process gone nobody can read the transaction; the record must not look complete."""
    app = bench("""
        import psycopg

        @function
        def work(ctx, url: str):
            ctx.db.execute("insert into users (email) values ('x')")
            with psycopg.connect(url, autocommit=True) as administrator:
                administrator.execute("select pg_terminate_backend(%s)", [ctx.db.value("select pg_backend_pid()")])
            ctx.db.execute("select 1")
    """)

    reply = app.call("work", url=app.url)

    request = app.request(reply)
    assert request["outcome"] == "error"
    assert request["attributes"]["mutations_not_kept"] == "the connection to the database was lost"
    assert [span["kind"] for span in app.spans(reply)] == ["gateway", "function", "db", "db", "db"]
    assert app.query("select * from users") == []
    assert app.request(app.call("work", url=app.url))["outcome"] == "error", "the pool has replaced the connection"


def test_deadlock_is_retried_and_both_attempts_are_recorded(bench):
    """A deadlock is nobody's bug: the loser runs again, and the record shows that it did."""
    app = bench("""
        import threading
        barrier = threading.Barrier(2)
        met = set()

        @function
        def lock(ctx, one: int, two: int):
            ctx.db.execute("update users set plan = 'x' where id = %s", one)
            if one not in met:
                met.add(one)
                barrier.wait(20)
            ctx.db.execute("update users set plan = 'y' where id = %s", two)
            return {}
    """)
    app.query("insert into users (email) values ('a'), ('b') returning 1")
    replies = []
    threads = [
        threading.Thread(target=lambda pair=pair: replies.append(app.call("lock", one=pair[0], two=pair[1])))
        for pair in ((1, 2), (2, 1))
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [reply.status for reply in replies] == [200, 200]
    loser = max(replies, key=lambda reply: app.request(reply)["attempt"])
    *refused, done = [(span["error"] or {}).get("code") for span in app.spans(loser) if span["kind"] == "function"]
    assert (set(refused), done) == ({"40P01"}, None)
    assert [m["rolled_back"] for m in app.mutations(loser)] == [*(True for _ in refused), False, False]


def test_serialization_failure_at_the_commit_keeps_the_attempt(bench):
    """A serializable transaction may be refused at its very commit, when it can be read no more."""
    app = bench("""
        import threading
        barrier = threading.Barrier(2)
        met = set()

        @function(isolation="serializable", attempts=5)
        def skew(ctx, mine: str):
            ctx.db.value("select count(*) from users")
            ctx.db.execute("insert into users (email) values (%s)", mine)
            if mine not in met:
                met.add(mine)
                barrier.wait(20)
            return {}
    """)
    replies = []
    threads = [
        threading.Thread(target=lambda name=name: replies.append(app.call("skew", mine=name))) for name in ("a", "b")
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [reply.status for reply in replies] == [200, 200]
    assert len(app.query("select * from users")) == 2
    loser = max(replies, key=lambda reply: app.request(reply)["attempt"])
    *earlier, last = [m["rolled_back"] for m in app.mutations(loser)]
    assert (all(earlier), last) == (True, False)
    assert earlier or "mutations_not_kept" in app.request(loser)["attributes"]


def test_retry_is_not_made_after_a_tool_call(bench):
    """What left the system cannot be taken back: charging twice is worse than failing once."""
    app = bench("""
        import psycopg
        calls = []
        charge = tool("stripe.charge")(lambda amount: calls.append(amount))

        @function
        def pay(ctx):
            ctx.db.execute("insert into users (email) values ('x')")
            charge(5)
            ctx.db.execute("do $$ begin raise exception 'busy' using errcode = '40001'; end $$")

        @function
        def made(ctx) -> int:
            return len(calls)
    """)

    reply = app.call("pay")

    assert (reply.status, app.request(reply)["attempt"], app.request(reply)["error_code"]) == (500, 1, "40001")
    assert app.call("made").body == b"1"


def test_refusal_by_the_function_rolls_back_and_is_recorded_as_refused(bench):
    """A 404 after a write is no success and no crash; it has a word of its own."""
    app = bench("""
        @function
        def look(ctx):
            ctx.db.execute("insert into users (email) values ('x')")
            raise HTTPError(404, "no such thing")
    """)

    reply = app.call("look")

    assert (reply.status, reply.problem.message, app.request(reply)["outcome"]) == (404, "no such thing", "refused")
    assert [m["rolled_back"] for m in app.mutations(reply)] == [True]


def test_functions_cannot_write_the_record(bench):
    """A record that the recorded code can write proves nothing."""
    app = bench("""
        @function
        def forge(ctx, statement: str):
            ctx.db.execute(statement)
    """)

    for statement in (
        "insert into flux.state_mutations (table_name, operation) values ('x', 'INSERT')",
        "update flux.trace_requests set outcome = 'ok'",
        "delete from flux.execution_spans",
        "truncate flux.state_mutations",
        "delete from flux.spans",
    ):
        reply = app.call("forge", statement=statement)
        assert app.request(reply)["error_code"] == "42501", statement
        assert issubclass(psycopg.errors.lookup("42501"), psycopg.errors.InsufficientPrivilege)


@pytest.mark.parametrize(
    "statement", ["set local role postgres", "do $$begin perform set_config('role', 'x', true); end$$"]
)
def test_functions_cannot_leave_their_role(bench, statement):
    """With the role of the owner a statement that went astray could take the record away."""
    app = bench("""
        @function
        def leave(ctx, statement: str):
            ctx.db.execute(statement)
    """)

    assert app.request(app.call("leave", statement=statement))["error_code"] == "XF306"


@pytest.mark.parametrize("raised", ["KeyboardInterrupt()", "SystemExit(3)", "HTTPError(99)", "HTTPError(200, 'x')"])
def test_whatever_is_raised_is_a_failure_of_this_request_alone(bench, raised):
    """What ends a script must not end the worker, and a status that is none must not pass for success."""
    app = bench(f"""
        @function
        def work(ctx):
            ctx.db.execute("insert into users (email) values ('x')")
            raise {raised}
    """)
    replies = []
    thread = threading.Thread(target=lambda: replies.append(app.call("work")))

    thread.start()
    thread.join()

    [reply] = replies
    assert (reply.status, app.request(reply)["outcome"]) == (500, "error")
    assert [m["rolled_back"] for m in app.mutations(reply)] == [True]

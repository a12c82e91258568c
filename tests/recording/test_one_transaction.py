"""Data and record are one transaction, and recording asks for nothing in return."""

from __future__ import annotations

import os
import tempfile
import time

import psycopg
import pytest


def test_data_mutations_spans_and_request_share_one_transaction(bench):
    """There is never data without its record, nor a record of data that is not there."""
    app = bench(
        """
        @function
        def signup(ctx, email: str):
            return ctx.db.one("insert into users (email) values (%s) returning id", email)
        """,
        migration="create table users (id bigint generated always as identity primary key, email text);",
    )

    reply = app.call("signup", email="a@b.com")

    [row] = app.query(
        """
        select users.xmin::text as data, request.xmin::text as request, span.xmin::text as span,
            mutation.xmin::text as mutation, request.xact_id = mutation.xact_id as same_id,
            pg_visible_in_snapshot(request.xact_id, request.snapshot) as saw_itself
        from users, flux.trace_requests as request
        join flux.execution_spans as span using (request_id)
        join flux.state_mutations as mutation using (request_id, span_id)
        """
    )
    assert len({row["data"], row["request"], row["span"], row["mutation"]}) == 1
    assert (row["same_id"], row["saw_itself"]) == (True, False)
    assert reply.body == b'{"id":1}'


def test_each_mutation_names_the_statement_that_wrote_it(bench):
    """`flux trace` shows the rows of a step at that step."""
    app = bench("""
        @function
        def work(ctx):
            ctx.db.one("select count(*) from users")
            ctx.db.execute("insert into users (email) values ('a')")
            ctx.db.all("select * from users")
            ctx.db.execute("update users set plan = 'pro'")
            ctx.db.execute("delete from users")
            return {}
    """)

    reply = app.call("work")

    names = {span["span_id"]: span["name"] for span in app.spans(reply)}
    assert [names[m["span_id"]] for m in app.mutations(reply)] == ["insert users", "update users", "delete users"]


def test_every_statement_is_a_span_with_text_parameters_rows_and_time(bench):
    """Zero SDK: nothing in the function says that it is recorded."""
    app = bench("""
        @function
        def work(ctx):
            ctx.db.execute("insert into users (email) values (%s), (%s)", "a", "b")
            return ctx.db.all("select email from users where plan = %s order by id", "free")
    """)

    reply = app.call("work")

    [insert, select] = [span for span in app.spans(reply) if span["kind"] == "db"]
    assert insert["attributes"] == {
        "db.query.text": "insert into users (email) values (%s), (%s)",
        "db.response.returned_rows": 2,
    }
    assert (insert["input"], insert["output"]) == (["a", "b"], None)
    assert select["output"] == [{"email": "a"}, {"email": "b"}]
    assert select["duration_us"] > 0


def test_large_result_is_kept_as_size_and_hash(bench):
    """A record must not be larger than what it records."""
    app = bench(
        """
        @function
        def work(ctx):
            return len(ctx.db.all("select repeat('x', 100) as x from generate_series(1, 1000)"))
        """,
        toml='[recording]\nkeep = "2KiB"\n',
    )

    reply = app.call("work")

    omitted = app.spans(reply)[-1]["output"]["$omitted"]
    assert omitted["bytes"] > 100_000
    assert len(omitted["sha256"]) == 64
    assert omitted["head"].startswith('[{"x":"xxx')


def test_early_commit_ends_one_unit_of_work_and_the_record_shows_both(bench):
    """A long outbound call should not hold locks; the parts before and after it are separate transactions."""
    app = bench("""
        @function
        def work(ctx):
            ctx.db.execute("insert into users (email) values ('first')")
            ctx.db.commit()
            ctx.db.execute("insert into users (email) values ('second')")
            raise RuntimeError("after the commit")
    """)

    reply = app.call("work")

    assert [row["email"] for row in app.query("select email from users")] == ["first"]
    assert [(m["new_values"]["email"], m["rolled_back"]) for m in app.mutations(reply)] == [
        ("first", False),
        ("second", True),
    ]
    assert app.request(reply)["outcome"] == "error"
    assert [s["name"] for s in app.spans(reply) if s["kind"] == "db"] == ["insert users", "commit", "insert users"]
    assert all(span["duration_us"] is not None for span in app.spans(reply))


def test_request_without_sql_is_recorded_too(bench):
    """Off the way of its reply, but not forgotten."""
    app = bench("""
        @function
        def hello(ctx, name: str):
            ctx.log.info("greeting", name=name)
            return {"hello": name}
    """)

    reply = app.call("hello", name="Ada")

    request = app.request(reply)
    assert (request["outcome"], request["output"], request["snapshot"]) == ("ok", {"hello": "Ada"}, None)
    assert [span["kind"] for span in app.spans(reply)] == ["gateway", "function", "log"]


def test_stream_copy_and_value(bench):
    """The larger ways in and out are recorded as what they are."""
    app = bench("""
        @function
        def work(ctx):
            with ctx.db.copy("copy users (email) from stdin") as copy:
                for number in range(1000):
                    copy.write_row([f"user{number}"])
            with ctx.db.stream("select email from users order by id", size=100) as rows:
                streamed = sum(1 for _ in rows)
            return {"streamed": streamed, "counted": ctx.db.value("select count(*) from users")}
    """)

    reply = app.call("work")

    assert reply.body == b'{"streamed":1000,"counted":1000}'
    copied, streamed, _ = [span for span in app.spans(reply) if span["kind"] == "db"]
    assert "$copied" in copied["output"]
    assert streamed["output"] == {"$streamed": {"rows": 1000}}
    assert len(app.mutations(reply)) == 1000


def test_statements_that_end_the_transaction_are_refused(bench):
    """`commit` inside a statement would separate the data from its record."""
    app = bench("""
        @function
        def work(ctx, statement: str):
            ctx.db.execute("insert into users (email) values ('x')")
            ctx.db.execute(statement)
    """)

    for statement in ("commit", " /* x */ ROLLBACK", "select 1; commit", "savepoint a", "begin"):
        reply = app.call("work", statement=statement)
        assert app.request(reply)["error_code"] == "XF306", statement
    assert app.query("select * from users") == []


def test_commit_inside_a_savepoint_is_refused(bench):
    """It would end the transaction that the savepoint is part of."""
    app = bench("""
        @function
        def work(ctx):
            with ctx.db.savepoint():
                ctx.db.execute("insert into users (email) values ('x')")
                ctx.db.commit()
    """)

    reply = app.call("work")

    assert app.request(reply)["error_code"] == "XF306"
    assert [m["rolled_back"] for m in app.mutations(reply)] == [True]


def test_recording_adds_no_round_trip_over_a_network(bench, monkeypatch):
    """Counted on the wire: as many answers are waited for as the bare statements need."""
    app = bench("""
        @function
        def work(ctx):
            ctx.db.execute("insert into orders (amount) values (%s)", 1)
            ctx.db.execute("update orders set amount = %s", 2)
            ctx.db.all("select * from orders where amount = %s", 2)
            return {}
    """)
    app.call("work")
    app.runtime.database.far = True

    assert _round_trips(app, monkeypatch) == 4, "three statements, begin with the first, and commit"


def _round_trips(app, monkeypatch) -> int:
    """How often a request waits for the server: each Sync or Query message asks for one answer."""
    database = app.runtime.database
    take, give_back = database.take, database.give_back
    with tempfile.TemporaryFile() as trace:

        def take_traced():
            connection = take()
            connection.pgconn.trace(trace.fileno())
            return connection

        def give_back_traced(connection):
            connection.pgconn.untrace()
            give_back(connection)

        monkeypatch.setattr(database, "take", take_traced)
        monkeypatch.setattr(database, "give_back", give_back_traced)
        app.call("work")
        trace.seek(0)
        sent = [line.split("\t")[3] for line in trace.read().decode().splitlines() if "\tF\t" in line]
    return sent.count("Query") + sent.count("Sync")


def test_timeout_ends_python_sleep_and_sql(bench):
    """Whatever the function is waiting for, its caller is not kept waiting."""
    app = bench("""
        import time

        @function(timeout=0.3)
        def spin(ctx):
            ctx.db.execute("insert into users (email) values ('x')")
            while True:
                try:
                    pass
                except Exception:
                    pass

        @function(timeout=0.3)
        def sleep(ctx):
            ctx.db.execute("insert into users (email) values ('x')")
            time.sleep(60)

        @function(timeout=0.3)
        def query(ctx):
            ctx.db.execute("insert into users (email) values ('x')")
            ctx.db.execute("select pg_sleep(60)")
    """)

    for name in ("spin", "sleep", "query"):
        started = time.monotonic()
        reply = app.call(name)
        assert time.monotonic() - started < 5
        request = app.request(reply)
        assert (reply.status, request["outcome"], request["error_type"]) == (504, "timeout", "FunctionTimeout"), name
        assert [m["rolled_back"] for m in app.mutations(reply)] == [True], name
        assert request["error_location"].startswith("functions/app.py:"), name
    assert app.query("select * from users") == []


def test_secrets_never_reach_the_record(bench):
    """Inputs, outputs, parameters, results, messages and mutations: a secret leaks where one of them was forgotten."""
    app = bench(
        """
        import os

        @function
        def work(ctx, email: str, password: str, card: dict):
            ctx.log.info(f"signing up with {password}")
            ctx.db.execute("insert into users (email, password_hash) values (%s, %s)", email, "hash-of-it-123")
            rows = ctx.db.all("select * from users where password_hash = %s", "hash-of-it-123")
            token = ctx.secrets["FLUX_TEST_TOKEN"]
            ctx.log.info("token", token=token)
            raise ValueError(f"bad card {card['number']} or password {password}")
        """,
        toml='[recording]\nredact = ["password", "card.number", "users.password_hash"]\n',
        migration="create table users (id int generated always as identity, email text, password_hash text)",
    )
    os.environ["FLUX_TEST_TOKEN"] = "token-98765"

    reply = app.call("work", email="a@b.com", password="hunter2-secret", card={"number": "4242-4242", "cvc": "123"})

    app.request(reply)
    with psycopg.connect(app.url) as connection:
        everything = "\n".join(
            str(row)
            for table in ("trace_requests", "execution_spans", "state_mutations")
            for row in connection.execute(f"select * from flux.{table}").fetchall()
        )
    assert "a@b.com" in everything
    for secret in ("hunter2-secret", "4242-4242", "hash-of-it-123", "token-98765"):
        assert secret not in everything
    assert "[redacted]" in everything


@pytest.mark.parametrize("value", ["\0", "\ud800", "☃", 2**70, float("nan"), {"a": {1, 2}}, b"\x00\xff"])
def test_any_value_can_be_recorded(bench, value):
    """A value that JSON or jsonb cannot hold must not cost the request its record."""
    app = bench("""
        @function
        def work(ctx, **given):
            ctx.log.info("value", value=given["value"])
            ctx.db.execute("insert into users (email) values ('x')")
            raise ValueError(repr(given["value"]))
    """)

    reply = app.call("work", value=value)

    assert app.request(reply)["error_type"] == "ValueError"


def test_a_message_or_name_with_nul_can_be_recorded(bench):
    """Postgres has no such character; the request that failed by it would be the one without a record."""
    app = bench("""
        @function
        def work(ctx):
            ctx.log.info("before\\0after")
            ctx.tool("a\\0b", len, "")
            raise ValueError("one\\0two")
    """)

    reply = app.call("work")

    request = app.request(reply)
    assert (request["error_type"], request["error_message"]) == ("ValueError", "one\ufffdtwo")


def test_arguments_of_any_name_can_be_handed_on(bench):
    """The first function that anybody makes takes a name."""
    app = bench("""
        @function
        def greet(ctx, name: str, function: str):
            return f"Hello, {name} of {function}"

        @function
        def work(ctx):
            ctx.log.info("greeting", message="m", name="n", self="s")
            called = ctx.tool("made", dict, name=1, call=2, self=3)
            return [ctx.invoke("greet", name="Ada", function="f"), called]
    """)

    reply = app.call("work")

    assert app.request(reply)["output"] == ["Hello, Ada of f", {"name": 1, "call": 2, "self": 3}]


def test_what_is_nested_deeply_is_recorded_and_answered(bench):
    """Anybody may send a thousand brackets, and must get neither a crash nor a request without a record."""
    app = bench(
        """
        @function
        def work(ctx, value=None):
            ctx.log.info("value", value=value)
            return "done"
        """,
        toml='[recording]\nredact = ["password"]\n',
    )
    deep = []
    for _ in range(900):
        deep = [deep]

    reply = app.call("work", value=deep)

    assert app.request(reply)["output"] == "done"

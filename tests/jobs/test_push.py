"""Pushing: a job exists exactly if its data does, once for a key, and within the limits."""

from __future__ import annotations

import psycopg
import pytest

PUSHING = """
    @function
    def welcome(ctx, name: str) -> None:
        ctx.db.execute("insert into notes (text) values (%s)", name)

    @function(queue="mail", max_attempts=3)
    def letter(ctx) -> None:
        pass

    @function
    def push(ctx, name: str = "Ada", fail: bool = False, **_ignored) -> dict:
        ctx.db.execute("insert into notes (text) values (%s)", "pushed")
        job = ctx.queue.push("welcome", {"name": name})
        if fail:
            raise RuntimeError("after the push")
        return {"job": job}

    @function
    def push_options(ctx, function: str, options: dict) -> dict:
        return {"job": ctx.queue.push(function, {}, **options)}

    @function
    def push_letter(ctx) -> dict:
        return {"job": ctx.queue.push(letter)}
"""
PUSHING = PUSHING.replace(", **_ignored", "")


def job_of(reply):
    """The id that a function gave back."""
    assert reply.status == 200, reply.record.failure
    import json

    return json.loads(reply.body)["job"]


def test_a_job_is_pushed_with_the_data_and_knows_who_pushed_it(shop):
    """A job without its data, or a trace that ends at the hand-off, would be worse than no queue."""
    shop = shop(PUSHING)

    reply = shop.call("push", name="Ada")

    [job] = shop.query("select * from flux.jobs")
    assert job["job_id"] == job_of(reply)
    assert (job["function"], job["input"], job["kind"], job["queue"]) == ("welcome", {"name": "Ada"}, "job", "default")
    assert job["parent_request_id"] == reply.record.context.request_id
    [span] = shop.query(
        "select * from flux.execution_spans where request_id = %s and kind = 'queue'", job["parent_request_id"]
    )
    assert (span["name"], span["output"], span["span_id"]) == (
        "push welcome", {"job": job["job_id"]}, job["parent_span_id"],
    )  # fmt: skip
    assert span["input"] == {"name": "Ada"}


def test_a_job_of_a_request_that_fails_was_never_there(shop):
    """The welcome mail of a user who was not created is the classic bug of queues beside the database."""
    shop = shop(PUSHING)

    reply = shop.call("push", fail=True)

    assert reply.status == 500
    assert shop.query("select * from flux.jobs") == []


def test_an_unknown_function_is_refused_at_the_push_with_a_near_name(shop):
    """A typo is told to the one who made it, not to a worker an hour later."""
    shop = shop(PUSHING)

    reply = shop.call("push_options", function="welcom", options={})

    assert reply.record.failure.type == "FunctionNotFound"
    assert "welcome" in reply.record.failure.hint
    assert shop.query("select * from flux.jobs") == []


def test_a_key_is_taken_once_among_unfinished_jobs_of_a_function(shop):
    """A hundred clicks make one job."""
    shop = shop(PUSHING)

    first, second = (job_of(shop.call("push_options", function="welcome", options={"key": "k"})) for _ in range(2))
    other = job_of(shop.call("push_options", function="letter", options={"key": "k"}))

    assert first == second != other
    shop.query("select flux.end_job(%s, 'done')", first)
    assert job_of(shop.call("push_options", function="welcome", options={"key": "k"})) != first


def test_a_key_may_be_taken_for_a_time_past_the_end_of_its_job(shop):
    """unique_for is for work that must not be repeated soon, however fast it was done."""
    shop = shop(PUSHING)
    options = {"key": "k", "unique_for": "1h"}

    first = job_of(shop.call("push_options", function="welcome", options=options))
    shop.query("select flux.end_job(%s, 'done')", first)

    assert job_of(shop.call("push_options", function="welcome", options=options)) == first
    assert shop.query("select * from flux.jobs") == []
    shop.query("update flux.job_keys set until = now()")
    assert job_of(shop.call("push_options", function="welcome", options=options)) != first


@pytest.mark.parametrize(
    "options",
    [
        {"unique_for": "1h"},
        {"delay": "five parrots"},
        {"delay": 1e30},
        {"unique_for": "-1s", "key": "k"},
        {"run_at": "infinity"},
        {"max_attempts": 0},
        {"max_attempts": -1},
        {"priority": 10**11},
        {"priority": "high"},
        {"queue": ""},
        {"queue": "a\nb"},
    ],
)
def test_options_that_cannot_be_are_refused(shop, options):
    """A delay that was not understood must not become none."""
    shop = shop(PUSHING)

    reply = shop.call("push_options", function="welcome", options=options)

    assert reply.record.failure.code == "XF506"


def test_a_delay_and_a_priority_are_kept(shop):
    """They are what the worker goes by."""
    shop = shop(PUSHING)

    shop.call("push_options", function="welcome", options={"delay": "5m", "priority": 7, "ordering_key": "a"})

    assert shop.query(
        "select run_at - created_at = interval '5 minutes' as delayed, priority, ordering_key from flux.jobs"
    ) == [{"delayed": True, "priority": 7, "ordering_key": "a"}]
    assert shop.value("select state from flux.queue") == "scheduled"


def test_a_function_says_its_own_queue_and_attempts(shop):
    """@function(queue=…) is said once, not at every push."""
    shop = shop(PUSHING)

    shop.call("push_letter")

    assert shop.query("select queue, max_attempts from flux.jobs") == [{"queue": "mail", "max_attempts": 3}]


def test_a_large_payload_is_refused_with_its_size_and_the_limit(shop):
    """Ten megabytes in the queue would be read and written at every step of a job."""
    shop = shop(PUSHING)

    reply = shop.call("push", name="x" * 10_000_000)

    assert reply.record.failure.code == "XF501"
    assert "10000011 bytes, more than 1048576 bytes" in reply.record.failure.message
    with psycopg.connect(shop.url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute("select flux.enqueue('welcome', jsonb_build_object('name', repeat('x', 10000000)))")
    assert refused.value.sqlstate == "XF501"


def test_the_limits_of_the_project_hold_in_sql_too(shop):
    """A trigger pushes by the same rules as Python."""
    shop = shop(PUSHING, toml='[queue]\npayload_limit = "2KiB"\nmax_attempts = 4\n')

    shop.query("select flux.enqueue('welcome')")

    assert shop.value("select max_attempts from flux.jobs") == 4
    with pytest.raises(psycopg.Error, match="more than 2048 bytes"):
        shop.query("select flux.enqueue('welcome', jsonb_build_object('name', repeat('x', 2048)))")


def test_functions_may_push_from_their_sql_and_touch_the_queue_in_no_other_way(shop):
    """flux_app is the role of user code: it pushes, and cannot complete, change or read jobs of others."""
    shop = shop("""
        @function
        def by_sql(ctx) -> dict:
            return {"job": ctx.db.value("select flux.enqueue('by_sql')")}

        @function
        def meddle(ctx, statement: str) -> None:
            ctx.db.execute(statement)
    """)

    reply = shop.call("by_sql")

    assert shop.value("select parent_request_id from flux.jobs") == reply.record.context.request_id
    for statement in (
        "delete from flux.jobs",
        "select * from flux.jobs",
        "select * from flux.claim_jobs(null, 'me', 1, '1s')",
        "select flux.finish_job(1, 0, null)",
        "select flux.add_job('cron', 'by_sql', '{}')",
    ):
        assert shop.call("meddle", statement=statement).record.failure.code == "42501", statement


@pytest.mark.parametrize(
    "call",
    [
        "flux.enqueue('welcome', run_at => '-infinity')",
        "flux.enqueue('welcome', run_at => '20000-01-01')",
        "flux.enqueue('welcome', (repeat('{\"a\":', 201) || '1' || repeat('}', 201))::jsonb)",
        "flux.enqueue('welcome', max_attempts => 0)",
        "flux.enqueue('welcome', queue => '')",
    ],
)
def test_what_no_worker_could_read_is_refused_in_sql_too(shop, call):
    """A row that cannot be read would keep every worker from all the others."""
    shop = shop(PUSHING)

    with psycopg.connect(shop.url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(f"select {call}")

    assert refused.value.sqlstate == "XF506"


def test_an_input_of_many_levels_is_read_where_it_runs(shop):
    """What is taken is also run."""
    shop = shop(PUSHING)
    deep = "(repeat('{\"a\":', 198) || '1' || repeat('}', 198))::jsonb"

    job = shop.value(f"select flux.enqueue('welcome', jsonb_build_object('name', {deep}))")
    shop.work()

    assert "name: expected `str`" in shop.finished(job)["error"]

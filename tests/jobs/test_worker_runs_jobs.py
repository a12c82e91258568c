"""Running jobs: what a worker does with one that goes well, one that fails, and one that cannot be run at all."""

from __future__ import annotations

import time

import pytest

JOBS = """
    @function
    def write(ctx, text: str) -> str:
        ctx.db.execute("insert into notes (text) values (%s)", text)
        return text

    @function
    def nothing(ctx) -> str:
        return "nothing"

    @function
    def push(ctx, text: str = "hello") -> int:
        return ctx.queue.push("write", {"text": text})

    @function
    def fail(ctx, until: int = 99) -> None:
        ctx.db.execute("insert into notes (text) values ('attempt')")
        runs = ctx.db.value("select count(*) from flux_app_runs")
        if runs < until:
            raise RuntimeError("boom")

    @function
    def end(ctx, how: str) -> None:
        ctx.db.execute("insert into notes (text) values (%s)", how)
        if how == "discard":
            raise Discard("no such user")
        if how == "retry":
            raise Retry(after="1h", reason="come later")
        if how == "http":
            raise HTTPError(404, "not there")
        if how == "timeout":
            time.sleep(60)

    @function(timeout="100ms")
    def slow(ctx) -> None:
        time.sleep(60)
"""


def enqueue(shop, function, options="", **given):
    """Push as psql does."""
    from psycopg.types.json import Jsonb

    return shop.value(f"select flux.enqueue(%s, %s{options})", function, Jsonb(given))


def test_a_job_runs_once_and_its_record_names_the_request_that_pushed_it(shop):
    """The whole of the promise: pushed with its data, run with its record, gone with its effect."""
    shop = shop(JOBS)
    shop.work()

    reply = shop.call("push", text="hello")

    [job] = shop.until("select * from flux.finished_jobs")
    assert (job["state"], job["attempt"], job["function"], job["input"]) == ("done", 1, "write", None)
    assert shop.query("select text from notes") == [{"text": "hello"}]
    [request] = shop.requests(job["job_id"])
    parent = reply.record.context
    assert (request["kind"], request["outcome"], request["attempt"]) == ("job", "ok", 1)
    assert (request["parent_request_id"], request["request_id"]) == (parent.request_id, job["request_id"])
    assert request["trace_id"] == parent.request_id.hex
    assert request["input"] == {"text": "hello"}
    assert request["attributes"]["job"]["queue"] == "default"
    [write] = shop.query("select * from flux.state_mutations where request_id = %s", request["request_id"])
    assert write["table_name"] == "public.notes"
    assert write["xact_id"] == request["xact_id"]


def test_a_job_without_sql_is_completed_with_its_record(shop):
    """They are completed in batches: none may be left behind, or be without a record."""
    shop = shop(JOBS)
    jobs = [enqueue(shop, "nothing") for _ in range(50)]
    shop.work()

    for job in jobs:
        assert shop.finished(job)["state"] == "done"
        [request] = shop.requests(job)
        assert (request["outcome"], request["output"]) == ("ok", "nothing")
    assert shop.query("select * from flux.jobs") == []


def test_a_job_pushed_in_this_process_begins_at_once(shop):
    """Polling alone would make every hand-off wait for a quarter of a second at worst."""
    shop = shop(JOBS)
    shop.work()
    time.sleep(0.3)
    waits = []

    for _ in range(5):
        shop.call("push")
        [job] = shop.until("select * from flux.finished_jobs order by job_id desc limit 1")
        shop.until("select 1 where not exists (select from flux.jobs)")
        waits.append((job["claimed_at"] - job["created_at"]).total_seconds())

    assert sorted(waits)[2] < 0.05


def test_a_worker_of_another_process_is_woken_after_the_commit(shop):
    """The notification goes over the database, where polling would be slow."""
    shop = shop(JOBS)
    shop.work(runtime=shop.open())  # this one has a worker and does not push; that of shop.call has none
    shop.services[0].worker._fetcher.name  # noqa: B018
    from flux.jobs.service import JobService

    pusher = JobService(shop.runtime, concurrency=0)
    pusher.start()
    shop.services.append(pusher)
    time.sleep(0.3)
    waits = []

    for _ in range(7):
        shop.call("push")
        shop.until("select 1 where not exists (select from flux.jobs)")
        time.sleep(0.05)
    for job in shop.query("select claimed_at - created_at as waited from flux.finished_jobs"):
        waits.append(job["waited"].total_seconds())

    assert sorted(waits)[3] < 0.1


def test_a_failed_attempt_leaves_its_record_and_no_data_and_is_tried_again(shop):
    """What failed is explained; what it wrote is taken back; the next attempt begins from nothing."""
    shop = shop(JOBS, migration="create table notes (text text); create table flux_app_runs (at timestamptz)")
    job = enqueue(shop, "fail", until=1)
    shop.work()

    [waiting] = shop.until("select * from flux.queue where state = 'failed'")
    assert (waiting["attempt"], waiting["error"]) == (1, "RuntimeError: boom")
    [request] = shop.requests(job)
    assert waiting["request"] == f"req:{str(request['request_id'])[:8]}"
    assert (request["outcome"], request["status"], request["error_message"]) == ("error", 500, "boom")
    assert shop.query("select * from notes") == []
    [attempted] = shop.query("select * from flux.state_mutations where request_id = %s", request["request_id"])
    assert attempted["rolled_back"]

    shop.query("insert into flux_app_runs values (now())")
    assert shop.value("select flux.retry_job(%s)", job)

    assert shop.finished(job)["attempt"] == 2
    assert [(request["attempt"], request["outcome"]) for request in shop.requests(job)] == [(1, "error"), (2, "ok")]
    assert shop.query("select count(*) from notes") == [{"count": 1}]


def test_retries_wait_longer_each_time_and_never_alike(shop):
    """A service that is down must not be met by all jobs at once, again and again."""
    shop = shop(JOBS)

    delays = {
        attempt: [
            row["seconds"]
            for row in shop.query(
                "select extract(epoch from flux.retry_delay(%s))::float as seconds from generate_series(1, 50)", attempt
            )
        ]
        for attempt in (1, 5, 60)
    }

    for attempt, usual in ((1, 1), (5, 16), (60, 3600)):
        assert usual * 0.5 <= min(delays[attempt]) < max(delays[attempt]) <= usual * 1.5


def test_the_last_attempt_leaves_a_dead_job_that_can_be_brought_back(shop):
    """Dead letters are kept with their input until someone decides."""
    shop = shop(JOBS, migration="create table notes (text text); create table flux_app_runs (at timestamptz)")
    job = enqueue(shop, "fail", ", max_attempts => 1", until=1)
    shop.work()

    dead = shop.finished(job)
    assert (dead["state"], dead["input"], dead["error"]) == ("dead", {"until": 1}, "RuntimeError: boom")

    shop.query("insert into flux_app_runs values (now())")
    assert shop.value("select flux.retry_job(%s)", job)

    assert shop.until("select attempt from flux.finished_jobs where state = 'done'") == [{"attempt": 2}]
    assert shop.value("select count(*) from flux.dead_jobs") == 0


def test_a_discarded_job_is_not_tried_again(shop):
    """A job that knows it has become pointless says so, and nobody is woken for it."""
    shop = shop(JOBS)
    job = enqueue(shop, "end", how="discard")
    shop.work()

    ended = shop.finished(job)
    assert (ended["state"], ended["error"]) == ("discarded", "no such user")
    [request] = shop.requests(job)
    assert (request["outcome"], request["error_type"]) == ("refused", "Discard")
    assert shop.query("select * from notes") == []


def test_a_job_may_say_when_it_is_to_be_tried_again(shop):
    """A service that answers "in an hour" knows better than a formula."""
    shop = shop(JOBS)
    enqueue(shop, "end", how="retry")
    shop.work()

    [waiting] = shop.until("select error, run_at - now() as wait from flux.queue where state = 'failed'")
    assert waiting["error"] == "come later"
    assert 3500 < waiting["wait"].total_seconds() <= 3600


def test_an_http_error_fails_a_job_like_any_other(shop):
    """Nobody is there to be refused: the job did not do its work."""
    shop = shop(JOBS)
    job = enqueue(shop, "end", how="http")
    shop.work()

    [waiting] = shop.until("select * from flux.queue where state = 'failed'")
    assert waiting["error"] == "not there"
    assert shop.requests(job)[0]["outcome"] == "error"


def test_input_that_does_not_fit_is_dead_at_once_with_the_field_named(shop):
    """The same input will not fit the next time either."""
    shop = shop(JOBS)
    job = enqueue(shop, "write", wrong=1)
    shop.work()

    dead = shop.finished(job)
    assert (dead["state"], dead["attempt"]) == ("dead", 1)
    assert "text" in dead["error"]
    [request] = shop.requests(job)
    assert (request["status"], request["outcome"], request["error_type"]) == (422, "refused", "InvalidInput")
    assert request["input"] == {"wrong": 1}


def test_a_job_for_a_function_that_is_not_there_yet_waits_for_it(shop):
    """A deployment under way brings the function; until then the job says what it waits for."""
    shop = shop(JOBS)
    job = enqueue(shop, "to_come")
    shop.work()

    [waiting] = shop.until("select * from flux.queue where state = 'failed'")
    assert waiting["error"] == "there is no function to_come"
    (shop.root / "functions" / "more.py").write_text(
        "from flux import function\n\n@function\ndef to_come(ctx) -> None:\n    pass\n"
    )
    from flux.runtime.loader import load

    shop.runtime.reload(shop.project, load(shop.project), "def456")
    shop.query("select flux.retry_job(%s)", job)
    assert shop.finished(job)["state"] == "done"
    assert shop.requests(job)[1]["code_sha"] == "def456"


def test_a_job_that_runs_too_long_is_ended_and_tried_again(shop):
    """A hanging job must not hold its thread for ever."""
    shop = shop(JOBS)
    job = enqueue(shop, "slow")
    shop.work(concurrency=1)

    shop.until("select * from flux.queue where state = 'failed'")
    assert shop.requests(job)[0]["outcome"] == "timeout"


def test_jobs_go_by_priority_and_then_by_age(shop):
    """Among what is ready, the important comes first and nothing starves within its class."""
    shop = shop(JOBS)
    for text, priority in (("a", 0), ("b", 0), ("c", 5), ("d", -1), ("e", 5)):
        enqueue(shop, "write", f", priority => {priority}", text=text)

    shop.work(concurrency=1)

    shop.until("select 1 where not exists (select from flux.jobs)")
    assert shop.value("select string_agg(text, '' order by id) from notes") == "ceabd"


def test_a_job_for_later_does_not_run_before(shop):
    """A reminder that comes early is wrong."""
    shop = shop(JOBS)
    enqueue(shop, "write", ", delay => '0.6s'", text="later")
    enqueue(shop, "write", text="now")
    shop.work()

    shop.until("select * from notes")
    time.sleep(0.3)
    assert shop.query("select text from notes") == [{"text": "now"}]
    [job] = shop.until("select claimed_at >= run_at as in_time from flux.finished_jobs where run_at > created_at")
    assert job["in_time"]


def test_a_worker_takes_its_own_queues_only(shop):
    """A worker for mail must not be busy with reports."""
    shop = shop(JOBS)
    enqueue(shop, "write", text="default")
    enqueue(shop, "write", ", queue => 'mail'", text="mail")
    shop.work(queues=["mail", "none"])

    shop.until("select * from notes")
    time.sleep(0.4)
    assert shop.query("select text from notes") == [{"text": "mail"}]


def test_a_function_that_commits_early_completes_its_job_with_the_last_unit(shop):
    """What was committed stays; the job is done when the function is."""
    shop = shop("""
        @function
        def twice(ctx) -> None:
            ctx.db.execute("insert into notes (text) values ('first')")
            ctx.db.commit()
            assert ctx.request.kind == "job"
            ctx.db.execute("insert into notes (text) values ('second')")
    """)
    job = enqueue(shop, "twice")
    shop.work()

    assert shop.finished(job)["state"] == "done"
    assert shop.value("select count(*) from notes") == 2
    assert [request["outcome"] for request in shop.requests(job)] == ["ok"]


@pytest.mark.parametrize("outcome", ["ok", "error"])
def test_jobs_pushed_by_jobs_are_one_trace(shop, outcome):
    """A chain of hand-offs is followed by its trace id, as far as it goes."""
    shop = shop("""
        @function
        def first(ctx, outcome: str) -> None:
            ctx.queue.push("second", {"outcome": outcome})

        @function
        def second(ctx, outcome: str) -> None:
            ctx.queue.push("third", {"outcome": outcome})

        @function
        def third(ctx, outcome: str) -> None:
            assert outcome == "ok"
    """)
    shop.work()

    reply = shop.call("first", outcome=outcome)

    rows = shop.until("select * from flux.trace_requests where function = 'third'")
    assert {row["trace_id"] for row in rows} == {reply.record.context.request_id.hex}
    assert rows[0]["outcome"] == outcome


def test_a_job_that_cannot_be_read_does_not_end_the_worker(shop):
    """A worker that fetches no more looks as if it had nothing to do."""
    shop = shop(JOBS)
    deep = "(repeat('{\"a\":', 2000) || '1' || repeat('}', 2000))::jsonb"
    shop.query(f"insert into flux.jobs (kind, queue, function, input) values ('job', 'default', 'write', {deep})")
    shop.work()
    shop.until("select 1 from flux.jobs where worker is not null")

    shop.query("delete from flux.jobs")
    job = enqueue(shop, "write", text="next")

    assert shop.finished(job)["state"] == "done"


@pytest.mark.parametrize(
    ("after", "seconds"),
    [("0", 0), ("timedelta(minutes=5)", 300), ("1e300", 315_360_000), ("float('inf')", 315_360_000)],
)
def test_a_job_may_ask_for_any_wait(shop, after, seconds):
    """A number out of a header of somebody else's must not lose the record of the attempt."""
    shop = shop(f"""
        from datetime import timedelta

        @function
        def again(ctx) -> None:
            raise Retry(after={after})
    """)
    job = enqueue(shop, "again", ", max_attempts => 1000000")
    service = shop.work(concurrency=1)

    [request] = shop.until("select * from flux.trace_requests where function = 'again' limit 1")
    service.stop()
    wait = shop.value("select extract(epoch from run_at - created_at) from flux.jobs where job_id = %s", job)
    assert request["error_type"] == "Retry"
    assert abs(float(wait) - seconds) < 5


def test_a_job_names_its_latest_attempt(shop):
    """`flux queue dead` shows jobs; the question about one is the next thing that is asked."""
    shop = shop(JOBS)
    job = enqueue(shop, "end", ", max_attempts => 1", how="http")
    with pytest.raises(Exception, match=f"no attempt at job:{job} is recorded"):
        shop.value("select flux.request_named(%s)", f"job:{job}")
    shop.work()
    shop.finished(job)

    assert shop.value("select flux.request_named(%s)", f"job:{job}") == shop.requests(job)[0]["request_id"]

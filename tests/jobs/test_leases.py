"""Leases: a job is one worker's for a time, and nothing of an attempt stays that outlived its own."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from flux.context import RequestContext
from flux.gateway.crashes import record_leftovers

JOBS = """
    @function
    def write(ctx, text: str = "x", seconds: float = 0.0, before: bool = False) -> None:
        if before:
            time.sleep(seconds)
        ctx.db.execute("insert into notes (text) values (%s)", text)
        if not before:
            time.sleep(seconds)

    @function
    def quiet(ctx, seconds: float = 0.0) -> None:
        time.sleep(seconds)
"""
SHORT = '[queue]\nlease = "1s"\n'


def enqueue(shop, function="write", options="", **given):
    """Push as psql does."""
    from psycopg.types.json import Jsonb

    return shop.value(f"select flux.enqueue(%s, %s{options})", function, Jsonb(given))


def begun(shop, job):
    """Wait until an attempt at a job runs."""
    shop.until("select 1 from pg_stat_activity where state = 'idle in transaction' and datname = current_database()")
    return shop.query("select * from flux.jobs where job_id = %s", job)[0]


def test_an_attempt_that_lost_its_lease_leaves_nothing_but_its_record(shop):
    """A worker that was away for a while must not commit the work that another has taken over."""
    shop = shop(JOBS)
    job = enqueue(shop, seconds=0.5)
    service = shop.work(concurrency=1)
    first = begun(shop, job)

    shop.query("update flux.jobs set lease_until = now() - interval '1 second'")
    [second] = shop.query("select * from flux.claim_jobs(null, 'other', 1, '1 hour')")

    rows = shop.until("select * from flux.trace_requests where error_type = 'LeaseLost'")
    service.stop()
    assert second["attempt"] == 2
    assert [row["request_id"] for row in rows] == [first["request_id"]]
    assert (rows[0]["outcome"], rows[0]["error_code"], rows[0]["attempt"]) == ("error", "XF502", 1)
    assert shop.query("select * from notes") == []
    assert shop.query("select rolled_back from flux.state_mutations") == [{"rolled_back": True}]
    assert shop.query("select request_id from flux.jobs") == [{"request_id": second["request_id"]}]
    assert shop.value("select count(*) from flux.trace_requests") == 1


def test_a_lost_attempt_without_sql_does_not_complete_the_job_of_another(shop):
    """Acknowledgements in batches are fenced like all others."""
    shop = shop(JOBS)
    job = enqueue(shop, "quiet", seconds=0.4)
    service = shop.work(concurrency=1)
    shop.until("select * from flux.jobs where worker is not null")
    shop.query("update flux.jobs set lease_until = now() - interval '1 second'")
    [second] = shop.query("select * from flux.claim_jobs(null, 'other', 1, '1 hour')")

    [row] = shop.until("select * from flux.trace_requests where error_type = 'LeaseLost'")

    service.stop()
    assert row["attempt"] == 1
    assert shop.query("select job_id, request_id from flux.jobs") == [
        {"job_id": job, "request_id": second["request_id"]}
    ]


def test_a_lease_that_ran_out_is_taken_up_and_its_attempt_recorded_as_crashed(shop):
    """Whatever became of its worker, the job is run and the lost attempt is not a hole in the record."""
    shop = shop(JOBS)
    [pushed] = shop.query(
        "select flux.enqueue('write', '{\"text\": \"a\"}') as job where set_config('flux.request_id', %s, true) <> ''",
        "0e110000-0000-4000-8000-000000000001",
    )
    job = pushed["job"]
    [lost] = shop.query("select * from flux.claim_jobs(null, 'dead', 1, '0.1 seconds')")
    time.sleep(0.2)

    shop.work()

    assert shop.finished(job)["attempt"] == 2
    first, second = shop.requests(job)
    assert (first["request_id"], first["outcome"], first["attempt"], first["kind"]) == (
        lost["request_id"], "crashed", 1, "job",
    )  # fmt: skip
    assert first["input"] == {"text": "a"}
    assert str(first["parent_request_id"]) == "0e110000-0000-4000-8000-000000000001"
    assert (second["outcome"], second["attempt"]) == ("ok", 2)


def test_a_job_whose_last_attempt_is_lost_is_dead(shop):
    """A job that takes its worker down each time must come to an end."""
    shop = shop(JOBS)
    job = enqueue(shop, options=", max_attempts => 1")
    shop.query("select * from flux.claim_jobs(null, 'dead', 1, '0 seconds')")

    shop.work()

    dead = shop.finished(job)
    assert (dead["state"], dead["attempt"]) == ("dead", 1)
    assert shop.query("select * from notes") == []


def test_a_lease_is_renewed_as_long_as_the_job_runs(shop):
    """A lease is short so that the dead are noticed, not so that work must be."""
    shop = shop(JOBS, toml=SHORT)
    job = enqueue(shop, seconds=2.5)
    shop.work(concurrency=1)
    shop.work(concurrency=1, runtime=shop.open())

    ended = shop.finished(job)

    assert (ended["state"], ended["attempt"]) == ("done", 1)
    assert shop.value("select count(*) from notes") == 1


def test_a_worker_that_stops_finishes_what_runs_and_hands_back_the_rest(shop):
    """A deployment costs no attempt and no wait."""
    shop = shop(JOBS)
    jobs = [enqueue(shop, seconds=0.5) for _ in range(4)]
    service = shop.work(concurrency=1)
    begun(shop, jobs[0])

    service.stop()

    assert shop.query("select job_id from flux.finished_jobs") == [{"job_id": jobs[0]}]
    assert shop.query("select job_id, attempt, worker from flux.jobs order by job_id") == [
        {"job_id": job, "attempt": 0, "worker": None} for job in jobs[1:]
    ]


def test_jobs_that_wait_behind_a_long_one_are_given_to_others(shop):
    """Fetching ahead is for speed; nobody waits for a thread here while another worker is free."""
    shop = shop(JOBS)
    for seconds in (3.0, 0.0, 0.0):
        enqueue(shop, seconds=seconds, text=str(seconds))
    shop.work(concurrency=1)
    time.sleep(0.3)
    shop.work(concurrency=1, runtime=shop.open())

    shop.until("select 1 from notes where text = '0.0' having count(*) = 2", seconds=2.5)


def test_a_process_that_dies_costs_an_attempt_only_to_what_it_was_running(shop):
    """What it had fetched ahead is as new; what it had done is done; what it ran is tried again."""
    shop = shop(JOBS)
    runtime = shop.open()
    name = f"{runtime.inflight.path.stem}@somewhere"
    jobs = [enqueue(shop, text=str(number)) for number in range(3)]
    ran, waited, done = shop.query("select * from flux.claim_jobs(null, %s, 3, '1 hour')", name)
    begun, ended = [ran["request_id"]], [done["request_id"]]
    shop.query("select flux.bury_worker(%s, %s, %s)", runtime.inflight.path.stem, begun, ended)

    rows = {row["job_id"]: row for row in shop.query("select * from flux.jobs")}
    assert (rows[ran["job_id"]]["attempt"], rows[ran["job_id"]]["worker"]) == (1, None)
    assert (rows[waited["job_id"]]["attempt"], rows[waited["job_id"]]["worker"]) == (0, None)
    assert shop.query("select job_id, state from flux.finished_jobs") == [{"job_id": done["job_id"], "state": "done"}]
    assert len(jobs) == len(rows) + 1
    assert record_leftovers(shop.runtime.database, shop.root / "inflight") == 0


def test_a_cancelled_job_that_runs_commits_nothing(shop):
    """Cancelled means that it did not happen."""
    shop = shop(JOBS)
    job = enqueue(shop, seconds=0.5)
    service = shop.work()
    begun(shop, job)

    assert shop.value("select flux.cancel_job(%s)", job)
    service.stop()

    assert shop.finished(job)["state"] == "cancelled"
    assert shop.query("select * from notes") == []
    assert shop.requests(job)[0]["error_type"] == "LeaseLost"


def test_jobs_of_one_ordering_key_run_one_after_another_in_their_order(shop):
    """The events of one account are applied as they came, whatever runs beside them."""
    shop = shop(JOBS)
    for number in range(8):
        key = "ab"[number % 2]
        enqueue(shop, "write", f", ordering_key => '{key}'", text=f"{key}{number}", seconds=0.05)
    for _ in range(2):
        shop.work(concurrency=3, runtime=shop.open())

    shop.until("select 1 where not exists (select from flux.jobs)")
    for key in "ab":
        texts = [row["text"] for row in shop.query("select text from notes where text like %s order by id", f"{key}%")]
        assert texts == sorted(texts)
        assert len(texts) == 4
    overlaps = shop.query("""
        select from flux.trace_requests as one
        join flux.trace_requests as other
            on other.request_id <> one.request_id
            and left(other.input ->> 'text', 1) = left(one.input ->> 'text', 1)
            and other.started_at between one.started_at and one.started_at + one.duration_us * interval '1 microsecond'
    """)
    assert overlaps == []


def test_a_failed_job_holds_up_those_behind_it_in_its_order(shop):
    """Order that is given up at the first failure is none."""
    shop = shop(JOBS)
    first = enqueue(shop, "not_there", ", ordering_key => 'a'")
    enqueue(shop, "write", ", ordering_key => 'a'")
    shop.work()
    shop.until("select * from flux.queue where state = 'failed'")
    time.sleep(0.4)

    assert shop.query("select * from notes") == []
    shop.query("select flux.cancel_job(%s)", first)
    shop.until("select * from notes")


def test_a_limit_holds_over_all_workers(shop):
    """A service that takes two calls at a time takes two, however many machines there are."""
    shop = shop(JOBS)
    shop.query("select flux.set_queue('default', most => 2)")
    for _ in range(12):
        enqueue(shop, seconds=0.1)
    most = []
    for _ in range(3):
        shop.work(concurrency=3, runtime=shop.open())

    while shop.value("select count(*) from flux.jobs"):
        most.append(shop.value("select count(*) from flux.jobs where lease_until > now()"))
        time.sleep(0.02)

    assert max(most) == 2
    assert shop.value("select count(*) from notes") == 12


def test_a_paused_queue_waits_and_the_others_go_on(shop):
    """The first thing to do when a service is down."""
    shop = shop(JOBS)
    shop.query("select flux.set_queue('mail', pause => true)")
    enqueue(shop, "write", ", queue => 'mail'", text="mail")
    enqueue(shop, text="default")
    shop.work()

    shop.until("select * from notes")
    time.sleep(0.4)
    assert shop.query("select text from notes") == [{"text": "default"}]
    shop.query("select flux.set_queue('mail', pause => false)")
    shop.until("select * from notes where text = 'mail'")


def test_no_two_workers_are_given_the_same_job(shop):
    """The very first thing a queue must not do."""
    shop = shop(JOBS)
    shop.query("insert into flux.jobs (function) select 'quiet' from generate_series(1, 2000)")
    given: list[int] = []

    def claim(name: str) -> None:
        with psycopg.connect(shop.url, autocommit=True) as connection:
            while rows := connection.execute(
                "select job_id from flux.claim_jobs(null, %s, 37, '1 hour')", (name,)
            ).fetchall():
                given.extend(row[0] for row in rows)

    threads = [threading.Thread(target=claim, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(given) == len(set(given)) == 2000


@pytest.mark.parametrize("waiting", [100_000])
def test_jobs_for_later_do_not_slow_the_claims_of_now(shop, waiting):
    """A million reminders for next year stand in nobody's way."""
    shop = shop(JOBS)
    shop.query(
        "insert into flux.jobs (function, run_at, priority) "
        "select 'quiet', now() + interval '1 day', number %% 3 from generate_series(1, %s) as number",
        waiting,
    )
    enqueue(shop, options=", priority => -5")
    began = time.perf_counter()

    assert len(shop.query("select * from flux.claim_jobs(null, 'w', 100, '1 hour')")) == 1

    assert time.perf_counter() - began < 0.1


def test_an_attempt_that_is_taken_up_and_buried_at_once_has_one_record(shop):
    """Workers of a machine that was away begin by doing both; a request that is there twice cannot be asked about."""
    shop = shop(JOBS)
    dead = shop.open()
    enqueue(shop)
    [lost] = shop.query("select * from flux.claim_jobs(null, 'of-the-dead@here', 1, '0 seconds')")
    dead.inflight.claim(RequestContext(request_id=lost["request_id"], kind="job"), "write", b"{}")
    left = shop.root / "inflight" / "of-the-dead.inflight"
    left.write_bytes(dead.inflight.path.read_bytes())

    with psycopg.connect(shop.url) as other:
        other.execute("select * from flux.claim_jobs(null, 'other', 1, '1 hour')").fetchall()
        undertaker = threading.Thread(target=record_leftovers, args=(shop.runtime.database, left.parent))
        undertaker.start()
        shop.until("select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
        other.commit()
    undertaker.join()

    assert shop.value("select count(*) from flux.trace_requests where request_id = %s", lost["request_id"]) == 1


def test_an_attempt_that_cannot_be_ended_is_counted_when_its_worker_stops(shop, monkeypatch):
    """A job that is stuck each time must come to an end, however often its workers are started anew."""
    monkeypatch.setattr("flux.jobs.attempt.GRACE", 1.0)
    shop = shop("""
        import threading

        go = threading.Event()

        @function(timeout="100ms", max_attempts=1)
        def stuck(ctx) -> None:
            go.wait()
    """)
    job = shop.value("select flux.enqueue('stuck', max_attempts => 1)")
    service = shop.work(concurrency=1)
    shop.until("select * from flux.jobs where worker is not null")

    service.stop()

    dead = shop.finished(job)
    assert (dead["state"], dead["attempt"]) == ("dead", 1)
    assert dead["error"] == "it ran longer than its timeout and could not be stopped"
    shop.runtime.registry.functions["stuck"].handler.__globals__["go"].set()

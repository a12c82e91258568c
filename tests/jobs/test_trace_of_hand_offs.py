"""The trace of a request goes on into what it handed off, and a job's failure is found from both of its ends."""

from __future__ import annotations

import pytest

from flux.engine.following import Follower
from flux.engine.questions import asking
from flux.presenters.trace import trace_lines

CHAIN = """
    @function
    def signup(ctx) -> None:
        ctx.db.execute("insert into notes (text) values ('user')")
        ctx.queue.push("welcome", {"fail": False})
        ctx.queue.push("bill", max_attempts=1)
        ctx.queue.push("remind", delay="1d")

    @function
    def welcome(ctx, fail: bool) -> None:
        ctx.queue.push("count")

    @function
    def count(ctx) -> None:
        ctx.db.execute("insert into notes (text) values ('counted')")

    @function
    def bill(ctx) -> None:
        raise RuntimeError("no money")

    @function
    def remind(ctx) -> None:
        pass
"""


@pytest.fixture
def done(shop):
    """A request whose hand-offs have run as far as they will today, and its id."""
    shop = shop(CHAIN)
    shop.work()
    request = shop.call("signup").record.context.request_id
    shop.until("select 1 where (select count(*) from flux.jobs) = 1 and 3 = (select count(*) from flux.finished_jobs)")
    shop.until("select 1 from flux.trace_requests having count(*) = 4")
    return shop, str(request)


def test_the_tree_goes_on_across_hand_offs_with_the_wait_between(done):
    """What a request caused is one picture, to the last job, with the time that passed in the queue."""
    shop, request = done

    with asking(shop.url) as questions:
        answer = questions.trace(request, children=True)
        lines = [line for line in trace_lines(answer, 120)]

    runs = {row["function"]: row for row in answer["handed_off"]}
    assert {name: (row["depth"], row["state"]) for name, row in runs.items()} == {
        "welcome": (1, "ok"),
        "bill": (1, "error"),
        "remind": (1, "scheduled"),
        "count": (2, "ok"),
    }
    assert 0 <= runs["welcome"]["waited_us"] < 2_000_000
    text = "\n".join(lines)
    for wanted in ("job  welcome", "job  count", "job  bill", "job  remind", "waited", "scheduled", "insert notes"):
        assert wanted in _plain(text), wanted
    order = [_plain(text).index(f"job  {name}") for name in ("welcome", "count", "bill", "remind")]
    assert order == sorted(order)


def test_without_children_the_trace_stops_at_the_request(done):
    """A request that pushed a thousand jobs is still to be read by itself."""
    shop, request = done

    with asking(shop.url) as questions:
        answer = questions.trace(request)

    assert "handed_off" not in answer
    assert "job  welcome" not in _plain("\n".join(trace_lines(answer, 120)))


def test_why_of_a_request_names_a_job_of_it_that_failed(done):
    """The request went well, and yet the customer was not billed."""
    shop, request = done

    with asking(shop.url) as questions:
        suggestions = questions.why(request)["suggestions"]

    [about] = [row for row in suggestions if "bill" in row["suggestion"]]
    [failed] = shop.query("select * from flux.trace_requests where function = 'bill'")
    assert "which it pushed, is dead after attempt 1: RuntimeError: no money" in about["suggestion"]
    assert about["about"] == failed["request_id"]
    assert about["command"] == f"flux why {str(failed['request_id'])[:8]}"


def test_why_of_a_job_names_the_request_that_pushed_it(done):
    """A failed job says where it came from."""
    shop, request = done
    [failed] = shop.query("select * from flux.trace_requests where function = 'bill'")

    with asking(shop.url) as questions:
        suggestions = questions.why(str(failed["request_id"]))["suggestions"]

    [about] = [row for row in suggestions if "pushed by" in row["suggestion"]]
    assert f"pushed by POST /signup (req:{request[:8]})" in about["suggestion"]
    assert str(about["about"]) == request


def test_a_job_that_was_done_in_the_end_is_no_trouble(shop):
    """A retry that helped is not what a failure is explained by."""
    shop = shop("""
        @function
        def push(ctx) -> None:
            ctx.queue.push("flaky")

        @function
        def flaky(ctx) -> None:
            if ctx.db.value("select count(*) from notes") == 0:
                raise Retry(after=0.1)
    """)
    shop.work()
    reply = shop.call("push")
    shop.until("select * from flux.queue where state = 'failed'")
    shop.query("insert into notes (text) values ('there')")
    shop.until("select * from flux.finished_jobs")

    with asking(shop.url) as questions:
        answer = questions.why(str(reply.record.context.request_id))

    assert not [row for row in answer["suggestions"] if "flaky" in row["suggestion"]]


def test_jobs_are_followed_with_their_kind(done):
    """flux tail shows what runs by itself, too."""
    shop, _ = done

    follower = Follower(shop.value("select now() - interval '1 minute'"), {})
    with asking(shop.url) as questions:
        news = follower.news(questions)

    assert {(row["kind"], row["function"]) for row in news} >= {("http", "signup"), ("job", "welcome"), ("job", "bill")}


def _plain(text):
    """Without the marks of colours."""
    return "".join(character for character in text if not "\ue000" <= character <= "\uf8ff")

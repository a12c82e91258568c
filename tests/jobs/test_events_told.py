"""Events: published in a transaction, told to each subscriber once by a job of that transaction."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from market import Markets

from flux.engine.handoffs import publish
from flux.errors import BadEvent, EventTooLarge

FUNCTIONS = """
    import json

    @function
    def pay(ctx, id: int, fail: bool = False) -> dict:
        ctx.db.execute("insert into seen (what) values (%s)", {"paid": id})
        event = ctx.events.publish("order.paid", {"order": id}, subject=f"orders/{id}")
        if fail:
            raise RuntimeError("no")
        return {"event": str(event)}

    @function(on="order.*")
    def everything(ctx, type: str, data: dict, subject: str | None, source: str) -> None:
        what = {"all": type, "subject": subject, "source": source, **data}
        ctx.db.execute("insert into seen (what) values (%s)", what)

    @function(on=["order.paid", "order.*"], queue="mail", max_attempts=3)
    def receipt(ctx, id: str, data) -> None:
        ctx.db.execute("insert into seen (what) values (%s)", {"receipt": id})

    @function(on="invoice.sent")
    def other(ctx, **event) -> None:
        ctx.db.execute("insert into seen (what) values (%s)", event)
"""


def test_each_subscriber_gets_an_event_once(market: Markets) -> None:
    """Two patterns that both fit are one subscription: a receipt must not be sent twice."""
    shop = market(FUNCTIONS)

    event = shop.call("pay", id=7).record.output
    jobs = [(job["function"], job["kind"], job["queue"], job["max_attempts"]) for job in shop.jobs()]
    assert sorted(jobs) == [("everything", "event", "default", 10), ("receipt", "event", "mail", 3)]
    assert shop.work() == 2

    assert event is not None
    told = shop.seen()
    assert told[0] == {"paid": 7}
    assert {"all": "order.paid", "subject": "orders/7", "source": "/shop/pay", "order": 7} in told
    assert [one for one in told if "receipt" in one] == [{"receipt": str(shop.value("select id from flux.events"))}]


def test_an_event_is_there_exactly_if_the_data_is(market: Markets) -> None:
    """A receipt for an order that was rolled back is worse than none."""
    shop = market(FUNCTIONS)

    reply = shop.call("pay", id=7, fail=True)

    assert reply.status == 500
    assert shop.jobs() == []
    assert shop.ask("select 1 from flux.events") == []
    assert shop.seen() == []


def test_the_receiver_names_the_request_and_the_step_that_published(market: Markets) -> None:
    """The way from a failed receipt to its order is one question."""
    shop = market(FUNCTIONS)

    request_id = shop.call("pay", id=7).record.context.request_id
    shop.work()

    (span,) = shop.ask("select * from flux.execution_spans where request_id = %s and kind = 'event'", request_id)
    assert (span["name"], span["input"]["data"]) == ("publish order.paid", {"order": 7})
    assert span["output"] == {"event": str(shop.value("select id from flux.events"))}
    received = shop.ask("select * from flux.trace_requests where kind = 'event'")
    assert {row["function"] for row in received} == {"everything", "receipt"}
    assert {(row["parent_request_id"], row["parent_span_id"]) for row in received} == {(request_id, span["span_id"])}
    assert shop.ask("select request_id, span_id from flux.events") == [
        {"request_id": request_id, "span_id": span["span_id"]}
    ]


def test_psql_publishes_too(market: Markets) -> None:
    """A repair by hand, or a trigger, is an event like any other."""
    shop = market(FUNCTIONS)

    event = shop.value("""select flux.publish('invoice.sent', '{"no": 1}', 'invoices/1')""")
    shop.work()

    (told,) = shop.seen()
    assert told.pop("time").endswith("+00:00")
    database = shop.value("select current_database()")
    role = shop.value("select session_user::text")
    assert told == {
        "specversion": "1.0",
        "id": str(event),
        "source": f"/{database}/{role}",
        "type": "invoice.sent",
        "subject": "invoices/1",
        "data": {"no": 1},
    }


def test_one_subscriber_that_fails_holds_up_no_other(market: Markets) -> None:
    """Each has a job of its own, with its own attempts."""
    shop = market(
        """
        @function(on="a.*")
        def bad(ctx) -> None:
            raise RuntimeError("no")

        @function(on="a.*")
        def good(ctx, type: str) -> None:
            ctx.db.execute("insert into seen (what) values (%s)", {"good": type})
        """
    )

    shop.ask("select flux.publish('a.b')")
    shop.work()

    assert shop.seen() == [{"good": "a.b"}]
    assert [(job["function"], job["attempt"]) for job in shop.jobs()] == [("bad", 1)]


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("order.paid", ["order.paid"], ["order.paid.twice", "order", "orderXpaid", "preorder.paid"]),
        ("order.*", ["order.paid", "order.item.added"], ["order", "orders.paid", "order."]),
        ("*.paid", ["order.paid", "a-b_1.paid"], ["order.item.paid", ".paid"]),
        ("*.item.*", ["order.item.added"], ["order.item", "item.added"]),
        ("*", ["order", "order.paid"], [""]),
    ],
)
def test_a_star_is_one_word_and_at_the_end_any_number(
    connection: psycopg.Connection[Any], pattern: str, fits: list[str], fits_not: list[str]
) -> None:
    """A pattern that takes too much sends private events to a webhook; a dot is a dot, not any character."""
    query = "select flux.event_matches(%s, %s)"

    assert all(connection.execute(query, (type, pattern)).fetchone() == (True,) for type in fits)
    assert not any(connection.execute(query, (type, pattern)).fetchone() == (True,) for type in fits_not)


@pytest.mark.parametrize("type", ["", "no way", "order.*", "order..paid", ".a", "a.", "naïve", "a\n.b"])
def test_what_is_no_type_is_refused(market: Markets, type: str) -> None:
    """Nobody could subscribe to it, so it would be lost without a word; the function may catch the error and go on."""
    shop = market(
        """
        @function
        def pub(ctx, type: str) -> str:
            try:
                ctx.events.publish(type)
            except Exception as error:
                ctx.db.execute("insert into seen (what) values (%s)", {"code": error.code})
                return error.message
        """
    )

    reply = shop.call("pub", type=type)

    assert reply.status == 200
    assert "is not the type of an event" in reply.body.decode()
    assert shop.seen() == [{"code": BadEvent.code}]


def test_an_event_of_10_mb_is_refused_with_the_limit(market: Markets) -> None:
    """One that nobody listens to as well: that it works must not depend on who listens."""
    shop = market(FUNCTIONS)

    with pytest.raises(EventTooLarge, match=r"10000011 bytes, more than 1048576 bytes"):
        publish(shop.url, "nobody.listens", '{"big": "' + "x" * 10_000_000 + '"}', None, "/test")

    assert shop.ask("select 1 from flux.events") == []


def test_an_event_that_no_worker_could_read_is_refused(market: Markets) -> None:
    """At the publishing, and not where somebody lists events."""
    shop = market(FUNCTIONS)

    with pytest.raises(BadEvent, match="nested deeper than 200 levels"):
        publish(shop.url, "nobody.listens", "[" * 300 + "]" * 300, None, "/test")

    assert shop.ask("select 1 from flux.events") == []


def test_functions_may_publish_but_not_write_events(market: Markets) -> None:
    """Attribution cannot be faked by accident."""
    shop = market(FUNCTIONS)

    for statement in (
        "insert into flux.events (source, type) values ('x', 'y')",
        "delete from flux.subscriptions",
        "select flux.deliver('x', null)",
        "select flux.tick('x', now())",
    ):
        with psycopg.connect(shop.url) as connection:
            connection.execute("set role flux_app")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)

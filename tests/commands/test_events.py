"""flux events: what was published, who is told, and publishing by hand."""

from __future__ import annotations

import json

import psycopg
import pytest
import story

from flux.commands.events import events
from flux.errors import BadEvent

LIST = """\
  2026-03-10 14:22:01  order.paid  req:4f9a3b2c  orders/42
    {"order":42}
"""
SUBSCRIBERS = """\
  ✔ function  receipt    order.*
  ✔ hook      big_order  insert, update of orders
                         when new.total > 100 and old.total is distinct from
                         new.total
  ✔ webhook   crm        order.*, user.deleted
"""


@pytest.fixture
def shop(database_url, tmp_path):
    """The story, with subscribers and an event."""
    return story.handing_on(story.told(database_url, tmp_path))


def test_list_looks_as_promised(shop):
    """When, what, by which request, about what."""
    assert story.run(events, shop, "list").output == LIST


def test_list_takes_a_pattern(shop):
    """The same patterns as subscribers have."""
    assert story.run(events, shop, "list", "--type", "order.*").output == LIST
    assert story.run(events, shop, "list", "--type", "user.*").stdout == ""


def test_subscribers_look_as_promised(shop):
    """Who is told of what, all in one place."""
    result = story.run(events, shop, "subscribers")

    assert (result.exit_code, result.output) == (0, SUBSCRIBERS)


def test_a_hook_that_cannot_fire_is_a_no(shop):
    """CI may ask before a release."""
    with psycopg.connect(shop.database_url) as connection:
        connection.execute("drop table orders")

    result = story.run(events, shop, "subscribers")

    assert result.exit_code == 1
    assert "✗ hook      big_order" in result.output
    assert "is gone or changed" in result.output


def test_publish_tells_the_subscribers(shop):
    """An event by hand is an event."""
    output = story.run(
        events, shop, "publish", "order.sent", "--data", '{"order": 7}', "--subject", "orders/7", "--json"
    ).output

    event = json.loads(output)
    with psycopg.connect(shop.database_url) as connection:
        jobs = connection.execute("select function, input from flux.jobs where job_id <> 1234").fetchall()
        source = connection.execute("select source from flux.events where id = %s", (event["id"],)).fetchone()
    assert {function for function, _ in jobs} == {"receipt", "flux.webhook"}
    assert [given["data"] for function, given in jobs if function == "receipt"] == [{"order": 7}]
    assert source == ("/shop/flux-events",)


def test_what_is_no_type_is_refused(shop):
    """With the hint of the database, which psql shows as well."""
    result = story.run(events, shop, "publish", "no way")

    assert isinstance(result.exception, BadEvent)
    assert result.exception.hint == "Write words of letters, digits, - and _ between dots: order.paid."

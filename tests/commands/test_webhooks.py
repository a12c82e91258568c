"""flux webhooks: receivers, deliveries and sending again as a person sees them."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
import pytest
import story

from flux.commands.webhooks import webhooks
from flux.config import Webhook
from flux.errors import NotFound, UsageError

LIST = """\
  crm  https://crm.example.com/hooks
    order.*, user.deleted
    ! last 2026-03-10 14:22:01, failed, answered 502, 2 attempts
"""
DELIVERIES = """\
  ! job:1234  2026-03-10 14:22:01  crm  order.paid  failed, answered 502, 2 attempts  req:550e8400
              POST crm.example.com/hooks answered 502 Bad Gateway
"""


@pytest.fixture
def shop(database_url, tmp_path):
    """The story, with a webhook to which a delivery failed."""
    return story.handing_on(story.told(database_url, tmp_path))


def test_list_looks_as_promised(shop):
    """Where, what, and whether it works."""
    assert story.run(webhooks, shop, "list").output == LIST


def test_list_names_what_is_not_signed(shop):
    """Whoever sees the list should see that."""
    open_ = Webhook("open", "https://example.com", ("a",))

    output = story.run(webhooks, replace(shop, webhooks=(*shop.webhooks, open_)), "list").output

    assert "  open  https://example.com  not signed\n" in output
    assert "nothing was delivered yet" in output


def test_deliveries_look_as_promised(shop):
    """What the receiver answered last, and the request to ask about."""
    assert story.run(webhooks, shop, "deliveries", "crm").output == DELIVERIES


def test_open_deliveries_leave_out_those_that_are_done(shop):
    """The list to work through."""
    with psycopg.connect(shop.database_url) as connection:
        connection.execute("select flux.end_job(1234, 'done')")

    assert story.run(webhooks, shop, "deliveries", "--open").stdout == ""
    assert "done" in story.run(webhooks, shop, "deliveries").stdout


def test_a_webhook_that_nobody_has_is_refused(shop):
    """No delivery to nobody is not an answer."""
    result = story.run(webhooks, shop, "deliveries", "crn")

    assert isinstance(result.exception, NotFound)
    assert result.exception.message == "flux.toml has no [webhooks.crn]"


def test_resend_makes_another_job_with_the_same_event(shop):
    """Whatever became of the first."""
    answer = json.loads(story.run(webhooks, shop, "resend", "job:1234", "--json").output)

    with psycopg.connect(shop.database_url) as connection:
        query = "select function, input from flux.jobs where job_id = %s"
        row = connection.execute(query, (answer["job_id"],)).fetchone()
    assert row is not None
    assert (row[0], row[1]["webhook"], row[1]["event"]["id"]) == ("flux.webhook", "crm", str(story.EVENT))
    assert answer["resent"] == 1234


@pytest.mark.parametrize(("given", "error"), [("77", NotFound), ("job:1x", UsageError), ("req:4f9a3b2c", UsageError)])
def test_what_is_no_delivery_cannot_be_resent(shop, given, error):
    """A request is not a delivery, and a number may be a job of another kind."""
    assert isinstance(story.run(webhooks, shop, "resend", given).exception, error)

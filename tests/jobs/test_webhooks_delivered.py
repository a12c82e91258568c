"""Webhooks: events posted to others, signed, tried again, and the answer in the record."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from market import Market, Markets
from standardwebhooks import Webhook

from flux.config import Project
from flux.engine.handoffs import resend
from flux.errors import ConfigError, NotFound

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()

PAY = """
    @function
    def pay(ctx, id: int) -> None:
        ctx.events.publish("order.paid", {"order": id}, subject=f"orders/{id}")
"""


class Receiver:
    """Somebody else's server: what it was sent, and how it answers next."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in {**headers, "content-length": "2"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Go away."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver for one test."""
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def shop(market: Markets, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Market:
    """A project whose orders are told to the receiver."""
    monkeypatch.setenv("CRM_SECRET", SECRET)
    return market(
        PAY, toml=f'[webhooks.crm]\nurl = "{receiver.url}"\nevents = ["order.*"]\nsecret = "env:CRM_SECRET"\n'
    )


def tried_again(shop: Market) -> None:
    """What waits for its retry is due now."""
    shop.ask("update flux.jobs set run_at = now()")
    shop.work()


def deliveries(shop: Market) -> list[dict[str, Any]]:
    """As `flux webhooks deliveries` has them."""
    return shop.ask("select * from flux.webhook_deliveries()")


def test_a_delivery_is_signed_as_the_scheme_says(shop: Market, receiver: Receiver) -> None:
    """Checked twice: with the scheme's own library, and by hand from its text."""
    shop.call("pay", id=7)
    shop.work()

    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert Webhook(SECRET).verify(body, headers) == event
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == event["id"] == str(shop.value("select id from flux.events"))
    assert headers["content-type"] == "application/cloudevents+json"
    assert {name: event[name] for name in ("specversion", "type", "source", "subject", "data")} == {
        "specversion": "1.0",
        "type": "order.paid",
        "source": "/shop/pay",
        "subject": "orders/7",
        "data": {"order": 7},
    }


def test_the_answer_is_a_tool_call_of_the_record_and_the_secret_is_nowhere(shop: Market) -> None:
    """What the receiver said is asked for weeks later; what it is signed with must never be there to read."""
    shop.call("pay", id=7)
    shop.work()

    (request,) = shop.ask("select * from flux.trace_requests where kind = 'event'")
    assert (request["function"], request["outcome"], request["output"]) == ("flux.webhook", "ok", {"status": 200})
    (span,) = shop.ask("select * from flux.execution_spans where kind = 'tool'")
    assert span["attributes"]["http.response.status_code"] == 200
    tables = ("flux.trace_requests", "flux.execution_spans", "flux.finished_jobs")
    everything = str([shop.ask(f"select * from {table}") for table in tables])
    assert base64.b64encode(KEY).decode() not in everything
    assert "v1," not in everything


def test_a_failed_delivery_is_tried_again_with_the_same_id(shop: Market, receiver: Receiver) -> None:
    """The receiver tells by the id that it had this one already; the signature is of the new time."""
    receiver.answers = [(500, {}), (503, {"retry-after": "120"})]

    shop.call("pay", id=7)
    shop.work()
    (first,) = deliveries(shop)
    tried_again(shop)
    (job,) = shop.jobs()
    tried_again(shop)

    assert (first["state"], first["status"], first["attempt"]) == ("failed", 500, 1)
    assert 110 < (job["run_at"] - shop.value("select now()")).total_seconds() < 121
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 3
    assert [(one["state"], one["status"], one["attempt"]) for one in deliveries(shop)] == [("done", 200, 3)]


def test_a_receiver_that_is_gone_is_not_asked_again(shop: Market, receiver: Receiver) -> None:
    """410 says so for good."""
    receiver.answers = [(410, {})]

    shop.call("pay", id=7)
    shop.work()

    (delivery,) = deliveries(shop)
    assert (delivery["state"], delivery["status"]) == ("discarded", 410)
    assert delivery["error"] == "webhook crm answered 410 Gone: it wants no more of this"


def test_a_receiver_that_does_not_answer_is_tried_again(shop: Market, receiver: Receiver) -> None:
    """Its server is down more often than it is wrong."""
    receiver.close()
    shop.call("pay", id=7)

    shop.work()

    (delivery,) = deliveries(shop)
    assert (delivery["state"], delivery["status"]) == ("failed", None)
    assert "got no answer" in delivery["error"]


def test_a_delivery_that_was_done_can_be_sent_again(shop: Market, receiver: Receiver) -> None:
    """The receiver lost it; the event goes out as it was, by a job of its own."""
    shop.call("pay", id=7)
    shop.work()
    (first,) = deliveries(shop)

    again = resend(shop.url, first["job_id"])
    shop.work()

    first_body, second_body = (body for _, body in receiver.got)
    assert first_body == second_body
    assert [one["job_id"] for one in deliveries(shop)] == [again, first["job_id"]]
    with pytest.raises(NotFound, match="job:999 is no delivery to a webhook"):
        resend(shop.url, 999)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (None, "secret CRM_SECRET is not set"),
        ("whsec_not base64!", "CRM_SECRET cannot sign for webhook crm: it is not base64"),
        ("whsec_c2hvcnQ=", "CRM_SECRET cannot sign for webhook crm: it has 5 bytes, and needs 24 to 64"),
    ],
)
def test_nothing_goes_out_that_cannot_be_signed(
    shop: Market, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, secret: str | None, why: str
) -> None:
    """An unsigned delivery would be thrown away by the receiver, or worse, believed. Mended, it goes out."""
    if secret is None:
        monkeypatch.delenv("CRM_SECRET")
    else:
        monkeypatch.setenv("CRM_SECRET", secret)
    shop.call("pay", id=7)

    shop.work()

    assert receiver.got == []
    (delivery,) = deliveries(shop)
    assert (delivery["state"], delivery["error"]) == ("failed", why)
    monkeypatch.setenv("CRM_SECRET", SECRET)
    tried_again(shop)
    assert len(receiver.got) == 1


def test_events_that_nobody_asked_for_do_not_leave(shop: Market, receiver: Receiver) -> None:
    """A pattern is also a promise about what stays here."""
    shop.ask("select flux.publish('user.deleted'), flux.publish('orders.paid')")

    assert shop.work() == 0
    assert receiver.got == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[webhooks.crm]\nurl = "ftp://x"\nevents = ["a"]', "[webhooks.crm] url must be an http or https URL"),
        ('[webhooks.crm]\nurl = "https://x"', "[webhooks.crm] events must be a list of event types"),
        ('[webhooks.crm]\nurl = "https://x"\nevents = ["no way"]', "[webhooks.crm] events must be"),
        (
            '[webhooks.crm]\nurl = "https://x"\nevents = ["a"]\nsecret = "whsec_abc"',
            "must name an environment variable",
        ),
        ('[webhooks.crm]\nurl = "https://x"\nevents = ["a"]\nevnts = 1', "[webhooks.crm] evnts is not a setting"),
        ('[webhooks]\ncrm = "https://x"', "[webhooks] crm must be a table"),
    ],
)
def test_settings_that_cannot_work_are_refused(project: Project, text: str, message: str) -> None:
    """A secret in the file, or a typo in a key, is found when it is written."""
    (project.root / "flux.toml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        Project.load(project.root)

    assert message in str(caught.value)

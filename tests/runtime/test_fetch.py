"""fetch: outbound calls of a function, on the record and within its time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from flux.errors import FetchFailed, FetchTimeout, UnrecordableValue
from flux.runtime.deadline import Interrupted
from flux.runtime.fetch import fetch

if TYPE_CHECKING:
    from tests.runtime.conftest import Outside, UnderWay


def test_answer_is_what_the_other_side_sent(outside: Outside) -> None:
    """A user reads status, headers and body without a library of their own; outside a request too."""
    answer = fetch(f"{outside.url}/v1/x?a=1", params={"b": ["2", "3"]}, headers={"x-mine": "yes"})

    assert (answer.status, answer.ok) == (200, True)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"path": "/v1/x?a=1&b=2&b=3", "method": "GET"}
    assert outside.asked[0]["headers"]["x-mine"] == "yes"


def test_call_is_one_tool_span_with_request_and_answer(outside: Outside, under_way: UnderWay) -> None:
    """The record must hold the answer, or a replay could not give it back."""
    fetch(f"{outside.url}/v1/charges", method="POST", json={"amount": 12})

    span = under_way.only
    host = outside.url.removeprefix("http://")
    assert span.name == f"POST {host}/v1/charges"
    assert under_way.sent()["body"] == {"amount": 12}
    assert under_way.got()["status"] == 200
    assert under_way.got()["body"] == {"path": "/v1/charges", "method": "POST"}
    assert span.attributes["http.request.method"] == "POST"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["server.address"] == "127.0.0.1"
    assert span.duration_us is not None
    assert under_way.execution.tool_calls == 1
    assert under_way.record.current is under_way.record.spans[0]


def test_credentials_reach_the_other_side_and_not_the_record(outside: Outside, under_way: UnderWay) -> None:
    """Secrets stay secret: in headers, in the URL, in the answer's cookies."""
    url = outside.url.replace("http://", "http://user:hunter2222@")
    fetch(
        f"{url}/cookie?api_key=qwertyuiop&page=2",
        headers={"Authorization": "Bearer sk_live_123456", "X-Shop-Access-Token": "tok_987654", "x-plain": "kept"},
    )

    assert outside.asked[0]["headers"]["authorization"] == "Bearer sk_live_123456"
    stored = under_way.stored()
    for secret in ("sk_live_123456", "tok_987654", "hunter2222", "qwertyuiop", "abcdefgh"):
        assert secret not in stored
    assert under_way.sent()["query"] == {"api_key": "[redacted]", "page": "2"}
    assert under_way.sent()["headers"]["x-plain"] == "kept"
    assert under_way.got()["headers"]["x-note"] == "kept"


def test_credentials_are_not_in_the_message_of_a_failure(under_way: UnderWay) -> None:
    """An HTTP library writes the whole URL into its error."""
    with pytest.raises(FetchFailed):
        fetch("http://127.0.0.1:1/x?access_token=qwertyuiop")

    assert "qwertyuiop" not in under_way.stored()


@pytest.mark.parametrize("under_way", [("card.number", "email")], indirect=True)
def test_listed_fields_are_redacted_in_bodies(outside: Outside, under_way: UnderWay) -> None:
    """What the project lists is hidden in JSON and in forms alike."""
    fetch(f"{outside.url}/a", method="POST", json={"card": {"number": "4242424242424242", "year": 2030}})
    fetch(f"{outside.url}/b", method="POST", data={"email": "a@b.example", "plan": "pro"})

    first, second = (under_way.sent(span)["body"] for span in under_way.spans())
    assert first == {"card": {"number": "[redacted]", "year": 2030}}
    assert second == {"email": "[redacted]", "plan": "pro"}
    assert "4242424242424242" not in under_way.stored()
    assert b"4242424242424242" in outside.asked[0]["body"]


def test_redirects_are_followed_and_recorded_once(outside: Outside, under_way: UnderWay) -> None:
    """One fetch is one call, however many hops it took."""
    answer = fetch(f"{outside.url}/redirect")

    assert answer.json()["path"] == "/v1/landed"
    assert len(under_way.spans()) == 1


def test_trace_goes_on_in_the_called_system(outside: Outside, under_way: UnderWay) -> None:
    """The caller's trace has one id from end to end, and the parent id leads back to our span."""
    fetch(f"{outside.url}/x")
    fetch(f"{outside.url}/x", headers={"Traceparent": "00-1-2-00"})

    version, trace, parent, flags = outside.asked[0]["headers"]["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    assert trace == under_way.record.context.request_id.hex
    assert parent == f"{trace[:8]}{under_way.spans()[0].span_id:08x}"
    assert outside.asked[1]["headers"]["traceparent"] == "00-1-2-00"


def test_error_statuses_are_answers_until_asked_otherwise(outside: Outside, under_way: UnderWay) -> None:
    """A 402 may be expected; when the user says it is not, message and record carry what was answered."""
    answer = fetch(f"{outside.url}/declined")
    assert under_way.only.error is None
    assert under_way.only.attributes["error.type"] == "402"

    with pytest.raises(FetchFailed, match=r"answered 402 Payment Required: .*card_declined") as caught:
        answer.raise_for_status()

    assert caught.value.status == 402
    assert under_way.only.error is not None
    assert under_way.only.error.code == "402"


def test_server_errors_are_failures_of_their_span(outside: Outside, under_way: UnderWay) -> None:
    """`flux why` finds the deepest failing span: a 503 of another system must be one."""
    fetch(f"{outside.url}/broken")

    assert under_way.only.error is not None
    assert (under_way.only.error.type, under_way.only.error.code) == ("HTTPStatus", "503")


def test_no_answer_is_said_in_plain_words(under_way: UnderWay) -> None:
    """The cause, not the address of a pool object."""
    with pytest.raises(FetchFailed, match=r"^GET 127\.0\.0\.1:1/x got no answer: Connection refused$"):
        fetch("http://127.0.0.1:1/x")

    assert under_way.only.error is not None
    assert under_way.only.error.code == "XF209"


@pytest.mark.parametrize("path", ["slow", "drip", "drip/close", "stall"])
def test_timeout_bounds_the_whole_call(outside: Outside, under_way: UnderWay, path: str) -> None:
    """A server that sends a byte now and then must not hold a worker: a socket's timeout alone would let it."""
    began = time.monotonic()

    with pytest.raises(FetchTimeout, match=r"was not answered within 0\.4 s"):
        fetch(f"{outside.url}/{path}", timeout=0.4)

    assert time.monotonic() - began < 1.4  # the slowest of them takes 2 s


def test_call_does_not_outlast_the_function(outside: Outside, under_way: UnderWay) -> None:
    """At the deadline the function ends, and its `except Exception` does not keep it alive."""
    under_way.execution.deadline = time.monotonic() + 0.2

    with pytest.raises(Interrupted):
        fetch(f"{outside.url}/slow", timeout=20)

    assert under_way.only.error is not None
    assert under_way.only.error.code == "XF210"


def test_connections_are_used_again_after_a_timeout(outside: Outside) -> None:
    """A half-read answer must not become the next call's answer."""
    with pytest.raises(FetchTimeout):
        fetch(f"{outside.url}/drip", timeout=0.2)

    assert fetch(f"{outside.url}/x").json()["path"] == "/x"


def test_bodies_keep_a_form_that_can_be_given_back(outside: Outside, under_way: UnderWay) -> None:
    """Compressed, binary, large and missing bodies: what is not kept says its size and hash."""
    for path in ("gzip", "binary", "large", "empty"):
        fetch(f"{outside.url}/{path}")

    packed, binary, large, empty = (under_way.got(span)["body"] for span in under_way.spans())
    assert packed == {"packed": True}
    assert binary == {"$base64": "AP8B"}
    assert large["$omitted"]["bytes"] == 500_000
    assert empty is None


def test_what_is_no_json_is_refused_with_its_place(outside: Outside) -> None:
    """A set or a socket in a payload is found by its path, before anything is sent."""
    with pytest.raises(UnrecordableValue, match=r"the json to send at user\.avatar cannot be written"):
        fetch(outside.url, method="POST", json={"user": {"avatar": b"\x00"}})

    assert not outside.asked


def test_answer_that_is_no_json_says_so(outside: Outside) -> None:
    """The user learns which call it was."""
    with pytest.raises(FetchFailed, match=r"GET http://127\.0\.0\.1:\d+/binary answered 200 with what is no JSON"):
        fetch(f"{outside.url}/binary").json()


def test_only_http_is_fetched(under_way: UnderWay) -> None:
    """file:// and typing slips are refused, without the query that may hold a secret."""
    with pytest.raises(FetchFailed, match=r"'file:///etc/passwd' is not an http or https URL"):
        fetch("file:///etc/passwd?x=1")

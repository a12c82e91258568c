"""Outbound HTTP that user code makes with the libraries it knows, recorded without a line of its own."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import urllib3

from flux.runtime.answers import Kept
from flux.runtime.deadline import Interrupted
from flux.runtime.fetch import fetch
from flux.runtime.hops import begin
from flux.runtime.outbound import record_outbound
from flux.runtime.tools import tool

if TYPE_CHECKING:
    from tests.runtime.conftest import Outside, UnderWay

Call = Callable[..., tuple[int, bytes]]


@pytest.fixture(autouse=True)
def listening() -> None:
    record_outbound()
    record_outbound()  # twice, to see that it counts once


def with_httpx(method: str, url: str, body: Any = None, headers: Any = None) -> tuple[int, bytes]:
    answer = httpx.request(method, url, json=body, headers=headers, follow_redirects=True)
    return answer.status_code, answer.content


def with_async_httpx(method: str, url: str, body: Any = None, headers: Any = None) -> tuple[int, bytes]:
    async def call() -> tuple[int, bytes]:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            answer = await client.request(method, url, json=body, headers=headers)
            return answer.status_code, answer.content

    return asyncio.run(call())


def with_requests(method: str, url: str, body: Any = None, headers: Any = None) -> tuple[int, bytes]:
    answer = requests.request(method, url, json=body, headers=headers)
    return answer.status_code, answer.content


def with_urllib(method: str, url: str, body: Any = None, headers: Any = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    known = {**(headers or {}), **({"Content-Type": "application/json"} if data else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, known, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def with_urllib3(method: str, url: str, body: Any = None, headers: Any = None) -> tuple[int, bytes]:
    with urllib3.PoolManager() as pool:
        answer = pool.request(method, url, json=body, headers=headers)
        return answer.status, answer.data


def line_of(call: Call) -> int:
    """The line of a caller above that makes its call, or reads the answer."""
    lines, first = inspect.getsourcelines(call)
    marks = ("httpx.request(", "client.request(", "requests.request(", "error.read()", "pool.request(")
    return first + next(number for number, line in enumerate(lines) if any(mark in line for mark in marks))


every_library = pytest.mark.parametrize(
    "call", [with_httpx, with_async_httpx, with_requests, with_urllib, with_urllib3], ids=lambda call: call.__name__[5:]
)


@every_library
def test_call_is_recorded_with_no_code(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """Promise 4: no SDK. Request and answer are there whatever library made the call, and the user gets his answer."""
    status, body = call("POST", f"{outside.url}/v1/charges?page=2", {"amount": 12})

    assert (status, json.loads(body)["method"]) == (200, "POST")
    span = under_way.only
    assert span.name == f"POST {outside.url.removeprefix('http://')}/v1/charges"
    assert (under_way.sent()["method"], under_way.sent()["query"]) == ("POST", {"page": "2"})
    assert under_way.sent()["body"] == {"amount": 12}
    assert under_way.got()["status"] == 200
    assert under_way.got()["body"] == {"path": "/v1/charges?page=2", "method": "POST"}
    assert under_way.got()["headers"]["content-type"] == "application/json"
    assert span.attributes["http.response.status_code"] == 200
    assert under_way.execution.tool_calls == 1
    assert under_way.record.current is under_way.record.spans[0]


@every_library
def test_nothing_changes_outside_a_request(call: Call, outside: Outside) -> None:
    """Flux's own process makes calls too, and so do a user's threads."""
    assert call("GET", f"{outside.url}/x")[0] == 200
    assert "traceparent" not in outside.asked[0]["headers"]


@every_library
def test_each_hop_of_a_redirect_is_recorded_once(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """A hop is a call of its own, to a system that may be another one."""
    call("GET", f"{outside.url}/redirect")

    assert [span.name.rpartition("/")[2] for span in under_way.spans()] == ["redirect", "landed"]
    assert [span.attributes["http.response.status_code"] for span in under_way.spans()] == [302, 200]


@every_library
def test_trace_goes_on(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """The called system's trace is part of ours."""
    call("GET", f"{outside.url}/x")

    trace = under_way.record.context.request_id.hex
    assert outside.asked[0]["headers"]["traceparent"] == f"00-{trace}-{trace[:8]}00000002-01"


@every_library
def test_credentials_are_not_recorded(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """Secrets stay secret, however the call was made."""
    call("GET", f"{outside.url}/cookie?api_key=qwertyuiop", None, {"Authorization": "Bearer sk_live_123456"})

    assert outside.asked[0]["headers"]["authorization"] == "Bearer sk_live_123456"
    for secret in ("sk_live_123456", "abcdefgh", "qwertyuiop"):
        assert secret not in under_way.stored()


def test_credentials_are_hidden_where_they_turn_up_again(outside: Outside, under_way: UnderWay) -> None:
    """requests writes the whole URL into its error."""
    with pytest.raises(requests.ConnectionError, match="qwertyuiop"):
        requests.get("http://127.0.0.1:1/x?api_key=qwertyuiop")

    assert under_way.only.error is not None
    assert "qwertyuiop" not in under_way.stored()


@every_library
def test_compressed_answers_are_recorded_readable(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """What went over the wire is of no use to a reader, nor to redaction."""
    call("GET", f"{outside.url}/gzip")

    assert under_way.got()["body"] == {"packed": True}


@every_library
def test_large_answers_are_recorded_by_size_and_hash(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """The record stays small; the user's answer stays whole."""
    assert len(call("GET", f"{outside.url}/large")[1]) == 500_000

    assert under_way.got()["body"]["$omitted"]["bytes"] == 500_000
    assert len(under_way.stored()) < 5_000


@every_library
def test_empty_answers_have_no_body(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """No body is known to be none, and not said to be streamed."""
    assert call("GET", f"{outside.url}/empty") == (204, b"")

    assert under_way.got()["body"] is None


@every_library
def test_error_statuses_reach_user_and_record(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """The span of a failing system fails, at the user's line; that of an answer which may be expected does not."""
    under_way.record.root = Path(__file__).parent
    assert call("GET", f"{outside.url}/declined")[0] == 402
    assert call("GET", f"{outside.url}/broken")[0] == 503

    declined, broken = under_way.spans()
    assert (declined.error, declined.attributes["error.type"]) == (None, "402")
    assert broken.error is not None
    assert broken.error.code == "503"
    assert broken.error.location == f"test_outbound.py:{line_of(call)}"
    assert under_way.got(declined)["body"] == {"error": "card_declined"}


@every_library
def test_call_that_gets_no_answer_is_recorded_as_failed(call: Call, under_way: UnderWay) -> None:
    """The library's own exception reaches the user and the record."""
    with pytest.raises(Exception) as caught:
        call("GET", "http://127.0.0.1:1/x")

    assert under_way.only.error is not None
    assert under_way.only.error.type.rpartition(".")[2] in [kind.__name__ for kind in type(caught.value).__mro__] + [
        "ConnectionRefusedError"  # which urllib wraps
    ]
    assert under_way.only.duration_us is not None


@every_library
def test_call_does_not_outlast_the_function(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """A thread that waits on a socket hears of no deadline: the socket must have it."""
    began = time.monotonic()
    under_way.execution.deadline = began + 0.3

    with pytest.raises(Interrupted):
        call("GET", f"{outside.url}/slow")

    assert time.monotonic() - began < 1.4  # of the 1.5 s that /slow takes


@every_library
def test_call_inside_a_tool_does_not_outlast_the_function(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """An SDK without a timeout of its own would hold the worker as well."""
    began = time.monotonic()
    under_way.execution.deadline = began + 0.3

    with pytest.raises(Exception):
        tool("stripe.charge")(call)("GET", f"{outside.url}/slow")

    assert time.monotonic() - began < 1.4  # of the 1.5 s that /slow takes


@every_library
def test_call_inside_a_tool_is_part_of_it(call: Call, outside: Outside, under_way: UnderWay) -> None:
    """Recorded twice, a replay would answer it twice."""
    tool("stripe.charge")(call)("GET", f"{outside.url}/x")

    assert [span.name for span in under_way.spans()] == ["stripe.charge"]


@pytest.mark.parametrize(
    "call",
    [
        lambda url: httpx.get(url, timeout=0.2),
        lambda url: requests.get(url, timeout=0.2),
        lambda url: requests.get(url, timeout=(5, 0.2)),
        lambda url: urllib.request.urlopen(url, timeout=0.2),
        lambda url: urllib3.PoolManager().request("GET", url, timeout=0.2, retries=False),
        lambda url: urllib3.PoolManager(timeout=urllib3.Timeout(5, read=0.2)).request("GET", url, retries=False),
    ],
    ids=["httpx", "requests", "requests-pair", "urllib", "urllib3", "urllib3-pool"],
)
def test_users_own_shorter_timeout_counts(call: Callable[[str], Any], outside: Outside, under_way: UnderWay) -> None:
    """The deadline only ever shortens a wait."""
    began = time.monotonic()

    with pytest.raises(Exception, match=r"(?i)timed out"):
        call(f"{outside.url}/slow")

    assert time.monotonic() - began < 1.4  # of the 1.5 s that /slow takes
    assert under_way.only.error is not None


def test_answer_that_nobody_reads_is_finished_when_it_has_no_body(outside: Outside, under_way: UnderWay) -> None:
    """A call whose status is all that matters is over when it came."""
    answer = urllib.request.urlopen(f"{outside.url}/empty")

    assert under_way.only.duration_us is not None
    assert under_way.got()["body"] is None
    answer.close()


def test_no_more_is_kept_of_an_answer_than_is_recorded(under_way: UnderWay) -> None:
    """A download of gigabytes passes through, and not into memory."""
    hop = begin("GET", "http://files.example/large")
    assert hop is not None
    hop.answered(200, [])
    kept = Kept(hop)
    for _ in range(100):
        kept.add(b"x" * 10_000)
    kept.close(complete=True)

    assert sum(map(len, kept._pieces)) <= under_way.record.keep_bytes
    assert under_way.got()["body"]["$omitted"]["bytes"] == 1_000_000


def test_fetch_is_not_recorded_again_by_the_library_it_uses(outside: Outside, under_way: UnderWay) -> None:
    """fetch stands on urllib3, which is listened to."""
    fetch(f"{outside.url}/x")

    assert len(under_way.spans()) == 1


def test_httpx_stream_stays_a_stream(outside: Outside, under_way: UnderWay) -> None:
    """The user sees each piece when it comes; the record has what passed."""
    outside.go_on.clear()
    with httpx.stream("GET", f"{outside.url}/chunks") as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        outside.go_on.set()
        rest = b"".join(pieces)

    assert first == b"one\n"
    assert not outside.waited_in_vain
    assert rest == b"two\nthree\n"
    assert under_way.got()["body"] == "one\ntwo\nthree\n"


def test_stream_left_early_is_recorded_as_partial(outside: Outside, under_way: UnderWay) -> None:
    """What was not read is not in the record, and the record says so."""
    with httpx.stream("GET", f"{outside.url}/chunks") as answer:
        next(answer.iter_raw())
    with urllib.request.urlopen(f"{outside.url}/chunks") as reply:
        reply.read(2)

    first, second = under_way.spans()
    assert under_way.got(first)["body"] == {"$partial": "one\n"}
    assert under_way.got(second)["body"] == {"$partial": "on"}


def test_async_httpx_stream_stays_a_stream(outside: Outside, under_way: UnderWay) -> None:
    """The same for the asynchronous client."""

    async def read() -> list[bytes]:
        async with httpx.AsyncClient() as client, client.stream("GET", f"{outside.url}/chunks") as answer:
            return [piece async for piece in answer.aiter_raw()]

    assert b"".join(asyncio.run(read())) == b"one\ntwo\nthree\n"
    assert under_way.got()["body"] == "one\ntwo\nthree\n"


def test_requests_stream_stays_a_stream(outside: Outside, under_way: UnderWay) -> None:
    """Nothing is read ahead; the record says that the body was streamed."""
    outside.go_on.clear()
    with requests.get(f"{outside.url}/chunks", stream=True) as answer:
        lines = answer.iter_lines(chunk_size=4)
        first = next(lines)
        outside.go_on.set()
        rest = list(lines)

    assert (first, rest) == (b"one", [b"two", b"three"])
    assert not outside.waited_in_vain
    assert under_way.got()["body"] == {"$streamed": True}


@pytest.mark.parametrize(
    "read",
    [
        lambda answer: answer.read(),
        lambda answer: b"".join(iter(lambda: answer.read(3), b"")),
        b"".join,
        lambda answer: b"".join(iter(answer.readline, b"")),
        lambda answer: b"".join(iter(lambda: answer.read1(3), b"")),
        lambda answer: b"".join(iter(lambda: bytes(buffer[: answer.readinto(buffer)]), b"")),
    ],
    ids=["read", "read-n", "iterate", "readline", "read1", "readinto"],
)
@pytest.mark.parametrize("path", ["chunks", "binary"])
def test_urllib_answer_is_kept_however_it_is_read(
    read: Callable[[Any], bytes], path: str, outside: Outside, under_way: UnderWay
) -> None:
    """http.client reads one way through another: each byte must be kept once."""
    with urllib.request.urlopen(f"{outside.url}/{path}") as answer:
        body = read(answer)

    whole = {"chunks": b"one\ntwo\nthree\n", "binary": b"\x00\xff\x01"}[path]
    assert body == whole
    assert under_way.got()["body"] == {"chunks": whole.decode("latin-1"), "binary": {"$base64": "AP8B"}}[path]


buffer = bytearray(3)


def test_http_client_itself_is_recorded(outside: Outside, under_way: UnderWay) -> None:
    """SDKs that use the standard library directly need no code either; a connection serves many calls."""
    connection = http.client.HTTPConnection(outside.url.removeprefix("http://"))
    for path in ("/a", "/b"):
        connection.request("POST", path, body=b"raw")
        connection.getresponse().read()
    connection.close()

    assert [span.name.rpartition("/")[2] for span in under_way.spans()] == ["a", "b"]
    assert [under_way.sent(span)["body"] for span in under_way.spans()] == ["raw", "raw"]


def test_streamed_upload_is_sent_and_said_to_be_streamed(outside: Outside, under_way: UnderWay) -> None:
    """A body that can be read once only belongs to the other side."""
    httpx.post(outside.url, content=iter([b"a", b"b"]), headers={"content-length": "2"})
    requests.post(outside.url, data=iter([b"a", b"b"]), headers={"content-length": "2"})

    assert [under_way.sent(span)["body"] for span in under_way.spans()] == [{"$streamed": True}] * 2


def test_calls_side_by_side_are_siblings(outside: Outside, under_way: UnderWay) -> None:
    """Coroutines interleave: neither call may become the parent of the other, nor lose its answer."""

    async def both() -> None:
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*(client.get(f"{outside.url}/{number}") for number in range(5)))

    asyncio.run(both())

    root = under_way.record.spans[0]
    assert [span.parent_id for span in under_way.spans()] == [root.span_id] * 5
    assert {under_way.got(span)["body"]["path"] for span in under_way.spans()} == {f"/{n}" for n in range(5)}
    assert under_way.record.current is root

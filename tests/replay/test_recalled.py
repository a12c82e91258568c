"""Answers of the outside given back: by every library, as it gave them, and with no call made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from outside import Outside
from past import Past, unlike

LIBRARIES = """
    import asyncio, gzip, http.client, json, urllib.error, urllib.request
    from urllib.parse import urlsplit
    import httpx, requests, urllib3

    URL = "{url}"

    def plain(headers, body):
        return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body

    def told(status, headers, body):
        return {{"status": status, "note": headers.get("x-note"), "type": headers.get("content-type"), "body": body}}

    def by_fetch(ctx, path, body):
        answer = ctx.fetch(URL + path, method="POST" if body else "GET", json=body)
        return told(answer.status, answer.headers, answer.text)

    def by_httpx(ctx, path, body):
        answer = httpx.request("POST" if body else "GET", URL + path, json=body, timeout=3)
        return told(answer.status_code, answer.headers, answer.text) | {{"took": answer.elapsed is not None}}

    def by_httpx_async(ctx, path, body):
        async def call():
            async with httpx.AsyncClient(timeout=3) as client:
                both = await asyncio.gather(*(client.get(URL + path, params={{"n": n}}) for n in range(2)))
            return [told(answer.status_code, answer.headers, answer.text) for answer in both]
        return asyncio.run(call())

    def by_httpx_stream(ctx, path, body):
        with httpx.stream("GET", URL + path, timeout=3) as answer:
            return told(answer.status_code, answer.headers, b"".join(answer.iter_bytes()).decode("latin-1"))

    def by_requests(ctx, path, body):
        with requests.Session() as session:
            answer = session.request("POST" if body else "GET", URL + path, json=body, timeout=3)
        return told(answer.status_code, answer.headers, answer.text) | {{
            "url": urlsplit(answer.url).path, "history": len(answer.history), "reason": answer.reason}}

    def by_requests_stream(ctx, path, body):
        with requests.get(URL + path, stream=True, timeout=3) as answer:
            return told(answer.status_code, answer.headers, b"".join(answer.iter_content(7)).decode("latin-1"))

    def by_urllib3(ctx, path, body):
        with urllib3.PoolManager() as pool:
            answer = pool.request("GET", URL + path, retries=urllib3.Retry(0, redirect=3), timeout=3)
            return told(answer.status, answer.headers, answer.data.decode("latin-1"))

    def by_urllib(ctx, path, body):
        data = json.dumps(body).encode() if body else None
        try:
            with urllib.request.urlopen(urllib.request.Request(URL + path, data), timeout=3) as answer:
                return told(answer.status, answer.headers, plain(answer.headers, answer.read()).decode("latin-1"))
        except urllib.error.HTTPError as error:
            with error:
                return told(error.code, error.headers, error.read().decode("latin-1"))

    def by_http_client(ctx, path, body):
        connection = http.client.HTTPConnection(urlsplit(URL).netloc, timeout=3)
        connection.request("GET", path)
        answer = connection.getresponse()
        first = answer.read(3)
        found = told(answer.status, answer.headers, plain(answer.headers, first + answer.read()).decode("latin-1"))
        connection.close()
        return found

    @function(route="POST /call")
    def call(ctx, library: str, path: str, body: dict | None = None) -> dict:
        try:
            return {{"answer": globals()["by_" + library](ctx, path, body)}}
        except Exception as error:
            ctx.log.exception("no answer")
            return {{"raised": type(error).__name__, "message": str(error)[:60]}}
"""

NAMES = "fetch httpx httpx_async httpx_stream requests requests_stream urllib3 urllib http_client".split()
PATHS = "/echo /declined /broken /gzip /binary /string /oops /redirect /empty /hangup".split()


@pytest.mark.parametrize("library", NAMES)
def test_every_library_is_given_what_it_was_given(past: Callable[..., Past], outside: Outside, library: str) -> None:
    """A user's code must not notice that nobody was asked: statuses, headers, bodies and errors are those of then."""
    now = past(LIBRARIES.format(url=outside.url))
    requests = [now.ask("POST /call", {"library": library, "path": path}) for path in PATHS]
    requests.append(now.ask("POST /call", {"library": library, "path": "/echo", "body": {"amount": 12.5}}))
    before = outside.connections

    for request in requests:
        ran, replay = now.replay(request)

        assert unlike(request, replay) == [], (ran, request.request["input"])
        assert {call.outcome for call in ran.calls} == {"exact"}
        assert ran.inexact == ()
    assert outside.connections == before
    assert outside.asked


@pytest.mark.parametrize("library", ["fetch", "httpx", "requests", "urllib3", "urllib", "http_client"])
def test_an_error_is_raised_again_as_its_own_class(past: Callable[..., Past], library: str) -> None:
    """Code that waits and asks again, or answers 502, decides by the class of the error."""
    now = past(LIBRARIES.format(url="http://127.0.0.1:9"))
    request = now.ask("POST /call", {"library": library, "path": "/"})

    _, replay = now.replay(request)

    assert "raised" in request.request["output"]
    assert unlike(request, replay) == []


def test_what_was_too_large_to_keep_is_not_made_up(past: Callable[..., Past], outside: Outside) -> None:
    """An empty body in place of a lost one would be a lie; it can be given by hand."""
    now = past(LIBRARIES.format(url=outside.url))
    request = now.ask("POST /call", {"library": "fetch", "path": "/large"})
    name = f"GET 127.0.0.1:{outside.port}/large"

    ran, replay = now.replay(request)
    stubbed, with_stub = now.replay(request, stubs={name: {"status": 200, "body": "short"}})

    assert [call.outcome for call in ran.calls] == ["new"]
    assert "too large to keep" in replay.request["output"]["message"] or replay.request["output"]["raised"]
    assert [call.outcome for call in stubbed.calls] == ["stub"]
    assert with_stub.request["output"]["answer"]["body"] == "short"


TOOLS = """
    import asyncio
    from dataclasses import dataclass
    from datetime import datetime, date, UTC
    from decimal import Decimal
    from enum import Enum
    from uuid import UUID, uuid4

    COUNT = [0]

    class Declined(Exception):
        def __init__(self, code, amount):
            super().__init__(f"declined: {code}")
            self.code, self.amount = code, amount

    class Kind(Enum):
        CARD = "card"

    @dataclass
    class Charge:
        id: UUID
        amount: Decimal
        kind: Kind

    class Opaque:
        def __init__(self):
            self.id = "op_1"

    class Bag(dict):
        __getattr__ = dict.__getitem__

    @tool("charge")
    def charge(amount):
        COUNT[0] += 1
        if amount > 100:
            raise Declined("too_much", amount)
        return {"n": COUNT[0], "amount": amount, "random": str(uuid4())}

    @tool("typed")
    def typed():
        charge = Charge(uuid4(), Decimal("12.50"), Kind.CARD)
        return [charge, (1, datetime.now(UTC)), {2, 1}, b"\\\\x01", date(2026, 1, 2)]

    @tool("opaque")
    def opaque():
        return Opaque()

    @tool("bag")
    def bag():
        return Bag(id="b_1", inner=Bag(x=1))

    @tool("outer")
    def outer():
        return charge(1)["n"] + 1

    @tool("later")
    async def later(n):
        COUNT[0] += 1
        await asyncio.sleep(0.01)
        return COUNT[0] * 10 + n

    @function(route="POST /charge")
    def charged(ctx, amounts: list[int]) -> list:
        found = []
        for amount in amounts:
            try:
                found.append(charge(amount))
            except Declined as error:
                found.append([error.code, error.amount, str(error)])
        return found

    @function(route="POST /raise")
    def raises(ctx, amount: int) -> dict:
        ctx.db.execute("insert into users (email) values ('x@y.z')")
        return charge(amount)

    @function(route="GET /typed")
    def types(ctx) -> dict:
        made, pair, numbers, raw, day = typed()
        return {"amount": made.amount * 2, "kind": made.kind.name, "hex": made.id.hex, "year": pair[1].year,
                "types": [type(x).__name__ for x in (made, pair, numbers, raw, day)], "day": day.isoformat()}

    @function(route="GET /opaque")
    def read(ctx) -> str:
        return opaque().id

    @function(route="GET /bag")
    def bagged(ctx) -> list:
        found = bag()
        return [found.id, found["id"], found.inner.x]

    @function(route="GET /outer")
    def outermost(ctx) -> int:
        return outer() + ctx.tool("plain", lambda: 5) + charge(3)["n"]

    @function(route="GET /later")
    def side_by_side(ctx) -> list:
        async def all():
            return await asyncio.gather(*(later(n) for n in range(4)))
        return asyncio.run(all())
"""


def test_tools_are_answered_and_not_called(past: Callable[..., Past]) -> None:
    """What an SDK returned or raised comes back, with types, attributes of errors, and the steps inside."""
    now = past(TOOLS)
    requests = [
        now.ask("POST /charge", {"amounts": [1, 1, 500, 2, 1]}),
        now.ask("POST /raise", {"amount": 500}),
        now.ask("GET /typed"),
        now.ask("GET /outer"),
        now.ask("GET /later"),
        now.ask("GET /bag"),
    ]

    for request in requests:
        ran, replay = now.replay(request)

        assert unlike(request, replay) == [], request.request["path"]
        assert {call.outcome for call in ran.calls} == {"exact"}
        assert (ran.inexact == ()) == (request.request["path"] != "/bag"), ran.inexact
    assert requests[1].request["error_type"] == "functions.app.Declined"


def test_an_object_is_given_back_as_what_is_known_of_it(past: Callable[..., Past]) -> None:
    """Its members were not recorded: reading one is said, not guessed."""
    now = past(TOOLS)

    ran, replay = now.replay(now.ask("GET /opaque"))

    assert replay.outcome == "error"
    assert "the record does not hold id" in replay.request["error_message"]
    assert ran.inexact == ("opaque returned a functions.app.Opaque, given back as what is recorded of it",)


def test_three_outcomes_are_told_apart(past: Callable[..., Past]) -> None:
    """Exact, changed and new: who reads a replay must know what of it was never recorded."""
    now = past(TOOLS)
    request = now.ask("POST /charge", {"amounts": [1, 2]})
    now.change("found.append(charge(amount))", "found.append(charge(amount + 1 if amount == 1 else amount))")

    ran, replay = now.replay(request)

    assert [call.outcome for call in ran.calls] == ["exact", "new"]  # 2 was recorded; then 2 again
    now.change("amount + 1 if amount == 1 else amount", "amount + 10")
    now.close()
    now.runner = None
    ran, replay = now.replay(request)
    assert [call.outcome for call in ran.calls] == ["changed", "changed"]
    first = ran.calls[0]
    assert (first.arguments["args"], first.recorded_arguments["args"]) == ([11], [1])
    span = next(span for span in replay.spans if span["kind"] == "tool")
    assert span["attributes"]["flux.replay"] == "changed"
    assert span["attributes"]["flux.replay.recorded_input"]["args"] == [1]
    assert span["input"]["args"] == [11]


def test_a_new_call_fails_even_when_its_error_is_swallowed(past: Callable[..., Past]) -> None:
    """A function that hides the error has not been replayed; a stub says what to answer."""
    now = past(TOOLS)
    request = now.ask("POST /charge", {"amounts": [1]})
    now.change(
        "except Declined as error:\n",
        "except Exception as error:\n            found.append(str(error))\n            continue\n",
    )
    now.change("for amount in amounts:", "for amount in [*amounts, 7]:")

    ran, replay = now.replay(request)
    stubbed, answered = now.replay(request, stubs={"charge": {"n": 99}})
    _, failed = now.replay(
        request, stubs={"charge": {"error": {"type": "functions.app.Declined", "message": "declined: x"}}}
    )

    assert [call.outcome for call in ran.calls] == ["exact", "new"]
    assert replay.request["output"][1].startswith("charge was not called: the record holds no answer")
    assert [call.outcome for call in stubbed.calls] == ["exact", "stub"]
    assert answered.request["output"][1] == {"n": 99}
    assert failed.request["output"][1] == "declined: x"


def test_calls_of_a_function_that_was_renamed_are_found(past: Callable[..., Past]) -> None:
    """A commit that only gives things other names must not look as if it called something new."""
    now = past(TOOLS)
    request = now.ask("POST /charge", {"amounts": [1, 2]})
    now.change("def charged(ctx", "def take_money(ctx")

    ran, replay = now.replay(request)

    assert [call.outcome for call in ran.calls] == ["exact", "exact"]
    assert replay.request["output"] == request.request["output"]


@pytest.mark.parametrize("how", ["tool", "fetch"])
def test_a_slow_answer_that_ended_the_function_ends_it_again(
    past: Callable[..., Past], outside: Outside, how: str
) -> None:
    """The answer never came in time; given back at once, the function would go on as it never did."""
    now = past("""
        import time

        @function(route="GET /wait", timeout=0.3)
        def wait(ctx, how: str, url: str) -> int:
            try:
                ctx.tool("slow", lambda: time.sleep(10)) if how == "tool" else ctx.fetch(url)
            except Exception:
                pass
            return 1
    """)
    request = now.ask(f"GET /wait?how={how}&url={outside.url}/slow")

    ran, replay = now.replay(request)

    assert (request.outcome, ran.outcome) == ("timeout", "timeout")
    assert replay.request["error_message"] == request.request["error_message"]


def test_asyncio_is_not_hindered(past: Callable[..., Past]) -> None:
    """The guard refuses the outside, and an event loop is none."""
    now = past("""
        import asyncio, threading, concurrent.futures

        @function(route="GET /async")
        def run(ctx) -> list:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                return [asyncio.run(asyncio.sleep(0, 1)), *pool.map(lambda n: n * 2, range(3))]
    """)
    request = now.ask("GET /async")

    assert unlike(request, now.replay(request)[1]) == []

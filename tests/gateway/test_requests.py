"""HTTP in, HTTP out, and a record of each request whatever became of it: one real server for all of these."""

from __future__ import annotations

import re
import socket
import uuid
from urllib.parse import urlsplit

import httpx
import orjson
import psycopg
import pytest
from served import eventually, in_background, running

PROBLEM = "application/problem+json"


def problem_of(response, status):
    """The problem in an answer, which must be whole."""
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["instance"] == f"urn:uuid:{body['request_id']}"
    assert body["title"]
    return body


def raw(served, request: bytes) -> bytes:
    """The answer to bytes sent as they are."""
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_a_function_answers_and_is_recorded(served):
    """The whole point, end to end."""
    response = served.http.post("/signup", json={"email": "end@to.end"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["email"] == "end@to.end"
    record = served.record(response)
    assert (record["outcome"], record["status"], record["function"]) == ("ok", 200, "create_user")
    assert (record["method"], record["path"], record["route"]) == ("POST", "/signup", "/signup")
    assert record["input"] == {"email": "end@to.end"}
    assert record["kind"] == "http"
    assert record["code_sha"]
    mutations = served.ask("select * from flux.state_mutations where request_id = %s", str(record["request_id"]))
    assert [(row["table_name"], row["operation"]) for row in mutations] == [("public.users", "INSERT")]


def test_arguments_come_from_path_query_and_body(served):
    """By name, wherever they were sent."""
    user = served.http.post("/signup", json={"email": "query@x", "plan": "pro"}).json()

    assert served.http.get(f"/users/{user['id']}").json() == user
    assert served.http.get("/hello", params={"name": "Zoë & co", "times": "3", "tag": ["a", "b"]}).json() == {
        "hello": "Zoë & co",
        "times": 3,
        "tags": ["a", "b"],
    }
    body = {"address": {"city": "Köln", "zip": "50667"}, "express": True}
    assert served.http.post("/ship", json=body).json() == {"to": "Köln", "express": True}


def test_forms_are_taken_with_and_without_files(served):
    """A page without a script can call a function."""
    assert served.http.post("/forms", data={"a": "1", "b": "ü"}).json() == {"a": "1", "b": "ü"}
    answer = served.http.post("/forms", data={"a": "1"}, files={"upload": ("x.bin", b"\x00\x01")}).json()
    assert answer == {"a": "1", "upload": "b'\\x00\\x01'"}


def test_bytes_are_taken_as_they_come(served):
    """A function that asks for bytes gets the body whatever it calls itself, also an empty one."""
    response = served.http.put("/files/a%2Fb.bin", content=b"\xff\x00{", headers={"content-type": "image/png"})

    assert response.status_code == 201
    assert response.headers["location"] == "/files/a/b.bin"
    assert response.json() == {"name": "a/b.bin", "bytes": 3}
    assert served.http.put("/files/empty", content=b"").json()["bytes"] == 0


def test_a_chunked_body_is_taken(served):
    """Clients that stream do not say how long the body is."""
    pieces = (orjson.dumps({"email": "chunked@x"})[at : at + 5] for at in range(0, 30, 5))

    response = served.http.post("/signup", content=pieces, headers={"content-type": "application/json"})

    assert response.json()["email"] == "chunked@x"


def test_nothing_returned_is_no_content(served):
    """204 has neither body nor type."""
    response = served.http.delete("/users/424242")

    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers


def test_a_header_may_be_given_twice(served):
    """Two cookies are two headers."""
    assert served.http.get("/cookies").headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_an_http_error_says_what_its_function_meant(served):
    """The caller learns the reason, and the record is refused, not error: nothing is wrong with the code."""
    response = served.http.get("/users/999999")

    body = problem_of(response, 404)
    assert (body["detail"], body["user"]) == ("there is no user 999999", 999999)
    assert served.record(response)["outcome"] == "refused"


def test_an_error_tells_its_caller_nothing_of_the_code(served):
    """What broke is in the record, under the id the caller has."""
    response = served.http.get("/boom")

    body = problem_of(response, 500)
    assert body["detail"] == "the function failed"
    assert "boom" not in response.text
    record = served.record(response)
    assert (record["outcome"], record["error_message"]) == ("error", "boom")
    assert re.fullmatch(r"functions/all\.py:\d+", record["error_location"])


REFUSED = {
    "no route": ("GET", "/nowhere", {}, 404, "there is no route GET /nowhere"),
    "wrong method": ("PATCH", "/hello", {}, 405, "/hello does not take PATCH"),
    "unknown method": ("BREW", "/hello", {}, 405, "/hello does not take BREW"),
    "body too large": ("POST", "/signup", {"content": b"x" * 70_000}, 413, "the body is larger than 65536 bytes"),
    "unknown type": (
        "POST",
        "/signup",
        {"content": b"<a/>", "headers": {"content-type": "application/xml"}},
        415,
        "a body of type application/xml is not taken",
    ),
    "compressed": (
        "POST",
        "/signup",
        {"content": b"x", "headers": {"content-type": "application/json", "content-encoding": "gzip"}},
        415,
        "a body with content-encoding gzip is not taken",
    ),
    "other charset": (
        "POST",
        "/signup",
        {"content": b"{}", "headers": {"content-type": "application/json; charset=utf-16"}},
        415,
        "a body in charset utf-16 is not taken",
    ),
    "json as form": (
        "POST",
        "/signup",
        {"content": b'{"email": "x"}', "headers": {"content-type": "application/x-www-form-urlencoded"}},
        415,
        "send content-type: application/json",
    ),
    "broken json": (
        "POST",
        "/signup",
        {"content": b'{"email": ', "headers": {"content-type": "application/json"}},
        400,
        "the body is not JSON",
    ),
    "json nested without end": (
        "POST",
        "/signup",
        {"content": b"[" * 60_000, "headers": {"content-type": "application/json"}},
        400,
        "the body is not JSON",
    ),
    "not utf-8": (
        "POST",
        "/signup",
        {"content": b'{"email": "\xff"}', "headers": {"content-type": "application/json"}},
        400,
        "the body is not JSON",
    ),
    "path not utf-8": ("GET", "/users/%ff", {}, 400, "the path is not utf-8"),
    "query not utf-8": ("GET", "/hello?name=%ff", {}, 400, "the query is not utf-8"),
    "missing argument": ("POST", "/signup", {"json": {}}, 422, "create_user cannot take these arguments: email"),
    "not an object": ("POST", "/signup", {"json": [1]}, 422, "create_user cannot take these arguments: body"),
    "wrong type in path": ("GET", "/users/abc", {}, 422, "get_user cannot take these arguments: id"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_why_and_is_recorded(served, case):
    """A request that no function answered is a question in production too."""
    method, path, sent, status, reason = REFUSED[case]

    response = served.http.request(method, path, **sent)

    assert reason in problem_of(response, status)["detail"]
    record = served.record(response)
    assert (record["outcome"], record["status"], record["method"]) == ("refused", status, method)
    assert reason in record["error_message"]


def test_every_wrong_field_is_named(served):
    """One answer for all mistakes, not one mistake an answer; the input is recorded as it was sent."""
    sent = {"address": {"city": 5}, "express": "yes", "when": 1}

    response = served.http.post("/ship", json=sent)

    errors = problem_of(response, 422)["errors"]
    assert {error["field"] for error in errors} == {"address.city", "address.zip", "express", "when"}
    assert all(error["message"] for error in errors)
    assert served.record(response)["input"] == sent


def test_a_wrong_method_names_the_right_ones(served):
    """RFC 9110 asks for Allow with 405; OPTIONS gives the same without being an error."""
    allow = "DELETE, GET, HEAD, OPTIONS"

    assert served.http.put("/users/1").headers["allow"] == allow
    response = served.http.options("/users/1")
    assert (response.status_code, response.headers["allow"]) == (204, allow)


def test_head_is_get_without_the_body(served):
    """Monitors and caches ask this way."""
    response = served.http.head("/hello")

    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) == len(served.http.get("/hello").content)


def test_a_chunked_body_cannot_pass_the_limit(served):
    """A body that does not say its length is counted as it comes."""
    response = served.http.post(
        "/signup", content=(b"x" * 1_000 for _ in range(70)), headers={"content-type": "application/json"}
    )

    assert problem_of(response, 413)["detail"] == "the body is larger than 65536 bytes"


def test_a_body_that_ends_early_is_refused(served):
    """Half a request must not run a function."""
    head = b"POST /signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(head + b'{"email": "half@x"}')
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert served.ask("select from users where email = 'half@x'") == []


def test_a_new_uuid_of_the_caller_becomes_the_request_id(served):
    """Then both sides speak of one request by one name."""
    wanted = str(uuid.uuid4())

    first = served.http.get("/hello", headers={"x-request-id": wanted.upper()})
    second = served.http.get("/hello", headers={"x-request-id": wanted})

    assert first.headers["x-request-id"] == wanted
    assert second.headers["x-request-id"] != wanted
    assert served.record(second)["caller_request_id"] == wanted
    assert served.record(first)["caller_request_id"] is None


def test_an_id_of_a_request_that_still_runs_is_not_taken_again(served):
    """A caller that gives up and tries again must not write over its first try."""
    wanted = {"x-request-id": str(uuid.uuid4())}
    first = in_background(lambda: served.http.post("/slow", json={"seconds": 0.5}, headers=wanted))
    eventually(lambda: running(served, "slow"))

    second = served.http.get("/hello", headers=wanted)

    assert second.headers["x-request-id"] != wanted["x-request-id"]
    assert first().headers["x-request-id"] == wanted["x-request-id"]


def test_an_id_that_another_server_recorded_is_not_taken_again(served):
    """Two requests under one id would be one record."""
    used = str(uuid.uuid4())
    with psycopg.connect(served.database_url) as connection:
        connection.execute(
            "insert into flux.trace_requests (request_id, kind, outcome, started_at) values (%s, 'http', 'ok', now())",
            (used,),
        )

    response = served.http.get("/hello", headers={"x-request-id": used})

    assert response.headers["x-request-id"] != used
    assert served.record(response)["caller_request_id"] == used


def test_an_id_that_is_no_uuid_is_kept_beside_ours(served):
    """Load balancers have ids of their own shape, and people search for them."""
    response = served.http.get("/hello", headers={"x-request-id": "lb-17"})

    assert uuid.UUID(response.headers["x-request-id"])
    assert served.record(response)["caller_request_id"] == "lb-17"


def test_the_callers_trace_is_continued(served):
    """`flux trace` and the caller's tracing tool must agree on the id."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    inside = served.http.get("/hello", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    alone = served.http.get("/hello")

    assert served.record(inside)["trace_id"] == trace
    assert served.record(alone)["trace_id"] == uuid.UUID(alone.headers["x-request-id"]).hex


def test_the_answer_says_where_its_time_went(served):
    """Server-Timing shows in every browser's network panel."""
    timing = served.http.post("/signup", json={"email": "timing@x"}).headers["server-timing"]

    assert re.fullmatch(r'gw;dur=[\d.]+, fn;dur=[\d.]+, db;dur=[\d.]+;desc="1 statement"', timing)
    assert re.fullmatch(r"gw;dur=[\d.]+", served.http.get("/nowhere").headers["server-timing"])


def test_secrets_reach_no_record(served):
    """Headers with credentials, and what flux.toml names, wherever in the request they stand."""
    headers = {"authorization": "Bearer s3cr3t-1", "cookie": "session=s3cr3t-2", "x-api-key": "s3cr3t-3"}

    answered = served.http.get("/reset/s3cr3t-4", params={"password": "s3cr3t-5"}, headers=headers)
    refused = served.http.get("/nowhere", params={"password": "s3cr3t-6"}, headers=headers)
    wrong = served.http.get("/reset/s3cr3t-7", params={"password": ["s3cr3t-8", "s3cr3t-9"]}, headers=headers)

    assert (answered.status_code, refused.status_code, wrong.status_code) == (204, 404, 422)
    for response in (answered, refused, wrong):
        record = served.record(response)
        spans = served.ask(
            "select to_jsonb(span)::text as text from flux.execution_spans as span where request_id = %s",
            str(record["request_id"]),
        )
        assert "s3cr3t" not in repr(record) + repr(spans)
    assert served.record(answered)["path"] == "/reset/[redacted]"


def test_probes_answer_and_leave_no_record(served):
    """A probe every second must not fill the record."""
    health, ready = served.http.get("/healthz"), served.http.get("/readyz")

    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
    marker = served.http.get("/hello")
    served.record(marker)
    assert served.ask("select from flux.trace_requests where path in ('/healthz', '/readyz')") == []


def test_a_proxy_may_send_the_whole_url(served):
    """RFC 9112 lets it."""
    answer = raw(served, b"GET http://example.com/hello?name=proxy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.endswith(b'{"hello":"proxy","times":1,"tags":[]}')


def test_requests_on_one_connection_do_not_mix(served):
    """A refused body must not be taken for the next request."""
    with httpx.Client(base_url=served.url) as client:
        for _ in range(5):
            assert client.post("/signup", content=b"x" * 70_000).status_code == 413
            assert client.post("/nowhere", content=b"x" * 300_000).status_code == 404
            assert client.post("/nowhere", content=b"x" * 1_000).status_code == 404
            assert client.get("/hello").status_code == 200


def test_a_connection_that_will_be_closed_is_said_to_be(served):
    """A client that believes it may go on loses its next request."""
    large = served.http.post("/nowhere", content=b"x" * 300_000)
    small = httpx.post(f"{served.url}/nowhere", content=b"x" * 1_000)

    assert large.headers["connection"] == "close"
    assert small.headers["connection"] == "keep-alive"


@pytest.mark.slow
def test_a_body_that_stops_coming_gives_its_thread_back(served):
    """Eight clients that send nothing must not be able to stop a server."""
    head = b"POST /signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        connection.sendall(head)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"Connection: close" in answer

"""The host: what a guest asks by JSON is what Python asks of ctx, and nothing it sends does harm."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson
import psycopg
import pytest
from asking import Asking
from outside import Outside, answering

from flux.context import RequestContext
from flux.errors import GuestDied
from flux.runtime.guests.operations import OPERATIONS


@pytest.fixture(scope="module")
def asking(new_database, tmp_path_factory) -> Iterator[Asking]:
    """The guest that only asks, with a table."""
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute("""
            create table notes (id bigint generated always as identity primary key, text text unique, data bytea,
                list jsonb, amount numeric);
            grant all on notes to flux_app;
            select flux.track('notes')
        """)
    made = Asking(tmp_path_factory.mktemp("asking"), url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """A system outside."""
    with answering() as running:
        yield running


def test_values_go_there_and_back_as_the_page_says(asking):
    """The table of values in docs/guests/protocol.md is what SDKs are written by."""
    value = {"$bytes": "AP8="}
    inserted = asking.ask(
        "db.one",
        sql="insert into notes (text, data, list, amount) values ($1, $2, $3, $4) returning text, data, list, amount",
        parameters=["values", value, {"$json": [1, {"a": None}]}, "12345678901234567890.123456789"],
    )
    row = asking.ask(
        "db.one",
        sql="select $1::jsonb as document, $2::int[] as list, $3::timestamptz as at, interval '1 day 2 hours' as took, "
        "'NaN'::float8 as nan, inet '10.0.0.1' as host, int4range(1, 5) as range, $4::bigint as big",
        parameters=[{"a": [1]}, [1, 2], "2026-03-10T14:22:01Z", 2**62],
    )

    assert inserted["ok"] == {
        "text": "values",
        "data": value,
        "list": [1, {"a": None}],
        "amount": "12345678901234567890.123456789",
    }
    assert row["ok"].pop("at").startswith("2026-03-10T")
    assert row["ok"] == {
        "document": {"a": [1]},
        "list": [1, 2],
        "took": "P1DT7200S",
        "nan": None,
        "host": "10.0.0.1",
        "range": "[1, 5)",
        "big": 2**62,
    }


def test_integers_that_a_double_cannot_hold_are_text_where_that_is_all_there_is(asking):
    """JSON.parse would change their last digits without a word."""
    function = asking.make({"name": "doubles"}, exact_integers=False)
    context = RequestContext(kind="invoke", code_sha="abc")
    asked = {
        "op": "db.one",
        "args": {"sql": "select 9007199254740993 as big, 5 as small, array[-9007199254740993] as l"},
    }

    reply = asking.runtime.execute(context, function, function.bind_input({"requests": [asked]}))

    assert orjson.loads(reply.body) == [{"ok": {"big": "9007199254740993", "small": 5, "l": ["-9007199254740993"]}}]


def test_what_is_no_request_is_refused_by_name(asking):
    """Whoever writes a guest by hand finds out here."""
    refused = {
        "there is no operation db.drop": {"op": "db.drop"},
        "there is no operation None": {},
        "the args of now are not an object": {"op": "now", "args": [1]},
        "db.one needs sql of type string": {"op": "db.one", "args": {"sql": 1}},
        "parameters of db.one must be of type array": {"op": "db.one", "args": {"sql": "select 1", "parameters": {}}},
        "now takes no zone": {"op": "now", "args": {"zone": "UTC"}},
        "there is no tool call 7 under way": {"op": "tool.end", "args": {"call": 7}},
        "$bytes is not base64: Incorrect padding": {
            "op": "db.value",
            "args": {"sql": "select $1", "parameters": [{"$bytes": "YQ"}]},
        },
    }
    replies = orjson.loads(asking.run(requests=list(refused.values())).body)

    assert [reply["error"]["message"] for reply in replies] == list(refused)
    assert {reply["error"]["type"] for reply in replies} == {"GuestProtocol"}


def test_bytes_that_are_no_json_get_an_answer(asking):
    """A guest that writes outside its buffer must hear of it, and not take the worker along."""
    heard = []
    asking.guest.invoke = lambda name, host, input: heard.extend(map(host.answer, (b"\xff\x00", b"[1]", b"")))
    try:
        reply = asking.run()
    finally:
        del asking.guest.invoke

    assert reply.status == 204
    assert all(orjson.loads(one)["error"]["type"] == "GuestProtocol" for one in heard)


def test_an_error_that_is_handed_on_is_the_one_that_was_given(asking):
    """A constraint must be named in the record, and a serialization failure be tried again, whoever let it pass."""
    twice = {"op": "db.execute", "args": {"sql": "insert into notes (text) values ('same')"}}

    reply = asking.run(requests=[twice, twice], hand_on=True)

    failure = reply.record.failure
    assert (failure.type, failure.code, failure.table, failure.constraint) == (
        "UniqueViolation",
        "23505",
        "notes",
        "notes_text_key",
    )


def test_a_serialization_failure_that_is_handed_on_is_tried_again(asking):
    """Retrying is the runtime's promise, not Python's."""
    failing = {"op": "db.execute", "args": {"sql": "do $$ begin raise sqlstate '40001'; end $$"}}

    reply = asking.run(requests=[failing], hand_on=True)

    assert reply.record.attempt == 3
    assert reply.record.failure.code == "40001"


def test_an_error_of_the_guest_has_its_type_and_place(asking):
    """`flux why` shows the line, whatever language it is in."""
    reply = asking.run(
        **{"raise": {"type": "RangeError", "message": "too far", "file": "ask.x", "line": 2, "column": 7}}
    )

    failure = reply.record.failure
    assert (reply.status, failure.type, failure.message) == (500, "RangeError", "too far")
    assert failure.location == "functions/ask.x:2"
    assert failure.stack[-1] == {
        "file": "functions/ask.x",
        "line": 2,
        "function": "",
        "source": "second line",
        "own": True,
        "column": 7,
    }


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        ("Error: no\n    at inner (file://{root}/functions/ask.x:2:9)\n    at node_modules/z.x:1:1", (2, "inner")),
        (
            'Traceback (most recent call last):\n  File "other.py", line 9, in a\n  File "ask.x", line 2, in b\nE: x',
            (2, "b"),
        ),
        ("panicked at ask.x:1:5", (1, "")),
    ],
)
def test_places_are_found_in_the_text_of_a_stack(asking, stack, place):
    """Most languages have a stack as text only."""
    told = {"type": "Error", "message": "no", "stack": stack.replace("{root}", str(asking.root))}

    failure = asking.run(**{"raise": told}).record.failure

    own = [frame for frame in failure.stack if frame["own"]]
    assert [(frame["line"], frame["function"]) for frame in own] == [place]
    assert failure.location == f"functions/ask.x:{place[0]}"


def test_a_place_that_cannot_be_one_does_not_hide_the_error(asking):
    """A file system has the last word on how long a name may be."""
    failure = asking.run(**{"raise": {"type": "Odd", "message": "no", "file": "a" * 3_000, "line": 1}}).record.failure

    assert (failure.type, failure.message) == ("Odd", "no")


def test_an_http_error_and_a_whole_response_are_the_answer(asking):
    """A function in any language speaks HTTP."""
    refused = asking.run(**{"raise": {"type": "HTTPError", "status": 409, "message": "gone", "members": {"id": 7}}})
    made = asking.run(
        result={"$response": {"status": 201, "headers": [["set-cookie", "a=1"], ["set-cookie", "b=2"]], "body": "x"}}
    )
    wrong = asking.run(result={"$response": {"status": 99}})

    assert (refused.problem.status, refused.problem.message, refused.problem.members) == (409, "gone", {"id": 7})
    assert (made.status, made.headers, made.body) == (201, [("set-cookie", "a=1"), ("set-cookie", "b=2")], b"x")
    assert (wrong.status, wrong.record.failure.type) == (500, "GuestProtocol")


def test_a_tool_is_recorded_around_what_it_fetches(asking, outside):
    """One call, one span: what an SDK does inside is part of it."""
    began = {"op": "tool.begin", "args": {"name": "bank.pay", "arguments": {"cents": 5}}}
    context = RequestContext(kind="invoke", code_sha="abc")

    def invoke(name, host, input):
        call = orjson.loads(host.answer(orjson.dumps(began)))["ok"]["call"]
        host.call("fetch", {"url": outside.url, "tool": call})
        host.call("tool.end", {"call": call, "answer": {"paid": True}})
        orjson.loads(host.call("tool.begin", {"name": "left.open"}))

    asking.guest.invoke = invoke
    try:
        record = asking.runtime.execute(context, asking.function, asking.function.bind_input({})).record
    finally:
        del asking.guest.invoke

    paid, left = (span for span in record.spans if span.kind == "tool")
    assert (paid.name, orjson.loads(orjson.dumps([paid.input, paid.output]))) == (
        "bank.pay",
        [{"cents": 5}, {"paid": True}],
    )
    assert left.error.message == "ask ended before left.open did"


def test_fetches_may_be_under_way_side_by_side(asking, outside):
    """Promise.all over three slow services should take as long as one."""
    took = []

    def invoke(name, host, input):
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(3) as threads:
            began = time.monotonic()
            waiting = [threads.submit(host.start("fetch", {"url": f"{outside.url}/slow"})) for _ in range(3)]
            replies = [orjson.loads(one.result()) for one in waiting]
            took.append(time.monotonic() - began)
        assert host.start("now", {}) is None
        return [reply["ok"]["body"] for reply in replies]

    asking.guest.invoke = invoke
    try:
        reply = asking.run()
    finally:
        del asking.guest.invoke

    spans = [span for span in reply.record.spans if span.kind == "tool"]
    assert orjson.loads(reply.body) == ["late"] * 3
    assert {span.parent_id for span in spans} == {2}
    assert took[0] < 1.5  # each alone takes 0.6 s


def test_a_python_function_that_a_guest_invokes_is_stopped_at_the_deadline(asking):
    """The guest cannot be interrupted from outside; what it calls in Python still has to be."""
    function = asking.make({"name": "ask", "timeout": "300ms"})
    context = RequestContext(kind="invoke", code_sha="abc")
    asked = {"op": "invoke", "args": {"function": "own", "input": {"wait": 4.0}}}

    began = time.monotonic()
    reply = asking.runtime.execute(context, function, function.bind_input({"requests": [asked]}))

    assert time.monotonic() - began < 2
    assert (reply.status, reply.record.outcome, reply.record.failure.type) == (504, "timeout", "FunctionTimeout")


def test_what_an_invoked_function_answers_with_a_status_keeps_it(asking):
    """A guest that calls a function gets what it returned, and nothing less."""
    assert asking.ask("invoke", function="own")["ok"] == {
        "$response": {"status": 201, "headers": [], "body": {"sum": 2}}
    }


def test_the_runtime_is_named_in_the_span(asking):
    """A trace says where a function ran."""
    record = asking.run().record

    [span] = [span for span in record.spans if span.kind == "function"]
    assert span.attributes["flux.runtime"] == "asking"


def test_a_tape_is_kept_for_each_invocation_and_given_back(asking):
    """Machinery with a clock and an event loop of its own keeps what it was told with the record."""
    told = []

    def invoke(name, host, input):
        slot = host.tape("deno")
        told.append(slot.recorded)
        slot.keep({"clock": [1, 2]})

    asking.guest.invoke = invoke
    try:
        attributes = asking.run().record.attributes
    finally:
        del asking.guest.invoke

    assert told == [None]
    assert attributes["guests"] == [{"kind": "deno", "function": "ask", "tape": {"clock": [1, 2]}}]


def test_the_page_names_every_operation():
    """What the page does not name, no SDK has."""
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "guests" / "protocol.md").read_text()

    assert [name for name in OPERATIONS if f"| `{name}` |" not in page] == []


def test_a_guest_whose_process_died_asks_for_another_try(asking):
    """It may be another request's loop that it died of: 503 tells the caller that the same may work now."""

    def invoke(name, host, input):
        host.call("db.execute", {"sql": "insert into notes (text) values ('died')"})
        raise GuestDied("ask was interrupted: its process ran out of memory")

    asking.guest.invoke = invoke
    try:
        reply = asking.run()
    finally:
        del asking.guest.invoke

    assert (reply.status, reply.record.failure.type, reply.record.failure.code) == (503, "GuestDied", "XF224")

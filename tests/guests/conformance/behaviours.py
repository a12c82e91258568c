"""What every language does, each a function of a Subject that raises AssertionError where it does not.

The name is the promise and the row of docs/guests/languages.md; the docstring is why it matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from subject import Subject

    from flux.replay.recorded import RecordedRequest

Behaviour = Callable[["Subject"], None]

LARGE = 400_000
SECRET = "conformance-secret-5f1e"


def spans(asked: RecordedRequest, kind: str) -> list[Any]:
    """The steps of a kind."""
    return [span for span in asked.spans if span["kind"] == kind]


def writes_and_reads_rows(subject: Subject) -> None:
    """The database is what functions are for."""
    row, rows, before, renamed = subject.results(
        {"do": "insert", "email": "ada@example.com"},
        {"do": "read", "email": "ada@example.com"},
        {"do": "count"},
        {"do": "rename", "id": 1, "email": "renamed@example.com"},
    )
    assert rows == [row]
    assert row["email"] == "ada@example.com"
    assert int(before) >= 2
    assert renamed == 1


def writes_are_recorded_with_their_statement(subject: Subject) -> None:
    """Which statement of which request wrote a row is what the record is for."""
    asked = subject.act({"do": "insert", "email": "written@example.com"})

    [written] = asked.mutations
    [statement] = spans(asked, "db")
    [function] = spans(asked, "function")
    assert (written["operation"], written["new_values"]["email"]) == ("INSERT", "written@example.com")
    assert written["span_id"] == statement["span_id"]
    assert statement["parent_id"] == function["span_id"]
    assert statement["name"] == "insert users"
    assert statement["input"] == ["written@example.com"]


def a_failure_keeps_its_writes_as_rolled_back(subject: Subject) -> None:
    """What a failed request had tried to write is half of why it failed."""
    asked = subject.act({"do": "insert", "email": "lost@example.com"}, {"do": "fail", "message": "no more"})

    assert (asked.request["status"], asked.request["outcome"]) == (500, "error")
    assert [(row["rolled_back"], row["new_values"]["email"]) for row in asked.mutations] == [(True, "lost@example.com")]
    assert subject.rows("select from users where email = %s", "lost@example.com") == []


def catches_a_unique_violation_by_its_type(subject: Subject) -> None:
    """A statement that fails takes back only itself, and a function may go on."""
    first, caught, again = subject.results(
        {"do": "insert", "email": "twice@example.com"},
        {"do": "insert_caught", "email": "twice@example.com"},
        {"do": "insert", "email": "third@example.com"},
    )
    assert caught == {"caught": "UniqueViolation", "code": "23505", "constraint": "users_email_key"}
    assert again["id"] > first["id"]


def an_uncaught_database_error_is_recorded_whole(subject: Subject) -> None:
    """Table and constraint are what the database said; a language in between must not lose them."""
    asked = subject.act(*[{"do": "insert", "email": "same@example.com"}] * 2)

    assert (asked.request["status"], asked.request["error_type"], asked.request["error_code"]) == (
        500,
        "UniqueViolation",
        "23505",
    )
    [function] = spans(asked, "function")
    assert (function["error"]["table"], function["error"]["constraint"]) == ("users", "users_email_key")


def runs_a_structured_query(subject: Subject) -> None:
    """A query that came as JSON needs no SQL to be put together, in any language."""
    asked = subject.act(
        {"do": "insert", "email": "queried@example.com"},
        {
            "do": "query",
            "query": {
                "table": "users",
                "columns": ["id", "email"],
                "filters": [{"column": "email", "value": "queried@example.com"}],
            },
        },
    )

    row, rows = asked.request["output"]["results"]
    assert rows == [row]
    inserted, selected = spans(asked, "db")
    assert (inserted["name"], selected["name"]) == ("insert users", "select users")
    assert selected["input"][0] == "queried@example.com"
    assert "flux.query" in selected["attributes"]


def values_arrive_exact(subject: Subject) -> None:
    """A digit that is lost on the way is money."""
    row = subject.result("types")

    assert str(row.pop("big")) == "9007199254740993"
    assert row.pop("at").startswith("2026-03-10T14:22:01.5")
    assert row == {
        "exact": "1.50",
        "bytes": {"$bytes": "AP8="},
        "list": [1, 2],
        "document": {"a": [1, None]},
        "nothing": None,
        "yes": True,
    }


def a_tool_call_is_recorded_and_answered_in_a_replay(subject: Subject) -> None:
    """A replay must not charge anybody again."""
    asked = subject.act({"do": "tool", "name": "provider.charge", "url": f"{subject.outside.url}/charge"})
    calls = len(subject.outside.asked)

    _, unlike = subject.replay(asked)

    [span] = spans(asked, "tool")
    assert span["name"] == "provider.charge"
    assert asked.request["output"]["results"][0] == span["output"]
    assert orjson.loads(span["output"])["path"] == "/charge"
    assert unlike == []
    assert len(subject.outside.asked) == calls


def a_fetch_is_recorded_and_answered_in_a_replay(subject: Subject) -> None:
    """The call that nobody wrapped is the one that matters."""
    asked = subject.act({"do": "fetch", "url": f"{subject.outside.url}/declined"})
    calls = len(subject.outside.asked)

    _, unlike = subject.replay(asked)

    [span] = spans(asked, "tool")
    assert span["name"].startswith("GET 127.0.0.1")
    assert asked.request["output"]["results"][0]["status"] == 402
    assert orjson.loads(asked.request["output"]["results"][0]["body"]) == {"error": "card_declined"}
    assert unlike == []
    assert len(subject.outside.asked) == calls


def the_clock_is_recorded_and_given_back(subject: Subject) -> None:
    """A bug that is there on the 31st only has to be there in the replay."""
    asked = subject.act({"do": "now"}, {"do": "own_clock"}, {"do": "now"})
    later = subject.result("own_clock")

    _, unlike = subject.replay(asked)

    now, own, _ = asked.request["output"]["results"]
    assert re.match(r"\d{4}-\d\d-\d\dT", now)
    assert 0 <= float(later) - float(own) < 60_000
    assert float(own) > 1_700_000_000_000
    assert unlike == []


def chance_is_recorded_and_given_back(subject: Subject) -> None:
    """One in a thousand requests fails; the replay of that one has to fail too."""
    steps = [{"do": name} for name in ("uuid", "random", "own_random", "own_random")]
    asked = subject.act(*steps)
    other = subject.results(*steps)

    _, unlike = subject.replay(asked)

    drawn = asked.request["output"]["results"]
    assert all(one != two for one, two in zip(drawn, other, strict=True))
    assert drawn[2] != drawn[3]
    assert 0 <= drawn[1] < 1
    assert unlike == []


def invokes_a_function_as_a_child_span(subject: Subject) -> None:
    """One request, one transaction, one tree."""
    asked = subject.act({"do": "invoke", "function": "add", "input": {"a": 2, "b": 40}})

    outer, inner = spans(asked, "function")
    assert asked.request["output"]["results"] == [{"sum": 42}]
    assert (inner["name"], inner["parent_id"]) == ("add", outer["span_id"])
    assert (inner["input"], inner["output"]) == ({"a": 2, "b": 40}, {"sum": 42})


def catches_the_error_of_an_invoked_function(subject: Subject) -> None:
    """What a called function refuses is its caller's to handle."""
    [refused, failed] = subject.results(
        {"do": "invoke_caught", "function": "add", "input": {"a": "many"}},
        {"do": "invoke_caught", "function": "act", "input": {"steps": [{"do": "fail", "message": "inside"}]}},
    )

    assert refused["caught"] == "InvalidInput"
    assert failed["message"].endswith("inside")


def refuses_wrong_input_before_it_runs(subject: Subject) -> None:
    """Each field that is wrong is named; no code of the user's has seen it."""
    asked = subject.past.ask("POST /act", {"steps": "none"})
    missing = subject.past.ask("POST /act", {})
    unknown = subject.past.ask("POST /act", {"steps": [], "more": 1})

    assert [one.request["status"] for one in (asked, missing, unknown)] == [422, 422, 422]
    assert [span["kind"] for span in asked.spans] == ["gateway"]
    assert "steps" in missing.request["error_message"]
    assert "more" in unknown.request["error_message"]


def takes_arguments_from_path_and_query(subject: Subject) -> None:
    """A URL holds text only; what is a number there is one in the function."""
    asked = subject.past.ask("GET /add/40?b=2")
    default = subject.past.ask("GET /add/40")
    refused = subject.past.ask("GET /add/many")

    assert asked.request["output"] == {"sum": 42}
    assert default.request["output"] == {"sum": 41}
    assert (refused.request["status"], refused.request["error_type"]) == (422, "HTTPError")


def an_uncaught_error_keeps_its_message(subject: Subject) -> None:
    """It is what the user wrote for this very moment."""
    asked = subject.act({"do": "fail", "message": "the ☂ is wet"})

    assert (asked.request["status"], asked.request["outcome"]) == (500, "error")
    assert "the ☂ is wet" in asked.request["error_message"]


def an_uncaught_error_names_file_and_line(subject: Subject) -> None:
    """Root cause is a line, not a language."""
    asked = subject.act({"do": "fail", "message": "where"})

    file, _, line = asked.request["error_location"].rpartition(":")
    text = (subject.past.root / file).read_text().splitlines()[int(line) - 1]
    assert re.search(r"\b(raise|throw|panic|new|Err|Errorf|fail|Fail|errors)\b", text), text


def answers_with_an_http_error(subject: Subject) -> None:
    """404 is an answer, and is recorded as one."""
    asked = subject.act({"do": "http_error", "status": 404, "message": "no such user"})

    assert (asked.request["status"], asked.request["outcome"]) == (404, "refused")
    assert (asked.request["error_type"], asked.request["error_message"]) == ("HTTPError", "no such user")


def answers_with_a_whole_response(subject: Subject) -> None:
    """Redirects, cookies, content types: HTTP has more than JSON."""
    status, headers, body = subject.reply(
        {"do": "respond", "status": 201, "headers": {"x-made": "yes"}, "body": {"id": 7}}
    )

    assert (status, orjson.loads(body)) == (201, {"id": 7})
    assert ("x-made", "yes") in headers


def log_lines_are_spans_with_their_fields(subject: Subject) -> None:
    """A line is read where it happened, not in another system."""
    asked = subject.act({"do": "log", "level": "warning", "message": "low stock", "fields": {"left": 3}})

    [line] = spans(asked, "log")
    assert (line["name"], line["input"], line["attributes"]["level"]) == ("low stock", {"left": 3}, "warning")


def keeps_what_it_prints(subject: Subject) -> None:
    """The first thing anybody does to find a fault."""
    asked = subject.act({"do": "print", "text": "here I am"})

    assert [line["name"].strip() for line in spans(asked, "log")] == ["here I am"]


def pushes_a_job_with_its_transaction(subject: Subject) -> None:
    """Work exists exactly if its data does."""
    asked = subject.act(
        {"do": "insert", "email": "job@example.com"}, {"do": "push", "function": "add", "input": {"a": 1}}
    )
    failed = subject.act({"do": "push", "function": "add", "input": {"a": 2}}, {"do": "fail", "message": "no"})

    [span] = spans(asked, "queue")
    assert span["name"] == "push add"
    jobs = subject.rows("select job_id, input, parent_request_id as parent from flux.jobs where function = 'add'")
    assert [job["input"] for job in jobs if job["job_id"] == asked.request["output"]["results"][1]] == [{"a": 1}]
    assert str(failed.request["request_id"]) not in {str(job["parent"]) for job in jobs}


def publishes_an_event(subject: Subject) -> None:
    """Who subscribed is told, whatever language said it."""
    asked = subject.act({"do": "publish", "type": "user.signed_up", "data": {"id": 7}})

    [span] = spans(asked, "event")
    assert span["name"] == "publish user.signed_up"
    assert span["input"]["data"] == {"id": 7}


def a_secret_is_hidden_in_the_record(subject: Subject) -> None:
    """A secret in a trace is a secret in a database, a backup and a screenshot."""
    steps = [{"do": "secret", "name": name} for name in ("CONFORMANCE_SECRET", "CONFORMANCE_UNSET")]
    asked = subject.act(*steps)
    _, _, body = subject.reply(*steps)

    assert orjson.loads(body) == {"results": [SECRET, None]}
    assert SECRET not in orjson.dumps([asked.request, asked.spans]).decode()
    assert asked.request["attributes"]["secrets"] == {"CONFORMANCE_SECRET": True, "CONFORMANCE_UNSET": False}


def ends_at_its_timeout(subject: Subject) -> None:
    """A loop must cost one request, not a worker."""
    asked = subject.act({"do": "insert", "email": "late@example.com"}, {"do": "spin"})

    assert (asked.request["status"], asked.request["outcome"]) == (504, "timeout")
    assert asked.request["error_type"] == "FunctionTimeout"
    assert 1_900_000 < asked.request["duration_us"] < 6_000_000
    assert [row["rolled_back"] for row in asked.mutations] == [True]
    assert subject.result("echo", value=1) == 1


def ends_at_its_memory_limit(subject: Subject) -> None:
    """A leak must cost one request, not a machine."""
    asked = subject.act({"do": "insert", "email": "grown@example.com"}, {"do": "grow"})

    assert asked.request["status"] in (500, 503)
    assert re.search("memory", asked.request["error_message"])
    assert [row["rolled_back"] for row in asked.mutations] == [True]
    assert subject.result("echo", value=1) == 1


def ends_at_an_endless_recursion(subject: Subject) -> None:
    """A stack that overflows must not be the process's."""
    asked = subject.act({"do": "insert", "email": "deep@example.com"}, {"do": "recurse"})

    assert (asked.request["status"], asked.request["outcome"]) == (500, "error")
    assert [row["rolled_back"] for row in asked.mutations] == [True]
    assert subject.result("echo", value=1) == 1


def takes_and_gives_large_values(subject: Subject) -> None:
    """Limits are for what runs away, not for a catalogue."""
    text = "0123456789abcdef" * (LARGE // 16)
    status, _, body = subject.reply({"do": "echo", "value": text})
    assert (status, orjson.loads(body)) == (200, {"results": [text]})
    status, _, body = subject.reply({"do": "repeat", "text": "flux", "times": LARGE})
    assert (status, len(body)) == (200, len('{"results":[""]}') + 4 * LARGE)


def unicode_passes_unharmed(subject: Subject) -> None:
    """Names have always been more than ASCII."""
    text = 'Zoë 😀 漢字 \u2028 "quoted" \\ \t é'
    echoed, row, rows = subject.results(
        {"do": "echo", "value": {"ключ": [text]}},
        {"do": "insert", "email": text},
        {"do": "read", "email": text},
    )
    assert echoed == {"ключ": [text]}
    assert rows == [row]
    assert row["email"] == text


def makes_a_thousand_calls_in_one_request(subject: Subject) -> None:
    """What one request may do is bounded by its timeout only."""
    asked = subject.act({"do": "many", "count": 1_000})

    assert asked.request["output"] == {"results": [1_000]}
    assert len(spans(asked, "db")) == 1_000


def sleep_takes_no_time_in_a_replay(subject: Subject) -> None:
    """A replay of an hour's incident should not take an hour."""
    asked = subject.act({"do": "sleep", "seconds": 0.4})

    replay, unlike = subject.replay(asked)

    assert asked.request["duration_us"] > 400_000
    assert replay.request["duration_us"] < 300_000
    assert unlike == []


def a_whole_request_is_the_same_in_a_replay(subject: Subject) -> None:
    """Rows, answers, errors, clock and chance together: that is what an incident is made of."""
    asked = subject.act(
        {"do": "insert", "email": "whole@example.com"},
        {"do": "insert_caught", "email": "whole@example.com"},
        {"do": "tool", "name": "mail.send", "url": f"{subject.outside.url}/mail"},
        {"do": "invoke", "function": "add", "input": {"a": 1}},
        {"do": "own_clock"},
        {"do": "own_random"},
        {"do": "uuid"},
        {"do": "log", "level": "info", "message": "done", "fields": {}},
        {"do": "insert", "email": "second@example.com"},
        {"do": "fail", "message": "at the end"},
    )

    _, unlike = subject.replay(asked)

    assert asked.request["outcome"] == "error"
    assert unlike == []


def requests_side_by_side_do_not_mix(subject: Subject) -> None:
    """What one request holds is nobody else's."""
    values: list[Any] = [f"{number}-{'x' * (number * 37 % 400)}" for number in range(64)]
    found: list[Any] = []
    for start in range(0, 64, 8):
        found += subject.at_once(*({"do": "echo", "value": value} for value in values[start : start + 8]))

    assert found == values


BEHAVIOURS: tuple[Behaviour, ...] = (
    writes_and_reads_rows,
    writes_are_recorded_with_their_statement,
    a_failure_keeps_its_writes_as_rolled_back,
    catches_a_unique_violation_by_its_type,
    an_uncaught_database_error_is_recorded_whole,
    runs_a_structured_query,
    values_arrive_exact,
    a_tool_call_is_recorded_and_answered_in_a_replay,
    a_fetch_is_recorded_and_answered_in_a_replay,
    the_clock_is_recorded_and_given_back,
    chance_is_recorded_and_given_back,
    invokes_a_function_as_a_child_span,
    catches_the_error_of_an_invoked_function,
    refuses_wrong_input_before_it_runs,
    takes_arguments_from_path_and_query,
    an_uncaught_error_keeps_its_message,
    an_uncaught_error_names_file_and_line,
    answers_with_an_http_error,
    answers_with_a_whole_response,
    log_lines_are_spans_with_their_fields,
    keeps_what_it_prints,
    pushes_a_job_with_its_transaction,
    publishes_an_event,
    a_secret_is_hidden_in_the_record,
    ends_at_its_timeout,
    ends_at_its_memory_limit,
    ends_at_an_endless_recursion,
    takes_and_gives_large_values,
    unicode_passes_unharmed,
    makes_a_thousand_calls_in_one_request,
    sleep_takes_no_time_in_a_replay,
    a_whole_request_is_the_same_in_a_replay,
    requests_side_by_side_do_not_mix,
)

"""What TypeScript was told by clock, chance and the order of things is recorded, and told again in a replay."""

from __future__ import annotations

import threading

from past import GENERATED, Column, recorded, unlike

from flux.context import RequestContext

MARKS = (*GENERATED, Column("public.marks", "id", "sequence", "public.marks_id_seq"))


def at_once(past, name, count, **given):
    """The records of so many requests side by side."""
    function = past.runtime.registry.find(name)
    ids = []

    def ask():
        context = RequestContext(kind="invoke", code_sha="then")
        past.runtime.execute(context, function, function.bind_input(given))
        ids.append(context.request_id)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [recorded(past.url, request_id) for request_id in ids]


def test_clock_and_chance_are_told_again_whatever_asks_for_them(served):
    """One way past the recording would be the one that the bug depends on."""
    asked = served.invoke("told")
    other = served.invoke("told")

    _, replay = served.replay(asked)

    told = asked.request["output"]
    assert told is not None, asked.request["error_message"]
    assert told["still"] == [True, 1, 1577836800000, 7]
    assert told["moments"][0] != other.request["output"]["moments"][0]
    assert told["moments"][3] >= 2
    assert abs(told["moments"][4] - told["moments"][0]) < 1_000
    assert told["chance"] != other.request["output"]["chance"]
    small = {name: value for name, value in told.items() if name != "large"}
    assert {name: replay.request["output"][name] for name in small} == small


def test_bytes_of_crypto_are_not_made_of_a_seed_in_the_record(served):
    """A key that can be computed from a trace is no key."""
    first, second = served.invoke("told"), served.invoke("told")

    [tape] = [entry["tape"] for entry in first.request["attributes"]["guests"]]
    assert first.request["output"]["chance"][2:] != second.request["output"]["chance"][2:]
    assert tape["s"] not in str(tape["c"])
    assert tape["c"][-1] == ""  # 5,000 bytes are too many to be kept


def test_requests_that_race_in_one_isolate_replay_as_they_went(served, outside):
    """Eight at a time, twenty fetches each, timers and promises of other threads: the same winner every time."""
    asked = [record for _ in range(3) for record in at_once(served, "race", 8, url=outside.url)]
    outcomes = {str(record.request["output"]["order"]) for record in asked}
    calls = len(outside.asked)

    replays = [served.replay(record, generated=MARKS)[1] for record in asked]

    assert [record.request["status"] for record in asked] == [200] * len(asked)
    assert len(outcomes) > 1
    assert [unlike(one, other) for one, other in zip(asked, replays, strict=True)] == [[]] * len(asked)
    assert len(outside.asked) == calls


def test_a_replay_does_not_wait_for_timers(served):
    """An incident of an hour has to be looked at now."""
    asked = served.invoke("steady", who="replayed", steps=6)

    _, replay = served.replay(asked, generated=MARKS)

    assert asked.request["duration_us"] > 300_000
    assert replay.request["duration_us"] < 200_000
    assert unlike(asked, replay) == []


def test_changed_code_that_goes_another_way_ends_and_says_where(served, outside):
    """A fix is other code: its replay must neither hang nor pretend."""
    [asked] = at_once(served, "race", 1, url=outside.url)
    path = served.root / "functions" / "race.ts"
    text = path.read_text()
    path.write_text(text.replace('["a", "b", "c", "d"]', '["a", "b"]'))
    try:
        served.close()
        served.runner = None

        ran, replay = served.replay(asked, timeout=20, generated=MARKS)
    finally:
        path.write_text(text)
        served.close()
        served.runner = None

    assert replay.request["status"] in (200, 500)
    assert any("race went another way than recorded: after " in line for line in ran.inexact), ran.inexact


def test_fetch_takes_and_gives_what_the_web_has(served, outside):
    """Libraries use all of it; none knows that it is recorded."""
    asked = served.invoke("web", url=outside.url)
    calls = len(outside.asked)

    _, replay = served.replay(asked)

    told = asked.request["output"]
    assert told is not None, asked.request["error_message"]
    assert (told["posted"]["method"], told["posted"]["body"]) == ("POST", "raw text")
    assert told["formed"] is True
    assert told["query"] == "a=1+2"
    assert told["bytes"] == "\x01ÿ"
    assert told["binary"] == {"$bytes": "AP8B"}
    assert told["empty"] == [204, ""]
    assert (told["header"], told["ok"], told["at"]) == ("kept", True, f"{outside.url}/posted")
    assert (told["aborted"], told["failed"]) == ("TimeoutError", "FetchFailed")
    assert unlike(asked, replay) == []
    assert len(outside.asked) == calls


def test_console_is_the_log_of_the_request(served):
    """The line that somebody wrote for this very moment, with where it was written."""
    asked = served.invoke("say")

    _, replay = served.replay(asked)

    lines = [span for span in asked.spans if span["kind"] == "log"]
    said = [(line["attributes"]["level"], line["name"].split("\n")[0]) for line in lines]
    assert said == [
        ("info", "plain 1 { a: [ 1, { b: null } ] }"),
        ("warning", "six is 6"),
        ("error", "TypeError: shown"),
        ("debug", "deep"),
        ("info", "outer"),
        ("info", "  inside"),
        ("info", lines[6]["name"]),
        ("info", lines[7]["name"].split("\n")[0]),
        ("error", "Assertion failed: sums"),
        ("info", "written"),
        ("info", "with fields"),
    ]
    assert lines[0]["attributes"]["location"] == "functions/say.ts:6"
    assert lines[10]["input"] == {"left": 3}
    assert unlike(asked, replay) == []

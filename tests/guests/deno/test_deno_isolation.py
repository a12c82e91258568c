"""Functions in TypeScript reach nothing but their host, and end in it where they stand."""

from __future__ import annotations


def test_a_function_reaches_nothing_but_its_host(served):
    """What it could read or call by itself, no record would hold; what it could start, nobody would end."""
    asked = served.invoke("escape")

    told = asked.request["output"]
    assert told is not None, asked.request["error_message"]
    assert [name for name, error in told["found"].items() if error is None] == []
    assert told["secret"] is None
    assert served.invoke("pid").request["status"] == 200


def test_an_error_names_its_line_and_column_in_typescript(served):
    """What is shown has to be what the user wrote, not what a compiler made of it."""
    own = served.invoke("fail", how="own").request
    statement = served.invoke("fail", how="statement").request
    lines = (served.root / "functions" / "load.ts").read_text().splitlines()

    assert (own["error_type"], own["error_message"]) == ("Refused", "no entry")
    assert statement["error_type"] == "UndefinedTable"
    for request, text in ((own, 'new Refused("no entry")'), (statement, "select nothing from nowhere")):
        file, _, line = request["error_location"].partition(":")
        assert file == "functions/load.ts"
        assert text in lines[int(line) - 1]


def test_a_frame_has_its_column(served):
    """A line with three calls on it has three places to fail."""
    asked = served.invoke("fail", how="own")

    [function] = [span for span in asked.spans if span["kind"] == "function"]
    frame = function["error"]["stack"][-1]
    assert (frame["file"], frame["function"], frame["own"]) == ("functions/load.ts", "handler", True)
    assert frame["source"][frame["column"] - 1 - (len(_line(served, frame)) - len(frame["source"])) :].startswith(
        "new R"
    )


def _line(served, frame):
    return (served.root / frame["file"]).read_text().splitlines()[frame["line"] - 1]


def test_whatever_is_thrown_is_an_error_with_a_message(served):
    """JavaScript throws anything, and a record without a message helps nobody."""
    hows = ("cause", "text", "object", "circular", "caught", "unreadable")
    found = {how: served.invoke("fail", how=how).request for how in hows}

    said = {how: (request["error_type"], request["error_message"].split("\n")[0]) for how, request in found.items()}
    assert said["cause"] == ("Error", "outer, caused by TypeError: inner")
    assert said["text"] == ("Error", "only text")
    assert said["object"] == ("Error", "threw { code: 7 }")
    assert said["circular"] == ("TypeError", "Converting circular structure to JSON")
    assert said["unreadable"] == ("Error", "threw what cannot be read: its own members throw")
    assert (found["caught"]["status"], *said["caught"]) == (409, "HTTPError", "taken")


def test_what_nobody_catches_ends_no_process(served, guest):
    """A rejection in one request is not another's end."""
    before = guest.pids

    floating = served.invoke("floating")
    timer = served.invoke("fail", how="timer")

    lines = [span for asked in (floating, timer) for span in asked.spans if span["kind"] == "log"]
    text = (served.root / "functions" / "load.ts").read_text().splitlines()
    assert [asked.request["status"] for asked in (floating, timer)] == [200, 204]
    assert [line["name"] for line in lines] == [
        "unhandled rejection: RangeError: nobody listens",
        "uncaught: Error: from a timer",
    ]
    places = [int(line["attributes"]["location"].removeprefix("functions/load.ts:")) for line in lines]
    assert ["nobody listens" in text[places[0] - 1], "from a timer" in text[places[1] - 1]] == [True, True]
    assert guest.pids == before


def test_an_output_that_is_none_is_an_error(served):
    """Who declares what comes out wants to hear when it does not."""
    right, wrong = served.invoke("output"), served.invoke("output", lie=True)

    assert right.request["output"] == {"sum": 1}
    assert wrong.request["status"] == 500
    assert "output returned what its output is not, at sum: " in wrong.request["error_message"]

"""flux incident replay: what it takes, what it refuses, and how its answer reads."""

from __future__ import annotations

import dataclasses
import json
from uuid import UUID

import pytest
import story
from click.testing import CliRunner

from flux.cli import main
from flux.commands.incident import incident
from flux.presenters.incident import as_json, began_lines, reason_text, replayed_lines, total_lines, totals_json
from flux.presenters.style import Style
from flux.presenters.text import render
from flux.replay.difference import Change, Compared, Difference
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Call, Ran
from flux.replay.verdicts import Replayed, Totals

PIPE = Style(json=False, color=False, width=80, terminal=False)
TERMINAL = Style(json=False, color=False, width=80, terminal=True)
ORIGINAL = "550e8400-0000-4000-8000-000000000004"
REPLAY = "9e91a700-0000-4000-8000-00000000000a"
STRIPE = {"error_type": "stripe.Timeout", "error_message": "Stripe timeout"}


@pytest.fixture
def project(new_database, tmp_path):
    """A project whose past is that of the pages."""
    return story.told(new_database(), tmp_path)


def run(project, *arguments):
    """The command in the project's folder."""
    return story.run(main, project, "incident", "replay", *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a window of time or --request ID, one of the two"),
        (["14:00..14:05", "--request", "550e8400"], "give a window of time or --request ID, one of the two"),
        (["--request", "550e8400", "--failed"], "--function and --failed choose from a window"),
        (["-15m..now", "--in-place", "--keep"], "--in-place has no sandbox"),
        (["banana"], "'banana' is not a window of time"),
        (["14:00"], "'14:00' is not a window of time"),
        (["-5m..now", "--fail-if", "never"], "'never' is not one of"),
        (["-5m..now", "--parallel", "0"], "0 is not in the range"),
    ],
)
def test_what_means_nothing_is_refused_with_a_hint(project, arguments, said):
    """Exit code 2, and nothing is run."""
    result = run(project, *arguments)

    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "hint:" in result.stderr or "choose" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(("content", "said"), [("{", "is not JSON"), ("[1]", "is not a JSON object")])
def test_a_file_of_stubs_that_is_none_is_refused(project, tmp_path, content, said):
    """An answer that was not understood must not become a call without an answer."""
    (tmp_path / "stubs.json").write_text(content)

    result = run(project, "--request", "550e8400", "--stub", str(tmp_path / "stubs.json"))

    assert result.exit_code == 2
    assert said in result.stderr


def test_a_window_with_nothing_in_it_is_said(project):
    """No request replayed is not all requests passing."""
    result = run(project, "2026-03-09")

    assert result.exit_code == 1
    assert "no request was recorded 2026-03-09 00:00–2026-03-10 00:00" in result.stderr
    assert "flux trace --since" in result.stderr
    failed = run(project, "2026-03-10T12:00..12:05", "--failed", "--function", "create_user")
    assert "no request of create_user that failed was recorded" in failed.stderr


def test_an_unknown_id_is_said(project):
    """Before a sandbox is made."""
    result = run(project, "--request", "abcdef01")

    assert result.exit_code == 1
    assert "no request begins with abcdef01" in result.stderr


def test_in_place_asks_and_takes_no_silence_for_a_yes(project):
    """It writes to the real database; a script must say so in so many words."""
    result = run(project, "2026-03-10", "--in-place")

    assert result.exit_code == 2
    assert "there is no terminal to ask at" in result.stderr
    assert "--yes" in result.stderr


def test_a_window_may_begin_with_a_minus():
    """-15m..now is how one writes the last quarter of an hour."""
    result = CliRunner().invoke(incident, ["replay", "-15m..now", "--help"])

    assert result.exit_code == 0


def row(request_id=ORIGINAL, **members):
    """A row of flux.trace_requests as JSON."""
    return {
        "request_id": request_id, "kind": "http", "method": "POST", "path": "/signup", "function": "signup",
        "status": 200, "outcome": "ok", "duration_us": 44_000, "code_sha": "feed", "error_type": None,
        "error_message": None, **members,
    }  # fmt: skip


FAILED = {"status": 500, "outcome": "error", **STRIPE}
REFUSED = {"status": 404, "outcome": "refused"}


def replayed(then=(), now=(), *, changes=(), calls=(), doubts=()):
    """A request that ended one way then and one way now."""
    compared = Compared(row(**dict(then)), row(REPLAY, **dict(now)), tuple(changes))
    verdict = ", ".join(f"{change.path}: {change.a} → {change.b}" for change in changes) or "same"
    return Replayed(
        RecordedRequest(row(**dict(then)), (), ()),
        RecordedRequest(row(REPLAY, kind="replay", replay_of=ORIGINAL, **dict(now)), (), ()),
        Difference(not changes, verdict, compared),
        Ran(UUID(REPLAY), dict(now).get("status", 200), dict(now).get("outcome", "ok"), tuple(calls)),
        doubts=tuple(doubts),
    )


CHANGED = [Change("output.total", 58, 87)]
NEW_CALL = Call(3, "GET api.example.com/rates", "new", None, {})
SKIPPED = Replayed(RecordedRequest(row(), (), ()), obstacle="its input was redacted")


@pytest.mark.parametrize(
    ("one", "verdict", "reason"),
    [
        (replayed(), "same", ""),
        (replayed(changes=CHANGED), "changed", "output.total: 58 → 87"),
        (replayed(FAILED, FAILED), "failing", "Still failing: Timeout: Stripe timeout"),
        (
            replayed(FAILED, {**FAILED, "error_message": "other"}, changes=CHANGED),
            "failing",
            "Still failing: Timeout: other (then: Timeout: Stripe timeout)",
        ),
        (replayed(FAILED, changes=CHANGED), "fixed", "Fixed: Timeout: Stripe timeout"),
        (replayed(FAILED, REFUSED, changes=CHANGED), "fixed", "Fixed: Timeout: Stripe timeout"),
        (replayed({}, FAILED, changes=CHANGED), "regressed", "Passed before: Timeout: Stripe timeout"),
        (replayed({}, REFUSED, changes=CHANGED), "regressed", "Passed before: refused"),
        (replayed(REFUSED, REFUSED), "same", ""),
        (
            replayed(calls=[NEW_CALL]),
            "regressed",
            "new call, which the record cannot answer: GET api.example.com/rates; give an answer with --stub FILE",
        ),
        (replayed(FAILED, calls=[NEW_CALL]), "failing", None),
        (SKIPPED, "skipped", "not replayed: its input was redacted"),
    ],
)
def test_a_verdict_says_what_the_replay_says_of_the_code(one, verdict, reason):
    """Ends better, worse, alike; and a call that nobody answered is never a pass."""
    assert one.verdict == verdict
    if reason is not None:
        assert reason_text(one) == reason


def lines(one, style=PIPE):
    """A request as it is printed."""
    return [render(line, color=False) for line in replayed_lines(one, style)]


def test_a_request_is_one_line_and_its_reason_below():
    """As on the product page."""
    assert lines(replayed()) == ["  ✔  req:550e8400  POST   /signup                           200    44ms"]
    assert lines(replayed(FAILED, FAILED)) == [
        "  ✗  req:550e8400  POST   /signup                           500    44ms",
        "     └─ Still failing: Timeout: Stripe timeout",
    ]
    assert lines(replayed({}, FAILED, changes=CHANGED)) == [
        "  ≠  req:550e8400  POST   /signup                           200 → 500    44ms",
        "     └─ Passed before: Timeout: Stripe timeout",
        "        flux trace diff 550e8400 9e91a700",
    ]
    assert lines(SKIPPED)[1] == "     └─ not replayed: its input was redacted"


def test_a_terminal_is_not_overrun_and_takes_no_orders_from_a_record():
    """What a request said is shown, not obeyed."""
    long = {**FAILED, "error_message": "word " * 40 + "\x1b[2J"}

    shown = lines(replayed(long, long), TERMINAL)

    assert max(map(len, shown)) <= 80
    assert "\x1b" not in "".join(shown)
    assert len(shown) > 3
    assert len(lines(replayed(long, long))) == 2


def totals(*those):
    """The last lines."""
    return [render(line, color=False) for line in total_lines(those, 80)]


def test_the_totals_say_how_many_pass_and_how_faithful_it_was():
    """A number without its doubt is not to be trusted."""
    doubt = "others wrote to users while it ran, and what it saw of that is not known (req:4f9a3b2c)"
    other = doubt.replace("4f9a3b2c", "a3c91ef0")

    shown = totals(
        *[replayed()] * 20,
        replayed(doubts=[doubt]),
        replayed(FAILED, FAILED),
        replayed(FAILED, changes=CHANGED, doubts=[doubt]),
        replayed(changes=CHANGED, doubts=[other]),
        replayed({}, FAILED, changes=CHANGED),
        SKIPPED,
    )

    assert shown == [
        "",
        "  25 replayed · 22 passing (1 of them failed before) · 1 changed · 1 still",
        "  failing · 1 failing that passed before · 1 not replayed",
        "  fidelity: 23 of 26 exactly · 2 perhaps not",
        "    · req:550e8400, req:550e8400: others wrote to users while it ran, and what",
        "      it saw of that is not known",
        "    · req:550e8400: its input was redacted",
    ]
    assert totals(replayed())[1:] == ["  1 replayed · 1 passing", "  fidelity: 1 of 1 exactly"]


def test_the_heading_says_what_is_switched_off():
    """As on the product page."""
    shown = [
        render(line, color=False)
        for line in began_lines(23, "from 14:00–14:05", "the working tree (3f2a91c)", in_place=False)
    ]

    assert shown[0] == "  Replaying 23 requests from 14:00–14:05…"
    assert "  Side-effects: hooks off · events off · cron off · jobs off · tool calls from the record" in shown
    assert "  Database writes: on, in a sandbox · mutation log: on" in shown


@pytest.mark.parametrize(
    ("those", "default", "failing", "regressed", "changed"),
    [
        ([replayed()], False, False, False, False),
        ([replayed(FAILED, changes=CHANGED)], False, False, False, False),
        ([replayed(FAILED, FAILED)], True, True, False, False),
        ([replayed({}, FAILED, changes=CHANGED)], True, True, True, True),
        ([replayed(changes=CHANGED)], True, False, False, True),
        ([replayed(), SKIPPED], True, False, False, False),
        ([SKIPPED], True, True, True, True),
    ],
)
def test_the_exit_code_is_what_was_asked_for(those, default, failing, regressed, changed):
    """A CI job that goes green over nothing replayed is worse than none."""
    found = Totals.of(those)

    assert [found.says_no(names) for names in ([], ["failing"], ["regressed"], ["changed"])] == [
        default, failing, regressed, changed,
    ]  # fmt: skip
    assert found.says_no(["regressed", "failing"]) is (failing or regressed)


def test_json_has_stable_keys_and_all_there_is():
    """Programs read it."""
    one = dataclasses.replace(replayed({}, FAILED, changes=CHANGED, calls=[NEW_CALL]), doubts=("perhaps",))

    answer = json.loads(json.dumps(as_json(one)))

    assert answer["verdict"] == "regressed"
    assert (answer["request_id"], answer["replay_id"]) == (ORIGINAL, REPLAY)
    assert (answer["then"]["status"], answer["now"]["status"]) == (200, 500)
    assert answer["difference"]["request"]["changes"] == [{"path": "output.total", "a": 58, "b": 87}]
    assert answer["calls"][0]["outcome"] == "new"
    assert as_json(replayed())["difference"] is None
    assert totals_json([one, SKIPPED]) == {
        "requests": 2, "replayed": 1, "same": 0, "fixed": 0, "changed": 0, "regressed": 1, "failing": 0, "skipped": 1,
        "fidelity": {"exact": 0, "doubtful": 1, "not_replayed": 1},
    }  # fmt: skip

"""flux bug bisect: from a failed request to the commit that broke it, on a real history and by real replays."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from contextlib import chdir, contextmanager

import pytest
from click.testing import CliRunner
from planted import Planted, planted
from repository import Repository

from flux.cli import main
from flux.commands.bug import bisect
from flux.config import Project
from flux.engine.binaries import wheel_binaries
from flux.errors import CannotBisect, NotARepository, UnknownCommit, UsageError
from flux.gateway.once import run_once

pytestmark = pytest.mark.slow

#: What tells each fault from what is right; None: that the request fails.
EXPECT = {
    "subscribe": None,
    "quote": "output.total = 120",
    "order": "written.orders[0].total = 120",
    "ship": "tool <= 1",
    "report": "db <= 2",
}


@pytest.fixture(scope="module")
def shop(new_database, tmp_path_factory):
    """The shop with five faults, each recorded once."""
    with planted(tmp_path_factory.mktemp("shop"), new_database()) as made:
        yield made


def run(shop: Planted, *arguments: str, root=None):
    """The command in the project's folder, in a pipe."""
    environment = {"DATABASE_URL": shop.url, "COLUMNS": "80", "TZ": "UTC"}
    with chdir(root or shop.project.root):
        return CliRunner(env=environment).invoke(bisect, arguments)


def found(shop: Planted, *arguments: str):
    """The answer as JSON."""
    result = run(shop, *arguments, "--json")
    assert result.stdout, result.exception or result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("fault", EXPECT)
def test_a_planted_fault_is_found_in_about_log2_runs(shop, fault):
    """Five kinds of faults: an exception, a wrong answer, a wrong row, a call too many, a query a row."""
    expected = ["--expect", EXPECT[fault]] if EXPECT[fault] else []
    before = shop.repository.state()

    answer = found(shop, "--request", shop.requests[fault][:8], "--good", shop.shas[0], *expected)

    assert answer["result"] == "found", answer
    assert answer["first_bad"]["commit"] == shop.commits[fault]
    assert answer["first_bad"]["author"] == "alice@example.com"
    run_once = [trial for trial in answer["trials"] if not trial["like"]]
    assert len(run_once) <= math.ceil(math.log2(answer["commits"])) + 5
    assert answer["runs"] == sum(len(trial["answers"]) for trial in run_once)
    assert shop.calls == []
    assert shop.repository.state() == before


def test_the_answer_reads_as_on_the_product_page(shop):
    """A line a commit, then the commit with subject, date and author, then how to compare; no good commit is needed."""
    result = run(shop, "--request", shop.requests["subscribe"][:8])
    lines = result.stdout.splitlines()
    bad = shop.commits["subscribe"]
    before = shop.repository.git("rev-parse", f"{bad}^")
    request = shop.requests["subscribe"][:8]

    assert result.exit_code == 0, result.output
    assert f"  Testing {shop.shas[-1][:7]}…  ✗ fails" in lines
    assert any("✔ passes" in line for line in lines)
    start = lines.index("  FIRST BAD COMMIT")
    assert lines[start + 1] == f'  {bad[:7]}  "feat: a better "subscribe""'
    assert lines[start + 2].endswith(" by alice@example.com")
    assert lines[-2:] == [
        "  → Compare before/after:",
        f"     flux trace diff {before[:7]}:{request} {bad[:7]}:{request}",
    ]
    assert "Bisecting" in result.stdout


def test_commits_that_cannot_be_loaded_are_skipped_and_named(shop):
    """Two broken commits lie in the way of one who asks between close ends."""
    first = shop.shas.index(shop.broken[0])

    answer = found(
        shop, "--request", shop.requests["subscribe"], "--good", shop.shas[8], "--bad", shop.shas[first + 2]
    )  # fmt: skip
    skipped = run(shop, "--request", shop.requests["subscribe"], "--bad", shop.broken[1])

    assert answer["first_bad"]["commit"] == shop.commits["subscribe"]
    assert skipped.exit_code == 1
    assert "CANNOT BE RUN" in skipped.stdout
    assert "functions/shop.py:1: SyntaxError" in skipped.stdout


def test_a_fault_that_came_by_a_merge_is_found_on_its_branch(shop):
    """Not the merge broke it but one commit of the branch; without a good end it is found too."""
    answer = found(shop, "--request", shop.requests["quote"], "--expect", EXPECT["quote"])

    assert answer["first_bad"]["commit"] == shop.commits["quote"]
    assert answer["before"]["commit"] == shop.repository.git("rev-parse", f"{shop.commits['quote']}^")


def test_without_an_expectation_a_good_request_is_bisected_by_what_it_does(shop):
    """`first commit that does what was recorded`: nobody has to say what is wrong with it."""
    answer = found(shop, "--request", shop.requests["report"], "--bad", shop.shas[-1])

    assert answer["bad_is"] == "what it does is as recorded"
    assert answer["first_bad"]["commit"] == shop.commits["report"]


def test_a_script_decides_with_the_replay_and_the_sandbox(shop):
    """What no comparison can say, a few lines of a script can: 0 is good, 125 is not known, the rest is bad."""
    script = (
        'psql -qtAX "$DATABASE_URL" -c "select total from orders order by id desc limit 1" | grep -qx 120'
        ' && test -n "$FLUX_REPLAY" && git cat-file -e "$FLUX_COMMIT" && grep -q replay_of'
    )
    script = f"PATH={_psql_folder()}:$PATH; {script}"
    good, bad = _around(shop, "order")

    answer = found(shop, "--request", shop.requests["order"], "--good", good, "--bad", bad, "--script", script)

    assert answer["bad_is"] == "what --script says"
    assert answer["first_bad"]["commit"] == shop.commits["order"]


def _psql_folder():
    binaries = wheel_binaries()
    assert binaries is not None
    return binaries.folder


def _around(shop, fault, by=3):
    """Commits some way before and after that of a fault."""
    place = shop.shas.index(shop.commits[fault])
    return shop.shas[place - by], shop.shas[place + by]


def test_a_script_that_is_cut_off_stops_the_search(shop):
    """As with `git bisect run`: an exit code from 128 on is an accident, not an answer."""
    result = run(shop, "--request", shop.requests["order"], "--good", shop.shas[0], "--script", "kill -9 $$")

    assert isinstance(result.exception, CannotBisect)
    assert "ended with" in result.exception.message


def test_a_tree_that_cannot_be_made_ready_is_skipped(shop):
    """With --env, each commit gets its own dependencies; where that fails, nothing is known of it."""
    good, bad = _around(shop, "ship", 1)

    answer = found(
        shop, "--request", shop.requests["ship"], "--expect", "tool<=1", "--good", good, "--bad", bad,
        "--env", "echo no such package; exit 3",
    )  # fmt: skip

    assert answer["result"] == "cannot run"
    assert answer["trials"][0]["reason"] == "--env ended with 3: no such package"


def test_replays_of_a_search_can_be_traced_afterwards(shop):
    """The hint at the end compares two of them; they are there when the sandbox is gone."""
    good, bad = _around(shop, "ship", 1)
    known = shop.replay_ids(shop.requests["ship"])

    answer = found(
        shop, "--request", shop.requests["ship"], "--expect", "tool<=1", "--good", good, "--bad", bad
    )  # fmt: skip

    assert answer["result"] == "found"
    codes = shop.query(
        "select distinct code_sha from flux.trace_requests where replay_of = %s and request_id <> all(%s)",
        shop.requests["ship"], list(known),
    )  # fmt: skip
    assert {good, bad, shop.commits["ship"]} <= {code for (code,) in codes}
    made = shop.replay_ids(shop.requests["ship"])
    compared = _command(shop, answer["compare"])
    assert compared.exit_code == 1, compared.output
    assert "tool" in compared.stdout
    assert shop.replay_ids(shop.requests["ship"]) == made
    assert shop.query("select count(*) from pg_database where datname like 'flux_sandbox%'") == [(0,)]


def _command(shop, line):
    """A command line as it stands in an answer."""
    with chdir(shop.project.root):
        return CliRunner(env={"DATABASE_URL": shop.url, "TZ": "UTC"}).invoke(main, shlex.split(line)[1:])


def test_ends_that_are_no_ends_are_said(shop):
    """Exit code 1 and the reason, not a commit that nobody can rely on."""
    request = shop.requests["ship"]
    good, bad = _around(shop, "ship", 1)

    fails = run(shop, "--request", request, "--expect", "tool<=1", "--good", shop.commits["ship"], "--bad", bad)
    passes = run(shop, "--request", request, "--expect", "tool<=1", "--bad", good)

    assert (fails.exit_code, passes.exit_code) == (1, 1)
    assert "THE GOOD COMMIT FAILS TOO" in fails.stdout
    assert "NOTHING TO FIND" in passes.stdout


def test_a_function_that_was_not_there_yet_is_no_fault(shop):
    """Before the commit that made it, it could not fail; that is said in place of a comparison."""
    repository = shop.repository
    repository.write({"functions/late.py": LATE})
    sha = repository.commit({}, "feat: too late")
    try:
        request = shop.record("late")
        result = run(shop, "--request", request)
    finally:
        repository.git("reset", "-q", "--hard", "HEAD^")

    assert sha[:7] in result.stdout.partition("FIRST BAD COMMIT")[2]
    assert "there is no function late" in " ".join(result.stdout.split())
    assert "trace diff" not in result.stdout


LATE = """from flux import function


@function
def late(ctx) -> dict:
    return {}["key"]
"""


@contextmanager
def committed(shop: Planted, *texts: str):
    """Commits on top of the shop's, each with another text of one more module; taken away at the end."""
    before = shop.repository.head
    try:
        yield [shop.repository.commit({"functions/late.py": text}, "feat: late") for text in texts]
    finally:
        shop.repository.git("reset", "-q", "--hard", before)


GOOD = LATE.replace('{}["key"]', "{}")
MOODY = """import os

from flux import function


@function
def late(ctx) -> dict:
    if os.environ.get("PYTHONHASHSEED") == "1":
        return {}
    return {}["key"]
"""
STUCK = LATE.replace("    return", "    while True:\n        pass\n    return")


def test_code_that_passes_and_fails_is_not_blamed(shop):
    """Order of a set, for instance: every run of a commit gets another hash seed, so that it shows."""
    with committed(shop, GOOD, MOODY) as (good, _):
        request = shop.record("late")
        unsure = run(shop, "--request", request, "--good", good)
        sure = run(shop, "--request", request, "--good", good, "--repeat", "3")

    assert unsure.exit_code == 1
    assert "NOT CERTAIN" in unsure.stdout
    assert "fails in 2 of 3 runs" in unsure.stdout
    assert "FIRST BAD COMMIT" in sure.stdout
    assert sure.exit_code == 0


def test_a_commit_that_hangs_is_skipped_after_its_time(shop):
    """A search over night must not be found waiting in the morning."""
    with committed(shop, GOOD, STUCK, LATE) as (good, stuck, bad):
        request = shop.record("late")
        answer = found(shop, "--request", request, "--good", good, "--timeout", "1s")

    assert answer["result"] == "range"
    assert {suspect["commit"] for suspect in answer["suspects"]} == {stuck, bad}
    assert "time" in next(trial["reason"] for trial in answer["trials"] if trial["commit"] == stuck)


def test_a_tree_made_ready_runs_with_its_own_python(shop):
    """Old commits may need old packages."""
    make = "mkdir -p .venv/bin && printf '#!/bin/sh\\nVENV_OF=bisect exec {} \"$@\"' > .venv/bin/python"
    make = f"{make.format(sys.executable)} && chmod +x .venv/bin/python"
    good = GOOD.replace("return {}", 'import os\n    return os.environ["VENV_OF"] and {}')
    with committed(shop, good, LATE) as (first, second):
        request = shop.record("late")
        answer = found(shop, "--request", request, "--good", first, "--env", make)

    assert answer["result"] == "found"
    assert answer["first_bad"]["commit"] == second


def test_a_shallow_clone_says_that_it_ends_early(shop, tmp_path):
    """The commit that passes may be among those that were not fetched."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=2", f"file://{shop.project.root}", clone], check=True)

    result = run(shop, "--request", shop.requests["subscribe"], root=clone)

    assert result.exit_code == 1
    assert "NO GOOD COMMIT" in result.stdout
    assert "git fetch --unshallow" in result.stdout


def test_a_project_in_a_subfolder_is_found_in_its_commits(shop, tmp_path):
    """A repository of many services: their commits are not this one's."""
    repository = Repository(tmp_path)
    settings = {"services/late/flux.toml": '[project]\nname = "late"\n', ".gitignore": ".flux/\n__pycache__/\n"}
    good = repository.commit({**settings, "services/late/functions/late.py": GOOD})
    repository.commit({"services/other.py": "1"})
    bad = repository.commit({"services/late/functions/late.py": LATE})
    repository.commit({"services/other.py": "2"})
    root = tmp_path / "services/late"
    request = str(run_once(Project.load(root), shop.url, "late", {}).record.context.request_id)
    before = repository.state()

    result = run(shop, "--request", request, "--json", root=root)
    answer = json.loads(result.stdout)

    assert answer["first_bad"]["commit"] == bad
    assert answer["before"]["commit"] == good
    assert [trial["commit"] for trial in answer["trials"]] == [bad, good]
    assert repository.state() == before


def test_a_request_on_a_dirty_tree_is_searched_on_its_commit(shop):
    """What is in no commit cannot be found in one, and must not be blamed on one."""
    shop.repository.write({"functions/late.py": LATE})
    try:
        request = shop.record("late")
        result = run(shop, "--request", request)
    finally:
        (shop.project.root / "functions/late.py").unlink()

    assert result.exit_code == 1
    assert "with changes that were in no commit" in result.stderr
    assert "CANNOT BE RUN" in result.stdout
    assert "there is no function late" in " ".join(result.stdout.split())


def test_a_request_that_cannot_be_run_again_is_refused(shop):
    """Said before anything is checked out, with exit code 1."""
    request = shop.record("quote", item=1, quantity=1)
    shop.query(
        "update flux.trace_requests set input = %s where request_id = %s returning 1",
        '{"$omitted": {"bytes": 2000000, "sha256": ""}}', request,
    )  # fmt: skip

    error = run(shop, "--request", request).exception

    assert isinstance(error, CannotBisect)
    assert error.exit_code == 1
    assert "too large to keep" in error.message


@pytest.mark.parametrize("option", ["--good", "--bad"])
def test_a_commit_that_is_not_there_is_named(shop, option):
    """A slip of the pen is not the start of a long search."""
    error = run(shop, "--request", shop.requests["ship"], option, "nosuchcommit").exception

    assert isinstance(error, UnknownCommit)
    assert "nosuchcommit" in error.message


def test_contradicting_options_are_refused(shop):
    """Two judges would disagree."""
    error = run(shop, "--request", shop.requests["ship"], "--script", "true", "--expect", "status<500").exception

    assert isinstance(error, UsageError)


def test_an_expectation_that_is_not_understood_is_refused(shop):
    """Before any commit is run."""
    error = run(shop, "--request", shop.requests["ship"], "--expect", "total=5").exception

    assert isinstance(error, UsageError)


def test_a_project_outside_git_is_refused(shop, tmp_path):
    """Without history there is nothing to search."""
    (tmp_path / "flux.toml").write_text('[project]\nname = "shop"\n')

    with chdir(tmp_path):
        error = CliRunner(env={"DATABASE_URL": shop.url}).invoke(bisect, ["--request", shop.requests["ship"]]).exception

    assert isinstance(error, NotARepository)

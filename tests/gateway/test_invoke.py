"""`flux invoke`: one function from the command line, recorded like any request."""

from __future__ import annotations

import json
import os
import subprocess

import psycopg
import pytest
from psycopg.rows import dict_row
from served import FLUX, make_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def invoke(tmp_path_factory, new_database):
    """Runs `flux invoke` in a project of its own."""
    root, url = make_project(tmp_path_factory.mktemp("invoke")), new_database()

    def run(*arguments, stdin=""):
        environment = {**os.environ, "DATABASE_URL": url}
        return subprocess.run(
            [*FLUX, "invoke", *arguments],
            cwd=root,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    run.root, run.url = root, url
    return run


def newest(invoke):
    """The record written last."""
    with psycopg.connect(invoke.url, row_factory=dict_row) as connection:
        return connection.execute("select * from flux.trace_requests order by started_at desc limit 1").fetchone()


def test_the_value_goes_to_stdout_and_talk_to_stderr(invoke):
    """So that a pipe gets the value and nothing else."""
    done = invoke("create_user", "--data", '{"email": "invoked@x"}')

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["email"] == "invoked@x"
    record = newest(invoke)
    assert (record["kind"], record["function"], record["outcome"]) == ("invoke", "create_user", "ok")
    assert record["input"] == {"email": "invoked@x"}
    assert str(record["request_id"])[:8] in done.stderr


def test_arguments_come_from_a_file_or_stdin(invoke):
    """Long inputs do not fit a command line."""
    (invoke.root / "input.json").write_text('{"name": "file"}')

    assert json.loads(invoke("hello", "--data", "@input.json").stdout)["hello"] == "file"
    assert json.loads(invoke("hello", "--data", "-", stdin='{"name": "stdin"}').stdout)["hello"] == "stdin"
    assert json.loads(invoke("hello").stdout)["hello"] == "world"


def test_a_failure_exits_with_1_and_says_how_to_ask_why(invoke):
    """The next command is on the screen."""
    done = invoke("boom")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "boom" in done.stderr
    assert "functions/all.py:" in done.stderr
    record = newest(invoke)
    assert f"flux why {str(record['request_id'])[:8]}" in done.stderr
    assert record["outcome"] == "error"


def test_wrong_arguments_are_named_and_recorded(invoke):
    """As over HTTP: every field, and a record."""
    done = invoke("get_user", "--data", '{"id": "x", "y": 1}')

    assert done.returncode == 1
    assert "id: expected `int`" in done.stderr
    assert "y: not an argument of get_user" in done.stderr
    assert "Traceback" not in done.stderr
    assert newest(invoke)["outcome"] == "refused"


@pytest.mark.parametrize(
    ("data", "reason"),
    [("{", "not JSON"), ("[1]", "not a JSON object"), ("@nowhere.json", "cannot read nowhere.json")],
)
def test_input_that_is_no_object_is_a_usage_error(invoke, data, reason):
    """Exit code 2 tells a script that it called wrongly."""
    done = invoke("hello", "--data", data)

    assert done.returncode == 2
    assert reason in done.stderr


def test_an_unknown_function_names_the_nearest(invoke):
    """A typo is the usual reason."""
    done = invoke("helo")

    assert done.returncode == 1
    assert "there is no function helo" in done.stderr
    assert "hello" in done.stderr


def test_json_has_the_record_and_the_value(invoke):
    """One object with stable keys."""
    row = json.loads(invoke("hello", "--json").stdout)

    assert row["output"]["hello"] == "world"
    assert (row["kind"], row["outcome"], row["status"]) == ("invoke", "ok", 200)


def test_claims_and_a_role_stand_for_a_token(invoke):
    """A function that asks who its caller is can be tried without one; what is not a claim is refused."""
    done = invoke("hello", "--claim", "sub=ada", "--claim", 'teams=["a"]', "--role", "member")

    assert done.returncode == 0, done.stderr
    record = newest(invoke)
    assert (record["actor"], record["claims"]) == ("ada", {"sub": "ada", "teams": ["a"], "role": "member"})
    assert invoke("hello", "--claim", "sub").returncode == 2

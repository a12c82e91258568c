"""`flux dev`: what a developer sees while writing functions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress

import httpx
import psycopg
import pytest
from served import FLUX, FUNCTIONS, Served, eventually, in_background, make_project, running

BROKEN = """
from flux import function


@function(route="GET /broken")
def broken(ctx) -> dict:
    return {"fine": True}


def
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory, new_database):
    """A server that watches its project."""
    server = Served(make_project(tmp_path_factory.mktemp("dev")), new_database(), command="dev")
    yield server
    said = server.stop()
    assert "Traceback" not in said, said


@pytest.fixture
def served(watched):
    """The server of all tests here; its functions are put back as they were."""
    del watched.said[:], watched.printed[:]
    yield watched
    watched.write_function("all.py", FUNCTIONS)
    eventually(lambda: "hello" in watched.http.get("/hello").json())


def flux(served, *arguments):
    """A flux command in the same project, to its end."""
    environment = {**os.environ, "DATABASE_URL": served.database_url}
    return subprocess.run(
        [*FLUX, *arguments], cwd=served.root, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_saved_function_answers_within_a_second(served):
    """Save, ask, see: that is the loop a developer lives in. What runs meanwhile ends on the code it began with."""
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 1.5}))
    eventually(lambda: running(served, "slow"))

    served.write_function("all.py", FUNCTIONS.replace('"slept"', '"dozed"').replace('"hello": name', '"hallo": name'))
    saved = time.monotonic()
    eventually(lambda: "hallo" in served.http.get("/hello").json())

    assert time.monotonic() - saved < 1
    assert answer().json() == {"slept": 1.5}
    assert served.http.post("/slow", json={"seconds": 0}).json() == {"dozed": 0.0}


def test_the_record_names_the_code_that_ran(served):
    """`flux why` compares versions: each request must know which one it ran on."""
    before = served.record(served.http.get("/hello"))

    served.write_function("all.py", FUNCTIONS.replace('"hello": name', '"hallo": name'))
    eventually(lambda: "hallo" in served.http.get("/hello").json())
    after = served.record(served.http.get("/hello"))

    assert before["code_sha"]
    assert after["code_sha"] != before["code_sha"]


def test_a_module_that_cannot_be_loaded_takes_no_other_down(served):
    """A half-typed line must not end the whole server, and must say where it is."""

    served.write_function("broken.py", BROKEN)
    eventually(lambda: "functions/broken.py:10" in "".join(served.said))
    response = served.http.get("/broken")

    assert response.status_code == 500
    assert response.json()["location"] == "functions/broken.py:10"
    record = served.record(response)
    assert (record["outcome"], record["error_location"]) == ("error", "functions/broken.py:10")
    assert record["route"] == "/broken"
    assert served.http.get("/hello").status_code == 200
    ready = served.http.get("/readyz")
    assert ready.status_code == 503
    assert "functions/broken.py:10" in ready.json()["reasons"][0]

    why = flux(served, "why", served.http.get("/broken").headers["x-request-id"][:8]).stdout
    assert "functions/broken.py:10" in why
    assert "10 │ def" in why
    assert "mend functions/broken.py:10" in " ".join(why.split())
    served.write_function("broken.py", BROKEN.replace("def\n", ""))
    assert eventually(lambda: served.http.get("/broken").status_code == 200)
    assert served.http.get("/readyz").status_code == 200


def test_a_new_migration_is_applied_when_it_is_saved(served):
    """A table and the function that uses it are written together."""

    (served.root / "db" / "migrations" / "0002_notes.sql").write_text("create table notes (id int primary key);")

    eventually(lambda: served.ask("select where to_regclass('public.notes') is not null"))
    eventually(lambda: "0002_notes.sql" in "".join(served.said))


def test_policies_are_enforced_when_they_are_saved(served):
    """And no longer once the file is gone."""
    policies = served.root / "db" / "policies.toml"
    policies.write_text("[roles.member]\n[tables.users.member]\nselect = true\n")
    eventually(lambda: served.ask("select from flux.policies where role = 'member'"), 10)

    policies.unlink()

    def are_gone() -> bool:
        with suppress(psycopg.errors.UndefinedObject):  # the role went while it was asked about
            return not served.ask("select from flux.policies")
        return False

    eventually(are_gone, 10)


def test_a_migration_that_fails_says_so_and_the_server_goes_on(served):
    """A typo in SQL is corrected in the next save."""
    migration = served.root / "db" / "migrations" / "0003_tags.sql"

    migration.write_text("create tabel tags (id int primary key);")
    eventually(lambda: "tabel" in "".join(served.said))
    assert served.http.get("/hello").status_code == 200

    migration.write_text("create table tags (id int primary key);")
    eventually(lambda: served.ask("select where to_regclass('public.tags') is not null"))


def test_each_request_is_printed_on_one_line(served):
    """What happens is seen without another terminal, and a pipe can read it."""
    good, bad = (f"req:{served.http.get(path).headers['x-request-id'][:8]}" for path in ("/hello", "/boom"))

    def lines():
        """Theirs alone: what came before may be printed late."""
        return [line for line in served.printed if good in line or bad in line]

    eventually(lambda: len(lines()) == 2)
    first, second = lines()
    assert good in first
    assert "/hello" in first
    assert bad in second
    assert "boom" in second
    assert "\x1b" not in first + second


def test_requests_are_printed_as_json_when_asked(serve):
    """For jq and for other programs: keys are those of the table."""
    served = serve("--json", command="dev")

    response = served.http.get("/users/77")

    eventually(lambda: served.printed)
    row = json.loads(served.printed[0])
    assert row["request_id"] == response.headers["x-request-id"]
    assert (row["outcome"], row["status"], row["function"]) == ("refused", 404, "get_user")


def test_the_routes_are_told_at_the_start(serve):
    """The first screen answers what is here and where."""
    served = serve(command="dev")

    eventually(lambda: "reset" in "".join(served.said))
    said = "".join(served.said)
    assert served.url in said
    assert "/users/{id}" in said
    assert "get_user" in said


def test_a_second_dev_in_one_project_says_where_the_first_is(served):
    """Two servers would race for the same migrations and the same terminal's patience."""
    second = flux(served, "dev", "--port", "0")

    assert second.returncode == 1
    assert "flux dev already runs" in second.stderr
    assert str(served.process.pid) in second.stderr
    assert served.url in second.stderr
    assert served.http.get("/hello").status_code == 200


def test_a_lock_of_a_dead_dev_is_no_obstacle(serve):
    """After a crash of the machine nobody should have to delete a file."""
    served = serve(command="dev")
    os.killpg(served.process.pid, signal.SIGKILL)
    served.stop()

    again = serve(command="dev", database_url=served.database_url)

    assert again.http.get("/hello").status_code == 200


def test_a_port_in_use_is_named(served):
    """The most common first error needs the clearest answer."""
    port = served.url.rpartition(":")[2]

    refused = flux(served, "serve", "--bind", f"127.0.0.1:{port}")

    assert refused.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_ctrl_c_lets_a_running_request_finish(serve):
    """Also in development an answer is worth a second."""
    served = serve(command="dev")
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 1}))
    eventually(lambda: running(served, "slow"))

    os.killpg(served.process.pid, signal.SIGINT)

    finished = answer()
    assert isinstance(finished, httpx.Response)
    assert finished.status_code == 200
    assert served.process.wait(10) == 0


def test_a_closed_terminal_ends_dev_and_no_request(serve):
    """A window that is closed must not leave a server and a database behind, nor cut off who was being answered."""
    served = serve(command="dev")
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 1}))
    eventually(lambda: running(served, "slow"))

    os.killpg(served.process.pid, signal.SIGHUP)

    assert answer().status_code == 200
    assert served.process.wait(10) == 0


@pytest.mark.slow
def test_its_own_postgres_is_started_again_when_it_dies(tmp_path):
    """Nobody should have to know that there is a server, let alone restart it."""
    served = Served(make_project(tmp_path), None, command="dev")
    try:
        assert served.http.get("/hello").status_code == 200
        pid_file = served.root / ".flux" / "postgres" / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)

        eventually(lambda: served.http.post("/signup", json={"email": "a@b.com"}).status_code < 500, seconds=20)
    finally:
        served.stop()

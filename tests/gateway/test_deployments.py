"""Servers that run what is deployed: no files of their own, any number of them, and no request lost at a switch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import psycopg
import pytest
from served import FLUX, Served, eventually, in_background, make_project

APP = """
import time

from flux import function


@function(route="GET /version")
def version(ctx) -> str:
    return "VERSION"


@function(route="POST /slow")
def slow(ctx, seconds: float) -> dict:
    time.sleep(seconds)
    from later import late
    return {"self": "VERSION", "invoked": ctx.invoke("version"), "imported": late}


@function(route="POST /write")
def write(ctx, email: str) -> dict:
    ctx.db.execute("insert into users (email, plan) values (%s, %s)", email, "VERSION")
    return {"version": "VERSION"}


@function(route="GET /boom")
def boom(ctx) -> None:
    raise RuntimeError("VERSION")
"""


class Shop:
    """A project that is deployed from, apart from the machines that serve it."""

    def __init__(self, root: Path, database_url: str) -> None:
        self.root = make_project(root)
        self.database_url = database_url
        (root / "functions" / "all.py").unlink()

    def flux(self, *arguments: str, cwd: Path | None = None, fails: bool = False) -> dict:
        done = subprocess.run(
            [*FLUX, *arguments, "--json"],
            cwd=cwd or self.root,
            env={**os.environ, "DATABASE_URL": self.database_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return {"error": done.stderr} if fails else json.loads(done.stdout)

    def write(self, version: str) -> None:
        (self.root / "functions" / "app.py").write_text(APP.replace("VERSION", version))
        (self.root / "functions" / "later.py").write_text(f"late = {version!r}\n")

    def deploy(self, version: str) -> dict:
        self.write(version)
        return self.flux("deploy")


@pytest.fixture
def shop(tmp_path, database_url):
    return Shop(tmp_path / "shop", database_url)


@pytest.fixture
def node(tmp_path, shop):
    """Starts servers in folders that hold nothing."""
    started = []

    def start(name="node", *arguments, database_url=None):
        (tmp_path / name).mkdir(exist_ok=True)
        url = database_url or shop.database_url
        started.append(Served(tmp_path / name, url, "--from-database", *arguments))
        return started[-1]

    yield start
    for server in started:
        assert "Traceback" not in server.stop()


def serving(shop):
    """How many workers serve which version."""
    with psycopg.connect(shop.database_url) as connection:
        return dict(
            connection.execute("select 'v' || version, workers from flux.deployments where workers > 0").fetchall()
        )


def pids(served):
    done = subprocess.run(["pgrep", "-P", str(served.process.pid)], capture_output=True, check=False)
    return {int(line) for line in done.stdout.split()}


def under_way(served, function):
    """Whether a request for this function runs, by the in-flight tables below the server's folder."""
    wanted = b'"function":' + json.dumps(function).encode()
    return any(wanted in path.read_bytes()[:2_000_000] for path in served.root.rglob("*.inflight"))


class Traffic:
    """Requests without a pause, from several threads."""

    def __init__(self, servers):
        self.answers = []
        self.failures = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(served, n)) for served in servers for n in range(3)]
        for thread in self._threads:
            thread.start()

    def _run(self, served, number):
        count = 0
        with httpx.Client(base_url=served.url, timeout=20) as http:
            while not self._stopping.is_set():
                count += 1
                try:
                    if number == 0:
                        email = f"{served.process.pid}-{count}@x"
                        answer = http.post("/write", json={"email": email})
                        self.answers.append((answer.headers["x-request-id"], answer.json()["version"]))
                    else:
                        answer = http.get("/version")
                        self.answers.append((answer.headers["x-request-id"], answer.text.strip('"')))
                    answer.raise_for_status()
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    self.failures.append(repr(error))
                time.sleep(0.005)

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.slow
def test_switches_under_traffic_lose_no_request_and_name_the_right_code(shop, node):
    """Two machines of two workers each, six switches: every answer is a whole one, and its row names what gave it."""
    codes = {"one": shop.deploy("one")["code_sha"]}
    servers = [node("a", "--workers", "2"), node("b", "--workers", "2")]
    eventually(lambda: serving(shop) == {"v1": 4})
    traffic = Traffic(servers)
    try:
        for version in ("two", "three"):
            done = shop.deploy(version)
            codes[version] = done["code_sha"]
            assert done["workers"] == {"serving": 4, "behind": 0}
            time.sleep(0.3)
        for number in (2, 1, 3, 1):
            assert shop.flux("rollback", f"v{number}")["workers"] == {"serving": 4, "behind": 0}
            time.sleep(0.3)
    finally:
        traffic.stop()

    assert traffic.failures == []
    assert {version for _, version in traffic.answers} == {"one", "two", "three"}
    with psycopg.connect(shop.database_url) as connection:
        query = "select count(*) from flux.trace_requests where request_id = any(%s::uuid[])"
        ids = [request_id for request_id, _ in traffic.answers]
        eventually(lambda: connection.execute(query, (ids,)).fetchone() == (len(ids),))
        rows = connection.execute("select request_id::text, code_sha, outcome from flux.trace_requests").fetchall()
        recorded = {row[0]: row[1] for row in rows}
        assert {row[2] for row in rows} == {"ok"}
        assert [request_id for request_id, version in traffic.answers if recorded[request_id] != codes[version]] == []
        written = connection.execute("""
            select users.plan, request.code_sha, count(*)
            from users
            join flux.state_mutations as mutation on mutation.row_key = jsonb_build_object('id', users.id::text)
                or mutation.row_key = jsonb_build_object('id', users.id)
            join flux.trace_requests as request using (request_id)
            group by users.plan, request.code_sha
        """).fetchall()
    assert {(plan, code) for plan, code, _ in written} == set(codes.items())


def test_workers_follow_within_a_second(shop, node):
    """From the end of `flux deploy` there is no old answer any more, on any worker."""
    shop.deploy("one")
    server = node("node", "--workers", "2")
    eventually(lambda: serving(shop) == {"v1": 2})
    shop.deploy("two")
    with psycopg.connect(shop.database_url) as connection:
        connection.execute("select flux.activate_deployment(1, 'rollback', 'test', null)")
    switched = time.monotonic()

    eventually(lambda: serving(shop) == {"v1": 2})

    assert time.monotonic() - switched < 1
    assert {server.http.get("/version").text for _ in range(20)} == {"one"}


def test_a_request_in_flight_ends_on_the_code_it_began_with(shop, node):
    """Also where it calls another function, or imports a module, only after the switch."""
    old = shop.deploy("one")
    server = node("node", "--workers", "1")
    answer = in_background(lambda: server.http.post("/slow", json={"seconds": 2}))
    eventually(lambda: under_way(server, "slow"))

    shop.deploy("two")
    assert server.http.get("/version").text == "two"

    assert answer().json() == {"self": "one", "invoked": "one", "imported": "one"}
    assert server.record(answer())["code_sha"] == old["code_sha"]


def test_where_code_failed_is_told_relative_to_its_deployment(shop, node):
    """`functions/app.py:27` is where a developer looks, wherever this machine keeps it."""
    shop.deploy("one")
    server = node("node", "--workers", "1")
    first = server.record(server.http.get("/boom"))
    shop.deploy("two")
    second = server.record(server.http.get("/boom"))

    for record, message in ((first, "one"), (second, "two")):
        assert (record["error_message"], record["error_location"]) == (message, "functions/app.py:27")
        assert [(frame["file"], frame["own"]) for frame in record["error_stack"]] == [("functions/app.py", True)]
        assert record["error_stack"][0]["source"] == f'raise RuntimeError("{message}")'


def test_settings_are_those_of_the_deployment(shop, node):
    """What is redacted is part of the code: a switch must not leave a field open for a while."""
    shop.deploy("one")
    server = node("node", "--workers", "1")
    before = server.record(server.http.post("/write", json={"email": "a@x"}))
    settings = shop.root / "flux.toml"
    settings.write_text(settings.read_text().replace('"password"', '"password", "email"').replace("64KiB", "1KiB"))
    shop.flux("deploy")
    after = server.record(server.http.post("/write", json={"email": "b@x"}))

    assert before["input"] == {"email": "a@x"}
    assert after["input"] == {"email": "[redacted]"}
    assert server.http.post("/write", json={"email": "x" * 2_000}).status_code == 413


def test_a_worker_that_is_killed_comes_back_with_the_active_version(shop, node):
    """Not with the one the server was started on; and what it was doing is recorded as crashed, under its code."""
    shop.deploy("one")
    server = node("node", "--workers", "1")
    second = shop.deploy("two")
    answer = in_background(lambda: server.http.post("/slow", json={"seconds": 60}))
    eventually(lambda: under_way(server, "slow"))

    for pid in pids(server):
        os.kill(pid, signal.SIGKILL)
    answer()

    assert eventually(lambda: server.http.get("/version"), 10).text == "two"
    assert server.crashed("slow")["code_sha"] == second["code_sha"]


@pytest.mark.slow
def test_code_that_this_machine_cannot_load_is_refused_loudly(shop, node, monkeypatch):
    """A package is missing here: what ran goes on, and says why; `flux deploy` sees that it does."""
    shop.deploy("one")
    server = node("node", "--workers", "2")
    eventually(lambda: serving(shop) == {"v1": 2})
    library = shop.root.parent / "library"
    library.mkdir()
    (library / "only_there.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(library))
    shop.write("two")
    (shop.root / "functions" / "more.py").write_text("import only_there\n")

    done = shop.flux("deploy")

    assert done["workers"] == {"serving": 0, "behind": 2}
    assert {server.http.get("/version").text for _ in range(10)} == {"one"}
    said = eventually(lambda: [line for line in server.said if "v2" in line])
    assert len(said) == 2
    assert all("goes on with v1" in line and "not all of it can be loaded here" in line for line in said)
    assert "  functions/more.py:1: ModuleNotFoundError: No module named 'only_there'\n" in server.said
    with psycopg.connect(shop.database_url) as connection:
        names = connection.execute(
            "select application_name from pg_stat_activity where datname = current_database() order by 1"
        ).fetchall()
    assert [name for (name,) in names if name.startswith("flux worker")] == ["flux worker v1 not v2"] * 2

    for pid in pids(server):  # neither does a fresh worker take it
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: serving(shop) == {"v1": 2}, 10)
    assert server.http.get("/version").text == "one"

    shop.flux("rollback")
    assert shop.deploy("three")["deployment"]["version"] == 3


def test_a_deployment_that_cannot_be_loaded_is_refused_by_flux_deploy(shop, node):
    """Before anybody hears of it."""
    shop.deploy("one")
    server = node("node", "--workers", "1")
    shop.write("two")
    (shop.root / "functions" / "more.py").write_text("import nowhere_at_all\n")

    assert "functions/more.py:1" in shop.flux("deploy", fails=True)["error"]
    assert server.http.get("/version").text == "one"
    assert [row["version"] for row in shop.flux("deployments")] == [1]


def test_workers_that_lost_the_database_follow_again_when_it_is_back(shop, node):
    """Every connection is cut, the listening one too; a switch meanwhile is found out."""
    shop.deploy("one")
    server = node("node", "--workers", "2")
    eventually(lambda: serving(shop) == {"v1": 2})
    with psycopg.connect(shop.database_url, autocommit=True) as connection:
        connection.execute("""
            select pg_terminate_backend(pid)
            from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
        """)
        shop.deploy("two")

    assert eventually(lambda: serving(shop) == {"v2": 2}, 10)
    assert server.http.get("/version").text == "two"


def test_a_switch_that_nobody_was_told_of_is_found_out(shop, node):
    """A pooler may hold notifications back: who follows also looks by itself."""
    shop.deploy("one")
    server = node("node", "--workers", "1")
    eventually(lambda: serving(shop) == {"v1": 1})
    shop.deploy("two")
    with psycopg.connect(shop.database_url) as connection:
        connection.execute("insert into flux.activations (version, kind, activated_by) values (1, 'rollback', 'me')")

    assert eventually(lambda: server.http.get("/version").text == "one", 6)


def test_a_server_that_starts_again_serves_what_is_active(shop, node):
    """And nothing of the folder it runs in is needed but what it keeps there itself."""
    shop.deploy("one")
    first = node("node", "--workers", "1")
    shop.deploy("two")
    first.stop()
    shop.flux("rollback")

    assert node("node", "--workers", "1").http.get("/version").text == "one"
    assert {path.name for path in first.root.iterdir()} == {".flux"}


def test_without_a_deployment_a_server_says_what_to_do(shop, tmp_path):
    """Exit code 1, before it listens."""
    error = shop.flux("serve", "--from-database", "--bind", "127.0.0.1:0", cwd=tmp_path, fails=True)["error"]

    assert error == (
        "error: nothing is deployed in this database\n"
        "hint: Run `flux deploy` in the project, or serve its files with `flux serve`.\n"
    )


def test_a_server_of_the_files_says_that_something_else_is_deployed(shop):
    """It was perhaps meant to serve that."""
    shop.deploy("one")
    shop.write("two")
    server = Served(shop.root, shop.database_url, "--workers", "1")
    said = server.stop()

    assert "! v1 (" in said
    assert "is deployed in this database, but this server serves the files here" in said
    assert "flux serve --from-database" in said


def test_deployments_are_listed_with_who_serves_them(shop, node):
    """Which version runs where is the first question after a deployment."""
    shop.deploy("one")
    node("node", "--workers", "2")
    shop.flux("deploy", "--note", "unused")
    shop.write("two")
    shop.flux("deploy", "--note", "the second")
    eventually(lambda: serving(shop) == {"v2": 2})

    rows = shop.flux("deployments")

    assert [(row["version"], row["is_active"], row["workers"], row["note"]) for row in rows] == [
        (2, True, 2, "the second"),
        (1, False, 0, None),
    ]
    text = subprocess.run(
        [*FLUX, "deployments"], cwd=shop.root, env={**os.environ, "DATABASE_URL": shop.database_url}, text=True,
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert text.splitlines()[0].startswith("  ● v2  ")
    assert text.splitlines()[0].endswith("  active")
    assert "2 workers" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_database_without_deployments_is_told_from_one_with(shop):
    """Exit code 1: the answer is no."""
    assert "nothing is deployed" in shop.flux("deployments", fails=True)["error"]

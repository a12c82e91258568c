"""A real server for tests: `flux serve` in a process of its own, what to ask it, and what it recorded."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row

FUNCTIONS = """
import time
from dataclasses import dataclass

from flux import HTTPError, Response, function


@dataclass
class Address:
    city: str
    zip: str


@function(route="POST /signup")
def create_user(ctx, email: str, plan: str = "free", tags: list[str] = ()) -> dict:
    return ctx.db.one("insert into users (email, plan) values (%s, %s) returning id, email, plan", email, plan)


@function(route="GET /users/{id}")
def get_user(ctx, id: int) -> dict:
    user = ctx.db.one("select id, email, plan from users where id = %s", id)
    if user is None:
        raise HTTPError(404, f"there is no user {id}", user=id)
    return user


@function(route="GET /users/me")
def me(ctx) -> str:
    return "me"


@function(route="DELETE /users/{id}")
def delete_user(ctx, id: int) -> None:
    ctx.db.execute("delete from users where id = %s", id)


@function(route="GET /hello")
def hello(ctx, name: str = "world", times: int = 1, tag: list[str] = ()) -> dict:
    return {"hello": name, "times": times, "tags": list(tag)}


@function(route="POST /ship")
def ship(ctx, address: Address, express: bool = False) -> dict:
    return {"to": address.city, "express": express}


@function(route="PUT /files/{name}")
def store(ctx, name: str, content: bytes) -> Response:
    return Response({"name": name, "bytes": len(content)}, 201, {"location": f"/files/{name}"})


@function(route="POST /forms")
def form(ctx, **fields) -> dict:
    return {name: value if isinstance(value, str) else str(value) for name, value in fields.items()}


@function(route="POST /slow")
def slow(ctx, seconds: float, email: str | None = None) -> dict:
    if email is not None:
        ctx.db.execute("insert into users (email) values (%s)", email)
    time.sleep(seconds)
    return {"slept": seconds}


@function(route="GET /cookies")
def cookies(ctx) -> Response:
    return Response("ok", headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")])


@function(route="GET /reset/{token}")
def reset(ctx, token: str, password: str = "") -> None:
    return None


@function(route="GET /boom")
def boom(ctx) -> None:
    raise RuntimeError("boom")


@function(route="POST /stuck", timeout=0.2)
def stuck(ctx) -> None:
    import ctypes

    ctypes.CDLL(None).sleep(60)
"""

SCHEMA = """
    create table users (
        id    bigint generated always as identity primary key,
        email text not null unique,
        plan  text not null default 'free'
    );
"""

SETTINGS = """
    [project]
    name = "served"
    [recording]
    redact = ["password", "token"]
    [gateway]
    body_limit = "64KiB"
"""

#: How a test starts flux; its warnings are shown.
FLUX = [str(Path(sys.executable).parent / "flux")]
_URL = re.compile(r"http://127\.0\.0\.1:\d+")

Answer = TypeVar("Answer")


def make_project(root: Path) -> Path:
    """A project with the functions above."""
    (root / "functions").mkdir(parents=True, exist_ok=True)
    (root / "db" / "migrations").mkdir(parents=True, exist_ok=True)
    (root / "flux.toml").write_text(SETTINGS)
    (root / "functions" / "all.py").write_text(FUNCTIONS)
    (root / "db" / "migrations" / "0001_users.sql").write_text(SCHEMA)
    return root


def eventually(ask: Callable[[], Answer], seconds: float = 15.0) -> Answer:
    """What ask returns as soon as it is true."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer or time.monotonic() > end:
            assert answer, f"still {answer!r} after {seconds} s"
            return answer
        time.sleep(0.02)


class Served:
    """One server. `url` is where it answers; `said` is what it printed on stderr so far."""

    def __init__(self, root: Path, database_url: str | None, *arguments: str, command: str = "serve") -> None:
        self.root = root
        self.database_url = database_url
        where = ["--bind", "127.0.0.1:0"] if command == "serve" else ["--port", "0"]
        self.process = subprocess.Popen(
            [*FLUX, command, *where, *arguments],
            cwd=root,
            env={**os.environ, "DATABASE_URL": database_url or ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []
        self.printed: list[str] = []
        for stream, lines in ((self.process.stderr, self.said), (self.process.stdout, self.printed)):
            threading.Thread(target=_read, args=(stream, lines), daemon=True).start()
        self.url = eventually(lambda: self._url() or self._died(), 20)
        self.http = httpx.Client(base_url=self.url, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
        eventually(self._answers, 20)

    def _url(self) -> str | None:
        found = _URL.search("".join(self.said))
        return found[0] if found else None

    def _died(self) -> None:
        assert self.process.poll() is None, "".join(self.said)

    def _answers(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.HTTPError:
            self._died()
            return False

    def workers(self) -> list[int]:
        """The ids of the worker processes that serve now: children of the server with an in-flight table."""
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, check=False)
        tables = (self.root / ".flux" / "inflight").glob("*.inflight")
        return sorted({int(line) for line in done.stdout.split()} & {int(path.name.split("-")[0]) for path in tables})

    def ask(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Rows from the database."""
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(query, parameters).fetchall()

    def record(self, response: httpx.Response | str) -> dict[str, Any]:
        """The record of a request, by its answer or its id, as soon as it is there."""
        request_id = response if isinstance(response, str) else response.headers["x-request-id"]
        query = "select * from flux.trace_requests where request_id = %s and outcome <> 'running'"
        return eventually(lambda: self.ask(query, request_id))[0]

    def crashed(self, function: str) -> dict[str, Any]:
        """The record of a crash of this function, as soon as it is there."""
        query = "select * from flux.trace_requests where outcome = 'crashed' and function = %s"
        return eventually(lambda: self.ask(query, function), 10)[0]

    def write_function(self, name: str, text: str) -> None:
        """Save a file of functions."""
        (self.root / "functions" / name).write_text(text)

    def stop(self) -> str:
        """SIGTERM, and all that was said."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise
        self.process.wait()
        return "".join(self.said)


def in_background(call: Callable[[], httpx.Response]) -> Callable[[], httpx.Response | httpx.HTTPError]:
    """Send a request on another thread; the function returned waits for its answer, or the error in place of one."""
    answers: list[httpx.Response | httpx.HTTPError] = []

    def send() -> None:
        try:
            answers.append(call())
        except httpx.HTTPError as error:
            answers.append(error)

    thread = threading.Thread(target=send)
    thread.start()

    def answer() -> httpx.Response | httpx.HTTPError:
        thread.join()
        return answers[0]

    return answer


def running(served: Served, function: str) -> bool:
    """Whether a request for this function is under way, by the in-flight table of its worker."""
    folder = served.root / ".flux" / "inflight"
    wanted = json.dumps(function).encode()
    return any(b'"function":' + wanted in path.read_bytes()[:2_000_000] for path in folder.glob("*.inflight"))


def _read(stream: Any, lines: list[str]) -> None:
    with stream:
        for line in stream:
            lines.append(line)  # one by one, as they come

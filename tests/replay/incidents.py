"""An incident to be replayed: a shop that `flux serve` serves, a provider that it calls, and traffic of clients."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from flux.config import Project

TABLES = """
    create table users (
        id      bigint generated always as identity primary key,
        email   text not null unique,
        plan    text not null default 'free',
        seen_at timestamptz not null default now()
    );
    create table orders (
        id      serial primary key,
        user_id bigint not null references users,
        total   numeric not null check (total >= 0),
        token   text
    );
    create table notes (text text);
    create table tickets (
        id      uuid primary key default gen_random_uuid(),
        made_at timestamptz not null default clock_timestamp(),
        title   text
    );
    create table counters (name text primary key, value bigint not null default 0);
    create function count_orders() returns trigger language plpgsql as $$
    begin
        update counters set value = value + 1 where name = 'orders';
        return null;
    end
    $$;
    create trigger count_orders after insert on orders for each row execute function count_orders();
    insert into counters (name) values ('orders'), ('hits');
"""

FUNCTIONS = """
    import os, random, time, uuid
    from datetime import datetime

    import httpx

    from flux import HTTPError, Response, function, tool

    PROVIDER = os.environ["PROVIDER"]


    class Declined(Exception):
        pass


    @tool("fraud.score")
    def score(email):
        return {"score": len(httpx.get(f"{PROVIDER}/score").text)}


    @function(route="POST /users")
    def signup(ctx, email: str) -> dict:
        user = ctx.db.one("insert into users (email) values (%s) returning *", email)
        ctx.db.execute("insert into notes (text) values (%s)", f"welcome {email}")
        return user


    @function(route="GET /users")
    def users(ctx) -> list:
        return ctx.db.all("select id, email, plan from users order by id")


    @function(route="PATCH /users/{id}")
    def change(ctx, id: int, plan: str) -> dict:
        user = ctx.db.one("update users set plan = %s where id = %s returning id, plan", plan, id)
        if user is None:
            raise HTTPError(404, f"no user {id}")
        return user


    @function(route="POST /users/{id}/orders")
    def order(ctx, id: int, price: int, pieces: int = 1) -> dict:
        charge = ctx.fetch(f"{PROVIDER}/charge", method="POST", json={"user": id, "amount": price * pieces})
        made = ctx.db.one(
            "insert into orders (user_id, total, token) values (%s, %s, %s) returning id, total",
            id, price * pieces, uuid.uuid4().hex,
        )
        if not charge.ok:
            raise Declined(f"provider answered {charge.status}")
        return {**made, "charge": charge.json()["id"], "at": time.time(), "lucky": random.randint(1, 10**9)}


    @function(route="POST /quote")
    def quote(ctx, price: int) -> dict:
        risk = score("x")
        first = httpx.get(f"{PROVIDER}/rate", params={"of": price}).json()
        again = httpx.get(f"{PROVIDER}/rate", params={"of": price}).json()
        return {"risk": risk, "rates": [first, again], "now": datetime.now().isoformat(), "random": os.urandom(4).hex()}


    @function(route="POST /hit")
    def hit(ctx, pause: float = 0) -> dict:
        before = ctx.db.value("select value from counters where name = 'hits'")
        time.sleep(pause)
        ctx.db.execute("update counters set value = value + 1 where name = 'hits'")
        return {"before": before}


    @function(route="POST /tickets")
    def open_tickets(ctx, titles: list[str]) -> list:
        return ctx.db.all("insert into tickets (title) select unnest(%s::text[]) returning *", titles)


    @function(route="GET /tickets/{id}")
    def ticket(ctx, id: str) -> dict:
        return ctx.db.one("select * from tickets where id = %s", id)["title"]


    @function(route="GET /boom")
    def boom(ctx) -> dict:
        ctx.db.execute("update users set plan = 'boom'")
        raise RuntimeError(f"boom at {time.time()}")


    @function(route="GET /hello")
    def hello(ctx, name: str = "world") -> str:
        return f"hello {name} at {ctx.now()}"
"""


class Provider(BaseHTTPRequestHandler):
    """Answers differently every time, and counts who asks."""

    calls = 0

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        Provider.calls += 1
        declined = body and json.loads(body)["amount"] == 13
        text = json.dumps({"id": f"ch_{Provider.calls}", "rate": Provider.calls}).encode()
        self.send_response(402 if declined else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _answer

    def log_message(self, *arguments: Any) -> None:
        """Nothing on stderr."""


@dataclass
class Incident:
    """A project with a past. `provider` counts the calls that reached it."""

    root: Path
    database_url: str
    provider_url: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        """The project as a command finds it."""
        return Project.load(self.root)

    def write(self, text: str, name: str = "shop.py") -> None:
        """Save a file of functions."""
        (self.root / "functions").mkdir(exist_ok=True)
        (self.root / "functions" / name).write_text(textwrap.dedent(text))

    def edit(self, old: str, new: str) -> None:
        """Change the code."""
        path = self.root / "functions" / "shop.py"
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new))

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Rows of the database."""
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(query, parameters or None).fetchall()

    def run(self, statement: str) -> None:
        """A write from outside Flux."""
        with psycopg.connect(self.database_url, application_name="psql") as connection:
            connection.execute(statement)

    def requests(self) -> list[dict[str, Any]]:
        """What was recorded, oldest first, without replays."""
        return self.rows("select * from flux.trace_requests where kind <> 'replay' order by started_at")

    def flux(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command as in a shell, whose output goes into a pipe."""
        return subprocess.run(
            [*FLUX, *arguments],
            cwd=self.root,
            env={**self.environment, "COLUMNS": "80", "TZ": "UTC", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def replay(self, *arguments: str) -> dict[str, Any]:
        """What `flux incident replay` answers as JSON."""
        done = self.flux("incident", "replay", *arguments, "--json")
        assert done.returncode in (0, 1) and done.stdout, done.stderr
        answer: dict[str, Any] = {**json.loads(done.stdout), "exit": done.returncode, "said": done.stderr}
        return answer


FLUX = [str(Path(sys.executable).parent / "flux")]


def make_incident(root: Path, database_url: str, provider_url: str) -> Incident:
    """The shop, with nothing in its past yet."""
    environment = {**os.environ, "PROVIDER": provider_url, "DATABASE_URL": database_url}
    incident = Incident(root, database_url, provider_url, environment)
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "db" / "migrations" / "0001_tables.sql").write_text(TABLES)
    (root / "flux.toml").write_text(f'[project]\nname = "shop"\n\n[database]\nurl = "{database_url}"\n')
    incident.write(FUNCTIONS)
    return incident


@contextmanager
def provider() -> Iterator[str]:
    """The provider, answering; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving(incident: Incident, *arguments: str) -> Iterator[httpx.Client]:
    """The shop, served by real processes."""
    with (incident.root.parent / f"{incident.root.name}-serve.log").open("w+") as log:
        process = subprocess.Popen(
            [*FLUX, "serve", "--bind", "127.0.0.1:0", *arguments],
            cwd=incident.root, env=incident.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            url = _eventually(lambda: _url(incident, process))
            with httpx.Client(base_url=url, timeout=20) as http:
                _eventually(lambda: _ready(http))
                yield http
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _url(incident: Incident, process: subprocess.Popen[bytes]) -> str | None:
    said = (incident.root.parent / f"{incident.root.name}-serve.log").read_text()
    assert process.poll() is None, said
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    return found[0] if found else None


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def _eventually(ask: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def traffic(incident: Incident, http: httpx.Client) -> None:
    """What happened: good requests and failing ones, with tools, time and chance, one after the other and at once."""
    for name in ("ann", "bob", "cy"):
        http.post("/users", json={"email": f"{name}@b.c"})
    http.post("/users", json={"email": "ann@b.c"})
    http.get("/users")
    http.patch("/users/1", json={"plan": "pro"})
    http.patch("/users/99", json={"plan": "pro"})
    incident.run("update users set plan = 'gold' where id = 2")
    http.get("/users")
    http.post("/users/1/orders", json={"price": 29, "pieces": 2})
    http.post("/users/2/orders", json={"price": 13})
    http.post("/users/99/orders", json={"price": 5})
    http.post("/users/1/orders", json={"price": "many"})
    http.post("/quote", json={"price": 7})
    for opened in http.post("/tickets", json={"titles": ["it's \\ late", "lost"]}).json():
        http.get(f"/tickets/{opened['id']}")
    http.get("/boom")
    http.get("/hello?name=ann")
    http.get("/nowhere")
    incident.run("insert into users (email) values ('dee@b.c'); delete from notes where text like '%cy%'")
    with ThreadPoolExecutor(6) as pool:
        for number in range(12):
            pool.submit(http.post, "/users/3/orders", json={"price": number})
            pool.submit(http.post, "/users", json={"email": f"{number}@b.c"})
            pool.submit(http.get, f"/hello?name={number}")
    http.get("/users")


def since(moment: datetime) -> str:
    """A window from then until now, as the command line takes it."""
    return f"{moment.isoformat()}..now"

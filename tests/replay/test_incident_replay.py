"""An incident replayed: unchanged code does the same again, changed code is told apart, and nothing else is touched."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from incidents import FLUX, FUNCTIONS, Incident, Provider, make_incident, provider, serving, traffic

from flux.engine.questions import asking
from flux.replay.incident import replay_on
from flux.replay.recorded import RecordedRequest

pytestmark = pytest.mark.slow

ALL = "1h..now"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Incident]:
    """A shop with a past, and its provider still there to count who calls it."""
    with provider() as url:
        incident = make_incident(tmp_path_factory.mktemp("shop"), new_database(), url)
        with serving(incident, "--workers", "2") as http:
            traffic(incident, http)
        yield incident


@pytest.fixture(autouse=True)
def _as_it_was(shop: Incident) -> Iterator[None]:
    """Each test changes the code as it likes."""
    yield
    shop.write(FUNCTIONS)


@pytest.fixture
def untouched(shop: Incident) -> Iterator[None]:
    """Whatever the test does, the real data, its history and the provider know nothing of it."""
    before, calls = contents(shop), Provider.calls
    yield
    assert contents(shop) == before
    assert Provider.calls == calls


def contents(shop: Incident) -> dict[str, list[dict]]:
    """Every table, every sequence and the history of the rows."""
    queries = {table: f"select * from {table} order by 1" for table in ("users", "orders", "notes", "counters")}
    queries["sequences"] = "select sequencename, last_value from pg_sequences where schemaname = 'public' order by 1"
    queries["history"] = "select id from flux.state_mutations order by 1"
    return {name: shop.rows(query) for name, query in queries.items()}


def verdicts(answer: dict) -> Counter:
    """How many requests have which verdict."""
    return Counter(one["verdict"] for one in answer["requests"])


def of(answer: dict, path: str, method: str = "POST") -> list[dict]:
    """The requests of a path."""
    return [one for one in answer["requests"] if (one["method"], one["path"]) == (method, path)]


def test_unchanged_code_replayed_is_identical(shop: Incident, untouched: None) -> None:
    """Only then does a difference say something about the code."""
    answer = shop.replay(ALL)

    assert [one["difference"] for one in answer["requests"] if one["difference"]] == []
    assert verdicts(answer) == {"same": len(answer["requests"]) - 4, "failing": 4}
    assert len(answer["requests"]) == len(shop.requests())
    assert {call["outcome"] for one in answer["requests"] for call in one["calls"]} == {"exact"}
    assert answer["totals"]["fidelity"]["exact"] == len(answer["requests"])


def test_each_request_is_identical_on_the_state_it_saw(shop: Incident, untouched: None) -> None:
    """Only what others committed meanwhile may make a difference, and then it is said."""
    answer = shop.replay(ALL, "--each-as-of", "--parallel", "2")

    assert [one["difference"] for one in answer["requests"] if one["difference"] and not one["doubts"]] == []
    assert verdicts(answer)["same"] > len(answer["requests"]) - 20
    assert answer["state"] == "each as of"
    assert len(answer["sandboxes"]) == 2


def test_a_fix_is_seen_to_work_and_a_break_to_break(shop: Incident, untouched: None) -> None:
    """The question that a replay answers."""
    shop.edit("if not charge.ok:", "if charge.status >= 500:")
    shop.edit('charge.json()["id"]', 'charge.json().get("id")')
    shop.edit('raise HTTPError(404, f"no user {id}")', "user['id']")

    answer = shop.replay(ALL)

    [declined] = of(answer, "/users/2/orders")
    [unknown] = of(answer, "/users/99", "PATCH")
    assert (declined["verdict"], declined["now"]["status"]) == ("fixed", 200)
    assert declined["reason"] == "Fixed: Declined: provider answered 402"
    assert (unknown["verdict"], unknown["then"]["status"], unknown["now"]["status"]) == ("regressed", 404, 500)
    assert "TypeError" in unknown["reason"]
    # The order that is taken now is counted, and each later one comes after it.
    assert {one["path"] for one in answer["requests"] if one["verdict"] == "changed"} == {"/users/3/orders"}
    total = len(answer["requests"])
    assert verdicts(answer) == {"same": total - 17, "changed": 12, "failing": 3, "fixed": 1, "regressed": 1}


def test_a_difference_without_an_error_is_seen(shop: Incident, untouched: None) -> None:
    """Status 200 and the wrong amount is the incident that nobody's alarm goes off for."""
    shop.edit("id, price * pieces, uuid", "id, price + pieces, uuid")

    answer = shop.replay(ALL)

    first = of(answer, "/users/1/orders")[0]
    assert first["verdict"] == "changed"
    assert first["difference"]["mutations"]
    assert answer["exit"] == 1
    assert verdicts(answer)["changed"] == 13


def test_a_call_that_the_record_does_not_hold_fails_the_replay(shop: Incident, untouched: None, tmp_path: Path) -> None:
    """It is never made; a function that swallows the error does not hide it. A stub answers it where that is wanted."""
    shop.edit(
        'user = ctx.db.one("insert into users (email)',
        'try: httpx.get(f"{PROVIDER}/welcome").json()\n'
        "    except Exception: pass\n"
        '    user = ctx.db.one("insert into users (email)',
    )
    stubs = tmp_path / "stubs.json"

    answer = shop.replay(ALL, "--function", "signup")
    name = of(answer, "/users")[0]["calls"][0]["name"]
    stubs.write_text(json.dumps({name: {"status": 200, "headers": {"content-type": "application/json"}, "body": {}}}))
    stubbed = shop.replay(ALL, "--function", "signup", "--stub", str(stubs))

    assert {one["verdict"] for one in of(answer, "/users")} == {"regressed", "failing"}
    assert of(answer, "/users")[0]["reason"].startswith("new call, which the record cannot answer: GET 127.0.0.1")
    assert {call["outcome"] for one in stubbed["requests"] for call in one["calls"]} == {"stub"}
    assert verdicts(stubbed)["regressed"] == 0


def test_what_others_wrote_is_there_at_its_place(shop: Incident, untouched: None) -> None:
    """Requests that are left out, and a correction in psql, are part of what a request saw."""
    answer = shop.replay(ALL, "--function", "users")

    assert len(answer["requests"]) == 3
    assert verdicts(answer) == {"same": 3}


def test_a_recorded_write_that_no_longer_fits_is_said(shop: Incident, untouched: None) -> None:
    """Else the state drifts from what it was, and nobody knows why the rest differs."""
    shop.edit('f"welcome {email}")', 'f"welcome {email}")\n    if email.startswith("bob"): raise HTTPError(409)')

    answer = shop.replay(ALL)

    assert any("no longer fits" in remark and "users" in remark for remark in answer["remarks"])


def test_requests_picked_by_id_are_replayed_on_what_they_saw(shop: Incident, untouched: None) -> None:
    """One request is asked about by itself; what happened before it is in the state."""
    [declined] = [row for row in shop.requests() if row["path"] == "/users/2/orders"]
    [reader] = [row for row in shop.requests() if row["function"] == "users"][-1:]

    answer = shop.replay("--request", str(declined["request_id"])[:8], "--request", f"req:{reader['request_id']}")

    assert answer["state"] == "each as of"
    assert [one["verdict"] for one in answer["requests"]] == ["failing", "same"]
    assert answer["requests"][0]["difference"] is None
    again = shop.replay("--request", answer["requests"][0]["replay_id"])
    assert again["requests"][0]["request_id"] == str(declined["request_id"])


def test_a_replay_leaves_a_record_of_its_own(shop: Incident, untouched: None) -> None:
    """It can be traced and compared when the sandbox is gone."""
    [ordered] = [row for row in shop.requests() if row["path"] == "/users/1/orders" and row["status"] == 200]

    answer = shop.replay("--request", str(ordered["request_id"]))

    [one] = answer["requests"]
    [row] = shop.rows("select * from flux.trace_requests where request_id = %s", one["replay_id"])
    assert (row["kind"], row["replay_of"], row["code_sha"]) == ("replay", ordered["request_id"], answer["code_sha"])
    changes = shop.rows("select * from flux.data_changes(%s)", one["replay_id"])
    assert [change["table_name"] for change in changes] == ["public.orders", "public.counters"]
    assert shop.flux("trace", one["replay_id"]).returncode == 0
    diff = shop.flux("trace", "diff", str(ordered["request_id"]), one["replay_id"])
    assert diff.returncode == 0, diff.stdout + diff.stderr


def test_one_request_can_be_run_on_other_code(
    shop: Incident, untouched: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is what `flux trace diff CODE:ID` and a bisection do."""
    monkeypatch.setenv("PROVIDER", shop.provider_url)
    [row] = [row for row in shop.requests() if row["path"] == "/users/2/orders"]
    with asking(shop.database_url) as questions:
        recorded = RecordedRequest.of(questions, row["request_id"])
    other = tmp_path / "other"
    (other / "functions").mkdir(parents=True)
    (other / "functions" / "shop.py").write_text(
        (shop.root / "functions" / "shop.py").read_text().replace("raise Declined", "raise HTTPError(402) #")
    )
    (other / "flux.toml").write_text((shop.root / "flux.toml").read_text())

    replay_id = replay_on(shop.project, shop.database_url, recorded, str(other))

    with asking(shop.database_url) as questions:
        assert RecordedRequest.of(questions, replay_id).status == 402
    assert shop.replay("--request", str(row["request_id"]), "--code", str(other))["requests"][0]["verdict"] == "fixed"


def test_code_that_hangs_or_dies_takes_no_other_request_with_it(shop: Incident, untouched: None) -> None:
    """A fix may be wrong in any way; the rest of the window is still to be known."""
    shop.edit('return f"hello {name} at {ctx.now()}"', "os._exit(3)")
    shop.edit('@function(route="GET /boom")', '@function(route="GET /boom", timeout=0.5)')
    shop.edit('raise RuntimeError(f"boom at {time.time()}")', "while True: pass")

    answer = shop.replay(ALL)

    assert {one["now"]["outcome"] for one in of(answer, "/hello", "GET")} == {"crashed"}
    assert [one["now"]["outcome"] for one in of(answer, "/boom", "GET")] == ["timeout"]
    assert verdicts(answer)["same"] == len(answer["requests"]) - 4 - len(of(answer, "/hello", "GET"))


def test_code_that_touches_tables_that_were_not_copied_gets_them(shop: Incident, untouched: None) -> None:
    """Which tables new code touches is not in the record; being refused one is how it is found out."""
    shop.edit('"select id, email, plan from users order by id"', '"select (select count(*) from orders) from users"')

    answer = shop.replay(ALL, "--function", "users", "--tables", "users")

    assert verdicts(answer) == {"changed": 3}
    assert [one["now"]["status"] for one in answer["requests"]] == [200, 200, 200]


def test_what_a_run_wrote_before_it_was_refused_a_table_is_taken_back(shop: Incident, untouched: None) -> None:
    """It is run again with the table; its own first try must not be in its way, also where it caught the error."""
    shop.edit(
        'user = ctx.db.one("insert into users (email)',
        "user = ctx.db.one(\"update users set plan = 'x' where id = 1\")\n"
        '    try: ctx.db.one("select from orders")\n'
        "    except Exception: pass\n"
        '    user = ctx.db.one("insert into users (email)',
    )

    answer = shop.replay(ALL, "--function", "signup", "--tables", "users,notes")

    assert verdicts(answer) == {"changed": 15, "failing": 1}
    assert [one["now"]["status"] for one in answer["requests"]].count(200) == 15


def test_migrations_that_the_code_brings_along_are_named(shop: Incident, untouched: None) -> None:
    """A fix may need a column that only its migration makes; then its failure is no fault of the fix."""
    migration = shop.root / "db" / "migrations" / "0002_country.sql"
    migration.write_text("alter table users add column country text")

    answer = shop.replay(ALL, "--function", "users")

    assert [remark for remark in answer["remarks"] if remark.endswith("db/migrations/0002_country.sql")]
    migration.unlink()


def test_independent_requests_are_replayed_at_the_same_time(shop: Incident, untouched: None) -> None:
    """Two groups that share no table, each in a sandbox of its own, end as one by one."""
    answer = shop.replay(ALL, "--parallel", "2")

    assert [one["difference"] for one in answer["requests"] if one["difference"]] == []
    assert len(answer["requests"]) == len(shop.requests())
    together = shop.replay(ALL, "--function", "signup", "--parallel", "3")
    assert any("one by one" in remark for remark in together["remarks"])


def test_a_sandbox_is_kept_only_when_it_is_asked_for(shop: Incident, untouched: None) -> None:
    """Forgotten databases fill a server; one that is wanted must be found with psql."""
    names = "select datname from pg_database where datname like 'flux_sandbox%'"
    shop.replay(ALL, "--function", "users")
    assert shop.rows(names) == []

    answer = shop.replay(ALL, "--function", "signup", "--keep")

    [sandbox] = answer["sandboxes"]
    with psycopg.connect(sandbox["url"]) as connection:
        assert connection.execute("select count(*) from users").fetchone() == (16,)
    assert shop.flux("state", "checkout", "--drop", sandbox["name"]).returncode == 0
    assert shop.rows(names) == []


def test_what_cannot_be_run_again_is_said_and_its_writes_are_still_there(shop: Incident) -> None:
    """A request left out in silence would make all that follow it look wrong."""
    [bob] = [row for row in shop.requests() if (row["input"] or {}).get("email") == "bob@b.c"]
    was = f"where request_id = '{bob['request_id']}'"
    shop.run(f'update flux.trace_requests set input = \'{{"email": "[redacted]"}}\' {was}')

    answer = shop.replay(ALL, "--fail-if", "changed")

    [skipped] = [one for one in answer["requests"] if one["verdict"] == "skipped"]
    assert skipped["obstacle"] == "its input was redacted"
    assert (skipped["replay_id"], skipped["now"]) == (None, None)
    assert [one["difference"] for one in answer["requests"] if one["difference"]] == []
    assert answer["totals"]["fidelity"]["not_replayed"] == 1

    allowed = shop.replay("--request", str(bob["request_id"]), "--redacted")

    [ran] = allowed["requests"]
    assert ran["replay_id"] is not None
    assert "its input was redacted: it had [redacted] in its place" in ran["doubts"]
    assert answer["exit"] == 0
    assert shop.replay("--request", str(bob["request_id"]))["exit"] == 1
    shop.run(f'update flux.trace_requests set input = \'{{"email": "bob@b.c"}}\' {was}')


def test_a_difference_that_concurrency_may_explain_is_told_as_such(
    tmp_path: Path, new_database: Callable[[], str], shop: Incident
) -> None:
    """Read, wait, write by several at once: what each read is not sure to come again, and the replay says so."""
    from concurrent.futures import ThreadPoolExecutor

    incident = make_incident(tmp_path / "hits", new_database(), shop.provider_url)
    with serving(incident, "--workers", "2") as http, ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            pool.submit(http.post, "/hit", json={"pause": 0.05})

    answer = incident.replay(ALL)

    assert verdicts(answer).keys() <= {"same", "changed"}
    assert all(one["doubts"] for one in answer["requests"] if one["verdict"] == "changed")
    each = incident.replay(ALL, "--each-as-of")
    assert [one for one in each["requests"] if one["verdict"] == "changed" and not one["doubts"]] == []


def test_in_place_writes_for_good_and_is_recorded_as_a_replay(tmp_path: Path, new_database: Callable[[], str]) -> None:
    """As the product page shows it, for a database that is there to be written to."""
    with provider() as url:
        incident = make_incident(tmp_path, new_database(), url)
        with serving(incident, "--workers", "1") as http:
            http.post("/users", json={"email": "ann@b.c"})
            http.get("/users")
        incident.run("delete from users")

        answer = incident.replay(ALL, "--in-place", "--yes")

    assert answer["state"] == "in place"
    assert answer["sandboxes"] == []
    assert [one["now"]["status"] for one in answer["requests"]] == [200, 200]
    assert all(one["doubts"] for one in answer["requests"])
    assert [row["email"] for row in incident.rows("select email from users")] == ["ann@b.c"]
    written = incident.rows("select request_id from flux.state_mutations where table_name = 'public.users'")
    assert str(written[-1]["request_id"]) == answer["requests"][0]["replay_id"]


def test_a_role_that_may_make_no_database_is_told_how_to(shop: Incident) -> None:
    """In production the role of the application rarely may; another server is the other way out."""
    shop.run("drop role if exists humble; create role humble login; grant flux_app, pg_read_all_data to humble")
    url = shop.database_url.replace("postgres@", "humble@")

    done = shop.flux("incident", "replay", ALL, DATABASE_URL=url)

    assert done.returncode == 1
    assert "createdb" in done.stderr.lower()
    assert "--sandbox-url" in done.stderr
    shop.run("drop owned by humble; drop role humble")


def test_tables_changed_since_are_matched_by_name_and_the_rest_is_said(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """A column added since has no past, a table dropped since has none either; what can be replayed still is."""
    with provider() as url:
        incident = make_incident(tmp_path, new_database(), url)
        with serving(incident, "--workers", "1") as http:
            http.post("/users", json={"email": "ann@b.c"})
            http.patch("/users/1", json={"plan": "pro"})
        incident.run("alter table users add column country text default 'de'; drop table notes")

        answer = incident.replay(ALL)

    signup, change = answer["requests"]
    assert signup["verdict"] == "regressed"
    assert "notes" in signup["reason"]
    assert change["now"]["status"] == 404 or change["verdict"] == "same"


def test_a_window_may_end_in_the_middle_of_what_others_do(shop: Incident, untouched: None) -> None:
    """What was committed after the last request is nobody's business; what before it, is."""
    moment = shop.requests()[6]["started_at"].isoformat()

    answer = shop.replay(f"1h..{moment}")

    assert len(answer["requests"]) == 6
    assert verdicts(answer) == {"same": 5, "failing": 1}


def test_an_interrupted_replay_leaves_nothing_behind(shop: Incident, untouched: None) -> None:
    """Ctrl-C in the middle of a long window is an everyday thing; its sandbox goes, at once."""
    shop.edit('return f"hello {name} at {ctx.now()}"', "time.sleep(20)")
    names = "select datname from pg_database where datname like 'flux_sandbox%'"

    process = subprocess.Popen(
        [*FLUX, "incident", "replay", ALL],
        cwd=shop.root,
        env=shop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while "/boom" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)

    assert process.returncode == 130
    assert shop.rows(names) == []


def test_the_same_code_that_comes_out_otherwise_is_not_called_exact(shop: Incident) -> None:
    """What nobody foresaw must not be put down to the code, which is the same."""
    row = next(row for row in shop.requests() if row["function"] == "users" and row["outcome"] == "ok")
    was = f"where request_id = '{row['request_id']}'"
    shop.run(f"create table kept as select output from flux.trace_requests {was}")
    shop.run(f"update flux.trace_requests set output = '{{\"drawn\": 0.5}}' {was}")

    answer = shop.replay("--request", str(row["request_id"]))

    shop.run(f"update flux.trace_requests set output = (select output from kept) {was}")
    shop.run("drop table kept")
    assert answer["requests"][0]["verdict"] == "changed"
    assert "it depends on something that is not in the record" in answer["requests"][0]["doubts"][0]
    assert answer["totals"]["fidelity"]["exact"] == 0

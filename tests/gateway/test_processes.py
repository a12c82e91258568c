"""Processes end in every way they can, and no request is lost from the record."""

from __future__ import annotations

import os
import signal
import time

import httpx
import psycopg
import pytest
from served import FUNCTIONS, eventually, in_background, running


def test_a_killed_worker_leaves_a_crashed_record(serve):
    """The out-of-memory killer asks nobody; the request it ended must be found, and nothing half done."""
    served = serve("--workers", "1")
    (worker,) = served.workers()
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 60, "email": "killed@x"}))
    eventually(lambda: running(served, "slow"))

    os.kill(worker, signal.SIGKILL)

    assert isinstance(answer(), httpx.HTTPError)
    record = served.crashed("slow")
    assert record["input"] == {"seconds": 60, "email": "killed@x"}
    assert (record["status"], record["error_type"], record["duration_us"]) == (500, "Crashed", None)
    assert (record["method"], record["path"], record["kind"]) == ("POST", "/slow", "http")
    spans = served.ask(
        "select kind, name from flux.execution_spans where request_id = %s order by 1", record["request_id"]
    )
    assert [(span["kind"], span["name"]) for span in spans] == [("function", "slow"), ("gateway", "POST /slow")]
    assert served.ask("select from users where email = 'killed@x'") == []
    assert eventually(served.workers) != [worker]
    assert eventually(lambda: served.http.get("/hello")).status_code == 200


def test_answered_requests_of_a_killed_worker_are_recorded(serve):
    """Records without data are written after the reply: the worker may die in between."""
    served = serve("--workers", "1")
    (worker,) = served.workers()
    with psycopg.connect(served.database_url) as connection:
        connection.execute("lock table flux.trace_requests in exclusive mode")
        answers = [served.http.get("/hello", params={"times": number}) for number in range(5)]
        missing = served.http.get("/nowhere")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: served.workers() not in ([], [worker]))

    assert [answer.status_code for answer in answers] == [200] * 5
    for number, answer in enumerate(answers):
        record = served.record(answer)
        assert (record["outcome"], record["input"]) == ("ok", {"times": str(number)})
    assert served.record(missing)["outcome"] == "refused"
    assert served.ask("select from flux.trace_requests where outcome = 'crashed'") == []


def test_a_server_killed_whole_is_recorded_at_its_next_start(serve):
    """When the machine's supervisor kills everything, nobody is left but the next start."""
    served = serve("--workers", "2")
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 60}))
    eventually(lambda: running(served, "slow"))

    os.killpg(served.process.pid, signal.SIGKILL)
    answer()
    served.stop()
    again = serve("--workers", "1", database_url=served.database_url)

    assert again.crashed("slow")["input"] == {"seconds": 60}
    eventually(lambda: len(list((again.root / ".flux" / "inflight").iterdir())) == 1)


def test_a_committed_request_never_becomes_a_crashed_one(serve):
    """A worker may die after the commit and before it forgets the request."""
    served = serve("--workers", "1")
    (worker,) = served.workers()
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 60}))
    eventually(lambda: running(served, "slow"))
    (table,) = (served.root / ".flux" / "inflight").glob("*.inflight")
    request_id = table.read_bytes().partition(b'{"request_id":"')[2][:36].decode()
    with psycopg.connect(served.database_url) as connection:
        connection.execute(
            "insert into flux.trace_requests (request_id, kind, outcome, started_at) values (%s, 'http', 'ok', now())",
            (request_id,),
        )

    os.kill(worker, signal.SIGKILL)
    answer()
    eventually(lambda: not table.exists())

    rows = served.ask("select outcome from flux.trace_requests where request_id = %s", request_id)
    assert [row["outcome"] for row in rows] == ["ok"]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_running_requests_finish(serve, sign):
    """A deployment must cost nobody an answer; a closing Ctrl-C goes to every process of the terminal."""
    served = serve("--workers", "2")
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 1, "email": "stop@x"}))
    eventually(lambda: running(served, "slow"))

    if sign is signal.SIGINT:
        os.killpg(served.process.pid, sign)
    else:
        served.process.send_signal(sign)

    finished = answer()
    assert isinstance(finished, httpx.Response)
    assert finished.status_code == 200
    assert served.process.wait(10) == 0
    assert served.record(finished)["outcome"] == "ok"
    assert len(served.ask("select from users where email = 'stop@x'")) == 1
    assert list((served.root / ".flux" / "inflight").iterdir()) == []


def test_a_stop_takes_no_new_requests(serve):
    """A load balancer must see at once that this server is going."""
    served = serve("--workers", "1")
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 2}))
    eventually(lambda: running(served, "slow"))

    served.process.send_signal(signal.SIGTERM)

    def refused() -> bool:
        try:
            httpx.get(f"{served.url}/hello", timeout=0.2)
        except httpx.ConnectError:
            return True
        except httpx.TimeoutException:
            return False
        return False

    eventually(refused, 1.5)
    assert answer().status_code == 200


def test_a_second_ctrl_c_does_not_wait_and_loses_no_record(serve):
    """Somebody in a hurry still wants to know what was cut off."""
    served = serve("--workers", "1")
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 60}))
    eventually(lambda: running(served, "slow"))

    started = time.monotonic()
    os.killpg(served.process.pid, signal.SIGINT)
    time.sleep(0.5)
    os.killpg(served.process.pid, signal.SIGINT)

    served.process.wait(10)
    assert time.monotonic() - started < 8
    assert isinstance(answer(), httpx.HTTPError)
    assert served.crashed("slow")["input"] == {"seconds": 60}


def test_hang_up_brings_new_code_without_losing_a_request(serve):
    """`flux serve` does not watch files; a deployment says when."""
    served = serve("--workers", "1")
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 2}))
    eventually(lambda: running(served, "slow"))
    served.write_function("all.py", FUNCTIONS.replace('"hello": name', '"hallo": name').replace('"slept"', '"dozed"'))

    served.process.send_signal(signal.SIGHUP)

    assert eventually(lambda: "hallo" in served.http.get("/hello").json())
    assert answer().json() == {"slept": 2}


@pytest.mark.slow
def test_a_function_that_cannot_be_stopped_costs_only_itself(serve):
    """Foreign code that hangs holds a thread for ever; its worker makes way, and others get their answers."""
    served = serve("--workers", "1")
    (worker,) = served.workers()
    stuck = in_background(lambda: served.http.post("/stuck"))
    other = in_background(lambda: served.http.post("/slow", json={"seconds": 6}))
    eventually(lambda: running(served, "stuck"))

    eventually(lambda: served.workers() not in ([], [worker]), 15)

    assert other().status_code == 200
    assert isinstance(stuck(), httpx.HTTPError)
    (record,) = eventually(lambda: served.ask("select * from flux.trace_requests where function = 'stuck'"))
    assert record["outcome"] == "timeout"
    assert eventually(lambda: served.http.get("/hello")).status_code == 200

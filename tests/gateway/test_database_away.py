"""The database goes and comes back; the server tells its callers, forgets nothing, and needs no restart."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from served import Served, eventually, in_background, make_project, running

from flux.engine.binaries import wheel_binaries
from flux.engine.cluster import Cluster
from flux.engine.server import embedded

pytestmark = pytest.mark.slow


class Stoppable:
    """A Postgres server that a test may stop and start."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.stop = cluster.stop
        self.begun: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Have it running again."""
        process = self.cluster.start()
        assert process is not None
        self.begun.append(process)


@pytest.fixture
def cluster() -> Iterator[Stoppable]:
    """A server of the test's own."""
    home = Path(tempfile.mkdtemp(prefix="flux-away-"))
    home.chmod(0o711)
    with embedded(home / "pg", wheel_binaries(), ("fsync=off",)) as running_cluster:
        stoppable = Stoppable(running_cluster)
        yield stoppable
    for process in stoppable.begun:
        process.wait(10)
    shutil.rmtree(home)


@pytest.fixture
def served(cluster: Stoppable, tmp_path: Path) -> Iterator[Served]:
    """A server on that database."""
    server = Served(make_project(tmp_path), cluster.cluster.url("postgres"), "--workers", "1")
    yield server
    server.stop()


def test_a_database_that_goes_and_comes_back_costs_only_the_time_between(served, cluster):
    """A restart of Postgres must not need a restart of everything that uses it."""
    assert served.http.post("/signup", json={"email": "before@x"}).status_code == 200
    halfway = in_background(lambda: served.http.post("/slow", json={"seconds": 1.5, "email": "halfway@x"}))
    eventually(lambda: running(served, "slow"))

    cluster.stop()

    away = served.http.post("/signup", json={"email": "away@x"})
    assert away.status_code == 503
    assert away.headers["content-type"] == "application/problem+json"
    assert int(away.headers["retry-after"]) > 0
    eventually(lambda: served.http.get("/hello").status_code == 503)  # one connection lost is no database lost
    assert served.http.get("/healthz").status_code == 200
    ready = served.http.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["reasons"][0].startswith("database: ")
    cut_off = halfway()
    assert isinstance(cut_off, httpx.Response)
    assert cut_off.status_code == 503

    cluster.start()

    eventually(lambda: served.http.get("/readyz").status_code == 200, 10)
    assert served.http.post("/signup", json={"email": "after@x"}).status_code == 200
    assert [row["email"] for row in served.ask("select email from users order by id")] == ["before@x", "after@x"]
    for response, email in ((away, "away@x"), (cut_off, "halfway@x")):
        record = served.record(response)
        assert (record["status"], record["outcome"], record["input"]["email"]) == (503, "error", email)


def test_a_worker_killed_while_the_database_is_away_is_recorded_when_it_is_back(served, cluster):
    """Trouble comes in pairs: machines that lose their database run out of memory too."""
    (worker,) = served.workers()
    answer = in_background(lambda: served.http.post("/slow", json={"seconds": 60}))
    eventually(lambda: running(served, "slow"))

    cluster.stop()
    os.kill(worker, signal.SIGKILL)
    answer()
    eventually(lambda: served.workers() not in ([], [worker]))
    cluster.start()

    assert served.crashed("slow")["input"] == {"seconds": 60}

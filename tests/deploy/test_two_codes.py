"""Two generations of code in one process: each request runs, calls and is located in the one it was taken by."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from flux.config import Project
from flux.context import RequestContext
from flux.runtime.inflight import InflightTable
from flux.runtime.loader import load
from flux.runtime.runtime import Runtime

APP = """
from flux import function


@function
def inner(ctx):
    raise RuntimeError("NAME")


@function
def outer(ctx):
    return ctx.invoke("inner")
"""


@pytest.fixture
def generations(tmp_path):
    """The same project twice, in two folders; the newer is longer."""
    projects = []
    for name, before in (("old", ""), ("new", "\n" * 10)):
        (tmp_path / name / "functions").mkdir(parents=True)
        (tmp_path / name / "flux.toml").write_text("")
        (tmp_path / name / "functions" / "app.py").write_text(before + APP.replace("NAME", name))
        projects.append(Project.load(tmp_path / name))
    return [(project, load(project)) for project in projects]


def test_a_request_taken_before_a_switch_runs_whole_on_the_old_code(generations, database_url, tmp_path):
    """The gateway matched its route in the old table; the runtime has the new one by the time it begins."""
    (old, before), (new, after) = generations
    (tmp_path / "inflight").mkdir()
    inflight = InflightTable(tmp_path / "inflight", slots=4)
    runtime = Runtime(old, database_url, before, inflight=inflight, code_sha="old")
    runtime.open()
    try:
        runtime.reload(replace(new, database_url=database_url), after, "new")
        function = before.find("outer")
        reply = runtime.execute(
            RequestContext(kind="invoke", code_sha="old"), function, function.bind_input({}), registry=before
        )
    finally:
        runtime.close()
        inflight.close()

    with psycopg.connect(database_url) as connection:
        query = "select error_message, error_location, code_sha from flux.trace_requests where request_id = %s"
        row = connection.execute(query, (reply.record.context.request_id,)).fetchone()
    assert row == ("old", "functions/app.py:7", "old")

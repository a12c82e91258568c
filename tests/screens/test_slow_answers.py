"""A database that lets one wait: what the screen says meanwhile, and that one can leave."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest
import story
from checkout import RICH
from driving import walk_through

from flux.screens.reader import Reader


@pytest.fixture
def held(new_database, tmp_path):
    """Answers about the story, and a function that makes each further one wait for a lock."""
    project = story.told(new_database(), tmp_path)
    reader = Reader(project, project.database_url)
    with psycopg.connect(project.database_url) as connection:

        def hold(pilot):
            connection.execute("lock table flux.execution_spans in access exclusive mode")
            return pilot.press("down", "down", "down")

        yield reader, hold, connection
    reader.close()


def test_the_values_of_another_step_do_not_stand_beside_a_step(held):
    """Else a slow answer looks like a wrong one."""
    reader, hold, connection = held
    meanwhile = []

    async def waits(pilot):
        await hold(pilot)
        await asyncio.sleep(0.5)
        await pilot.pause()
        meanwhile.extend("".join(p.text for p in strip) for strip in pilot.app.screen._compositor.render_strips())
        connection.rollback()

    seen = walk_through(reader, "550e", waits)

    assert "Step 4/4" in meanwhile[0]
    assert "asking …" in "\n".join(meanwhile)
    assert "Input:" not in "\n".join(meanwhile)
    assert "HTTPError: stripe.charge answered 502" in seen.text


def test_q_does_not_wait_for_an_answer(held):
    """Nor does the question go on in the server."""
    reader, hold, connection = held

    async def leaves(pilot):
        await hold(pilot)
        await asyncio.sleep(0.2)
        await pilot.press("q")

    began = time.monotonic()
    assert walk_through(reader, "550e", leaves).ended
    assert time.monotonic() - began < 5
    connection.rollback()
    with psycopg.connect(reader.project.database_url) as other:
        for _ in range(100):
            left = story.one(
                other,
                "select count(*) from pg_stat_activity"
                " where application_name = 'flux' and state = 'active' and datname = current_database()",
            )
            if not left:
                break
            time.sleep(0.05)
    assert left == 0


def test_a_comparison_that_cannot_be_made_leaves_the_step_where_it_is(reader):
    """What was not found is told in the last line, and the values stay."""
    seen = walk_through(reader, str(RICH), "d")

    assert "no good run of the same function" in seen.foot
    assert "Input:" in seen.text

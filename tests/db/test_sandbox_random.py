"""Promise 7 for the sandbox: after any sequence of writes, it holds what was there at any moment, whatever it held."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_rebuild_random import TABLES, Look, look, present, steps, take, writers, writes

from flux.engine import past
from flux.engine.sandbox import Moment, make_sandbox

__all__ = ["writers"]

STEP = st.tuples(st.integers(0, 2), st.sampled_from(["look", "look", "commit"]))


@settings(
    max_examples=10,
    deadline=None,
    # Each step of shrinking makes a database: it would take longer than reading the example.
    phases=(Phase.explicit, Phase.generate),
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sequence=st.lists(st.one_of(steps, steps, STEP), min_size=10, max_size=60),
    replayed=st.lists(writes, max_size=20),
    small=st.booleans(),
    at_times=st.booleans(),
)
def test_what_a_request_read_is_what_the_sandbox_holds(
    writers: list[psycopg.Connection],
    database_url: str,
    sequence: list[tuple[int, object]],
    replayed: list[tuple[object, ...]],
    small: bool,
    at_times: bool,
) -> None:
    """A REPEATABLE READ request read it among concurrent writers; the sandbox is filled, written to, and restored."""
    with (
        psycopg.connect(database_url, autocommit=True, options="-c lock_timeout=20ms") as watcher,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Small tables are copied whole, large ones by the keys that differ.
        patch.setattr(past, "SMALL", past.SMALL if small else -1)
        for writer in writers:
            writer.rollback()
        watcher.execute(TABLES)
        looks = [look(watcher)]
        for number, step in sequence:
            if step == "look":
                with suppress(psycopg.errors.LockNotAvailable):  # somebody truncates
                    looks.append(look(watcher))
            else:
                take(writers[number], step)
        for writer in writers:
            writer.commit()

        with make_sandbox(database_url, moment(looks[-1], at_times)) as sandbox:
            assert sandbox.notes == ()
            with psycopg.connect(sandbox.url, autocommit=True, options="-c search_path=public") as inside:
                assert present(inside) == looks[-1].content
                for number, then in enumerate(looks):
                    for write in replayed[number::3]:
                        take(inside, write)
                    sandbox.restore(moment(then, at_times))
                    assert present(inside) == then.content


def moment(then: Look, at_times: bool) -> Moment:
    return Moment(at=then.at) if at_times else Moment(seen_by=then.request_id)

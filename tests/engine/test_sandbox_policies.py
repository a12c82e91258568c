"""A sandbox holds the policies of its source, so that a replay as a caller sees what the request saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sandboxes import connect, seen
from test_policies_enforced import CLAIMS, Refused, as_role, project_in, rows

from flux.engine.installer import install
from flux.engine.sandbox import Moment, Sandbox, make_sandbox


@pytest.fixture(scope="module")
def sandbox(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The people of a moment before Ada changed her name; teams are not in it."""
    url = new_database()
    install(url, project_in(tmp_path_factory.mktemp("past")))
    with connect(url) as connection:
        before = seen(connection)
        connection.execute("update people set name = 'Later', email = 'later@example.org' where id = 1")
    with make_sandbox(url, Moment(seen_by=before), tables=("people",)) as made:
        yield made


def test_a_sandbox_filters_and_masks_as_its_source_did(sandbox: Sandbox) -> None:
    """The views that mask belong to another role than the rest, which a dump does not say."""
    with as_role(sandbox.url, "flux_role_member", CLAIMS) as connection:
        assert rows(connection, "select name, email from people order by id") == [("Ada", "ad…"), ("Cid", None)]
        assert rows(connection, "update people set name = 'x' returning id") == [(1,), (3,)]
        with pytest.raises(Refused):
            connection.execute("select email from public.people")


def test_nothing_of_the_policies_differs_in_a_sandbox(sandbox: Sandbox) -> None:
    """What enforces them is the same, object by object."""
    with psycopg.connect(sandbox.url) as connection:
        connection.execute("set local search_path = ''")
        there: Any = rows(connection, "select object, definition from flux.policy_objects")
        made = rows(connection, "select value -> 'objects' from flux.settings where name = 'policies'")[0][0]

    assert dict(there) == made


def test_a_table_that_is_not_in_the_sandbox_is_closed_to_callers_and_opened_when_it_is(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    """No rows must not look like an answer; what was closed gets back the rights of its columns."""
    url = new_database()
    install(url, project_in(tmp_path))
    with connect(url) as connection:
        before = seen(connection)

    with make_sandbox(url, Moment(seen_by=before), tables=("teams",)) as sandbox:
        with as_role(sandbox.url, "flux_role_member", CLAIMS) as connection, pytest.raises(Refused):
            connection.execute("select id from people")
        sandbox.add_tables(["people"], Moment(seen_by=before))
        with as_role(sandbox.url, "flux_role_member", CLAIMS) as connection:
            assert rows(connection, "select email from people order by id") == [("ad…",), (None,)]
        with as_role(sandbox.url, "flux_role_anon") as connection:
            assert rows(connection, "select name from public.people") == [("Bob",)]

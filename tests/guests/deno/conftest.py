"""What the tests of TypeScript share: one project, served in this process, and a second database for its replays."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from outside import Outside, answering
from past import TABLES, Past, clone_of

from flux.config import Project
from flux.engine.installer import install
from flux.runtime.guests.deno.guest import DenoGuest

if TYPE_CHECKING:
    from tests.conftest import Postgres

_numbers = itertools.count()

MARKS = "create table marks (id bigint generated always as identity unique, text text not null);"


@pytest.fixture(scope="module")
def served(postgres: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """The project of these tests."""
    root = tmp_path_factory.mktemp("deno")
    shutil.copytree(Path(__file__).parent / "project", root, dirs_exist_ok=True)
    (root / "db" / "migrations").mkdir(parents=True)
    (root / "db" / "migrations" / "0001_tables.sql").write_text(TABLES + MARKS.replace("always", "by default"))
    (root / ".env.production").write_text("TOKEN=abc")
    (root / ".flux").mkdir(exist_ok=True)
    url = postgres.url(postgres.create(template))
    install(url, Project.load(root))
    past = Past(root, url, clone_of(postgres.url(), url, f"deno_{next(_numbers)}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENO_TEST_SECRET", "not for functions")
        with past.serving():
            yield past
        past.close()


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """A system outside."""
    with answering() as running:
        yield running


@pytest.fixture
def guest(served: Past) -> DenoGuest:
    """What runs the project's functions."""
    [found] = served.runtime.registry.generation.guests
    assert isinstance(found, DenoGuest)
    return found


def marks(url: str, like: str) -> list[str]:
    """What functions wrote that is there for good."""
    with psycopg.connect(url) as connection:
        return [
            text for (text,) in connection.execute("select text from marks where text like %s order by id", (like,))
        ]

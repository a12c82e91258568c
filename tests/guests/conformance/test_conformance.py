"""Every behaviour in every language that has a project and can run here; what one cannot do has to fail."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from behaviours import BEHAVIOURS, SECRET, Behaviour
from languages import Language, languages
from outside import answering
from past import TABLES, Past, clone_of
from subject import Subject
from table import PAGE, page

from flux.config import Project
from flux.engine.installer import install

if TYPE_CHECKING:
    from tests.conftest import Postgres

_numbers = itertools.count()


@pytest.fixture(scope="module", params=languages(), ids=lambda language: language.folder)
def language(request: pytest.FixtureRequest) -> Language:
    """The language under test, if it can be run here."""
    language: Language = request.param
    if missing := language.missing():
        pytest.skip(f"{language.name} cannot be run here: {missing}")
    return language


@pytest.fixture(scope="module")
def subject(
    language: Language, postgres: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    """Its project, served in this process, and a second database for replays."""
    root = tmp_path_factory.mktemp(language.folder)
    language.copy(root)
    (root / "db" / "migrations").mkdir(parents=True, exist_ok=True)
    (root / "db" / "migrations" / "0001_tables.sql").write_text(TABLES)
    url = postgres.url(postgres.create(template))
    install(url, Project.load(root))
    past = Past(root, url, clone_of(postgres.url(), url, f"conformance_{next(_numbers)}"))
    with pytest.MonkeyPatch.context() as patch, answering() as outside:
        patch.setenv("CONFORMANCE_SECRET", SECRET)
        with past.serving():
            yield Subject(past, outside)
        past.close()


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_behaviour(subject: Subject, language: Language, behaviour: Behaviour) -> None:
    """One language less would be one that Flux does not run."""
    reason = language.cannot.get(behaviour.__name__)
    if reason is None:
        behaviour(subject)
        return
    with pytest.raises(Exception):  # whatever way it fails, it must not be claimed
        behaviour(subject)


def test_the_page_says_what_the_suite_says() -> None:
    """A table that nobody runs claims what was true once."""
    assert PAGE.read_text() == page()


@pytest.mark.parametrize("language", languages(), ids=lambda language: language.folder)
def test_what_a_language_cannot_do_is_a_behaviour(language: Language) -> None:
    """A name that no behaviour has would excuse nothing, and nobody would notice."""
    assert set(language.cannot) <= {behaviour.__name__ for behaviour in BEHAVIOURS}

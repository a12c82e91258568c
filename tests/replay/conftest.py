"""What tests of replays share: a past of functions given as text, and a system outside."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from outside import Outside, answering
from past import Past, clone_of, make_past

if TYPE_CHECKING:
    from tests.conftest import Postgres

_numbers = itertools.count()


@pytest.fixture
def past(tmp_path: Path, database_url: str, postgres: Postgres) -> Iterator[Callable[..., Past]]:
    """Makes a past of functions given as text; they can be called, and replayed, until the test ends."""
    with ExitStack() as stack:

        def clone(url: str) -> str:
            name = f"sandbox_{next(_numbers)}"
            stack.callback(postgres.drop, name)
            return clone_of(postgres.url(), url, name)

        def make(functions: str, **more: Any) -> Past:
            made = make_past(tmp_path, database_url, clone, functions, **more)
            stack.enter_context(made.serving())
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A system outside, for one test."""
    with answering() as running:
        yield running

"""A server for all tests of a module, or one that a test may kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Served, make_project


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Served]:
    """One worker, for tests that leave it as it was."""
    server = Served(make_project(tmp_path_factory.mktemp("served")), new_database(), "--workers", "1")
    yield server
    said = server.stop()
    assert "Traceback" not in said, said


@pytest.fixture
def serve(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Callable[..., Served]]:
    """Starts servers for one test."""
    started: list[Served] = []

    def start(*arguments: str, command: str = "serve", database_url: str | None = None) -> Served:
        root = tmp_path if (tmp_path / "flux.toml").exists() else make_project(tmp_path)
        started.append(Served(root, database_url or new_database(), *arguments, command=command))
        return started[-1]

    yield start
    for server in started:
        server.stop()

"""What the tests of the engine share: processes that use a project's database."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from processes import USE, User

from flux.config import Project
from flux.engine.server import database


@pytest.fixture
def fresh_project() -> Iterator[Project]:
    """A project that has never been started, in a folder that no other run of pytest closes to other users."""
    with tempfile.TemporaryDirectory(prefix="flux-test-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        (root / "functions").mkdir()
        (root / "flux.toml").write_text('[project]\nname = "shop"\n')
        yield Project.load(root)


@pytest.fixture
def project(fresh_project: Project, started_once: Path) -> Project:
    """A project that was started once: its data folder is a copy, which is faster than initdb."""
    subprocess.run(["cp", "-a", started_once, fresh_project.state], check=True)
    return fresh_project


@pytest.fixture(scope="session")
def started_once(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a project after its first start, on the version under test."""
    root = tmp_path_factory.mktemp("started")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLUX_POSTGRES_BIN", str(postgres.cluster.binaries.folder))
        with database(Project(root=root, name="shop")):
            pass
    return root / ".flux"


@pytest.fixture
def use(fresh_project: Project) -> Iterator[Callable[..., User]]:
    """Starts processes that use the project's database; gives the URL, or the error, that they print first."""
    users: list[User] = []

    def start(root: Path | None = None, *, wait: bool = True, **keywords: Any) -> User:
        python = keywords.pop("executable", sys.executable)
        process = subprocess.Popen(
            [python, "-c", USE, str(root or fresh_project.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **keywords,
        )
        users.append(User(process, ""))
        if wait:
            assert process.stdout is not None
            users[-1].url = process.stdout.readline().strip()
        return users[-1]

    yield start
    for user in users:
        with suppress(ValueError):  # it has left already
            user.leave()


@pytest.fixture(autouse=True)
def _version_under_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Embedded servers of these tests are of the version under test."""
    if "postgres" in request.fixturenames:
        postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("FLUX_POSTGRES_BIN", str(postgres.cluster.binaries.folder))

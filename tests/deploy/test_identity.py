"""Which code ran is known of every request: by commit, and by content where no commit says it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flux.deploy.identity import code_sha


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project in git, with one commit."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "app.py").write_text("one = 1\n")
    (tmp_path / ".gitignore").write_text(".flux/\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def test_clean_tree_is_its_commit(repository: Path) -> None:
    """The name under which `git show` finds it."""
    assert code_sha(repository) == git(repository, "rev-parse", "HEAD")


def test_dirty_tree_is_its_commit_and_its_content(repository: Path) -> None:
    """A change that is not committed is other code, and each such change is its own."""
    head = git(repository, "rev-parse", "HEAD")
    seen = set()
    for text in ("two = 2\n", "three = 3\n"):
        (repository / "functions" / "app.py").write_text(text)
        seen.add(code_sha(repository))
    (repository / "functions" / "new.py").write_text("")
    seen.add(code_sha(repository))

    assert len(seen) == 3
    assert all(re.fullmatch(rf"{head}\+[0-9a-f]{{12}}", sha) for sha in seen)


def test_what_git_ignores_is_not_code(repository: Path) -> None:
    """The embedded database writes into the project all the time."""
    (repository / ".flux").mkdir()
    (repository / ".flux" / "log").write_text("busy")

    assert code_sha(repository) == git(repository, "rev-parse", "HEAD")


def test_project_that_an_outer_repository_ignores_is_known_by_its_content(repository: Path) -> None:
    """The outer commit says nothing of it."""
    project = repository / ".flux" / "demo"
    project.mkdir(parents=True)
    (project / "flux.toml").write_text("")

    first = code_sha(project)
    (project / "flux.toml").write_text("[project]\n")

    assert re.fullmatch(r"[0-9a-f]{12}", first)
    assert code_sha(project) != first


def test_outside_git_it_is_the_content(tmp_path: Path) -> None:
    """Same files, same code, wherever they are."""
    for name in ("a", "b"):
        (tmp_path / name / "functions").mkdir(parents=True)
        (tmp_path / name / "functions" / "app.py").write_text("one = 1\n")

    assert code_sha(tmp_path / "a") == code_sha(tmp_path / "b")
    assert re.fullmatch(r"[0-9a-f]{12}", code_sha(tmp_path / "a"))


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-q", "-m", "x")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_link_to_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """Reading from a pipe waits for ever, and a server would not start."""
    (tmp_path / "app.py").write_text("one = 1\n")
    before = code_sha(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "nowhere").symlink_to("gone")

    ended = subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path; from {code_sha.__module__} import code_sha;"
         "print(code_sha(Path('.')))"],
        cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip

    assert ended.stdout.strip() == before

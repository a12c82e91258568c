"""flux init: a project that runs, and nothing of anybody's lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from flux.cli import main
from flux.commands.init import template_files
from flux.config import Project
from flux.presenters.project import NEXT
from flux.runtime.loader import load

FLUX = Path(sys.executable).with_name("flux")
FILES = ["flux.toml", "functions/hello.py", "db/migrations/0001_greetings.sql", ".gitignore", "README.md"]


@pytest.fixture
def flux(tmp_path, monkeypatch):
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def files_below(folder):
    """What a folder holds."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_new_project_greets_ada(flux, tmp_path, bare_url):
    """The first thing a newcomer runs must work, database and all."""
    flux("init", "my-app")
    root = tmp_path / "my-app"

    done = subprocess.run(
        [FLUX, "invoke", "hello", "--data", '{"name": "Ada"}'],
        cwd=root, env={**os.environ, "DATABASE_URL": bare_url}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert json.loads(done.stdout) == {"id": 1, "greeting": "Hello, Ada"}, done.stderr
    (function,) = load(Project.load(root)).functions.values()
    assert (function.name, function.method, function.route) == ("hello", "POST", "/hello")


def test_the_files_are_listed_and_the_next_commands_said(flux, tmp_path):
    """stdout is what was made, stderr is what to do with it."""
    result = flux("init", "my-app")

    assert result.exit_code == 0
    assert sorted(result.stdout.splitlines()) == sorted(f"my-app/{name}" for name in FILES)
    assert files_below(tmp_path / "my-app") == sorted(FILES)
    assert re.findall(r"^  (\S.*)", result.stderr, re.MULTILINE) == ["cd my-app", *(command for command, _ in NEXT)]


def test_the_readme_says_the_same_three_commands(flux, tmp_path):
    """The terminal scrolls away, the README stays."""
    flux("init")

    blocks = re.findall(r"```\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
    assert "".join(blocks).splitlines() == [command for command, _ in NEXT]


@pytest.mark.parametrize(
    ("folder", "name"), [("my-app", "my-app"), ("Größe 2", "Größe-2"), ('a"b\\c', "a-b-c"), ("…", "app")]
)
def test_a_project_is_named_after_its_folder(flux, tmp_path, folder, name):
    """Whatever the folder is called, flux.toml can be read."""
    flux("init", folder)

    assert Project.load(tmp_path / folder).name == name


@pytest.mark.parametrize("mine", ["flux.toml", "functions/hello.py", "db/migrations/0001_greetings.sql"])
def test_nothing_is_overwritten_and_what_is_there_is_named(flux, tmp_path, mine):
    """Work must never be lost to a command that was run in the wrong folder."""
    (tmp_path / mine).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / mine).write_text("mine")

    result = flux("init")

    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path} already has {mine}\nhint: Name a new folder: `flux init DIR`.\n"
    assert files_below(tmp_path) == [mine]
    assert (tmp_path / mine).read_text() == "mine"


def test_a_link_to_nowhere_is_not_written_through(flux, tmp_path):
    """The file it would make is somewhere else."""
    (tmp_path / "flux.toml").symlink_to(tmp_path / "elsewhere")

    assert "already has flux.toml" in flux("init").stderr
    assert not (tmp_path / "elsewhere").exists()


def test_a_fresh_repository_keeps_its_readme_and_gitignore(flux, tmp_path):
    """GitHub gives both to a new repository."""
    for name in ("README.md", ".gitignore"):
        (tmp_path / name).write_text("mine")

    result = flux("init", "--json")

    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert (answer["root"], answer["kept"]) == (str(tmp_path), [".gitignore", "README.md"])
    assert {name: (tmp_path / name).read_text() for name in answer["kept"]} == dict.fromkeys(answer["kept"], "mine")
    assert sorted([*answer["made"], *answer["kept"]]) == sorted(FILES)


def test_a_failure_half_way_leaves_nothing_behind(flux, tmp_path):
    """Half a project would be in the way of the next try."""
    (tmp_path / "db").write_text("a file where a folder is needed")

    result = flux("init")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: cannot make a project in {tmp_path}: ")
    assert files_below(tmp_path) == ["db"]
    assert not (tmp_path / "functions").exists()


def test_a_folder_that_may_not_be_written_is_named(flux):
    """Also where the reader is not the one who set the machine up."""
    folder = Path(tempfile.mkdtemp(prefix="flux-init-"))
    folder.chmod(0o555)

    with as_nobody():
        result = flux("init", str(folder))

    folder.rmdir()
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: cannot make a project in {folder}: permission denied\n")


@contextmanager
def as_nobody():
    """Without the rights of root, who may write everywhere."""
    import orjson  # noqa: F401  # what the command imports may be out of nobody's sight

    template_files("python")
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)

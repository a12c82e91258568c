"""A commit has the source of a module, and not the module: it is built where the commit is checked out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flux.config import Project
from flux.deploy import built
from flux.deploy.checkout import checkout
from flux.runtime.loader import load

BUILD = "echo x >> {log}; mkdir -p build; python -c '{program}'"
PROGRAM = (
    "import wasmtime, pathlib; "
    'pathlib.Path("build/f.wasm").write_bytes(wasmtime.wat2wasm(pathlib.Path("f.wat").read_text()))'
)
SOURCE = """(module (memory (export "memory") 1)
  (func (export "flux_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "flux_handle") (param i32 i32) (result i64) (i64.const 0)))
"""


def git(root: Path, *words: str) -> None:
    """Run git as somebody."""
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=root, check=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Two commits: the function changes in neither, and its module is in none."""
    root = tmp_path / "project"
    (root / "functions" / "f").mkdir(parents=True)
    (root / "flux.toml").write_text('[project]\nname = "built"\n')
    (root / ".gitignore").write_text("build/\n")
    build = BUILD.format(log=tmp_path / "log", program=PROGRAM)
    (root / "functions" / "f" / "flux.toml").write_text(f"[wasm]\nmodule = 'build/f.wasm'\nbuild = '''{build}'''\n")
    (root / "functions" / "f" / "f.wat").write_text(SOURCE)
    git(root, "init", "-q")
    for name in ("one", "two"):
        (root / "README.md").write_text(name)
        git(root, "add", "-A")
        git(root, "commit", "-qm", name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Project.load(root)
    built._kept.clear()


def test_a_module_is_built_where_a_commit_is_checked_out(project: Project, tmp_path: Path) -> None:
    """Without it no commit could be bisected or replayed; once is enough while its source stays."""
    for commit in ("HEAD", "HEAD~1"):
        with checkout(project, None, commit) as there:
            registry = load(Project.load(there.root))

            assert (set(registry.functions), registry.broken, there.notes) == ({"f"}, (), ())

    assert (tmp_path / "log").read_text() == "x\n"


def test_a_module_that_cannot_be_built_is_noted(project: Project) -> None:
    """The function does not load there, and the checkout says why."""
    (project.root / "functions" / "f" / "f.wat").write_text("(module (")
    git(project.root, "commit", "-qam", "three")

    with checkout(project, None, "HEAD") as there:
        (broken,) = load(Project.load(there.root)).broken

    assert there.notes == ("f could not be built: the build of f ended with status 1",)
    assert "has no module" in broken.message

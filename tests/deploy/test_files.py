"""Which files are the project's own: what git knows or would add, and the same by hand where there is no git."""

from __future__ import annotations

import os
import shutil
import socket

import pytest
from repository import Repository

from flux.deploy.files import project_files

TREE = {
    ".gitignore": "*.log\n/build/\n!keep.log\n",
    "flux.toml": "",
    "functions/app.py": "",
    "functions/.gitignore": "generated_*\n!generated_but_kept.py\n!wanted.log\n",
    "functions/generated_a.py": "",
    "functions/generated_but_kept.py": "",
    "functions/wanted.log": "",
    "functions/build/inner.py": "",
    "build/out.bin": "",
    "debug.log": "",
    "keep.log": "",
    "node_modules/left/index.js": "",
    "functions/__pycache__/app.pyc": "",
    ".venv/bin/python": "",
}

OWN = [
    ".gitignore",
    "flux.toml",
    "functions/.gitignore",
    "functions/app.py",
    "functions/build/inner.py",
    "functions/generated_but_kept.py",
    "functions/wanted.log",
    "keep.log",
]


def write(root, files=TREE):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("in_git", [True, False], ids=["git", "no git"])
def test_what_gitignore_names_is_not_the_projects(tmp_path, in_git):
    """The same files, whether git reads .gitignore or we do: a bundle must not depend on who packs it."""
    write(tmp_path)
    if in_git:
        Repository(tmp_path)

    assert project_files(tmp_path) == OWN


def test_files_not_yet_committed_are_the_projects_and_deleted_ones_are_not(tmp_path):
    """What is deployed is the tree as it is."""
    repository = Repository(tmp_path)
    repository.commit({"functions/old.py": "", "functions/app.py": ""})
    (tmp_path / "functions" / "old.py").unlink()
    (tmp_path / "functions" / "new.py").write_text("")

    assert project_files(tmp_path) == ["functions/app.py", "functions/new.py"]


def test_names_may_be_anything_a_name_can_be(tmp_path):
    """Quotes, spaces and letters of any language come through git unchanged."""
    names = ["functions/a b.txt", 'functions/q"uote.txt', "functions/über.txt", "functions/日本.txt"]
    Repository(tmp_path).commit(dict.fromkeys(names, ""))

    assert project_files(tmp_path) == sorted(names)


def test_a_repository_inside_the_project_is_part_of_it(tmp_path):
    """A submodule's files are imported like all others; git lists it as one entry."""
    library = Repository(tmp_path / "library")
    library.commit({"inner.py": ""})
    shop = Repository(tmp_path / "shop")
    shop.commit({"flux.toml": ""})
    shop.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.root), "functions/shared")
    shutil.copytree(library.root, shop.root / "functions" / "copied")

    assert {"functions/shared/inner.py", "functions/copied/inner.py"} <= set(project_files(shop.root))


def test_a_project_in_a_subfolder_is_only_that_folder(tmp_path):
    """The repository of a company holds more than one project."""
    Repository(tmp_path).commit({"shop/flux.toml": "", "shop/functions/app.py": "", "other/secret.py": ""})

    assert project_files(tmp_path / "shop") == ["flux.toml", "functions/app.py"]


def test_what_is_no_file_is_left_alone(tmp_path):
    """Reading from a pipe waits for ever."""
    write(tmp_path, {"flux.toml": ""})
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))

    assert project_files(tmp_path) == ["flux.toml"]

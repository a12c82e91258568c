"""Code by any of its names, and the user's repository as it was afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from repository import Repository

from flux.config import Project
from flux.deploy.checkout import checkout
from flux.deploy.deployments import prepared, switch
from flux.errors import Ambiguous, CodeNotFound, NotARepository, UnknownCommit

APP = "from flux import function\n\n\n@function\ndef number(ctx):\n    return {number}\n"


def files(number):
    return {"flux.toml": '[project]\nname = "shop"\n', "functions/app.py": APP.format(number=number)}


@pytest.fixture
def repository(tmp_path):
    """Three commits, a tag, a branch, a change that is staged, one that is not, one in the stash, a file not added."""
    repository = Repository(tmp_path / "shop")
    repository.commit(files(1))
    repository.git("tag", "one")
    repository.commit(files(2))
    repository.git("branch", "feature/two")
    repository.commit(files(3))
    repository.write({"functions/app.py": APP.format(number=33)})
    repository.git("stash", "--quiet")
    repository.write({"functions/app.py": APP.format(number=4)})
    repository.git("add", "--all")
    repository.write({"functions/app.py": APP.format(number=5), "functions/new.py": ""})
    return repository


@pytest.fixture
def project(repository):
    return Project.load(repository.root)


def text(found):
    return (found.root / "functions" / "app.py").read_text()


@pytest.mark.parametrize(("code", "number"), [("one", 1), ("feature/two", 2), ("HEAD", 3), ("HEAD~2", 1)])
def test_a_commit_by_any_of_its_names(project, repository, code, number):
    """What git calls a commit is one here too; its sha is what requests that run there name."""
    before = repository.state()

    with checkout(project, None, code) as found:
        assert text(found) == APP.format(number=number)
        assert found.code_sha == repository.git("rev-parse", code)
        assert not found.root.is_relative_to(repository.root)
        place = found.root

    assert not place.exists()
    assert repository.state() == before


def test_no_name_is_the_tree_as_it_is(project):
    """With changes that are in no commit."""
    with checkout(project, None, None) as found:
        assert (found.root, text(found)) == (project.root, APP.format(number=5))
        assert "+" in found.code_sha


def test_a_path_is_the_project_there(project, tmp_path):
    """Two checkouts side by side need no git at all."""
    other = tmp_path / "other"
    (other / "functions").mkdir(parents=True)
    (other / "flux.toml").write_text("")

    with checkout(project, None, str(other)) as found:
        assert found.root == other
    with pytest.raises(CodeNotFound, match=r"no flux\.toml in"), checkout(project, None, str(tmp_path)):
        pass


def test_hooks_of_the_repository_do_not_run(project, repository, tmp_path):
    """A hook after each checkout may install, migrate, or take minutes."""
    hook = repository.root / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)

    with checkout(project, None, "one"):
        pass

    assert not (tmp_path / "ran").exists()


def test_what_the_callers_environment_says_of_git_is_not_heard(project, repository, tmp_path, monkeypatch):
    """Inside a hook, GIT_DIR and GIT_INDEX_FILE name what must not be touched."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))

    with checkout(project, None, "one") as found:
        assert text(found) == APP.format(number=1)
    assert not (tmp_path / "index").exists()


def test_a_block_that_fails_leaves_nothing_behind(project, repository):
    """Nor one in which files were made."""
    before = repository.state()

    with pytest.raises(ZeroDivisionError), checkout(project, None, "one") as found:
        (found.root / "made").write_text("")
        (found.root / "flux.toml").unlink()
        raise ZeroDivisionError

    assert repository.state() == before


def test_what_a_killed_process_left_goes_at_the_next_time(project, repository):
    """A search over a thousand commits may be killed in its middle."""
    before = repository.state()
    script = f"""
        import os, signal
        from pathlib import Path
        from flux.config import Project
        from flux.deploy.checkout import checkout
        with checkout(Project.load(Path({str(repository.root)!r})), None, "one") as found:
            print(found.root, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    assert left.exists()
    assert repository.state() != before

    with checkout(project, None, "HEAD"):
        pass

    assert not left.exists()
    assert repository.state() == before


def test_a_killed_process_leaves_no_copy_of_a_deployment(project, database_url, tmp_path):
    """Nor does it need git for that."""
    with prepared(project) as ready:
        switch(database_url, ready, None)
    script = f"""
        import os, signal
        from pathlib import Path
        from flux.config import Project
        from flux.deploy.checkout import checkout
        with checkout(Project(Path({str(tmp_path)!r}), "x"), {database_url!r}, "v1") as found:
            print(found.root, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    assert left.exists()

    with checkout(project, database_url, "v1"):
        assert not left.parent.exists()


def test_worktrees_of_the_user_stay_also_where_their_folder_is_away(project, repository, tmp_path):
    """It may lie on a disk that is not mounted now."""
    repository.git("worktree", "add", "--quiet", str(tmp_path / "mine"), "feature/two")
    os.rename(tmp_path / "mine", tmp_path / "unmounted")  # noqa: PTH104
    before = repository.git("worktree", "list")

    with checkout(project, None, "one"):
        pass

    assert repository.git("worktree", "list") == before


def test_a_project_in_a_subfolder_is_found_there(tmp_path):
    """The root of what is given is the project's folder, not the repository's."""
    repository = Repository(tmp_path)
    repository.commit({"README": ""})
    repository.commit({f"services/shop/{name}": text for name, text in files(1).items()})
    project = Project.load(tmp_path / "services" / "shop")

    with checkout(project, None, "HEAD") as found:
        assert text(found) == APP.format(number=1)
    with (
        pytest.raises(CodeNotFound, match="there is no services/shop in commit"),
        checkout(project, None, "HEAD~1"),
    ):
        pass
    assert len(repository.git("worktree", "list").splitlines()) == 1


def test_a_commit_that_a_shallow_clone_lacks_says_how_to_get_it(repository, tmp_path):
    """CI clones are shallow."""
    first = repository.git("rev-parse", "one")
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", f"file://{repository.root}", str(tmp_path / "clone")], check=True
    )

    with pytest.raises(UnknownCommit) as unknown, checkout(Project.load(tmp_path / "clone"), None, first):
        pass

    assert "git fetch --unshallow" in unknown.value.hint


def test_code_that_nobody_has_is_said_to_be_so(project, repository, tmp_path, database_url):
    """A wrong name, code of a dirty tree, and no repository are three different things."""
    with pytest.raises(UnknownCommit, match="nothing-such"), checkout(project, database_url, "nothing-such"):
        pass
    dirty = f"{repository.head}+0123456789ab"
    with pytest.raises(CodeNotFound, match="kept nowhere") as kept, checkout(project, database_url, dirty):
        pass
    assert repository.head[:12] in kept.value.hint
    (tmp_path / "bare").mkdir()
    with (
        pytest.raises(NotARepository, match="neither a folder"),
        checkout(replace(project, root=tmp_path / "bare"), database_url, "one"),
    ):
        pass


def test_a_name_is_never_an_option_of_git(project):
    """Whatever comes from a record or a command line."""
    with pytest.raises(UnknownCommit), checkout(project, None, "--output=/tmp/deploy/owned"):
        pass


def test_a_deployment_by_version_and_by_code(project, database_url, tmp_path):
    """On a machine without the repository too; it is a copy of its own, which may be written to."""
    for number in (10, 20):
        (project.root / "functions" / "app.py").write_text(APP.format(number=number))
        with prepared(project) as ready:
            switch(database_url, ready, None)
            codes = ready.code_sha
    elsewhere = replace(project, root=tmp_path)

    for code, number in (("1", 10), ("v2", 20), ("V2", 20), (codes, 20)):
        with checkout(elsewhere, database_url, code) as found:
            assert text(found) == APP.format(number=number)
            place = found.root
        assert not place.exists()
        assert found.code_sha
    with pytest.raises(Ambiguous), checkout(elsewhere, database_url, codes[:9]):
        pass


def test_a_version_goes_before_a_tag_of_its_name(project, repository, database_url):
    """`v1` is what `flux deployments` calls it; the tag still has its full name."""
    repository.git("tag", "v1", "one")
    with prepared(project) as ready:
        switch(database_url, ready, None)

    with checkout(project, database_url, "v1") as found:
        assert text(found) == APP.format(number=5)
    with checkout(project, database_url, "tags/v1") as found:
        assert text(found) == APP.format(number=1)
    with checkout(project, None, "v1") as found:
        assert text(found) == APP.format(number=1)

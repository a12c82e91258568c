"""The git history of a project, as bisect and why read it, wherever the project lies."""

from __future__ import annotations

import subprocess

import pytest
from repository import Repository

from flux.deploy.commits import Commits
from flux.errors import NotARepository, UnknownCommit


@pytest.fixture
def repository(tmp_path) -> Repository:
    """A repository with three commits."""
    made = Repository(tmp_path / "shop")
    made.commit({"functions/a.py": "one\ntwo\nthree\n"}, "feat: begin")
    made.commit({"functions/a.py": "one\n2\nthree\n"}, "fix: Größe „x“\x07")
    made.commit({"functions/b.py": "b\n"})
    return made


def test_a_commit_is_told_with_who_when_and_what(repository):
    """These three are what one asks first."""
    commit = Commits(repository.root).find("HEAD~1")

    assert commit.sha == repository.git("rev-parse", "HEAD~1")
    assert commit.author == "alice@example.com"
    assert commit.date.isoformat() == "2026-03-01T11:00:00+00:00"
    assert commit.subject == "fix: Größe „x“\x07"
    assert commit.parents == (repository.git("rev-parse", "HEAD~2"),)


@pytest.mark.parametrize("name", ["0123456789", "--all", "no branch", "HEAD~9", ""])
def test_a_commit_that_is_not_there_is_named(repository, name):
    """Also one that git would take for an option."""
    with pytest.raises(UnknownCommit, match="no commit") as caught:
        Commits(repository.root).find(name)

    assert name in caught.value.message
    assert "git fetch" in caught.value.hint


def test_a_folder_without_git_is_refused(tmp_path):
    """Without history there is nothing to search."""
    with pytest.raises(NotARepository, match="not in a git repository"):
        Commits(tmp_path)


def test_a_repository_without_a_commit_is_refused(tmp_path):
    """`git init` alone is no history."""
    Repository(tmp_path)

    with pytest.raises(NotARepository, match="no commit yet"):
        Commits(tmp_path)


def test_a_machine_without_git_is_told_so(repository, monkeypatch, tmp_path):
    """Said by name rather than as a file that was not found."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotARepository, match="git is not installed"):
        Commits(repository.root)


def test_variables_of_git_do_not_lead_elsewhere(repository, monkeypatch, tmp_path):
    """In a git hook, GIT_DIR names another repository than the one that was asked for."""
    other = Repository(tmp_path / "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))

    assert Commits(repository.root).find("HEAD").sha != other.git("rev-parse", "HEAD")


def test_recorded_code_leads_to_its_commit(repository):
    """Clean, dirty, no commit at all, or one that this clone has not."""
    commits, head = Commits(repository.root), repository.head

    assert commits.of_code(head) == (commits.find("HEAD"), False)
    assert commits.of_code(f"{head}+0123456789ab") == (commits.find("HEAD"), True)
    assert commits.of_code("0123456789ab") == (None, False)
    assert commits.of_code("0" * 40) == (None, False)
    assert commits.of_code(None) == (None, False)


def test_a_shallow_clone_knows_that_it_is(repository, tmp_path):
    """What it does not hold may be in the clone of another."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{repository.root}", clone], check=True)
    commits = Commits(clone)

    assert commits.shallow
    assert not Commits(repository.root).shallow
    assert len(commits.backwards(commits.find("HEAD"), 10)) == 1
    with pytest.raises(UnknownCommit) as caught:
        commits.find(repository.git("rev-parse", "HEAD~1"))
    assert "git fetch --unshallow" in caught.value.hint


def test_a_dirty_tree_is_known(repository):
    """What is in no commit cannot be searched, which has to be said."""
    assert not Commits(repository.root).dirty

    repository.write({"functions/new.py": ""})

    assert Commits(repository.root).dirty


def test_files_are_those_of_the_project_and_relative_to_it(tmp_path):
    """A stack names files so."""
    repository = Repository(tmp_path)
    repository.commit({"shop/functions/größe x.py": "1", "other/b.py": "2"})
    commits = Commits(tmp_path / "shop")
    old = commits.find("HEAD")
    touched = repository.commit({"shop/functions/größe x.py": "3", "other/b.py": "3"})
    repository.commit({"other/b.py": "4"})

    new = commits.find("HEAD")
    assert commits.touching("functions/größe x.py", new, old) == {touched}
    assert commits.touching("functions/none.py", new, old) == set()


def test_the_commit_that_wrote_a_line_is_found_inside_a_stretch_only(repository):
    """A line that was there before is nobody's doing in between."""
    commits = Commits(repository.root)
    old, fix, new = (commits.find(name) for name in ("HEAD~2", "HEAD~1", "HEAD"))

    assert commits.last_change("functions/a.py", 2, new, old) == fix.sha
    assert commits.last_change("functions/a.py", 1, new, old) is None
    assert commits.last_change("functions/a.py", 2, new, fix) is None
    assert commits.last_change("functions/a.py", 99, new, old) is None
    assert commits.last_change("functions/none.py", 1, new, old) is None


def test_reverts_are_found_by_what_they_say(repository):
    """git writes it, and people keep it."""
    commits = Commits(repository.root)
    fix = commits.find("HEAD~1")
    revert = repository.revert(fix.sha)

    assert [commit.sha for commit in commits.reverting(fix, commits.find("HEAD"))] == [revert]
    assert commits.reverting(commits.find("HEAD"), commits.find("HEAD")) == []


def test_a_name_in_a_command_is_no_version_number(repository):
    """`1234567:ID` would mean a deployment; with a letter it is a commit."""
    commits = Commits(repository.root)

    for _ in range(60):
        repository.commit()
        commit = commits.find("HEAD")
        assert not commit.name.isdigit()
        assert commit.sha.startswith(commit.name)
        assert commits.find(commit.name) == commit


def test_a_commit_from_before_flux_has_no_project(tmp_path):
    """A search must not take old code for broken code."""
    repository = Repository(tmp_path)
    before = repository.commit({"shop/app.py": "1", "flux.toml": "[project]"})
    after = repository.commit({"shop/flux.toml": "[project]"})
    commits = Commits(tmp_path / "shop")

    assert not commits.has_project(commits.find(before))
    assert commits.has_project(commits.find(after))

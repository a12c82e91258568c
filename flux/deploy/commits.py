"""The git history of a project: its commits, what lies between two of them, and which one halves the rest.

git itself does the walking, so that merges are weighed as it weighs them; arguments are lists, never a shell's line,
and no GIT_ variable of the caller reaches it. Nothing here writes: the user's tree, index and branches stay as is.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from flux.config import FILE_NAME
from flux.errors import NotARepository, UnknownCommit

_FORMAT = "%H%x1f%h%x1f%P%x1f%ae%x1f%aI%x1f%s"
_COMMIT_OF_SHA = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})(\+[0-9a-f]+)?")


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; `author` is an address, `date` when it was written, `short` its first digits as git shows them."""

    sha: str
    short: str
    parents: tuple[str, ...]
    author: str
    date: datetime
    subject: str

    @property
    def name(self) -> str:
        """Its first digits, as many as it takes to be no version number of a deployment."""
        length = len(self.short)
        while self.sha[:length].isdigit():
            length += 1
        return self.sha[:length]


class Commits:
    """The commits of the repository a project lies in; only those that touch the project's folder, unless `whole`.

    Raises NotARepository where there is none, where it has no commit, or where git is not installed.
    """

    def __init__(self, root: Path, *, whole: bool = False) -> None:
        self.root = root
        self.prefix = self._first("rev-parse", "--show-prefix").rstrip("/")
        self._paths = ["--", "."] if self.prefix and not whole else ["--"]
        self._tree = "" if whole else self.prefix
        if not self._succeeds("rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
            raise NotARepository(
                f"the git repository at {self.top} has no commit yet", hint="Run `git commit` to make the first one."
            )

    @cached_property
    def top(self) -> Path:
        """The folder of the working tree."""
        return Path(self._git("rev-parse", "--show-toplevel"))

    @cached_property
    def shallow(self) -> bool:
        """Whether older commits were left out when the repository was cloned."""
        return self._git("rev-parse", "--is-shallow-repository") == "true"

    @cached_property
    def dirty(self) -> bool:
        """Whether the project's folder holds changes that are in no commit."""
        return bool(self._git("status", "--porcelain", "--", "."))

    def find(self, name: str) -> Commit:
        """The commit that a sha, a branch, a tag or HEAD~3 names; raises UnknownCommit."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode != 0:
            raise UnknownCommit(f'there is no commit "{name}" in {self.top}', hint=self._where_it_may_be())
        return self._log("--no-walk", done.stdout.strip())[0]

    def of_code(self, code_sha: str | None) -> tuple[Commit | None, bool]:
        """The commit that recorded code names, if this repository has it, and whether its tree had other changes."""
        named = _COMMIT_OF_SHA.fullmatch(code_sha or "")
        if named is None or not self._succeeds("cat-file", "-e", f"{named[1]}^{{commit}}"):
            return None, False
        return self.find(named[1]), named[2] is not None

    def effective(self, commit: Commit) -> Commit:
        """The commit that last touched the project's folder, as seen from this one."""
        found = self._log("--max-count=1", commit.sha, *self._paths)
        return found[0] if found else commit

    def parents(self, commit: Commit) -> list[Commit]:
        """The commits before it that touched the project's folder, one a parent."""
        return [self.effective(self.find(sha)) for sha in commit.parents]

    def is_ancestor(self, older: Commit, newer: Commit) -> bool:
        """Whether a commit is part of the history of another, or the same."""
        return self._succeeds("merge-base", "--is-ancestor", older.sha, newer.sha)

    def merge_bases(self, one: Commit, other: Commit) -> list[Commit]:
        """The latest commits that both have in their history."""
        done = self._run("merge-base", "--all", one.sha, other.sha)
        return [self.find(sha) for sha in done.stdout.split()] if done.returncode == 0 else []

    def halves(self, bad: Commit, good: Sequence[Commit]) -> list[str]:
        """Shas of the commits that may be the first bad one, those first that split the rest most evenly."""
        lines = self._git("rev-list", "--bisect-all", bad.sha, *_not(good), *self._paths).splitlines()
        return [line.split(" ", 1)[0] for line in lines]

    def between(self, bad: Commit, good: Sequence[Commit]) -> list[Commit]:
        """The commits that bad has and good have not, newest first."""
        return self._log("--topo-order", bad.sha, *_not(good), *self._paths)

    def backwards(self, bad: Commit, most: int) -> list[str]:
        """Shas from this commit back along first parents, itself first."""
        listing = self._git("rev-list", "--first-parent", f"--max-count={most}", bad.sha, *self._paths)
        return listing.splitlines()

    def reverting(self, commit: Commit, until: Commit) -> list[Commit]:
        """The commits between the two that say they revert the first, oldest first, but for reverts of reverts."""
        said = f"This reverts commit {commit.sha}"
        found = self._log("--topo-order", "--fixed-strings", f"--grep={said}", until.sha, f"^{commit.sha}", "--")
        return found[::-1]

    def content(self, commit: Commit) -> str | None:
        """Names the content of the project's folder in this commit; None when it had none."""
        done = self._run("rev-parse", "--verify", "--quiet", f"{commit.sha}:{self._tree}")
        return done.stdout.strip() if done.returncode == 0 else None

    def has_project(self, commit: Commit) -> bool:
        """Whether the project was one of Flux in this commit."""
        return self._succeeds("cat-file", "-e", f"{commit.sha}:{Path(self.prefix, FILE_NAME)}")

    def file(self, commit: Commit, file: str) -> str | None:
        """The text of a file of the project in this commit, named relative to it; None where it has none."""
        done = self._run("show", f"{commit.sha}:{Path(self.prefix, file).as_posix()}")
        return done.stdout if done.returncode == 0 else None

    def touching(self, file: str, newer: Commit, older: Commit) -> set[str]:
        """Shas of the commits after `older` up to `newer` that touched a file of the project, named relative to it."""
        done = self._run("rev-list", newer.sha, f"^{older.sha}", "--", file)
        return set(done.stdout.split()) if done.returncode == 0 else set()

    def last_change(self, file: str, line: int, newer: Commit, older: Commit) -> str | None:
        """The sha of the commit after `older` that wrote a line of `newer`; None when none did."""
        lines = f"{line},{line}"
        done = self._run("blame", "--porcelain", "-L", lines, f"{older.sha}..{newer.sha}", "--", file)
        head, *rest = done.stdout.splitlines() or [""]
        return head.split(" ", 1)[0] if done.returncode == 0 and head and "boundary" not in rest else None

    def _log(self, *arguments: str) -> list[Commit]:
        listing = self._git("log", "-z", "--no-show-signature", f"--format={_FORMAT}", *arguments)
        return [_commit(line) for line in listing.split("\0") if line]

    def _where_it_may_be(self) -> str:
        if self.shallow:
            return "This clone is shallow: run `git fetch --unshallow` to get the older commits."
        return "Run `git fetch --all` to get the commits of the others."

    def _first(self, *arguments: str) -> str:
        """What git says when it is first asked; raises NotARepository."""
        try:
            done = self._run(*arguments)
        except FileNotFoundError:
            raise NotARepository("git is not installed", hint="Install git, and make it found on PATH.") from None
        if done.returncode != 0:
            reason = (
                done.stderr.strip().splitlines()[0].removeprefix("fatal: ") if done.stderr.strip() else "git failed"
            )
            raise NotARepository(
                f"{self.root} is not in a git repository: {reason}",
                hint="Commits are looked for in the git history of the project's folder.",
            )
        return done.stdout.strip()

    def _git(self, *arguments: str) -> str:
        """What git prints; raises UnknownCommit with its words where it cannot, as in a damaged or partial clone."""
        done = self._run(*arguments)
        if done.returncode != 0:
            words = done.stderr.strip().removeprefix("fatal: ") or f"exit code {done.returncode}"
            raise UnknownCommit(f"git {arguments[0]} failed: {words}", hint=self._where_it_may_be())
        return done.stdout.strip()

    def _succeeds(self, *arguments: str) -> bool:
        return self._run(*arguments).returncode == 0

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "--no-pager", "-c", "core.quotePath=false", "-C", str(self.root), *arguments],
            capture_output=True, encoding="utf-8", errors="replace", check=False, stdin=subprocess.DEVNULL,
            env=own_environment(),
        )  # fmt: skip


def own_environment() -> dict[str, str]:
    """This process's environment without what would lead git to another repository, and with git speaking English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0"}


def _commit(line: str) -> Commit:
    sha, short, parents, author, date, subject = line.strip("\n").split("\x1f", 5)
    return Commit(sha, short, tuple(parents.split()), author, datetime.fromisoformat(date), subject)


def _not(good: Sequence[Commit]) -> list[str]:
    return [f"^{commit.sha}" for commit in good]

"""Code by any of its names, as a folder to load it from: the working tree, a path, a deployment, a commit.

A commit becomes a temporary worktree outside the repository, a deployment a temporary folder; both go at the end, and
those of processes that were killed go at the next time. The user's tree, index, stash and branches are not touched:
nothing of git's is run but `worktree`, without hooks.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flux.config import FILE_NAME, Project
from flux.deploy.built import build_missing
from flux.deploy.bundle import unpack
from flux.deploy.commits import Commit, Commits, own_environment
from flux.deploy.identity import code_sha
from flux.deploy.unpacked import link_packages
from flux.engine.deployments import deployments_in
from flux.errors import CodeNotFound, FluxError, NotARepository, NotFound, NotInstalled, UnknownCommit

_VERSION = re.compile(r"v?[0-9]{1,6}", re.IGNORECASE)
_CODE = re.compile(r"[0-9a-f]{7,}(\+[0-9a-f]*)?", re.IGNORECASE)
_MACHINE = re.sub(r"[^A-Za-z0-9]+", "", socket.gethostname())
_PREFIX = f"flux-checkout-{_MACHINE}-"
_OURS = re.compile(rf"/{_PREFIX}(\d+)-[^/]+")

_NO_HOOKS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")


@dataclass(frozen=True, slots=True)
class Checkout:
    """`root` is the project's folder in it, `code_sha` what requests that run there are to name.

    `notes` say in which way it may differ from what ran then.
    """

    root: Path
    code_sha: str
    notes: tuple[str, ...] = ()


@contextmanager
def checkout(project: Project, url: str | None, code: str | None) -> Iterator[Checkout]:
    """The code of this name, there as long as the block runs; None is the working tree as it is.

    Looked for in this order: a folder with a flux.toml; a version such as 3 or v3 of the deployments in the database at
    `url`; a branch, tag or commit; a deployment by the first digits of its code. Raises CodeNotFound, UnknownCommit,
    NotARepository, Ambiguous, DatabaseUnavailable.
    """
    if code is None:
        yield Checkout(project.root, code_sha(project.root))
        return
    folder = _folder(code)
    if folder is not None:
        yield Checkout(folder, code_sha(folder))
        return
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_forgotten(str(left)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as temporary:
        place = Path(temporary).resolve() / "tree"
        known = _deployment(project, url, code, place) if _VERSION.fullmatch(code) else None
        found = _commit(project, code) if known is None else None
        if isinstance(found, FluxError):
            known = _deployment(project, url, code, place) if _CODE.fullmatch(code) else None
            if known is None:
                raise _not_found(code, found)
        if known is not None:
            yield known
        elif isinstance(found, tuple):
            with _worktree(*found, place) as root:
                link_packages(root, project.root)
                bare = ("submodules are not checked out",) if (place / ".gitmodules").exists() else ()
                yield Checkout(root, found[1].sha, (*bare, *build_missing(root, project.root)))


def _folder(code: str) -> Path | None:
    """The project at a path; a word that is no folder may be the name of something else."""
    path = Path(code).expanduser()
    if (path / FILE_NAME).is_file():
        return path.resolve()
    if path.is_absolute() or code.startswith((".", "~")):
        raise CodeNotFound(f"there is no {FILE_NAME} in {path}", hint="Name the folder of a project.")
    return None


def _deployment(project: Project, url: str | None, code: str, place: Path) -> Checkout | None:
    """A deployment's files in a new folder; None where there is none of this name."""
    if url is None:
        return None
    try:
        with deployments_in(url) as deployments:
            stored = deployments.named(code)
            unpack(deployments.bundle(stored.version), stored.content_sha, place)
    except (NotFound, NotInstalled):
        return None
    link_packages(place, project.root)
    return Checkout(place, stored.code_sha)


def _commit(project: Project, code: str) -> tuple[Commits, Commit] | NotARepository | UnknownCommit:
    """A commit in its repository, or why there is none."""
    try:
        commits = Commits(project.root, whole=True)
        return commits, commits.find(code)
    except (NotARepository, UnknownCommit) as error:
        return error


def _not_found(code: str, error: FluxError) -> FluxError:
    """Why neither the repository nor the database has it."""
    commit, plus, _ = code.partition("+")
    if plus:
        return CodeNotFound(
            f"the code {code} was a working tree with changes that are kept nowhere",
            hint=f"Use the commit it was made from, {commit[:12]}; only what `flux deploy` stores can be had again.",
        )
    if isinstance(error, NotARepository):
        return NotARepository(
            f'"{code}" is neither a folder with a {FILE_NAME} nor a deployment, and {error.message}',
            hint="Run `flux deployments` to see which there are.",
        )
    return UnknownCommit(f"{error.message}, and no such deployment", hint=error.hint)


@contextmanager
def _worktree(commits: Commits, commit: Commit, place: Path) -> Iterator[Path]:
    """The project's folder in a commit's tree, which lies in a new folder and is known to git until the end."""
    _forget_worktrees(commits)
    try:
        done = _git(commits.top, *_NO_HOOKS, "worktree", "add", "--quiet", "--detach", str(place), commit.sha)
        if done.returncode != 0:
            words = done.stderr.strip().removeprefix("fatal: ") or f"exit code {done.returncode}"
            raise UnknownCommit(
                f"git cannot check out {commit.name}: {words}",
                hint="Run `git fsck`; in a partial clone, `git fetch` gets what is missing.",
            )
        root = place / commits.prefix
        if not root.is_dir():
            raise CodeNotFound(f"there is no {commits.prefix} in commit {commit.name}: the project is newer")
        yield root
    finally:
        shutil.rmtree(place, ignore_errors=True)  # also what git would not delete; it only forgets the place then
        _git(commits.top, "worktree", "remove", "--force", str(place))


def _forget_worktrees(commits: Commits) -> None:
    """Let git forget the worktrees of processes that were killed; only ours, whatever else has no folder now."""
    listed = _git(commits.top, "worktree", "list", "--porcelain").stdout
    for line in listed.splitlines():
        path = line.removeprefix("worktree ")
        if path != line and path.endswith("/tree") and _is_forgotten(path):
            shutil.rmtree(path, ignore_errors=True)
            _git(commits.top, "worktree", "remove", "--force", path)


def _is_forgotten(path: str) -> bool:
    """Whether a folder was made here by a process of this machine that is gone."""
    ours = _OURS.search(path)
    if ours is None:
        return False
    try:
        os.kill(int(ours[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False,
        stdin=subprocess.DEVNULL, env=own_environment(),
    )  # fmt: skip

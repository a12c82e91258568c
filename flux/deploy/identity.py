"""The identity of the project's code: the git commit, and what differs from it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flux.deploy.files import built_modules, git, project_files


def code_sha(root: Path) -> str:
    """The commit of the project at root; with `+` and a hash of its content when the tree differs from the commit, as
    it also does when it holds built modules that git does not have.

    Outside git, and where git ignores the project, it is the hash alone: 12 hex digits of SHA-256 over the names and
    contents of the project's files.
    """
    commit = git(root, "rev-parse", "HEAD")
    if commit is None or git(root, "check-ignore", "--quiet", ".") is not None:
        return _content_hash(root)
    if not git(root, "status", "--porcelain", "--untracked-files=all", "--", "."):
        known = git(root, "ls-files", "-z", "--cached", "--", ".") or ""
        if built_modules(root) <= set(known.split("\0")):
            return commit
    return f"{commit}+{_content_hash(root)}"


def short_code(code_sha: str) -> str:
    """As people see it: 12 digits of the commit, and the whole of what follows it."""
    commit, plus, content = code_sha.partition("+")
    return f"{commit[:12]}{plus}{content}"


def _content_hash(root: Path) -> str:
    digest = hashlib.sha256()
    for name in project_files(root):
        if not (root / name).is_file():  # gone since it was listed, or a link to nothing or to a pipe, which never ends
            continue
        try:
            content = (root / name).read_bytes()
        except OSError:  # not for us to read
            continue
        digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:12]

"""The identity of the project's code: the git commit, and what differs from it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: Folders that never hold the project's own code.
_SKIPPED = frozenset({".git", ".flux", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache"})


def code_sha(root: Path) -> str:
    """The commit of the project at root; with `+` and a hash of its content when the tree differs from the commit.

    Outside git, and where git ignores the project, it is the hash alone: 12 hex digits of SHA-256 over the names and
    contents of the project's files.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None or _git(root, "check-ignore", "--quiet", ".") is not None:
        return _content_hash(root, _walk(root))
    changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", ".")
    if not changed:
        return commit
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".") or ""
    files = [root / name for name in listed.split("\0") if name and (root / name).is_file()]
    return f"{commit}+{_content_hash(root, files)}"


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where this is no git repository, has no commit, or git is not installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, env=environment
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _walk(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _SKIPPED)
        yield from (Path(folder, file) for file in files)


def _content_hash(root: Path, files: Iterator[Path] | list[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]

"""The files that are the project's own: those git knows or would add, or where there is no git, all that no .gitignore
names, and the modules that functions in other languages are built to, which git rarely knows. Code is identified by
them, and a bundle is made of them.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flux.config import FILE_NAME
from flux.deploy.commits import own_environment
from flux.runtime.guests.found import sources

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: Folders that never hold the project's own code, whatever git says.
SKIPPED = frozenset({".git", ".flux", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache"})


def project_files(root: Path) -> list[str]:
    """Paths relative to root, with slashes, sorted: regular files, and links to whatever."""
    own = {name for name in _tracked(root) if not SKIPPED.intersection(name.split("/")) and _is_file(root / name)}
    return sorted(own | built_modules(root))


def built_modules(root: Path) -> set[str]:
    """Paths relative to root of the modules that the functions' own flux.toml name, those that are there."""
    found = set()
    for folder in sources(root).wasm:
        try:
            module = tomllib.loads((folder / FILE_NAME).read_text(encoding="utf-8")).get("wasm", {}).get("module")
            path = (folder / module).resolve().relative_to(root.resolve())
        except (OSError, ValueError, TypeError, AttributeError):  # the loader says what is wrong with it
            continue
        if _is_file(root / path):
            found.add(path.as_posix())
    return found


def _tracked(root: Path) -> Iterable[str]:
    """What git or the .gitignore files leave."""
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    ignored = listed is not None and git(root, "check-ignore", "--quiet", ".") is not None
    return _walk(root, "", ()) if listed is None or ignored else _with_nested(root, listed.split("\0"))


def git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where it fails: this is no repository, it has no commit, git is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            stdin=subprocess.DEVNULL,
            env=own_environment(),
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip("\n") if done.returncode == 0 else None


def _with_nested(root: Path, listed: Iterable[str]) -> Iterator[str]:
    """What git lists; a repository inside this one (a submodule, or one not added) is listed as one folder."""
    for name in filter(None, listed):
        nested = root / name
        if nested.is_dir() and not nested.is_symlink():
            yield from (f"{name.rstrip('/')}/{inner}" for inner in project_files(nested))
        else:
            yield name


def _walk(folder: Path, prefix: str, rules: Sequence[tuple[str, GitIgnoreSpec]]) -> Iterator[str]:
    """Every file below a folder that no .gitignore on the way to it names."""
    found = _gitignore(folder)
    if found is not None:
        rules = (*rules, (prefix, found))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        name = f"{prefix}{entry.name}"
        if entry.name in SKIPPED or _is_ignored(f"{name}/" if is_folder else name, rules):
            continue
        if not is_folder:
            yield name
        elif not Path(entry.path, "pyvenv.cfg").exists():
            yield from _walk(Path(entry.path), f"{name}/", rules)


def _gitignore(folder: Path) -> GitIgnoreSpec | None:
    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


def _is_ignored(name: str, rules: Sequence[tuple[str, GitIgnoreSpec]]) -> bool:
    """The nearest .gitignore that says something of this path decides."""
    for prefix, rule in reversed(rules):
        said = rule.check_file(name.removeprefix(prefix)).include
        if said is not None:
            return said
    return False


def _is_file(path: Path) -> bool:
    """Not a file that git still knows but that is gone, nor a pipe, a socket or a device."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)

"""Bundles unpacked on this machine: each in a folder named after its content, made once and checked at every use.

Several processes may want the same bundle at once: one makes its folder under another name and renames it, the others
wait for the lock. What was changed by hand, or half removed, is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flux.config import FILE_NAME
from flux.deploy.bundle import members_of, unpack
from flux.engine.server import prepare_state
from flux.errors import BundleDamaged, CannotWrite

#: Bundles kept beside the one in use, those used last.
KEPT = 20

_ARCHIVE = "bundle.tar.gz"
_TREE = "tree"


def unpacked(state: Path, content_sha: str, fetch: Callable[[], bytes]) -> Path:
    """The folder with a bundle's files; `fetch` gives the bundle where it is not here yet, or not whole any more.

    Raises BundleDamaged, CannotWrite, and what fetch raises.
    """
    try:
        with _only_me(_home(state)) as home:
            place = home / content_sha[:32]
            if not _is_whole(place, content_sha):
                _make(place, content_sha, fetch())
            os.utime(place)
            link_packages(place / _TREE, state.parent)
            _forget_oldest(home)
            return place / _TREE
    except OSError as error:
        raise CannotWrite(f"the bundle {content_sha[:12]} cannot be unpacked in {state}: {error.strerror}") from error


def link_packages(tree: Path, project: Path) -> None:
    """Let code that lies elsewhere find the npm packages that are installed in its project, as it finds Python's."""
    installed, link = project.resolve() / "node_modules", tree / "node_modules"
    if installed.is_dir() and not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(installed)


def _home(state: Path) -> Path:
    """Where bundles are unpacked: below the state folder or, where that cannot be written, the temporary folder."""
    home = state / "deployments"
    with suppress(OSError, CannotWrite):
        prepare_state(state)
        home.mkdir(mode=0o700, exist_ok=True)
        if os.access(home, os.W_OK | os.X_OK):
            return home
    name = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:16]
    home = Path(tempfile.gettempdir()) / f"flux-{os.getuid()}-{name}-deployments"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.lstat().st_uid != os.getuid() or home.is_symlink():
        raise CannotWrite(f"{home} belongs to another user")
    return home


@contextmanager
def _only_me(home: Path) -> Iterator[Path]:
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield home
    finally:
        os.close(lock)


def _is_whole(place: Path, content_sha: str) -> bool:
    """Whether every file is there as it was packed, and no module beside them that would be loaded too."""
    try:
        packed = (place / _ARCHIVE).read_bytes()
        members = list(members_of(packed, content_sha))
        if not all(_is_as_packed(place / _TREE / member.name, member.content, member.link) for member in members):
            return False
    except (OSError, BundleDamaged):
        return False
    names = {place / _TREE / member.name for member in members}
    functions = place / _TREE / "functions"
    return names.issuperset((*functions.rglob("*.py"), *functions.rglob("*.ts"), *functions.rglob(FILE_NAME)))


def _is_as_packed(path: Path, content: bytes, link: str | None) -> bool:
    if link is not None:
        return path.is_symlink() and path.readlink().as_posix() == link
    return not path.is_symlink() and path.read_bytes() == content


def _make(place: Path, content_sha: str, packed: bytes) -> None:
    made = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
    try:
        unpack(packed, content_sha, made / _TREE)
        (made / _ARCHIVE).write_bytes(packed)
        if place.exists():
            place.rename(Path(tempfile.mkdtemp(prefix=".", dir=place.parent)) / "damaged")
        made.rename(place)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _forget_oldest(home: Path) -> None:
    """Leave the bundles used last, and nothing of processes that were killed while they unpacked one."""
    folders = [path for path in home.iterdir() if path.is_dir()]
    known = sorted((path for path in folders if path.name[0] != "."), key=lambda path: path.stat().st_mtime)
    for path in [*known[:-KEPT], *(path for path in folders if path.name[0] == ".")]:
        shutil.rmtree(path, ignore_errors=True)

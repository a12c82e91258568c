"""As whom the embedded Postgres runs. It refuses to run as root, so root starts it as an existing user without rights.

No user is made and no folder outside the project is opened up. Where that user cannot enter a folder on the way (such
as /root), the server keeps one right of root, to look into folders.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flux.errors import DatabaseUnavailable

_CANDIDATES = ("postgres", "nobody")

#: Rights that let a process enter any folder, the lesser one first, by their number in the kernel's capability sets.
_RIGHTS = {"dac_read_search": 2, "dac_override": 1}


@dataclass(frozen=True, slots=True)
class Service:
    """The user that the server runs as; `uid` is None for the one who calls."""

    uid: int | None = None
    gid: int | None = None
    name: str = ""

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def launch(self, command: list[str], needs: Iterable[Path]) -> tuple[list[str], dict[str, Any]]:
        """The command and the keywords of Popen that run it as this user; `needs` are the paths that it must reach."""
        if self.uid is None or self.gid is None:
            return command, {}
        closed = next((path for path in needs if not self._reaches(path)), None)
        if closed is None:
            return command, {"user": self.uid, "group": self.gid, "extra_groups": []}
        right, setpriv = _right(), shutil.which("setpriv")
        if right is None or setpriv is None:
            raise DatabaseUnavailable(
                f"postgres does not run as root, and the user {self.name} cannot reach {closed}",
                hint="Move the project to a folder that others may enter, run as another user, or set DATABASE_URL.",
            )
        who = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        keep = [f"--inh-caps=+{right}", f"--ambient-caps=+{right}"]
        return [setpriv, *who, *keep, "--", *command], {}

    def _reaches(self, path: Path) -> bool:
        return all(self._may_enter(folder) for folder in path.resolve().parents)

    def _may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def service_for(data: Path) -> Service:
    """Who runs the server over this data folder: its owner where it exists, raises DatabaseUnavailable."""
    if os.geteuid() != 0:
        return Service()
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Service(owner.st_uid, owner.st_gid, _name(owner.st_uid))
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Service(entry.pw_uid, entry.pw_gid, name)
    raise DatabaseUnavailable(
        "postgres does not run as root, and there is no user postgres or nobody to run it as",
        hint="Run as another user, or set DATABASE_URL.",
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _right() -> str | None:
    """The least right to enter any folder that this process may pass on; None without any."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    fields = (line.partition(":\t") for line in lines)
    sets = {name: int(value, 16) for name, _, value in fields if name.startswith("Cap")}
    held = sets.get("CapEff", 0) & sets.get("CapBnd", 0)
    return next((name for name, number in _RIGHTS.items() if held & 1 << number), None)

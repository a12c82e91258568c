"""Processes that use a project's embedded server, to be killed, and a user without rights to run them as."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flux.config import Project
from flux.engine.keeper import server_pid

AS_ROOT = os.geteuid() == 0

USE = """
import sys
from pathlib import Path
from flux.config import Project
from flux.engine.server import database
from flux.errors import FluxError

project = Project(root=Path(sys.argv[1]), name="shop")
try:
    with database(project) as url:
        print(url, flush=True)
        sys.stdin.readline()
except FluxError as error:
    print(f"{type(error).__name__}: {error.message} | {error.hint}")
"""


@dataclass
class User:
    """A process inside `with database(project)`; it leaves when it is told to."""

    process: subprocess.Popen[str]
    url: str

    def leave(self) -> None:
        """Leave the block and end."""
        self.process.communicate("\n", timeout=30)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.process.kill()
        self.process.communicate(timeout=30)


def data_of(project: Project) -> Path:
    """The data folder of the project's embedded server."""
    return project.state / "postgres" / "data"


def wait_until(happened: Callable[[], bool], seconds: float = 15) -> None:
    """Fail unless it happens in time."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def wait_until_stopped(project: Project) -> None:
    """Fail unless the project's server ends in time."""
    wait_until(lambda: server_pid(data_of(project)) is None)


def without_rights(folder: Path) -> dict[str, Any]:
    """Keywords for `use` that make its process one of a user who is not root, and let that user reach the folder.

    Where that user may not use this Python, which may be at home with root, another of the same version will do.
    """
    if not AS_ROOT:
        return {}
    nobody = pwd.getpwnam("nobody")
    keywords = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}
    packages = os.pathsep.join(path for path in sys.path if path)
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        keywords |= {"env": {**os.environ, "PYTHONPATH": packages}, "executable": python}
        with suppress(OSError):
            if not subprocess.run([python, "-c", "import flux.engine.server"], check=False, **keywords).returncode:
                break
    else:
        pytest.skip("the user nobody can run no Python here")
    for place in (folder, *folder.parents):
        if place.stat().st_uid == 0 and not place.stat().st_mode & 0o001:
            place.chmod(place.stat().st_mode | 0o001)
    return keywords

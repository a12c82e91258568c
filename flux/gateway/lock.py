"""One `flux dev` a project: a lock that ends with the process that has it, and says which one that is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flux.config import Project
from flux.engine.server import prepare_state
from flux.errors import AlreadyRunning, CannotWrite


@contextmanager
def only_one(project: Project, url: str) -> Iterator[None]:
    """Hold the project's lock; `url` is what others are told. Raises AlreadyRunning, CannotWrite."""
    path = project.state / "dev.lock"
    prepare_state(project.state)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, where = os.pread(file, 1_000, 0).decode("utf-8", "replace").strip().partition(" ")
        os.close(file)
        raise AlreadyRunning(
            f"flux dev already runs in {project.root}" + (f" (process {pid}, {where})" if where else ""),
            hint=f"Use it at {where}, or stop it: kill {pid}" if where else None,
        ) from None
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()} {url}\n".encode(), 0)
    try:
        yield
    finally:
        os.ftruncate(file, 0)
        os.close(file)

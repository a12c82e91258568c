"""Stops the embedded Postgres once nobody uses it, however its users ended; run as a program of its own.

Everybody who uses the server holds a shared lock on one file, which the kernel takes away with the process, also when
it is killed. The keeper waits for the exclusive lock: it has it when the last user is gone. It imports nothing but the
standard library, so that it is small and starts at once.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

#: Seconds a fast shutdown may take before the server is told to leave at once, which costs its next start a recovery.
PATIENCE = 60.0

_PID_FILE = "postmaster.pid"


def server_pid(data: Path) -> int | None:
    """The process of the server over this data folder; None when there is none alive."""
    try:
        pid = int((data / _PID_FILE).read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if _is_server(pid, data) else None


def stop_server(data: Path) -> None:
    """End the server and wait until it has: sessions are cut off, transactions under way are rolled back."""
    pid = server_pid(data)
    if pid is None:
        return
    for number in (signal.SIGINT, signal.SIGQUIT):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if server_pid(data) != pid:
                return
            time.sleep(0.005)


def _is_server(pid: int, data: Path) -> bool:
    """Whether this process is the server over this data folder, and no other that has got its number since."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        if Path("/proc/self").exists():
            return False
        return _exists(pid)
    return b"postgres" in command and os.fsencode(data) in command


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(users: str, keeper: str, data: str) -> None:
    """Wait until no process holds the lock of users, then stop the server; only one keeper does so at a time."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    place = os.open(keeper, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    fcntl.flock(os.open(users, os.O_RDONLY), fcntl.LOCK_EX)
    stop_server(Path(data))


if __name__ == "__main__":
    main(*sys.argv[1:])

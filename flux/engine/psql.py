"""Runs psql, Postgres's own shell, on a database: that of the machine, or else the one of the embedded server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence

from flux.engine.binaries import every_binaries
from flux.errors import NotFound


def run_psql(url: str, arguments: Sequence[str]) -> int:
    """Run psql at this terminal until it ends; its exit code. Ctrl-C is left to it. Raises NotFound."""
    program = find_psql()
    # As an option: what psql takes without one is the name of a database, and only the first of them.
    process = subprocess.Popen([program, "--dbname", url, *arguments])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def find_psql() -> str:
    """The path of a psql; raises NotFound."""
    folders = [str(binaries.folder) for binaries in every_binaries()]
    program = shutil.which("psql") or shutil.which("psql", path=os.pathsep.join(folders))
    if program is None:
        raise NotFound(
            "there is no psql on this machine", hint="Open the URL that `flux db url` gives with any client."
        )
    return program

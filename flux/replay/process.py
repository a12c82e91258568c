"""The process of a Runner and the pipes to it: what it is told, what it answers, what it prints, and how it ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from flux.errors import CannotLoad

#: Bytes of what user code printed that are kept of a run.
TAIL = 4_000


class Silent(Exception):
    """The child says nothing more: it is dead, or it takes too long."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Child:
    """The process and its pipes. What it prints goes to a file of its own."""

    def __init__(self, python: Sequence[str], root: Path, database_url: str) -> None:
        orders_read, orders_write = os.pipe()
        answers_read, answers_write = os.pipe()
        self._printed: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # closed with the process
        try:
            self._process = subprocess.Popen(
                [*python, "-P", "-m", "flux.replay.runner", str(orders_read), str(answers_write)],
                cwd=root,
                env=_environment(database_url),
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=(orders_read, answers_write),
                start_new_session=True,
            )
        except OSError as error:
            for file in (orders_write, answers_read):
                os.close(file)
            self._printed.close()
            raise CannotLoad(f"cannot run {python[0]}: {error.strerror}") from error
        finally:
            os.close(orders_read)
            os.close(answers_write)
        self._orders = open(orders_write, "wb", buffering=0)  # noqa: SIM115, PTH123  # closed with the process
        self._answers = answers_read
        self._heard = b""
        self._said = ""

    @property
    def how_it_ended(self) -> str:
        """The signal or the exit code."""
        code = self._process.returncode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def say(self, line: bytes) -> None:
        """Send one line; raises Silent."""
        try:
            view = memoryview(line + b"\n")
            while view:
                view = view[self._orders.write(view) :]
        except BrokenPipeError:
            raise Silent("crashed") from None

    def hear(self, seconds: float) -> Any:
        """The next answer; raises Silent."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._heard:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise Silent("timeout")
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                raise Silent("crashed")
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        answer = orjson.loads(line)
        if "stuck" in answer:
            raise Silent("timeout")
        return answer

    def forget_output(self) -> None:
        """Begin with an empty file for what is printed."""
        self._printed.seek(0)
        self._printed.truncate()

    def output(self) -> str:
        """The end of what was printed since then, also of a process that has ended."""
        if not self._printed.closed:
            size = self._printed.seek(0, os.SEEK_END)
            content = os.pread(self._printed.fileno(), TAIL, max(0, size - TAIL))
            self._said = content.decode("utf-8", "replace").lstrip("\0")
        return self._said

    def end(self) -> None:
        """Let the process end by itself, or kill it."""
        self._orders.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=3)
        self.kill()

    def kill(self) -> None:
        """End the process and what it forked, now."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.output()
        self._orders.close()
        self._printed.close()
        os.close(self._answers)


def _environment(database_url: str) -> dict[str, str]:
    """The environment of user code: whoever connects by DATABASE_URL or libpq's variables meets the sandbox."""
    parts = urlsplit(database_url)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    known = {
        "PGDATABASE": unquote(parts.path.removeprefix("/")),
        "PGHOST": unquote(parts.hostname or asked.get("host", "")),
        "PGPORT": str(parts.port or asked.get("port", "")),
        "PGUSER": unquote(parts.username or asked.get("user", "")),
        "PGPASSWORD": unquote(parts.password or ""),
    }
    return {
        **{name: value for name, value in os.environ.items() if name not in ("PGSERVICE", "PGSERVICEFILE")},
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),  # sets in one order, in this replay and the next
        "DATABASE_URL": database_url,
        **{name: value for name, value in known.items() if value},
    }

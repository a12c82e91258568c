"""One Postgres data folder and the server over it: made, started, found again and stopped, through the bare programs.

It knows nothing of who else uses the server; flux.engine.server does.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flux.engine.binaries import Binaries, find_binaries
from flux.engine.keeper import server_pid, stop_server
from flux.engine.service import Service, service_for
from flux.errors import CannotWrite, DatabaseUnavailable

#: Name of the superuser; it comes in over the socket only, whose folder nobody else may enter.
SUPERUSER = "postgres"

#: Seconds a start may take, recovery after a crash included.
PATIENCE = 120.0

_PORT = 5432

#: A socket's path may have 103 bytes on the strictest system.
_LONGEST_SOCKET_FOLDER = 103 - len(f"/.s.PGSQL.{_PORT}")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")

#: No process has this number, and Postgres takes it for one that is gone.
_NOBODY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Cluster:
    """A folder that holds `data` and `log`; `settings` are given to the server as it starts, `name=value`.

    Without `binaries` those that fit the data are looked for when there is something to start.

    Raises CannotWrite, DatabaseUnavailable.
    """

    folder: Path
    binaries: Binaries | None
    service: Service
    settings: Sequence[str] = field(default=())

    @classmethod
    def at(cls, folder: Path, binaries: Binaries | None = None, settings: Sequence[str] = ()) -> Cluster:
        """The cluster of this folder, made if there is none yet. Nobody else may do so at the same time."""
        cluster = cls(folder, binaries, service_for(folder / "data"), settings)
        with _owning(folder):
            for left in folder.glob("unfinished-*"):
                shutil.rmtree(left, ignore_errors=True)
            if cluster._version() is None:
                cluster._make()
        return cluster

    @property
    def data(self) -> Path:
        """What Postgres calls PGDATA."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server said since its last start."""
        return self.folder / "log"

    def url(self, database: str) -> str:
        """The libpq URL of a database of the running server, whatever PG… variables are set."""
        host, port = self._address()
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={quote(host, safe='')}&port={port}"

    def is_running(self) -> bool:
        """Whether its server takes connections."""
        return server_pid(self.data) is not None and self._state() == "ready"

    def start(self) -> subprocess.Popen[bytes] | None:
        """Have its server running; the process, if this call began it."""
        until = time.monotonic() + PATIENCE
        while self._state() == "stopping" and server_pid(self.data) and time.monotonic() < until:
            time.sleep(0.01)
        if server_pid(self.data):
            self._wait(None, until)
            return None
        with _owning(self.folder):
            self._forget_dead_server()
            process = self._launch()
            while not self._wait(process, until):
                # What is left of a server that was killed still holds its memory.
                if "pre-existing shared memory block" not in self._said() or time.monotonic() > until:
                    raise self._failed("postgres did not start")
                self._end_orphans()
                time.sleep(0.1)
                process = self._launch()
        return process

    def stop(self) -> None:
        """Have its server stopped."""
        stop_server(self.data)
        with suppress(OSError):
            if self._is_ours(self._short_folder()):
                self._short_folder().rmdir()

    def _version(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def _programs(self) -> Binaries:
        return self.binaries or find_binaries(self._version())

    def _make(self) -> None:
        programs = self._programs()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.service.own(self.folder)
        # Under another name until it is whole, so that an interrupted start leaves nothing that looks like data; under
        # a new one each time, because what was interrupted may still be at it.
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=self.folder))
        self.service.own(unfinished)
        # No sync: the machine itself writes new files out within seconds, before there is anything in them to lose.
        options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--lc-messages=C", f"--username={SUPERUSER}"]
        if programs.major >= 17:
            options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            done = self._initdb(programs, unfinished, options)
        else:
            done = self._initdb(programs, unfinished, [*options, "--locale=C.UTF-8"])
            if done.returncode and b"invalid locale" in done.stderr:
                done = self._initdb(programs, unfinished, [*options, "--locale=C"])
        if done.returncode:
            self.log.write_bytes(done.stdout + done.stderr)
            shutil.rmtree(unfinished, ignore_errors=True)
            raise self._failed("initdb could not make a database")
        unfinished.rename(self.data)

    def _initdb(self, programs: Binaries, place: Path, options: list[str]) -> subprocess.CompletedProcess[bytes]:
        command, keywords = self._as_service([programs.program("initdb"), "-D", str(place), *options])
        return subprocess.run(command, capture_output=True, check=False, **keywords)

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self._socket_folder()}",
            f"port={_PORT}",
            *self.settings,
        ]
        options = [part for setting in settings for part in ("-c", setting)]
        command, keywords = self._as_service([self._programs().program("postgres"), "-D", str(self.data), *options])
        with suppress(FileNotFoundError):
            self.log.replace(self.folder / "log.before")
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **keywords
            )

    def _as_service(self, command: list[str]) -> tuple[list[str], dict[str, Any]]:
        command, keywords = self.service.launch(command, [self.data, Path(command[0])])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return command, {**keywords, "cwd": "/", "env": {**environment, "LC_ALL": "C"}}

    def _wait(self, process: subprocess.Popen[bytes] | None, until: float) -> bool:
        """Until the server takes connections; False when the process ended instead."""
        while time.monotonic() < until:
            if self.is_running():
                return True
            if process is not None and process.poll() is not None:
                return False
            if process is None and server_pid(self.data) is None:
                raise self._failed("postgres ended while it started")
            time.sleep(0.005)
        raise self._failed(f"postgres was not ready within {PATIENCE:.0f} s")

    def _forget_dead_server(self) -> None:
        """Make Postgres take a server that was killed for dead, though its number may belong to another process now.

        postmaster.pid stays: by the rest of it Postgres finds out whether parts of that server are still alive.
        """
        for name in (f".s.PGSQL.{_PORT}.lock", f".s.PGSQL.{_PORT}"):
            Path(self._socket_folder(), name).unlink(missing_ok=True)
        file = self.data / "postmaster.pid"
        lines = file.read_text().split("\n") if file.exists() else []
        if lines:
            file.write_text("\n".join([str(_NOBODY), *lines[1:]]))

    def _end_orphans(self) -> None:
        """Tell sessions that outlived a killed server to leave; they stand in the data folder."""
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if place.joinpath("cwd").samefile(self.data) and b"postgres" in (place / "cmdline").read_bytes():
                    os.kill(int(place.name), signal.SIGTERM)

    def _state(self) -> str:
        lines = self._pid_file()
        return lines[7].strip() if len(lines) > 7 else ""

    def _address(self) -> tuple[str, str]:
        lines = self._pid_file()
        if len(lines) < 5:
            raise DatabaseUnavailable(f"the database in {self.folder} is not running")
        return lines[4], lines[3]

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return []

    def _socket_folder(self) -> str:
        folder = str(self.folder)
        if len(folder) <= _LONGEST_SOCKET_FOLDER and _PLAIN_PATH.fullmatch(folder):
            return folder
        short = self._short_folder()
        with suppress(FileExistsError):
            short.mkdir(mode=0o700)
            self.service.own(short)
        if not self._is_ours(short):
            raise DatabaseUnavailable(
                f"{short} belongs to another user", hint="Remove it, or move the project to a shorter path."
            )
        return str(short)

    def _short_folder(self) -> Path:
        """Not in $TMPDIR, which may differ from one command to the next, and be long itself."""
        name = sha256(os.fsencode(self.folder.resolve())).hexdigest()[:16]
        return Path("/tmp") / f"flux-{name}"  # noqa: S108  # its owner and mode are looked at before it is used

    def _is_ours(self, folder: Path) -> bool:
        """Whether it is a folder that nobody else made or may enter."""
        status = folder.lstat()
        uid = os.geteuid() if self.service.uid is None else self.service.uid
        return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o077

    def _said(self) -> str:
        try:
            return self.log.read_text(errors="replace")
        except OSError:
            return ""

    def _failed(self, message: str) -> DatabaseUnavailable:
        """The error with Postgres's own reason, which is the last one in its log."""
        said = self._said()
        reasons = re.findall(r"(?:FATAL|PANIC|ERROR|error):\s+(.+)", said)
        reason = reasons[-1] if reasons else " ".join(said.split())[-300:]
        if "No space left on device" in said:
            return DatabaseUnavailable(
                f"{message}: no space left on the disk of {self.folder}", hint="Free some space, then start again."
            )
        return DatabaseUnavailable(f"{message}: {reason}" if reason else message, hint=f"Its log is {self.log}.")


@contextmanager
def _owning(folder: Path) -> Iterator[None]:
    """Turns what the operating system refuses into an error that names the folder."""
    try:
        yield
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(folder: Path, error: OSError) -> CannotWrite:
    """What to say when a folder of the embedded database cannot be used."""
    reason = (error.strerror or str(error)).lower()
    return CannotWrite(
        f"cannot keep a database in {folder}: {reason}",
        hint="Give this user the right to write there, or set DATABASE_URL to a database elsewhere.",
    )

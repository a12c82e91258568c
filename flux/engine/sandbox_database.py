"""Sandboxes as databases of a server: their names, who made them, and those that a killed process left behind.

A sandbox's name holds a mark of the database it was made from. Who made it holds an advisory lock of that name in the
source database, which goes with its connection; so a sandbox whose lock is free, and which was not to be kept, is left
over and may be dropped. Its comment is JSON that says where it comes from.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from flux.errors import DatabaseUnavailable, FluxError, NotFound, NotInstalled, NotPermitted, SandboxFailed

Connection = psycopg.Connection[Any]

PREFIX = "flux_sandbox_"

#: "fsbx": the space of advisory locks that say that a sandbox is in use.
LOCKS = 0x66736278

#: Seconds that the server is given to answer, and that other people's locks are waited for.
PATIENCE = 10

_IDENTITY: LiteralString = """
    select
        current_database(),
        case when has_function_privilege('pg_catalog.pg_control_system()', 'execute')
            then (select system_identifier from pg_catalog.pg_control_system()) end
"""
_THERE: LiteralString = """
    select datname, shobj_description(oid, 'pg_database')
    from pg_catalog.pg_database
    where datname like 'flux\\_sandbox\\_%'
    order by oid
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A sandbox that is there: `about` is what its comment says, empty where it was killed before it was written."""

    name: str
    about: Mapping[str, Any]

    @property
    def kept(self) -> bool:
        """Whether it was asked to stay."""
        return bool(self.about.get("keep"))


def connect(url: str, *, autocommit: bool = True) -> Connection:
    """A connection for making sandboxes; raises DatabaseUnavailable."""
    with refusals():
        connection: Connection = psycopg.connect(
            url,
            autocommit=autocommit,
            connect_timeout=PATIENCE,
            application_name="flux sandbox",
            prepare_threshold=None,
        )
    return connection


def source_mark(source: Connection) -> str:
    """What sandboxes of this database have in their names."""
    row = source.execute(_IDENTITY).fetchone()
    return f"{zlib.crc32(repr(row).encode()):08x}"


def new_name(source: Connection) -> str:
    """A name for a sandbox of this database, whose lock is held as long as this connection lives."""
    name = f"{PREFIX}{source_mark(source)}_{secrets.token_hex(4)}"
    source.execute("select pg_advisory_lock(%s, %s)", (LOCKS, _number(name)))
    return name


def about(source_name: str, moment: str) -> dict[str, Any]:
    """What the comment of a new sandbox says."""
    return {
        "source": source_name,
        "as_of": moment,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "keep": False,
    }


def describe(server: Connection, name: str, what: Mapping[str, Any]) -> None:
    """Write a sandbox's comment."""
    server.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(name), json.dumps(what)))


def drop(server: Connection, name: str) -> None:
    """Drop a sandbox, whoever is connected to it; raises NotPermitted."""
    with refusals():
        server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def sandboxes(server: Connection) -> Iterator[Found]:
    """All sandboxes of a server, oldest first."""
    for name, comment in server.execute(_THERE).fetchall():
        try:
            what = json.loads(comment or "{}")
        except ValueError:
            what = {}
        yield Found(name, what if isinstance(what, dict) else {})


def drop_unused(source: Connection, server: Connection) -> tuple[str, ...]:
    """Drop the sandboxes of a source on a server that nobody uses and nobody asked to keep; their names."""
    ours = f"{PREFIX}{source_mark(source)}_"
    dropped = []
    for found in sandboxes(server):
        if found.kept or not found.name.startswith(ours):
            continue
        lock = (LOCKS, _number(found.name))
        row = source.execute("select pg_try_advisory_lock(%s, %s)", lock).fetchone()
        if row is None or not row[0]:
            continue
        try:
            drop(server, found.name)
            dropped.append(found.name)
        except NotPermitted:  # another role's: it has to clear up after itself
            pass
        finally:
            source.execute("select pg_advisory_unlock(%s, %s)", lock)
    return tuple(dropped)


def drop_leftovers(source_url: str, server_url: str | None = None) -> tuple[str, ...]:
    """Drop the sandboxes of this database that killed processes left; their names."""
    with closing(connect(source_url)) as source, refusals():
        if server_url is None:
            return drop_unused(source, source)
        with closing(connect(server_url)) as server:
            return drop_unused(source, server)


def sandboxes_of(source_url: str, server_url: str | None = None) -> list[dict[str, Any]]:
    """The sandboxes of this database, oldest first: name, and what is known of each; leftovers are dropped first."""
    with closing(connect(source_url)) as source, refusals(), closing(connect(server_url or source_url)) as server:
        drop_unused(source, server)
        ours = source_mark(source)
        return [{"name": found.name, **found.about} for found in sandboxes(server) if ours in found.name]


def drop_sandbox(source_url: str, name: str, server_url: str | None = None) -> None:
    """Drop a sandbox of this database, kept or in use; raises NotFound, NotPermitted."""
    with closing(connect(source_url)) as source, refusals(), closing(connect(server_url or source_url)) as server:
        ours = f"{PREFIX}{source_mark(source)}_"
        if not name.startswith(ours) or name not in {found.name for found in sandboxes(server)}:
            raise NotFound(
                f'there is no sandbox "{name}" of this database', hint="`flux state checkout --list` lists them."
            )
        drop(server, name)


def database_url(url: str, name: str) -> str:
    """The URL of another database of the same server, with everything else as it is in a URL or a libpq string."""
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    parts.pop("dbname", None)
    user, password = parts.pop("user", ""), parts.pop("password", "")
    host, port = parts.get("host", ""), parts.get("port", "")
    where = ""
    if host and not any(character in host for character in "/,:@"):
        where = quote(host, safe="") + (f":{port}" if port else "")
        parts.pop("host")
        parts.pop("port", None)
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    rest = f"?{urlencode(parts, quote_via=quote)}" if parts else ""
    return f"postgresql://{who}{'@' if who else ''}{where}/{quote(name, safe='')}{rest}"


@contextmanager
def refusals(what: str = "") -> Iterator[None]:
    """Turns Postgres's refusals into errors of Flux."""
    try:
        yield
    except psycopg.Error as error:
        raise refused(error, what) from error


def refused(error: psycopg.Error, what: str = "") -> FluxError:
    """The error of Flux for one of Postgres; `what` could not be done."""
    message = error.diag.message_primary or str(error).strip().removeprefix("connection is bad: ").partition("\n")[0]
    if what:
        message = f"{what}: {message}"
    state = error.sqlstate
    if state is None or state.startswith(("08", "57P", "28", "3D")):
        return DatabaseUnavailable(message, hint="Look at DATABASE_URL, [database] url in flux.toml and --sandbox-url.")
    if state == "42501":
        return NotPermitted(message)
    if state in ("42883", "42P01", "3F000"):
        return NotInstalled(
            f"this database holds another version of Flux: {message}",
            hint="Run `flux db migrate` to bring it up to date.",
        )
    if state.startswith("53"):
        return SandboxFailed(f"the server has no room for a sandbox: {message}")
    if state in ("55P03", "40P01"):
        return SandboxFailed(
            f"a table is locked by somebody else: {message}", hint="Try again when migrations and truncates are done."
        )
    return SandboxFailed(message, hint=error.diag.message_hint)


def _number(name: str) -> int:
    """A name as the second number of its advisory lock."""
    return zlib.crc32(name.encode()) - 2**31

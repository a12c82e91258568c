"""Deployments in the database: stored, switched between, and heard of by those who serve them.

A worker listens on a connection of its own. That it is there, and which version it serves, is told by the name of that
connection, so that the answer ends with the process, however it ends.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from select import select
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row

from flux.errors import Ambiguous, DatabaseUnavailable, FluxError, NotDeployed, NotFound, NotInstalled, NotPermitted

CHANNEL = "flux_deployments"

#: Seconds between two looks of who listens, where no notification comes: a pooler may hold it back.
PERIOD = 3.0

#: A connection that waits must learn that its server is gone, which without these takes hours.
_ALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

_RAISED: Mapping[str, type[FluxError]] = {error.code: error for error in (NotFound, Ambiguous, NotDeployed)}

_ACTIVE: LiteralString = "select version, code_sha, content_sha, project from flux.active_deployment()"

_OF_VERSION: LiteralString = """
    select version, code_sha, content_sha, project
    from flux.stored_deployments
    where version = %s
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A deployment without its bundle; `content_sha` is what the bundle must hash to."""

    version: int
    code_sha: str
    content_sha: str
    project: str


@dataclass(frozen=True, slots=True)
class NewBundle:
    """What a deployment stores."""

    code_sha: str
    content_sha: str
    packed: bytes
    project: str
    files: int
    functions: Sequence[str]


@dataclass(frozen=True, slots=True)
class Switched:
    """`version` is active now; before it was `previous`, None where there was none; `is_new` when it was stored now."""

    version: int
    code_sha: str
    previous: int | None
    is_new: bool = False


class Deployments:
    """One connection to the database that holds them. Made by `deployments_in`.

    Every method raises DatabaseUnavailable, NotInstalled, NotPermitted.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._heard = False
        connection.add_notify_handler(self._hear)

    def active(self) -> Stored | None:
        """The one to be served, if anything was deployed."""
        return self._stored(_ACTIVE)

    def named(self, given: str) -> Stored:
        """The one that 3, v3 or the first digits of its code name; raises NotFound, Ambiguous."""
        with _translating():
            version = self._value("select flux.deployment_named(%s)", given)
            found = self._stored(_OF_VERSION, version)
        assert found is not None  # noqa: S101  # versions are never deleted
        return found

    def bundle(self, version: int) -> bytes:
        """The compressed files of a version."""
        with _translating():
            return bytes(self._value("select bundle from flux.stored_deployments where version = %s", version))

    def deploy(self, bundle: NewBundle, who: str, note: str | None) -> Switched:
        """Store a bundle and make it active, in one transaction; the same content is the same version."""
        with _translating(), self._connection.transaction():
            row = self._connection.execute(
                "select version, is_new from flux.store_deployment(%s, %s, %s, %s, %s, %s, %s)",
                (
                    bundle.code_sha,
                    bundle.content_sha,
                    bundle.packed,
                    bundle.project,
                    bundle.files,
                    list(bundle.functions),
                    who,
                ),
            ).fetchone()
            assert row is not None  # noqa: S101  # it has out parameters
            return self._activate(row[0], "deploy", who, note, is_new=row[1])

    def roll_back(self, given: str | None, who: str, note: str | None) -> Switched:
        """Make an earlier version active, the one before this unless named; raises NotDeployed, NotFound, Ambiguous."""
        with _translating(), self._connection.transaction():
            if given is None:
                version = self._value("select flux.rollback_target()")
            else:
                version = self._value("select flux.deployment_named(%s)", given)
            return self._activate(version, "rollback", who, note)

    def workers(self) -> dict[int, int]:
        """How many worker processes serve which version now."""
        with _translating():
            rows = self._connection.execute("select version, workers from flux.deployments where workers > 0")
            return dict(rows.fetchall())

    def listen(self) -> None:
        """Hear of every switch from now on."""
        with _translating():
            self._connection.execute(f"listen {CHANNEL}")

    def wait(self, seconds: float = PERIOD) -> None:
        """Until a switch is heard of, or about so many seconds."""
        pgconn = self._connection.pgconn
        with _translating():
            if not self._heard and select([pgconn.socket], [], [], seconds * random.uniform(0.8, 1.2))[0]:  # noqa: S311
                pgconn.consume_input()
                while pgconn.notifies() is not None:
                    pass
        self._heard = False

    def say(self, serving: int, wanted: int) -> None:
        """Tell everybody who asks the database which version this worker serves."""
        name = f"flux worker v{serving}" + (f" not v{wanted}" if wanted != serving else "")
        with _translating():
            self._connection.execute("select set_config('application_name', %s, false)", (name,))

    def _hear(self, notify: psycopg.Notify) -> None:
        self._heard = True

    def _activate(self, version: int, how: str, who: str, note: str | None, *, is_new: bool = False) -> Switched:
        previous = self._value("select flux.activate_deployment(%s, %s, %s, %s)", version, how, who, note)
        code_sha = self._value("select code_sha from flux.stored_deployments where version = %s", version)
        return Switched(version, code_sha, previous, is_new)

    def _stored(self, query: LiteralString, *parameters: object) -> Stored | None:
        with _translating(), self._connection.cursor(row_factory=class_row(Stored)) as cursor:
            return cursor.execute(query, parameters).fetchone()

    def _value(self, query: LiteralString, *parameters: object) -> Any:
        row = self._connection.execute(query, parameters).fetchone()
        return row[0] if row else None


@contextmanager
def deployments_in(url: str) -> Iterator[Deployments]:
    """The deployments of a database, over a connection of their own; raises DatabaseUnavailable."""
    with _translating():
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=5, application_name="flux", prepare_threshold=None, **_ALIVE
        )
    try:
        yield Deployments(connection)
    finally:
        connection.close()


def database_identity(url: str) -> str:
    """What tells a database from others without its password: host, port, name and user."""
    known = conninfo_to_dict(url)
    return "/".join(quote(str(known.get(name, "")), safe="") for name in ("host", "hostaddr", "port", "dbname", "user"))


@contextmanager
def _translating() -> Iterator[None]:
    """Errors of Postgres become errors of Flux."""
    try:
        yield
    except psycopg.Error as error:
        raise _translated(error) from error


def _translated(error: psycopg.Error) -> FluxError:
    state = error.sqlstate or ""
    message = error.diag.message_primary or str(error).strip().partition("\n")[0]
    if state in _RAISED:
        detail = f"\n  {error.diag.message_detail}" if error.diag.message_detail else ""
        return _RAISED[state](message + detail, hint=error.diag.message_hint)
    if state == "42501":
        return NotPermitted(message, hint="Do this as the role that installed Flux in this database.")
    if state in ("3F000", "42P01", "42883"):
        return NotInstalled(
            "this database holds no Flux, or an older one: it knows of no deployments",
            hint="Run `flux deploy`, or `flux db migrate`.",
        )
    if not state or state.startswith(("08", "57P", "28", "3D", "53")):
        return DatabaseUnavailable(message, hint="Look at DATABASE_URL and at [database] url in flux.toml.")
    return FluxError(message, hint=error.diag.message_hint)

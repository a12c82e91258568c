"""The roles that Flux needs, and those of policies. They belong to the server, so another database's Flux may have made
them already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from flux.errors import NotPermitted

#: As whom functions run, unless they run as their caller.
SERVICE = "flux_app"

ROLES = (SERVICE, "flux_reader")

#: From version 16 on, membership and the right to take the role are two things.
_MISSING: LiteralString = "select name from unnest(%s::text[]) as name where to_regrole(name) is null"
_MAY_TAKE: LiteralString = """
    select pg_has_role(
        current_user,
        %s,
        case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end
    )
"""


def ensure_roles(connection: psycopg.Connection[Any], names: Sequence[str] = ROLES) -> None:
    """Make the roles that are missing and let the current one take them; raises NotPermitted with the SQL to run."""
    missing = [name for (name,) in connection.execute(_MISSING, (list(names),))]
    try:
        for name in missing:
            connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
        ours = [name for name in names if not _value(connection, _MAY_TAKE, name)]
        for name in ours:
            connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        user = sql.Identifier(connection.info.user).as_string(connection)
        commands = [f"create role {name} nologin;" for name in missing] + [f"grant {', '.join(names)} to {user};"]
        raise NotPermitted(
            f"the role {connection.info.user} may not make or take the roles {' and '.join(names)}",
            hint=f"Have an administrator of the server run: {' '.join(commands)}",
        ) from error


def _value(connection: psycopg.Connection[Any], query: LiteralString, *parameters: str) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None

"""As which role of the database the SQL of a function runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flux.engine.roles import SERVICE as SERVICE_ROLE
from flux.errors import BadDefinition, ColumnRefused, HTTPError, UnknownRole
from flux.policies import ANONYMOUS, is_role, postgres_role

SERVICE, CALLER = "service", "caller"


def database_role(role: object, name: str, place: str) -> str:
    """What @function says of its role; raises BadDefinition."""
    if role in (SERVICE, CALLER) or is_role(role):
        return str(role)
    raise BadDefinition(
        f"{place}: the db_role of {name} is {role!r}",
        hint='Write "caller", "service", or the name of a role in db/policies.toml.',
    )


def role_of(db_role: str, claims: Mapping[str, Any] | None, role_claim: str) -> str:
    """The role that a function with this db_role has for a caller: "service", or one of db/policies.toml.

    A caller whose claims name no role is anonymous. Raises UnknownRole for a claim that cannot be one.
    """
    if db_role != CALLER:
        return db_role
    role = (claims or {}).get(role_claim)
    if role is None:
        return ANONYMOUS
    if not is_role(role):
        raise UnknownRole(f"the claim {role_claim} is {role!r}, which is not the name of a role")
    return str(role)


def postgres_role_of(role: str) -> str:
    """The Postgres role behind a role of role_of()."""
    return SERVICE_ROLE if role == SERVICE else postgres_role(role)


def as_refusal(error: BaseException, claims: Mapping[str, Any] | None) -> HTTPError | None:
    """What a caller is told for whom Postgres, a policy or the lack of a role refused a statement; None for others."""
    if not (isinstance(error, UnknownRole | ColumnRefused) or getattr(error, "sqlstate", None) == "42501"):
        return None
    if claims:
        return HTTPError(403, "the caller may not do this")
    return HTTPError(401, "this needs a caller who is known")

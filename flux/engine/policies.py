"""db/policies.toml made into roles, grants, policies and masking views, and whether they still are what was made.

Everything is taken away and made anew when the file or anything that was made has changed, inside the installer's
transaction, so that nobody sees the moment between. What was made is remembered as Postgres prints it.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from flux.engine.roles import ensure_roles
from flux.errors import DatabaseUnavailable, NotPermitted, PolicyError
from flux.policies import FILE_NAME, Operation, Policy, PolicyFile, postgres_role, replace_claims

Connection = psycopg.Connection[Any]

_SETTING = "policies"

#: The mark of what Flux made.
_MADE = "Made by Flux from db/policies.toml."

#: Of the Postgres role that owns the masking views of a role.
_OWNER_PREFIX = "flux_mask_"

_ALLOW: LiteralString = "select flux.allow(%s::regclass, %s, %s, %s::text[], %s::text[], %s, %s)"
_MASK: LiteralString = "select flux.create_mask_view(%s::regclass, %s, %s)"
_REMEMBERED: LiteralString = "select value from flux.settings where name = %s"
_OBJECTS: LiteralString = "select jsonb_object_agg(object, definition) from flux.policy_objects"
_IS_MEMBER: LiteralString = "select pg_has_role(%s, %s, 'usage')"
_MASKS: LiteralString = """
    select class.oid::regclass::text, 'flux_mask_' || substr(namespace.nspname, 11)
    from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.relkind = 'v'
        and namespace.nspname like 'flux\\_role\\_%'
        and obj_description(class.oid, 'pg_class') like 'Made by Flux%'
"""
_TOO_MIGHTY: LiteralString = """
    select rolname
    from pg_catalog.pg_roles
    where rolname = any (%s)
        and (rolsuper or rolbypassrls or rolcanlogin)
"""


def drift(connection: Connection, file: PolicyFile) -> list[str]:
    """How the database differs from the file and from what was made of it, in words; the search path must be empty."""
    if _value(connection, "select to_regclass('flux.policy_objects')") is None:
        return [f"{FILE_NAME}: not enforced yet"] if file.roles else []
    made = _remembered(connection)
    there = _value(connection, _OBJECTS) or {}
    before: dict[str, str] = made.get("objects", {})
    found = [] if made.get("file", []) == as_json(file) else [f"{FILE_NAME}: changed since it was enforced"]
    found += [f"{name}: is gone" for name in sorted(before.keys() - there.keys())]
    found += [f"{name}: was not made by Flux" for name in sorted(there.keys() - before.keys())]
    found += [
        f"{name}: changed by hand" for name in sorted(there.keys() & before.keys()) if there[name] != before[name]
    ]
    return found


def drift_of(url: str, file: PolicyFile) -> list[str]:
    """drift() on a connection of its own; raises DatabaseUnavailable."""
    try:
        with psycopg.connect(url, application_name="flux", connect_timeout=5) as connection:
            connection.execute("set transaction read only")
            connection.execute("set local search_path = ''")
            return drift(connection, file)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error).strip()) from error


def withdraw(connection: Connection) -> None:
    """Take away what policies gave, so that migrations may change the tables under them."""
    connection.execute("select flux.drop_policies()")


def enforce(connection: Connection, file: PolicyFile) -> None:
    """Make what the file says, after withdraw(); raises PolicyError with the place in the file, NotPermitted.

    Names in conditions are found by the search path of the session, as those in migrations are.
    """
    before = set(_remembered(connection).get("roles", []))
    roles = _roles(file)
    _ensure(connection, roles)
    for policy in file.policies:
        _enforce(connection, policy)
    _drop_roles(connection, before.difference(roles))
    connection.execute("set local search_path = ''")
    connection.execute("delete from flux.settings where name = %s", (_SETTING,))
    if file.roles:
        made = {"file": as_json(file), "roles": roles, "objects": _value(connection, _OBJECTS) or {}}
        connection.execute("insert into flux.settings (name, value) values (%s, %s)", (_SETTING, Jsonb(made)))


def roles(connection: Connection) -> list[str]:
    """The Postgres roles that policies made here, fit for SQL."""
    return list(_remembered(connection).get("roles", []))


def ensure_remembered(source: Connection, target: Connection) -> None:
    """Make the roles of a database on the server of its copy, before the copy is made; raises NotPermitted."""
    names = roles(source) if _value(source, "select to_regclass('flux.settings')") else []
    if names:
        _ensure(target, names)


def own_masks(connection: Connection) -> None:
    """Give the masking views of a restored database to their owners, as a dump without owners lacks them."""
    for view, owner in connection.execute(_MASKS).fetchall():
        connection.execute(sql.SQL("alter view {} owner to {}").format(sql.SQL(view), sql.Identifier(owner)))


def as_json(file: PolicyFile) -> list[Any]:
    """The file as it is compared and kept: roles, and for each policy what it says; an empty one is an empty list."""
    policies = [
        [one.table, one.role, {name: _operation(operation) for name, operation in one.operations.items()}]
        for one in file.policies
    ]
    return [sorted(file.roles), policies] if file.roles else []


def _operation(operation: Operation) -> list[Any]:
    columns = None if operation.columns is None else list(operation.columns)
    return [columns, operation.rows, operation.check, dict(operation.mask)]


def _roles(file: PolicyFile) -> list[str]:
    """The Postgres roles of a file: one a role, and one more where the role reads masks, to own its views."""
    masking = {policy.role for policy in file.policies if any(one.mask for one in policy.operations.values())}
    return [*map(postgres_role, file.roles), *(_OWNER_PREFIX + role for role in file.roles if role in masking)]


def _ensure(connection: Connection, names: list[str]) -> None:
    """Make the roles that are missing, and let owners of masks have the rights of the role they mask for."""
    missing = [name for name in names if _value(connection, "select to_regrole(%s)", name) is None]
    ensure_roles(connection, names)
    for name in missing:
        connection.execute(sql.SQL("comment on role {} is {}").format(sql.Identifier(name), _MADE))
    mighty = [name for (name,) in connection.execute(_TOO_MIGHTY, (names,))]
    if mighty:
        raise PolicyError(
            f"the role {mighty[0]} is a superuser, may log in or passes over policies, so it can hold no caller",
            hint=f"Have an administrator run: alter role {mighty[0]} nosuperuser nobypassrls nologin;",
        )
    for owner in names:
        member = postgres_role(owner.removeprefix(_OWNER_PREFIX))
        if owner.startswith(_OWNER_PREFIX) and not _value(connection, _IS_MEMBER, owner, member):
            try:
                connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(member), sql.Identifier(owner)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise NotPermitted(
                    f"the role {connection.info.user} may not grant {member}",
                    hint=f"Have an administrator of the server run: grant {member} to {owner};",
                ) from error


def _enforce(connection: Connection, policy: Policy) -> None:
    name = sql.Identifier(*policy.table.split(".")).as_string(connection)
    place = policy.place
    if _value(connection, "select to_regclass(%s)", name) is None:
        raise PolicyError(f"{FILE_NAME}: {place}: there is no table {policy.table}")
    for operation, given in policy.operations.items():
        columns = None if given.columns is None else list(given.columns)
        values = (name, policy.role, operation, columns, list(given.mask), _sql(given.rows), _sql(given.check))
        _run(connection, f"{place} {operation}", _ALLOW, values)
    for given in policy.operations.values():
        if given.mask:
            masks = {column: _sql(mask) for column, mask in given.mask.items()}
            _run(connection, f"{place} select mask", _MASK, (name, policy.role, Jsonb(masks)))


def _run(connection: Connection, place: str, query: LiteralString, values: tuple[Any, ...]) -> None:
    try:
        connection.execute(query, values)
    except psycopg.Error as error:
        state, diagnosis = error.sqlstate or "", error.diag
        if state == "42501" or not state.startswith(("42", "22", "0A", PolicyError.code)):
            raise
        raise PolicyError(f"{FILE_NAME}: {place}: {diagnosis.message_primary}", hint=diagnosis.message_hint) from error


def _sql(expression: str | None) -> str | None:
    """An expression for Postgres: each claim is asked once a statement, not once a row."""
    if expression is None:
        return None
    return replace_claims(expression, lambda name: f"(select flux.claim({sql.Literal(name).as_string()}))")


def _drop_roles(connection: Connection, names: set[str]) -> None:
    """Roles that the file no longer names, except where another database still uses them."""
    for name in sorted(names):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))
        except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege):
            continue


def _remembered(connection: Connection) -> dict[str, Any]:
    return _value(connection, _REMEMBERED, _SETTING) or {}


def _value(connection: Connection, query: LiteralString, *values: Any) -> Any:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None

"""Choosing by hand which tables are recorded: stronger than the project's settings, and kept in the database."""

from __future__ import annotations

from typing import LiteralString

import psycopg

from flux.errors import DatabaseUnavailable, FluxError, NotFound, NotInstalled, NotPermitted


def track(url: str, table: str) -> tuple[str, str]:
    """Record every change of a table from now on; its full name, and tracked, renewed or unchanged.

    Raises NotFound, NotPermitted, NotInstalled, DatabaseUnavailable.
    """
    return _chosen(url, table, "select flux.track(%s::text::regclass)")


def untrack(url: str, table: str) -> tuple[str, str]:
    """Record no change of a table from now on; its full name, and untracked or unchanged. Raises what `track` does."""
    query: LiteralString = """
        select case when flux.untrack(%s::text::regclass) then 'untracked' else 'unchanged' end
    """
    return _chosen(url, table, query)


def _chosen(url: str, table: str, query: LiteralString) -> tuple[str, str]:
    try:
        with psycopg.connect(url, connect_timeout=10, application_name="flux") as connection:
            connection.execute("set search_path = ''")
            name = str(_value(connection, "select flux.table_named(%s)", table))
            return name, str(_value(connection, query, name))
    except psycopg.Error as error:
        raise _translated(error, table) from error


def _value(connection: psycopg.Connection[tuple[object, ...]], query: LiteralString, *parameters: str) -> object:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def _translated(error: psycopg.Error, table: str) -> FluxError:
    state = error.sqlstate or ""
    message = error.diag.message_primary or str(error).strip()
    if state == NotFound.code:
        return NotFound(message, hint=error.diag.message_hint)
    if state == "42P01":
        return NotFound(
            f'there is no table "{table}" any more', hint=f"Its history is there: `flux state history {table}`."
        )
    if state in (NotPermitted.code, "42501"):
        return NotPermitted(message, hint="Run this as the owner of the table, or as a superuser.")
    if state in ("3F000", "42883"):
        return NotInstalled(hint="Run `flux db migrate`.")
    if not state or state.startswith(("08", "57P", "28", "3D")):
        return DatabaseUnavailable(message, hint="Look at DATABASE_URL and at [database] url in flux.toml.")
    return FluxError(f"{table}: {message}", hint=error.diag.message_hint)

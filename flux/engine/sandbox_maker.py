"""Making the database of a sandbox: created like its source, its schema around its rows, and what it lacks closed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from flux.engine import policies, schema
from flux.engine.past import Source, prepare_session
from flux.engine.roles import ensure_roles
from flux.engine.sandbox_database import Connection, connect
from flux.errors import NotPermitted, SandboxFailed

if TYPE_CHECKING:
    from flux.engine.filling import Filling

#: to_jsonb, because the columns for locales differ from version to version.
_LIKE: LiteralString = """
    select pg_encoding_to_char(encoding), to_jsonb(there.*)
    from pg_catalog.pg_database as there
    where datname = current_database()
"""
_SETTINGS: LiteralString = """
    select unnest(setconfig)
    from pg_catalog.pg_db_role_setting
    where setrole = 0
        and setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())
"""
_RECORDERS: LiteralString = """
    select flux.create_recorder(target)
    from flux.recordable_tables() as target
    where (flux.recorder_trigger(target)).oid is not null
        and flux.recorder_fault(target) is not null
        and flux.recorder_fault(target) <> 'recorder disabled'
"""
_OWN_TABLES = ("settings", "installed_files", "tracking_choices")


def create(source: Connection, server: Connection, name: str) -> tuple[str, ...]:
    """Create the database, with the source's encoding and locale; what could not be had. Raises NotPermitted."""
    row = source.execute(_LIKE).fetchone()
    assert row is not None  # noqa: S101  # for the type checker
    notes = []
    plain = sql.SQL("create database {} template template0 encoding {}").format(sql.Identifier(name), row[0])
    try:
        try:
            server.execute(plain + _locale(row[1]))
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.WrongObjectType, psycopg.errors.UndefinedObject):
            # Another server may know other locales.
            server.execute(plain)
            notes.append("the server of the sandbox does not know this database's locale: texts may sort differently")
    except psycopg.errors.InsufficientPrivilege as error:
        role = (server.execute("select quote_ident(current_user)").fetchone() or ("",))[0]
        raise NotPermitted(
            f"the role {server.info.user} may not create databases, so there can be no sandbox",
            hint=f"Have an administrator run `alter role {role} createdb`, or name another server with --sandbox-url.",
        ) from error
    return tuple(notes)


@contextmanager
def restore_schema(
    source: Source, source_url: str, target: Connection, url: str, snapshot: str, notes: list[str]
) -> Iterator[None]:
    """The schema: what rows need before the block, indexes, constraints and triggers after it."""
    notes += _copy_settings(source.connection, url)
    with target.transaction():
        ensure_roles(target)
        policies.ensure_remembered(source.connection, target)
    major = source.connection.info.server_version // 10_000
    with schema.dumped(source_url, major, snapshot) as dumped:
        notes += dumped.notes
        notes += map(str, dumped.make_tables(url))
        row = target.execute("select to_regclass('flux.state_mutations')").fetchone()
        if row == (None,):
            raise SandboxFailed(f"the schema cannot be made in the sandbox: {'; '.join(notes) or 'nothing was said'}")
        prepare_session(target, source.encoding)
        for table in _OWN_TABLES:
            _copy_own(source.connection, target, table)
        yield
        notes += _make_unchecked(target, dumped.make_rules(url))
        policies.own_masks(target)


def finish(target: Connection, filling: Filling) -> None:
    """What follows from the rows: recorders that know this database, materialized views, statistics."""
    target.execute(_RECORDERS)
    refresh_views(target, filling)
    tables = [filling.tables[name].name for name in filling.states]
    if tables:
        target.execute(sql.SQL("analyze {}").format(sql.SQL(", ").join(tables)))


def refresh_views(target: Connection, filling: Filling) -> None:
    """Materialized views from the rows that are there now; one that cannot be is noted."""
    views = target.execute(
        "select oid::regclass::text from pg_catalog.pg_class where relkind = 'm' order by oid"
    ).fetchall()
    for (view,) in views:
        try:
            target.execute(f"refresh materialized view {view}")
        except psycopg.Error as error:
            filling.notes.append(f"{view} is empty: {error.diag.message_primary}")


def hide(source: Source, target: Connection, tables: Sequence[str], before: Collection[str]) -> frozenset[str]:
    """Close tables, and the views over them, to functions, and open what was closed before as in the source.

    Gives what is closed now, to be given as `before` the next time.
    """
    rows = target.execute("select name from flux.views_over(%s) as over (name)", (list(tables),)).fetchall()
    now = frozenset(name for (name,) in rows)
    with target.transaction():
        for relation, right, role in source.rights(sorted(set(before) - now)):
            target.execute(f"grant {right} on {relation} to {role}")
        new = sorted(now.difference(before))
        if new:
            target.execute(
                f"revoke all on {', '.join(new)} from {', '.join(['public', 'flux_app', *policies.roles(target)])}"
            )
    return now


def _locale(database: dict[str, Any]) -> sql.Composed:
    parts: list[sql.Composable] = [
        sql.SQL(" lc_collate {} lc_ctype {}").format(database["datcollate"], database["datctype"]),
    ]
    provider = database.get("datlocprovider")
    locale = database.get("datlocale") or database.get("daticulocale")
    if provider == "i" and locale:
        parts.append(sql.SQL(" locale_provider icu icu_locale {}").format(locale))
        if database.get("daticurules"):
            parts.append(sql.SQL(" icu_rules {}").format(database["daticurules"]))
    elif provider == "b" and locale:
        parts.append(sql.SQL(" locale_provider builtin builtin_locale {}").format(locale))
    else:
        parts.append(sql.SQL(" locale_provider libc"))
    return sql.Composed(parts)


def _copy_settings(source: Connection, url: str) -> list[str]:
    """Give the sandbox what `alter database … set` gave the source, the search path for one."""
    notes = []
    with closing(connect(url)) as connection:
        for (setting,) in source.execute(_SETTINGS).fetchall():
            name, _, value = setting.partition("=")
            try:
                connection.execute("select set_config(%s, %s, false)", (name, value))
                connection.execute(
                    sql.SQL("alter database {} set {} from current").format(
                        sql.Identifier(connection.info.dbname), sql.Identifier(*name.split("."))
                    )
                )
            except psycopg.Error as error:
                notes.append(f"the database setting {name} is left out: {error.diag.message_primary}")
    return notes


def _copy_own(source: Connection, target: Connection, table: str) -> None:
    name = sql.Identifier("flux", table)
    with (
        source.cursor() as reader,
        target.cursor() as writer,
        reader.copy(sql.SQL("copy {} to stdout").format(name)) as rows,
        writer.copy(sql.SQL("copy {} from stdin").format(name)) as sink,
    ):
        for row in rows:
            sink.write(row)


def _make_unchecked(target: Connection, failures: Sequence[schema.Failure]) -> Iterator[str]:
    """Foreign keys that refer to rows of tables that are not there are made for new rows; what failed, in words."""
    for failure in failures:
        if failure.is_foreign_key:
            try:
                target.execute(failure.command.rstrip(";") + " not valid")
                continue
            except psycopg.Error:
                pass
        yield str(failure)

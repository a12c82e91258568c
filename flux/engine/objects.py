"""Brings functions, triggers and views to what their files say: made anew where they differ, dropped where a file went.

Nothing has to be said about their order. A file that needs an object which is not there yet is tried again after the
others, and an object that must go first takes those of Flux that are built on it with it, to be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors

from flux.engine.sql_files import SqlFile
from flux.errors import InstallFailed

Connection = psycopg.Connection[Any]

#: SHA-256 of every function and view of the schema as Postgres prints them, comments included, by name.
_DEFINITIONS = """
    select made.is_view, made.name, encode(sha256(convert_to(made.definition, 'UTF8')), 'hex')
    from (
        select
            false as is_view,
            proname::text as name,
            string_agg(
                pg_get_functiondef(oid) || coalesce(obj_description(oid, 'pg_proc'), ''),
                '' order by oid::regprocedure::text
            ) as definition
        from pg_proc
        where pronamespace = to_regnamespace('flux')
            and prokind in ('f', 'p')
            and proname = any (%(names)s)
        group by proname
        union all
        select true, relname::text, pg_get_viewdef(oid) || coalesce(obj_description(oid, 'pg_class'), '')
        from pg_class
        where relnamespace = to_regnamespace('flux')
            and relkind in ('v', 'm')
            and relname = any (%(names)s)
    ) as made
"""

#: What bears a name: each overload of a function with the version of its catalogue row, which every change replaces.
_OVERLOADS = """
    select oid::regprocedure::text, xmin::text
    from pg_proc
    where pronamespace = 'flux'::regnamespace
        and proname = %s
"""

#: The views and functions of Flux that are built on an object, one step away.
_DEPENDANTS = """
    with target as (
        select 'pg_proc'::regclass as class, oid as id from pg_proc where oid = to_regprocedure(%(routine)s)
        union all
        select 'pg_class', oid from pg_class where oid = to_regclass(%(view)s)
        union all
        select 'pg_type', reltype from pg_class where oid = to_regclass(%(view)s)
    )
    select distinct
        coalesce(view.oid::regclass::text, routine.oid::regprocedure::text) as name,
        coalesce(view.relname, routine.proname)::text as object,
        view.oid is not null as is_view
    from target
    join pg_depend as dependency
        on dependency.refclassid = target.class
        and dependency.refobjid = target.id
    left join pg_rewrite as rule
        on dependency.classid = 'pg_rewrite'::regclass
        and rule.oid = dependency.objid
    left join pg_class as view
        on view.oid = rule.ev_class
        and view.relnamespace = 'flux'::regnamespace
        and view.oid is distinct from to_regclass(%(view)s)
    left join pg_proc as routine
        on dependency.classid = 'pg_proc'::regclass
        and routine.oid = dependency.objid
        and routine.pronamespace = 'flux'::regnamespace
    where coalesce(view.oid, routine.oid) is not null
"""

_NEEDS_ANOTHER = (errors.UndefinedFunction, errors.UndefinedTable, errors.UndefinedObject)
_MUST_GO_FIRST = (errors.InvalidFunctionDefinition, errors.InvalidTableDefinition, errors.WrongObjectType)

#: An object of schema flux: whether it is a view, and its name.
Key = tuple[bool, str]


def definitions(connection: Connection, files: Iterable[SqlFile]) -> dict[Key, str]:
    """The hash of each object that the files make, as it is in the database now."""
    names = [file.object for file in files]
    return {(is_view, name): hash for is_view, name, hash in connection.execute(_DEFINITIONS, {"names": names})}


class Maker:
    """Makes objects anew inside the installer's transaction."""

    def __init__(self, connection: Connection, files: Sequence[SqlFile]) -> None:
        self._connection = connection
        self._files: Mapping[Key, SqlFile] = {(file.is_view, file.object): file for file in files}
        self._waiting: list[SqlFile] = []
        self._outdated: list[str] = []
        self.made: list[SqlFile] = []

    def make(self, files: Sequence[SqlFile]) -> None:
        """Make these anew, and what had to be dropped on the way; raises InstallFailed."""
        self._waiting = list(files)
        while self._waiting:
            round_, self._waiting = self._waiting, []
            before, failed = len(self.made), None
            for file in round_:
                failed = self._try(file) or failed
            if failed is not None and len(self.made) == before:
                raise failed
        for name in self._outdated:
            self.drop(name, is_view=False)
        if self._waiting:
            self.make(self._waiting)

    def drop(self, name: str, *, is_view: bool) -> None:
        """Drop a view or one overload of a function, and what of Flux is built on it, which is made anew later."""
        kind = "view" if is_view else "routine"
        while True:
            try:
                self._run(f"drop {kind} if exists {name}")
                return
            except errors.DependentObjectsStillExist as error:
                names = {"view": name if is_view else None, "routine": None if is_view else name}
                dependants = self._connection.execute(_DEPENDANTS, names).fetchall()
                if not dependants:
                    detail = error.diag.message_detail
                    raise InstallFailed(
                        f"{name} must be dropped, and something outside flux is built on it: {detail}",
                        hint="Drop what is built on it, run `flux db migrate`, and make it again.",
                    ) from error
            for dependant, object_, dependant_is_view in dependants:
                self.drop(dependant, is_view=dependant_is_view)
                file = self._files.get((dependant_is_view, object_))
                if file is not None and file not in self._waiting:
                    self._waiting.append(file)

    def drop_all(self, file_object: str, *, is_view: bool) -> None:
        """Drop the view or every function of this name."""
        if is_view:
            self.drop(f'flux."{file_object}"', is_view=True)
            return
        for name, _ in self._connection.execute(_OVERLOADS, (file_object,)).fetchall():
            self.drop(name, is_view=False)

    def _try(self, file: SqlFile) -> InstallFailed | None:
        """Make one; when it needs another that is not there yet, put it off and say what is missing."""
        before = {} if file.is_view else dict(self._connection.execute(_OVERLOADS, (file.object,)).fetchall())
        try:
            try:
                self._run(file.text)
            except _MUST_GO_FIRST:
                self.drop_all(file.object, is_view=file.is_view)
                before = {}
                self._run(file.text)
        except _NEEDS_ANOTHER as error:
            self._waiting.append(file)
            failed = InstallFailed(f"{file.label}: {error.diag.message_primary}")
            failed.__cause__ = error
            return failed
        except psycopg.Error as error:
            raise InstallFailed(f"{file.label}: {error.diag.message_primary or error}") from error
        if before:
            after = dict(self._connection.execute(_OVERLOADS, (file.object,)).fetchall())
            self._outdated += [name for name, version in before.items() if after.get(name) == version]
        self.made.append(file)
        return None

    def _run(self, text: str) -> None:
        """Run one text so that the transaction survives its failure."""
        self._connection.execute("savepoint flux_object")
        try:
            self._connection.execute(text)
        except psycopg.Error:
            if not self._connection.broken:
                self._connection.execute("rollback to savepoint flux_object")
            raise
        self._connection.execute("release savepoint flux_object")

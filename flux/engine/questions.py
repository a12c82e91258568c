"""Questions to the record: each is a view or a function of schema flux by the same name, so psql answers the same."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from socket import SHUT_RDWR, socket
from typing import Any, LiteralString, NoReturn
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb, set_json_loads

from flux.config import Project
from flux.engine.exact import json_text
from flux.errors import (
    Ambiguous,
    DatabaseUnavailable,
    FluxError,
    NotFound,
    NotInstalled,
    NotPermitted,
    NotRecorded,
    UsageError,
)

#: SQLSTATEs that the functions of schema flux raise, and what they are here.
_RAISED: Mapping[str, type[FluxError]] = {error.code: error for error in (UsageError, NotFound, Ambiguous, NotRecorded)}

#: Questions about rows of data as they were written, whose numbers have digits that a float would lose.
_EXACT = frozenset({"span_mutations", "rows_at_step"})

#: A question that takes longer than this asks too much at once.
PATIENCE = "60s"

Query = LiteralString | sql.Composed

_KIND: LiteralString = """
    select
        to_regclass('flux.' || quote_ident(%(name)s)) is not null as is_view,
        exists (
            select
            from pg_catalog.pg_proc
            where pronamespace = to_regnamespace('flux')
                and proname = %(name)s
        ) as is_function
"""


_SESSION: LiteralString = """
    select
        set_config('timezone', %(zone)s, false),
        set_config('statement_timeout', %(patience)s, false),
        set_config('datestyle', 'ISO', false)
"""


class Questions:
    """One connection that only reads. Made by `asking`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._functions: dict[str, bool] = {}

    def ask(self, name: str, **arguments: Any) -> list[dict[str, Any]]:
        """All rows of the view or function of this name, as dicts; arguments go to the function by name.

        Raises NotFound, Ambiguous, UsageError, NotPermitted, NotInstalled, DatabaseUnavailable.
        """
        try:
            is_function = self._is_function(name)
            call = sql.SQL("select * from {}").format(sql.Identifier("flux", name))
            if is_function:
                call += sql.SQL("({})").format(
                    sql.SQL(", ").join(
                        sql.SQL("{} => {}").format(sql.Identifier(key), sql.Placeholder(key)) for key in arguments
                    )
                )
            values = {
                key: Jsonb(value, json_text) if isinstance(value, dict) else value for key, value in arguments.items()
            }
            return self._rows(call, values, exact=name in _EXACT)
        except psycopg.Error as error:
            raise translated(error) from error

    def trace(self, given: str, *, children: bool = False) -> dict[str, Any]:
        """One request with its steps and what stands out in them; `given` is how people write its id.

        With `children` also what it handed off, and that in turn, each attempt with its own steps.
        """
        request = self.value("request_named", given=given)
        handed_off = self.ask("handed_off", request=request) if children else []
        for one in handed_off:
            one["steps"] = self.ask("span_tree", request=one["request_id"]) if one["request_id"] else []
        return {
            "request": self.ask("request_record", request=request)[0],
            "root_cause": self.ask("root_cause", request=request),
            "steps": self.ask("span_tree", request=request),
            "repeated": self.ask("repeated_queries", request=request),
            "gaps": self.ask("record_gaps", request=request),
            **({"handed_off": handed_off} if children else {}),
        }

    def why(self, given: str) -> dict[str, Any]:
        """What `trace` gives, and what was written, since when it fails, and what to do."""
        answer = self.trace(given)
        request = answer["request"]["request_id"]
        return {
            **answer,
            "data_changes": self.ask("data_changes", request=request),
            "since_when": self.ask("since_when", request=request),
            "suggestions": self.ask("suggestions", request=request),
        }

    def walk(self, given: str) -> dict[str, Any]:
        """One request and what it handed off, as an outline: their steps without values, which `details` gives."""
        request = self.value("request_named", given=given)
        handed_off = self.ask("handed_off", request=request)
        for one in handed_off:
            one["steps"] = self.ask("span_outline", request=one["request_id"]) if one["request_id"] else []
        return {
            "request": self.ask("request_record", request=request)[0],
            "root_cause": self.ask("root_cause", request=request),
            "steps": self.ask("span_outline", request=request),
            "gaps": self.ask("record_gaps", request=request),
            "handed_off": handed_off,
        }

    def details(self, request: UUID, step: int | None = None) -> dict[int | None, dict[str, Any]]:
        """By the number of a step: its `span`, the `logs` written in it, its `writes`; of one step, or of each.

        Under None, without a span, is what was written by a request none of whose steps was recorded.
        """
        spans = self.ask("span_record", request=request, step=step)
        writes = self.ask("span_mutations", request=request, step=step, **({"most": None} if step is None else {}))
        found: dict[int | None, dict[str, Any]] = {
            span["span_id"]: {"span": span, "logs": [], "writes": []} for span in spans
        }
        for span in spans:
            if span["kind"] == "log" and span["parent_id"] in found:
                found[span["parent_id"]]["logs"].append(span)
        for write in writes:
            found.setdefault(write["step"], {"logs": [], "writes": []})["writes"].append(write)
        return found

    def row(self, table: str, key: str) -> tuple[str, dict[str, Any]]:
        """The recorded name of a table and the key of one of its rows, from how people write them."""
        target = self.value("table_named", given=table)
        return target, self.value("parse_key", target=target, given=key)

    def show(self, target: str, row_key: dict[str, Any], seen_by: str) -> tuple[datetime, list[dict[str, Any]]]:
        """A row as the request with this id saw it, and when that was."""
        request = self.ask("request_record", request=self.value("request_named", given=seen_by))[0]
        columns = self.ask("state_show", target=target, row_key=row_key, seen_by=request["request_id"])
        return request["started_at"], columns

    def say_why_unknown(self, target: str, row_key: dict[str, Any]) -> NoReturn:
        """Raises NotFound or NotRecorded for a row of which no write is known."""
        name = self.value("key_text", row_key=row_key)
        if self.value("present_row", target=target, row_key=row_key):
            raise NotRecorded(
                f"{target} has a row {name}, but no write to it is recorded",
                hint="It is older than the record, or its table is not tracked: run `flux doctor`.",
            )
        raise NotFound(f"{target} has no row {name}, and none was ever recorded")

    def value(self, name: str, **arguments: Any) -> Any:
        """The single value of a function that gives one."""
        return self.ask(name, **arguments)[0][name]

    def abandon(self) -> None:
        """End what another thread is asking: it raises then, whatever the server does. This connection is of no use."""
        with suppress(OSError, psycopg.Error):
            self._connection.cancel_safe(timeout=0.5)
        with suppress(OSError, psycopg.Error), socket(fileno=os.dup(self._connection.fileno())) as line:
            line.shutdown(SHUT_RDWR)

    def server(self) -> dict[str, Any]:
        """What this database is: its version, its name and the role that asks."""
        query: LiteralString = """
            select current_setting('server_version') as version, current_database() as name, current_user as role
        """
        return self._rows(query)[0]

    def _rows(self, query: Query, values: Mapping[str, Any] | None = None, *, exact: bool = False) -> list[DictRow]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            if exact:
                set_json_loads(_loads_exactly, cursor)
            return cursor.execute(query, values).fetchall()

    def _is_function(self, name: str) -> bool:
        if name not in self._functions:
            found = self._rows(_KIND, {"name": name})[0]
            if not found["is_view"] and not found["is_function"]:
                raise NotInstalled(
                    f"nothing is recorded here: this database has no flux.{name}",
                    hint="Run `flux dev`, or `flux db migrate`, to install Flux in it.",
                )
            self._functions[name] = found["is_function"]
        return self._functions[name]


def _loads_exactly(text: str | bytes) -> Any:
    """JSON whose numbers keep their digits: those that a float or Python's int cannot take are Decimals."""
    return json.loads(text, parse_float=_fraction, parse_int=_integer)


def _fraction(text: str) -> float | Decimal:
    return near if str(near := float(text)) == text else Decimal(text)


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < sys.int_info.default_max_str_digits else Decimal(text)


@contextmanager
def questions_of(project: Project, zone: str = "UTC") -> Iterator[Questions]:
    """Questions to the record of a project, whose database is started for it where that is ours to do."""
    from flux.engine.server import database

    with database(project) as url, asking(url, zone) as questions:
        yield questions


@contextmanager
def asking(url: str, zone: str = "UTC") -> Iterator[Questions]:
    """Questions over a connection of their own, with times in a zone's wording; raises DatabaseUnavailable.

    The role is the project's own, not flux_reader: blame and show compare the record with the tables themselves. Every
    transaction is read-only, so no question can change anything.
    """
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="flux")
    except psycopg.OperationalError as error:
        raise translated(error) from error
    with connection:
        connection.execute("set default_transaction_read_only = on")
        connection.execute(_SESSION, {"zone": zone, "patience": PATIENCE})
        yield Questions(connection)


def translated(error: psycopg.Error) -> FluxError:
    """The error of Flux that an error of Postgres stands for."""
    state = error.sqlstate or ""
    diagnosis = error.diag
    message = diagnosis.message_primary or str(error).strip().splitlines()[0]
    if state in _RAISED:
        listing = "".join(f"\n  {line}" for line in (diagnosis.message_detail or "").splitlines())
        return _RAISED[state](message + listing, hint=diagnosis.message_hint)
    if state == "57014":
        return FluxError(
            f"the question took longer than {PATIENCE}", hint="Ask for less, for instance with --since 1h."
        )
    if state == "42501":
        return NotPermitted(message, hint="Ask as a member of the role flux_reader: grant flux_reader to …")
    if state.startswith("42"):
        return NotInstalled(
            f"this database holds another version of Flux: {message}",
            hint="Run `flux db migrate` to bring it up to date.",
        )
    if not state or state.startswith(("08", "57P", "28", "3D")):
        return DatabaseUnavailable(message, hint="Look at DATABASE_URL and at [database] url in flux.toml.")
    return FluxError(message, hint=diagnosis.message_hint)

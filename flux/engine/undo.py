"""Taking back what one request committed: the SQL that does it, guarded by the values it left, and running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from flux.context import short_id
from flux.engine.questions import Questions
from flux.engine.sandbox_database import refused
from flux.errors import CannotUndo, DatabaseUnavailable, NotRecorded

#: The settings under which values were recorded, so that they read back as they were.
SETTINGS = (
    "set local search_path = ''",
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO, MDY'",
    "set local intervalstyle = 'postgres'",
    "set local extra_float_digits = 1",
    "set local bytea_output = 'hex'",
    "set local lc_monetary = 'C'",
)


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes a request's writes back: its row, statements in their order, and how many rows they concern."""

    request: Mapping[str, Any]
    statements: tuple[str, ...]
    rows: int

    @property
    def script(self) -> str:
        """All of it as one transaction for psql."""
        lines = ["begin;", *(f"{setting};" for setting in SETTINGS), "", *self.statements, "", "commit;"]
        return "\n".join(lines)


def plan_undo(questions: Questions, given: str) -> Undo:
    """How to take back what a request committed; `given` is how people write its id.

    Raises NotFound, Ambiguous; NotRecorded when it committed no writes; CannotUndo when later writes stand on its own,
    with who made them, or when the record does not hold what was before.
    """
    request = questions.ask("request_record", request=questions.value("request_named", given=given))[0]
    identity = request["request_id"]
    name = short_id(identity)
    conflicts = questions.ask("undo_conflicts", request=identity)
    if conflicts:
        raise CannotUndo(
            f"{name} cannot be taken back: its rows were changed after it\n{_listed(conflicts)}",
            hint=_later_first(conflicts),
        )
    steps = questions.ask("undo_statements", request=identity)
    if not steps:
        raise NotRecorded(f"{name} committed no writes, so there is nothing to take back")
    lost = [f"{step['table_name']}: {step['lost']}" for step in steps if step["lost"]]
    if lost:
        raise CannotUndo(f"{name} cannot be taken back: {'; '.join(dict.fromkeys(lost))}")
    return Undo(
        request=request,
        statements=tuple(str(step["statement"]) for step in steps),
        rows=sum(len(step["row_keys"]) for step in steps),
    )


def apply_undo(url: str, undo: Undo) -> None:
    """Run it in one transaction, which the record shows as written by "flux undo req:…"; raises CannotUndo."""
    name = short_id(undo.request["request_id"])
    try:
        connection = psycopg.connect(url, connect_timeout=10, application_name=f"flux undo {name}")
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            str(error).strip(), hint="Look at DATABASE_URL and at [database] url in flux.toml."
        ) from error
    try:
        with closing(connection), connection.transaction():
            for statement in (*SETTINGS, *undo.statements):
                connection.execute(statement)
    except psycopg.Error as error:
        if error.sqlstate == CannotUndo.code or isinstance(error, psycopg.IntegrityError | psycopg.DataError):
            detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
            raise CannotUndo(
                f"{name} cannot be taken back, and nothing was changed: {error.diag.message_primary}{detail}"
            ) from error
        raise refused(error, f"{name} cannot be taken back") from error


def _listed(conflicts: Sequence[Mapping[str, Any]]) -> str:
    most = 10
    lines = [
        f"  {conflict['table_name'].removeprefix('public.')} {_key(conflict['row_key'])}  by {_writer(conflict)}"
        for conflict in conflicts[:most]
    ]
    if len(conflicts) > most:
        lines.append(f"  … and {len(conflicts) - most} more")
    return "\n".join(lines)


def _later_first(conflicts: Sequence[Mapping[str, Any]]) -> str | None:
    requests = [conflict["request_id"] for conflict in conflicts if conflict["request_id"]]
    if not requests:
        return None
    return f"Take back the last of them first, if that is what you want: `flux state undo {short_id(requests[-1])}`."


def _writer(conflict: Mapping[str, Any]) -> str:
    if conflict["request_id"] is None:
        return str(conflict["actor"] or "somebody outside Flux")
    return f"{short_id(conflict['request_id'])} {conflict['function'] or ''}".rstrip()


def _key(key: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in key.items())

"""Runs one of the project's migrations, and says in which line of the file it failed."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import pq

from flux.engine.sql_files import SqlFile
from flux.engine.statements import controls_transaction, plain
from flux.errors import MigrationFailed

_TOKEN = re.compile(
    r"""
      --[^\n]*
    | /\*.*?\*/
    | \b[eE]'(?:[^'\\]|''|\\.)*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | \$(\w*)\$.*?\$\1\$
    | ;
    | [^\s;]
    """,
    re.VERBOSE | re.DOTALL,
)


def run_migration(connection: psycopg.Connection[Any], file: SqlFile) -> None:
    """Run a file inside the installer's transaction; raises MigrationFailed."""
    if controls_transaction(file.text) and "begin atomic" not in plain(file.text):
        raise MigrationFailed(
            f"{file.label} begins or ends a transaction, and all migrations run in one",
            hint="Take begin, commit and rollback out of it.",
        )
    pgconn = connection.pgconn
    pgconn.send_query(file.text.encode())
    done, failed = 0, None
    while result := pgconn.get_result():
        if result.status == pq.ExecStatus.FATAL_ERROR:
            failed = failed or psycopg.errors.error_from_result(result)
        elif result.status == pq.ExecStatus.COPY_IN:
            pgconn.put_copy_end(b"a migration cannot copy from stdin")
        elif result.status == pq.ExecStatus.COPY_OUT:
            while pgconn.get_copy_data(0)[0] > 0:
                pass
        else:
            done += failed is None
    if failed is not None:
        if pgconn.status != pq.ConnStatus.OK:
            raise failed
        raise _failed(failed, file, done) from failed


def statement_lines(text: str) -> list[int]:
    """The line in which each statement begins, counted from 1."""
    lines, inside = [], False
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            inside = False
        elif not inside and not token[0].startswith(("--", "/*")):
            inside = True
            lines.append(_line(text, token.start()))
    return lines


def _failed(error: psycopg.Error, file: SqlFile, done: int) -> MigrationFailed:
    """The error with its line: where Postgres points at, or else where the statement begins that failed."""
    diagnosis = error.diag
    position = diagnosis.statement_position
    lines = statement_lines(file.text)
    line = _line(file.text, int(position) - 1) if position else lines[done] if done < len(lines) else None
    where = file.label if line is None else f"{file.label}:{line}"
    detail = f" ({diagnosis.message_detail})" if diagnosis.message_detail else ""
    hint = diagnosis.message_hint
    if error.sqlstate == "25001":
        hint = "Migrations run inside a transaction; run this statement by hand with `flux db shell`."
    return MigrationFailed(f"{where}: {diagnosis.message_primary or error}{detail}", hint=hint)


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1

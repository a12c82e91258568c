"""The database work of one request: it begins with the first statement and ends with the record, in one transaction.

Recording adds no round trip. The session variables that name request and span travel with `begin`, the record with
`commit`. What must be said before a later statement (its span, a savepoint) travels in one pipeline with it, except
where the measured round trip is shorter than the work of a pipeline.

A statement that fails takes back only itself: once something may have been written, each further statement is behind a
savepoint, so that the transaction can still be read when the request fails. That is how attempted writes are kept: they
are read out, rolled back, and written again as rolled back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import orjson
import psycopg
from psycopg import pq, sql
from psycopg.rows import DictRow, dict_row

from flux.engine.jobs import JobFailure, settling
from flux.engine.pool import Connection, Database
from flux.engine.recording import Attempted, attempted_writes, record_values
from flux.engine.roles import SERVICE
from flux.engine.statements import is_single, may_write, refusal_of
from flux.errors import DatabaseUnavailable, TransactionControl
from flux.record import Record, Span

ISOLATION_LEVELS = ("read committed", "repeatable read", "serializable")

Cursor = psycopg.Cursor[DictRow]


class Transaction:
    """One unit of work after another on one connection, which is taken at the first statement.

    Used by the thread of the request alone; only cancel() may be called from another. `isolation` is one of
    ISOLATION_LEVELS or None for the server's default. `hand_offs` counts what is to be handed on with the commit. Where
    the request is an attempt at a job, the commit also completes the job, or says that it `failed`. `before_statement`
    gives what a replay says before a statement, as the owner of the database: it sets sequences that are drawn from.
    `role` is the Postgres role of the statements to come. A statement may take `timeout` seconds, if that is set.
    """

    def __init__(self, database: Database, record: Record, isolation: str | None = None) -> None:
        self.database = database
        self.record = record
        self.isolation = isolation
        self.role = SERVICE
        self.timeout: float | None = None
        self.before_statement: Callable[[Span], Sequence[str]] | None = None
        self.commits = 0
        self.busy = False
        self.hand_offs = 0
        self.failed: JobFailure | None = None
        self._attempted: list[Attempted] = []
        self._connection: Connection | None = None
        self._begun = False
        self._wrote = False
        self._savepoint = False
        self._said_role: str | None = None
        self._doubted = False
        self._littered = False
        self._depth = 0
        self._snapshot: str | None = None
        self._cancelling = threading.Lock()

    @property
    def has_data(self) -> bool:
        """Whether this request has anything in the database, committed, open or rolled back."""
        return self._begun or self.commits > 0 or bool(self._attempted)

    @property
    def lost(self) -> bool:
        """Whether the connection was taken and died."""
        return self._connection is not None and self._connection.pgconn.status != pq.ConnStatus.OK

    def release(self) -> None:
        """Give the connection back, if there is one."""
        with self._cancelling:  # a cancellation under way must not reach who has the connection next
            connection, self._connection = self._connection, None
        if connection is not None:
            self.database.give_back(connection)

    def execute(
        self, span: Span, statement: str, parameters: Sequence[Any] | None, *, as_service: bool = False
    ) -> Cursor:
        """Run one statement; the cursor holds its rows until the next one.

        Raises psycopg.Error; the statement alone is undone and the request may go on. Raises TransactionControl for
        `commit` and its kin, DatabaseUnavailable when there is no connection, UnknownRole.
        """
        role = self.role
        self.role = SERVICE if as_service else role
        try:
            with self._prepared(span, statement) as prelude:
                return self._send(prelude, statement, parameters)
        finally:
            self.role = role

    @contextmanager
    def stream(
        self, span: Span, statement: str, parameters: Sequence[Any] | None, size: int
    ) -> Iterator[psycopg.ServerCursor[DictRow]]:
        """The rows of one statement through a server-side cursor, `size` at a time."""
        with self._prepared(span, statement) as prelude:
            self._say(prelude)
            connection = self._taken
            with connection.cursor("flux_stream", row_factory=dict_row) as cursor:
                cursor.itersize = size
                cursor.execute(statement, parameters or None)
                self.busy = False
                yield cursor

    @contextmanager
    def copy(self, span: Span, statement: str, parameters: Sequence[Any] | None) -> Iterator[psycopg.Copy]:
        """A COPY to or from the client."""
        with self._prepared(span, statement) as prelude:
            self._say(prelude)
            with self._cursor.copy(statement, parameters or None) as copy:
                self.busy = False
                yield copy

    @contextmanager
    def savepoint(self, span: Span, name: str) -> Iterator[None]:
        """A part of the unit of work that is undone alone when it raises; the record keeps what it had written."""
        opening, closing, undoing = (
            sql.SQL(text).format(sql.Identifier(name)).as_string()
            for text in ("savepoint {}", "release savepoint {}", "rollback to savepoint {0}; release savepoint {0}")
        )
        with self._prepared(span, opening, control=True) as prelude:
            self._say(prelude)
            self._run(opening.encode())
        self._wrote, self._savepoint = True, False
        self._depth += 1
        try:
            yield
        except BaseException:
            self._undo_part(undoing)
            raise
        finally:
            self._depth -= 1
        if self._begun and not self.lost:
            self._run(closing.encode())
            self._savepoint = False

    def _undo_part(self, undoing: str) -> None:
        """Back to a savepoint of the user's, keeping what was written since."""
        if self._begun and not self.lost:
            self._recover()
        if self._begun and not self.lost:
            attempted = self._read_attempted()
            self._run(undoing.encode())
            self._savepoint = False
            self._said_role = None
            survived = {write.id for write in self._read_attempted()}
            self._attempted += [write for write in attempted if write.id not in survived]

    def commit(self) -> None:
        """End the unit of work early, with the record so far; the next statement begins another.

        Raises TransactionControl inside a savepoint, psycopg.Error when the database refuses the commit.
        """
        if self._depth:
            raise TransactionControl(
                "ctx.db.commit() stands inside ctx.db.savepoint()", hint="Commit before the savepoint or after it."
            )
        if self._begun:
            self._commit(committed=True)
            self.commits += 1

    def finish(self) -> None:
        """Commit the data together with the finished record, and give the connection back.

        Raises psycopg.Error when the database refuses the commit: then undo() keeps what had been written, and the
        failure is to be finished in its turn. Raises DatabaseUnavailable when there is no connection.
        """
        committed = self._begun
        if not committed:
            self._open_for_record()
        # A serializable transaction may be refused as a whole at its very end, and then it can be read no more.
        kept = self._read_writes() if self.isolation == "serializable" else []
        try:
            self._commit(committed=committed)
        except psycopg.Error:
            if self.lost and self._was_recorded():
                return
            if kept or self._status == pq.TransactionStatus.IDLE:
                self._end_unreadable(kept)
            raise
        self.release()

    def undo(self) -> None:
        """Roll the unit of work back; what it had written is kept for the record."""
        if self._begun and self._connection is not None and not self.lost:
            self._recover()
            self._attempted += self._read_attempted()
            if not self.lost:
                self._run(b"rollback")
        self._begun = self._wrote = self._savepoint = False
        self.hand_offs = 0

    def cancel(self) -> None:
        """Stop the statement that runs now; for the watchdog's thread."""
        with self._cancelling:
            if self.busy and self._connection is not None and not self._connection.closed:
                self._connection.cancel_safe(timeout=5)

    # How a statement is sent

    @contextmanager
    def _prepared(self, span: Span, statement: str, *, control: bool = False) -> Iterator[list[str]]:
        """Yield what must be said first; afterwards keep the books, or undo the statement when it failed."""
        refusal = None if control else refusal_of(statement, service=self.role == SERVICE)
        if refusal is not None:
            raise TransactionControl(refusal[0], hint=refusal[1])
        if self.role != SERVICE:
            self.database.require_role(self.role)
        if self._connection is None:
            self._connection = self.database.take()
        writes = may_write(statement, self.database.readers)
        prelude = self._prelude(span, writes) if self._begun else self._opening(span)
        guarded = self._savepoint = self._begun and self._wrote
        self.busy = True
        try:
            yield prelude
        except psycopg.Error:
            self._undo_statement(guarded)
            raise
        except BaseException:
            self._begun = True
            raise
        finally:
            self.busy = False
        self._begun = True
        self._wrote = self._wrote or writes
        self._doubted = writes and self.role != SERVICE
        self._littered = self._littered or self._doubted

    def _opening(self, span: Span) -> list[str]:
        context = self.record.context
        lines = [
            f"begin isolation level {self.isolation}" if self.isolation else "begin",
            f"set local flux.span_id = '{span.span_id}'",
            *self._identity(),
        ]
        if context.trace_id is not None and context.trace_id != context.request_id.hex:
            lines.append(f"set local flux.trace_id = {self._literal(context.trace_id)}")
        if context.job is not None and context.job.depth:
            lines.append(f"set local flux.hook_depth = '{context.job.depth}'")
        if self.timeout is not None:
            lines.append(f"set local statement_timeout = {max(round(self.timeout * 1000), 1)}")
        self._said_role = None
        lines += [*self._asides(span), *self._take_role()]
        if self._snapshot is None:
            lines.append("select pg_catalog.pg_current_snapshot()::text")
        return lines

    def _identity(self) -> list[str]:
        """Which request it is, and who asks."""
        context = self.record.context
        lines = [f"set local flux.request_id = '{context.request_id}'"]
        if context.actor is not None:
            lines.append(f"set local flux.actor = {self._literal(context.actor)}")
        if context.claims is not None:
            claims = orjson.dumps(dict(context.claims)).decode()
            lines.append(f"set local flux.claims = {self._literal(claims)}")
        return lines

    def _prelude(self, span: Span, writes: bool) -> list[str]:
        lines: list[str] = []
        if self._wrote and self._savepoint:
            lines.append("release savepoint flux_statement")
        if self.role != self._said_role:  # outside the savepoint, which would take it back
            lines += self._take_role()
        elif self._doubted:
            lines.append(f"set local role {self.role}")
        if self._doubted:  # a caller's statement may have called what sets role and claims anew
            lines += ["set local flux.actor = ''", "set local flux.claims = ''", *self._identity()]
        if self._wrote:
            lines.append("savepoint flux_statement")
        if writes:
            lines.append(f"set local flux.span_id = '{span.span_id}'")
            if asides := self._asides(span):
                lines += ["set local role none", *asides, f"set local role {self.role}"]
        return lines

    def _take_role(self) -> list[str]:
        """Become the role of the next statement; one of policies finds the masks that stand for tables before these.

        A role passes over the schemas of the others, which it may not use. What is temporary is looked for last.
        """
        self._said_role = self.role
        if self.role == SERVICE:
            return ["set local role flux_app"]
        masks = "', '".join(sorted(self.database.roles))
        around = "^(flux_role_[a-z0-9_]+(, |$))*|(, )?pg_temp$"
        own = f"pg_catalog.regexp_replace(current_setting('search_path'), '{around}', '', 'g')"
        path = f"concat_ws(', ', '{masks}', nullif({own}, ''), 'pg_temp')"
        return [f"select pg_catalog.set_config('search_path', {path}, true)", f"set local role {self.role}"]

    def _asides(self, span: Span) -> Sequence[str]:
        return self.before_statement(span) if self.before_statement else ()

    def _send(self, prelude: list[str], statement: str, parameters: Sequence[Any] | None) -> Cursor:
        """Prelude and statement: one message over a network, two where a round trip is cheaper than a pipeline."""
        cursor = self._cursor
        # The same text means another table to another role, and a prepared statement may not change what it returns.
        prepare = None if self.role == SERVICE else False
        if self.database.far and (parameters or is_single(statement)):
            with self._taken.pipeline():
                aside = self._taken.cursor()
                for line in prelude:
                    aside.execute(line, prepare=False)
                cursor.execute(statement, parameters or None, prepare=prepare)
            if self._snapshot is None and aside.pgresult is not None:
                self._note_snapshot(aside.pgresult)
        else:
            self._say(prelude)
            cursor.execute(statement, parameters or None, prepare=prepare)
        return cursor

    def _say(self, lines: list[str]) -> None:
        """Lines that are said before a statement, as one message."""
        if lines:
            result = self._run("; ".join(lines).encode())
            if self._snapshot is None:
                self._note_snapshot(result)

    def _note_snapshot(self, result: pq.abc.PGresult) -> None:
        value = result.get_value(0, 0) if result.ntuples else None
        self._snapshot = value.decode() if value else None

    # How it ends

    def _commit(self, *, committed: bool) -> None:
        """The record and `commit` in one message; `committed` says whether the data goes with it."""
        record, lines = self.record, ["set local statement_timeout = 0"] if self.timeout is not None else []
        job = record.context.job if record.outcome != "running" else None
        if not self._wrote:
            lines.append("set local synchronous_commit = off")
        elif self.database.has_deferrable or job:  # what is refused is refused here, where it can still be read
            lines += ["savepoint flux_statement", "set constraints all immediate"]
            self._savepoint = True
        lines.append("set local role none")
        if job:
            lines.append(settling(job, record.context.request_id, self.failed, self._literal))
        values = record_values(record, self._snapshot, self._attempted, committed=committed, again=self.commits > 0)
        literals = (self._literal(value) if value is not None else "null" for value in values)
        lines.append(f"select flux.record_request({', '.join(literals)})")
        if self._littered:  # a temporary table of a caller's would stand before a table of the next request
            lines.append("discard temp")
        lines.append("commit")
        ended = self._run("; ".join(lines).encode())
        if ended.command_status != b"COMMIT":
            raise psycopg.errors.InFailedSqlTransaction("the transaction was rolled back at its commit")
        record.mark_written()
        self._attempted.clear()
        self._begun = self._wrote = self._savepoint = self._littered = False
        if self.hand_offs:
            self.hand_offs = 0
            self.database.on_hand_off()

    def _end_unreadable(self, kept: list[Attempted]) -> None:
        """A commit was refused whole: all that is left of what was written is what was read before."""
        self._attempted += kept
        if self._wrote and not kept:
            self.record.attributes["mutations_not_kept"] = "the commit failed"
        if not self.lost and self._status != pq.TransactionStatus.IDLE:
            self._run(b"rollback")
        self._begun = self._wrote = self._savepoint = False

    def _open_for_record(self) -> None:
        """A transaction for a record whose data was rolled back, or which has none."""
        if self.lost:
            self.release()
        if self._connection is None:
            self._connection = self.database.take()
        try:
            self._run(b"begin")
        except psycopg.Error as error:
            if self.lost:  # the server has just gone, and this connection had not heard of it
                raise DatabaseUnavailable(str(error)) from error
            raise
        self._begun = True

    def _undo_statement(self, guarded: bool) -> None:
        if self.lost:
            self._begun = self._wrote = self._savepoint = False
            self.record.attributes["mutations_not_kept"] = "the connection to the database was lost"
        elif guarded:
            self._run(b"rollback to savepoint flux_statement")
            self._said_role = None
            self._begun = True
        elif self._status != pq.TransactionStatus.IDLE:
            self._run(b"rollback")
            self._begun = False

    def _recover(self) -> None:
        """Make an aborted transaction readable again; a connection left in mid-statement cannot be, and is dropped."""
        status = self._status
        if status == pq.TransactionStatus.INERROR and self._savepoint:
            with suppress(psycopg.Error):  # the message that was to set the savepoint may have failed before it
                self._run(b"rollback to savepoint flux_statement")
        elif status == pq.TransactionStatus.ACTIVE:
            self._taken.close()

    def _read_attempted(self) -> list[Attempted]:
        """What was written so far, or a word in the record that it cannot be known."""
        try:
            return self._read_writes()
        except psycopg.Error as error:
            self.record.attributes["mutations_not_kept"] = f"the transaction could not be read any more: {error}"
            return []

    def _read_writes(self) -> list[Attempted]:
        if not self._wrote:
            return []
        kept, total = attempted_writes(self._taken, self.record.context.request_id)
        self._said_role = None
        if total > len(kept):
            self.record.attributes["mutations_not_kept"] = f"{total - len(kept)} of {total}"
        return kept

    def _was_recorded(self) -> bool:
        """Whether the commit took place although the connection was lost before it said so.

        Raises DatabaseUnavailable where nobody can tell now; the record says then that it is not known.
        """
        if self._wrote:
            self.record.attributes["mutations_not_kept"] = "the connection was lost at the commit"
        with self.database.connection() as connection:
            row = connection.execute(
                "select exists (select from flux.trace_requests where request_id = %s and outcome = %s)",
                (self.record.context.request_id, self.record.outcome),
            ).fetchone()
        return bool(row and row[0])

    # The connection

    @property
    def _taken(self) -> Connection:
        if self._connection is None:
            raise DatabaseUnavailable("the request has no database connection")
        return self._connection

    @property
    def _status(self) -> int:
        return self._taken.pgconn.transaction_status

    @property
    def _cursor(self) -> Cursor:
        return self._taken.cursor(row_factory=dict_row)

    def _run(self, text: bytes) -> pq.abc.PGresult:
        """Runtime-owned text, past the cursor; the result is that of its last statement. Raises psycopg.Error."""
        result = self._taken.pgconn.exec_(text)
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise psycopg.errors.error_from_result(result)
        return result

    def _literal(self, text: str) -> str:
        return sql.Literal(text).as_string(self._taken)

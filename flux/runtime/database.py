"""`ctx.db`: the user's SQL, verbatim, each statement a span of the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flux.engine.statements import describe, tables
from flux.engine.transaction import Transaction
from flux.explain.columns import parameter_columns
from flux.record import Record, Span
from flux.redaction import REDACTED
from flux.runtime.failures import failure_of

Row = dict[str, Any]


class Copy:
    """A COPY under way. `write(text or bytes)` and `write_row(values)` send; iterating and `rows()` receive."""

    def __init__(self, copy: Any) -> None:
        self._copy = copy
        self.bytes = 0

    def write(self, data: str | bytes) -> None:
        """Send a piece in COPY's own format."""
        self.bytes += len(data)
        self._copy.write(data)

    def write_row(self, values: list[Any] | tuple[Any, ...]) -> None:
        """Send one row of Python values."""
        self._copy.write_row(values)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._copy:
            self.bytes += len(piece)
            yield bytes(piece)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Receive rows, each value as text."""
        yield from self._copy.rows()


class RequestDatabase:
    """The database as a function sees it. All statements of a request are one transaction, committed with its record.

    Parameters are written %s and given as further arguments. Rows are dicts by column name. A statement that fails
    raises psycopg.Error and takes back only itself, so that a function may catch the error and go on.
    """

    def __init__(self, transaction: Transaction, record: Record) -> None:
        self._transaction = transaction
        self._record = record
        self._savepoints = 0

    def execute(self, statement: str, *parameters: Any) -> int:
        """Run a statement; the number of rows it wrote or returned, -1 where Postgres does not say."""
        with self._span(statement, parameters) as span:
            cursor = self._transaction.execute(span, statement, parameters)
            if cursor.description:
                self._keep(span, statement, cursor.fetchall())
            self._count(span, cursor.rowcount)
            return int(cursor.rowcount)

    def all(self, statement: str, *parameters: Any) -> list[Row]:
        """Every row of a query."""
        with self._span(statement, parameters) as span:
            cursor = self._transaction.execute(span, statement, parameters)
            rows = cursor.fetchall() if cursor.description else []
            self._keep(span, statement, rows)
            self._count(span, cursor.rowcount)
            return rows

    def one(self, statement: str, *parameters: Any) -> Row | None:
        """The first row of a query, or None."""
        rows = self.all(statement, *parameters)
        return rows[0] if rows else None

    def value(self, statement: str, *parameters: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(statement, *parameters)
        return next(iter(row.values()), None) if row else None

    @contextmanager
    def stream(self, statement: str, *parameters: Any, size: int = 1_000) -> Iterator[Iterator[Row]]:
        """Rows through a server-side cursor, fetched `size` at a time, for results larger than memory.

        The record keeps their number, not the rows.
        """
        with self._span(statement, parameters) as span:
            count = 0

            def counted(cursor: Any) -> Iterator[Row]:
                nonlocal count
                for row in cursor:
                    count += 1
                    yield row

            with self._transaction.stream(span, statement, parameters, size) as cursor:
                yield counted(cursor)
            span.output = self._record.json({"$streamed": {"rows": count}})
            self._count(span, count)

    @contextmanager
    def copy(self, statement: str, *parameters: Any) -> Iterator[Copy]:
        """A `copy … from stdin` or `copy … to stdout`."""
        with self._span(statement, parameters) as span:
            with self._transaction.copy(span, statement, parameters) as raw:
                copy = Copy(raw)
                yield copy
            span.output = self._record.json({"$copied": {"bytes": copy.bytes}})

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part that is undone alone when it raises; the record keeps what it had written as rolled back."""
        self._savepoints += 1
        name = f"flux_user_{self._savepoints}"
        with self._span("savepoint", (), name="savepoint") as span, self._transaction.savepoint(span, name):
            yield

    def hand_off(self, span: Span, statement: str, *parameters: Any) -> Any:
        """Work handed on by one statement in a span of its own kind; the value it gives. For the runtime's own use."""
        cursor = self._transaction.execute(span, statement, parameters)
        self._transaction.hand_offs += 1
        row = cursor.fetchone()
        return next(iter(row.values())) if row else None

    def commit(self) -> None:
        """End the unit of work early, for instance before a long outbound call: what follows is another transaction."""
        with self._span("commit", (), name="commit") as span:
            span.attributes["flux.unit"] = self._transaction.commits + 1
            self._transaction.commit()

    @contextmanager
    def _span(self, statement: str, parameters: tuple[Any, ...], name: str | None = None) -> Iterator[Span]:
        span = self._record.open("db", name or describe(statement))
        span.attributes["db.query.text"] = self._record.text(statement)
        try:
            if parameters:
                span.input = self._record.json(self._shown(statement, parameters))
            yield span
        except BaseException as error:
            self._record.close(span, failure_of(error, self._record))
            raise
        self._record.close(span)

    def _shown(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Parameters as they may be recorded: those bound for a secret column are hidden."""
        redactor = self._record.redactor
        if not redactor.active:
            return list(parameters)
        columns = parameter_columns(statement, len(parameters))
        if columns is None:
            return [REDACTED] * len(parameters)
        shown: list[Any] = []
        for value, path in zip(parameters, columns, strict=True):
            hidden = value is not None and path is not None and (path == ("*",) or redactor.hides(path))
            if hidden:
                self._record.secrets.add(str(value))
            shown.append(REDACTED if hidden else value)
        return shown

    def _keep(self, span: Span, statement: str, rows: list[Row]) -> None:
        """Record rows; a column is as secret in a result as it is in its table."""
        shown: Any = rows
        if self._record.redactor.active:
            for table in tables(statement):
                shown = self._record.redactor.clean(shown, self._record.secrets, (table,))
        span.output = self._record.json(shown)

    def _count(self, span: Span, rows: int) -> None:
        if rows >= 0:
            span.attributes["db.response.returned_rows"] = rows

"""`ctx.db`: the user's SQL, verbatim, each statement a span of the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flux.config import Queries as Limits
from flux.engine.statements import describe, tables
from flux.engine.transaction import Transaction
from flux.errors import BadQuery
from flux.explain.columns import parameter_columns
from flux.explain.compiler import Compiled
from flux.explain.form import Form, read_form
from flux.explain.results import handed_out
from flux.record import Record, Span
from flux.redaction import REDACTED
from flux.runtime.database_role import SERVICE, postgres_role_of, role_of
from flux.runtime.failures import failure_of
from flux.runtime.query import STALE, Document, Queries, outline, shown_parameters, shown_rows
from flux.runtime.table import Table

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

    def __init__(
        self, transaction: Transaction, record: Record, role_claim: str = "role", queries: Queries | None = None
    ) -> None:
        self.db_role = SERVICE
        self._queries = queries or Queries(transaction.database, Limits)
        self._transaction = transaction
        self._record = record
        self._role_claim = role_claim
        self._savepoints = 0

    def become(self, db_role: str) -> str:
        """Run the statements to come as a function with this db_role does; the role. Raises UnknownRole.

        For the runtime's own use.
        """
        role = role_of(db_role, self._record.context.claims, self._role_claim)
        self._transaction.role = postgres_role_of(role)
        self.db_role = db_role
        return role

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

    def query(self, document: Document) -> list[Row] | int:
        """A structured query, as a document or as JSON text: its rows, or the number of rows it wrote.

        A write gives rows when it asks for them by `returning`. Raises BadQuery with the place in the document,
        UnknownName with the nearest name, BadValue, and QueryRefused for more than the project allows.
        """
        try:
            return self._answer(document)
        except BadQuery as error:
            error.document = document
            raise

    def _answer(self, document: Document) -> list[Row] | int:
        form, role = read_form(document), self._transaction.role
        compiled = self._queries.compiled(form, role)
        try:
            return self._query(compiled, form)
        except Exception as error:
            if getattr(error, "sqlstate", None) not in STALE:
                raise
            self._queries.forget()
            again = self._queries.compiled(form, role)
            if again.sql == compiled.sql:
                raise
        return self._query(again, form)

    def table(self, name: str) -> Table:
        """A structured query on a table, to be built a piece at a time: `ctx.db.table("todos").where(id=1).one()`."""
        return Table(self.query, {"table": name})

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
        cursor = self._transaction.execute(span, statement, parameters, as_service=True)
        self._transaction.hand_offs += 1
        row = cursor.fetchone()
        return next(iter(row.values())) if row else None

    def commit(self) -> None:
        """End the unit of work early, for instance before a long outbound call: what follows is another transaction."""
        with self._span("commit", (), name="commit") as span:
            span.attributes["flux.unit"] = self._transaction.commits + 1
            self._transaction.commit()

    def _query(self, compiled: Compiled, form: Form) -> list[Row] | int:
        redactor, secrets = self._record.redactor, self._record.secrets
        shown = partial(shown_parameters, compiled, redactor, secrets)
        with self._span(compiled.sql, compiled.parameters, shown=shown) as span:
            span.attributes["flux.query"] = outline(form.shape)
            cursor = self._transaction.execute(span, compiled.sql, compiled.parameters)
            self._count(span, cursor.rowcount)
            if not compiled.returns:
                return int(cursor.rowcount)
            rows = handed_out(cursor.fetchall(), compiled)
            span.output = self._record.json(shown_rows(rows, compiled, redactor, secrets))
            return rows

    @contextmanager
    def _span(
        self,
        statement: str,
        parameters: tuple[Any, ...],
        name: str | None = None,
        shown: Callable[[], list[Any]] | None = None,
    ) -> Iterator[Span]:
        span = self._record.open("db", name or describe(statement))
        span.attributes["db.query.text"] = self._record.text(statement)
        try:
            if parameters:
                span.input = self._record.json(shown() if shown else self._shown(statement, parameters))
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

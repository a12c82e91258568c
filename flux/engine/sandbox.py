"""A sandbox: a throw-away database that holds the state as it was, for replays to run in and people to look around in.

It is made with the source's schema and rows as of a moment, and is dropped when its block ends unless it is to be kept.
Tables that were not copied are there but closed to functions, so that touching one is noticed and not answered with
no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flux.engine.applying import Applier
from flux.engine.choice import choose, with_links
from flux.engine.filling import Filling
from flux.engine.generated import Generated, generated_columns, generated_in
from flux.engine.past import Moment, Source, State, Table, cannot, obstacle, remark
from flux.engine.sandbox_database import (
    Connection,
    about,
    connect,
    database_url,
    describe,
    drop,
    drop_leftovers,
    drop_sandbox,
    drop_unused,
    new_name,
    refusals,
    sandboxes_of,
)
from flux.engine.sandbox_maker import create, finish, hide, refresh_views, restore_schema
from flux.errors import NotFound, NotInstalled

__all__ = [
    "Generated",
    "Moment",
    "RecordedRow",
    "Sandbox",
    "drop_leftovers",
    "drop_sandbox",
    "generated_columns",
    "make_sandbox",
    "sandboxes_of",
]

_RECORD = """
    select asked.request_row::text, asked.spans::text, asked.mutations::text
    from (
        select
            to_jsonb(request.*) as request_row,
            (
                select coalesce(jsonb_agg(to_jsonb(span.*) order by span.span_id, span.started_at), '[]')
                from flux.execution_spans as span
                where span.request_id = request.request_id
            ) as spans,
            (
                select coalesce(jsonb_agg(to_jsonb(written.*) order by written.rolled_back, written.id), '[]')
                from flux.state_mutations as written
                where written.request_id = request.request_id
            ) as mutations
        from flux.trace_requests as request
        where request.request_id = %s
    ) as asked
"""


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """What a replay left in its sandbox, each part as JSON text of whole rows."""

    request: str
    spans: str
    mutations: str


class Sandbox:
    """A sandbox in use; made by make_sandbox."""

    def __init__(
        self, source: Source, target: Connection, url: str, name: str, filling: Filling, choice: str, links: Links
    ) -> None:
        self.url = url
        self.name = name
        self.choice = choice
        self.generated: tuple[Generated, ...] = generated_in(target)
        self.kept = False
        self._source = source
        self._target = target
        self._filling = filling
        self._links = links
        self._closed: frozenset[str] = frozenset()
        self._applier = Applier(target, source, replica=filling.replica)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that hold rows, by the names they are recorded under."""
        return tuple(sorted(self._filling.states))

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be made or rebuilt as it was, a sentence each."""
        return tuple(dict.fromkeys(self._filling.notes))

    def restore(self, moment: Moment) -> None:
        """Give the same tables the state of another moment; only what differs, or was written here, is copied."""
        with refusals("the sandbox cannot be restored"):
            self._filling.restore(self._source.state(moment), self._applier.take_written())
            refresh_views(self._target, self._filling)
            self._close_the_rest()

    def recall_defaults(self) -> None:
        """Let columns that draw their values at random or from the time take what a replay is told that they drew."""
        with refusals("the defaults of the sandbox cannot be recalled"):
            self._target.execute("select flux.recall_defaults()")

    def add_tables(self, names: Sequence[str], moment: Moment) -> None:
        """Copy more tables, with those that foreign keys bind to them.

        Names may be written as people do; those of views stand for what they read. Raises NotFound, CannotRebuild.
        """
        with refusals("the sandbox cannot hold more tables"):
            state = self._source.state(moment)
            named = [name for given in names for name in self._named(given)]
            new = [name for name in named if name not in self._filling.states]
            for name in new:
                why = obstacle(self._filling.tables[name], is_lost=bool(self._source.lost([name], state)))
                if why:
                    raise cannot(name, why)
            more = sorted(with_links(new, self._links) - set(self._filling.states))
            self._filling.add(more, state)
            refresh_views(self._target, self._filling)
            self._close_the_rest()
            for name in new:
                if name not in self._filling.states:
                    raise cannot(name, self._filling.reasons.get(name, "its rows of then do not fit into it any more"))

    def apply(self, mutations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Write what others wrote, from rows of the record in their order, in one transaction that nothing records.

        Returns what no longer fits, in words. Tables that the sandbox does not hold are passed over.
        """
        with refusals("a recorded write cannot be applied"):
            return self._applier.apply([one for one in mutations if one["table_name"] in self._filling.states])

    def read_record(self, request_id: UUID) -> RecordedRow:
        """The record of a request that ran in this sandbox; raises NotFound."""
        with refusals():
            row = self._target.execute(_RECORD, (request_id,)).fetchone()
        if row is None:
            raise NotFound(f"no request {request_id} is recorded in the sandbox {self.name}")
        return RecordedRow(*row)

    def keep(self) -> None:
        """Leave the database there when the block ends; `flux state checkout --drop NAME` drops it then."""
        self.kept = True

    def _named(self, given: str) -> list[str]:
        if given in self._filling.tables:
            return [given]
        rows = self._source.connection.execute(
            "select distinct table_name from flux.tables_meant(array[%s])", (given.rpartition(".")[2].strip('"'),)
        ).fetchall()
        found = [name for (name,) in rows if name in self._filling.tables]
        if not found:
            raise NotFound(f'there is no table "{given}" to copy into the sandbox')
        return found

    def _close_the_rest(self) -> None:
        rest = [name for name in self._filling.tables if name not in self._filling.states]
        self._closed = hide(self._source, self._target, rest, self._closed)


Links = Mapping[str, Collection[str]]


@contextmanager
def make_sandbox(
    source_url: str,
    moment: Moment,
    *,
    tables: Sequence[str] | None = None,
    touched: Collection[str] = (),
    server_url: str | None = None,
    on_progress: Callable[[str, int, int], None] = lambda table, done, total: None,
) -> Iterator[Sandbox]:
    """A sandbox with the state of a moment, on the source's server or that of `server_url`; dropped at the end.

    `tables` are copied in place of those that would be chosen by what is `touched`; ("all",) means all.
    `on_progress` is told a table, its rows done and its rows in all, about.

    Raises NotFound, NotRecorded and UsageError for the moment, NotPermitted, NotInstalled, DatabaseUnavailable,
    SandboxFailed.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(closing(connect(source_url)))
        with refusals("no sandbox can be made"):
            if connection.execute("select to_regclass('flux.state_mutations')").fetchone() == (None,):
                raise NotInstalled(
                    "this database holds no record, so its past is not known",
                    hint="Run `flux db migrate`, to install Flux in it.",
                )
            server = connection if server_url is None else stack.enter_context(closing(connect(server_url)))
            drop_unused(connection, server)
            name = new_name(connection)
            source = Source(connection)
            state = source.state(moment)
            there = source.tables()
            links = _links(connection)
            asked = None if tables is None else [table for given in tables for table in _asked(connection, given)]
            chosen, choice = choose(there, asked, touched, links)

            kept = [False]
            notes = create(connection, server, name)
            stack.callback(lambda: None if kept[0] else _drop(source_url, server_url, name))
            what = about(f"{connection.info.dbname} at {connection.info.host}", _text(moment))
            describe(server, name, what)
            url = database_url(server_url or source_url, name)
            target = stack.enter_context(closing(connect(url)))
            filling = Filling(source, target, there, on_progress, list(notes))
            _fill(source, source_url, target, url, filling, [there[one] for one in chosen if one in there], state)
            sandbox = Sandbox(source, target, url, name, filling, choice, links)
            sandbox._close_the_rest()
        try:
            yield sandbox
        finally:
            kept[0] = sandbox.kept
            if sandbox.kept:
                describe(server, name, {**what, "keep": True})


def _fill(
    source: Source,
    source_url: str,
    target: Connection,
    url: str,
    filling: Filling,
    tables: Sequence[Table],
    state: State,
) -> None:
    names = [table.table_name for table in tables]
    redacted, lost = source.redacted(names, state), source.lost(names, state)
    whole = []
    for table in tables:
        why = obstacle(table, is_lost=table.table_name in lost)
        if why:
            filling.refuse(table, why)
            continue
        whole.append(table)
        said = remark(table, has_redacted=table.table_name in redacted)
        filling.notes += [said] if said else []
    with source.reading(whole) as snapshot:
        with restore_schema(source, source_url, target, url, snapshot, filling.notes):
            filling.fill(whole, state)
        filling.set_sequences([table.table_name for table in whole], state)
    finish(target, filling)


def _links(connection: Connection) -> dict[str, set[str]]:
    links: dict[str, set[str]] = {}
    for one, other in connection.execute("select table_name, other from flux.tables_linked()").fetchall():
        links.setdefault(one, set()).add(other)
        links.setdefault(other, set()).add(one)
    return links


def _asked(connection: Connection, given: str) -> Sequence[str]:
    if given == "all":
        return ["all"]
    row = connection.execute("select flux.known_table(%s)", (given,)).fetchone()
    if row is None or row[0] is None:
        raise NotFound(f'there is no table "{given}" to copy into the sandbox')
    return [row[0]]


def _drop(source_url: str, server_url: str | None, name: str) -> None:
    """Over a connection of its own: the one it was made over may be broken."""
    with closing(connect(server_url or source_url)) as server:
        drop(server, name)


def _text(moment: Moment) -> str:
    if moment.seen_by is not None:
        return f"seen by {moment.seen_by}"
    return moment.at.isoformat() if moment.at is not None else "now"

"""Where recorded requests are run again: a sandbox with the state they saw, and the way of one request through it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import orjson

from flux.config import Project
from flux.context import new_request_id
from flux.engine.questions import asking
from flux.engine.replays import Replays
from flux.engine.sandbox import Moment, Sandbox, make_sandbox
from flux.errors import NotFound
from flux.replay.compare import compare
from flux.replay.fidelity import doubts, obstacle
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Order, Ran, Runner
from flux.replay.touched import touched_in
from flux.replay.undone import undone
from flux.replay.verdicts import Replayed
from flux.replay.window import moment_of

#: Times a request is run again because it touched tables that were not there.
MOST_TRIES = 5

#: Why the same code came out otherwise where the record told of no reason.
UNFORESEEN = "the same code came out otherwise: it depends on something that is not in the record"

Mutation = Mapping[str, Any]


class Stage:
    """A sandbox in which requests are run again, one after the other; dropped at the end, unless it is to be kept.

    `tables` are copied in place of those the sandbox would choose; `touched` are those it must have, by default what
    the requests touched. `moment` is the state it begins with, by default what the first request saw. `stubs` are
    answers for calls that the record does not hold, by name. With `redacted`, requests whose input was redacted run
    too, with `[redacted]` in the place of each value.
    """

    def __init__(
        self,
        project: Project,
        url: str,
        requests: Sequence[RecordedRequest] = (),
        *,
        moment: Moment | None = None,
        touched: Collection[str] | None = None,
        tables: Sequence[str] | None = None,
        server_url: str | None = None,
        stubs: Mapping[str, Any] | None = None,
        redacted: bool = False,
        keep: bool = False,
        on_progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.project = project
        self.source_url = url
        self.moment = moment or (moment_of(requests[0].request) if requests else None)
        self._requests = tuple(requests)
        self._touched = touched
        self._tables = tables
        self._server_url = server_url
        self._stubs = stubs or {}
        self._redacted = redacted
        self._keep = keep
        self._on_progress = on_progress
        self._stack = ExitStack()
        self._held: list[Mutation] = []

    def __enter__(self) -> Self:
        if self.moment is None:
            raise ValueError("a stage needs a request or a moment")
        try:
            if self._touched is None:
                with asking(self.source_url) as questions:
                    self._touched = touched_in(questions, self._requests)
            extra = {"on_progress": self._on_progress} if self._on_progress else {}
            self.sandbox: Sandbox = self._stack.enter_context(
                make_sandbox(
                    self.source_url,
                    self.moment,
                    tables=self._tables,
                    touched=self._touched,
                    server_url=self._server_url,
                    **extra,
                )
            )
            self.sandbox.recall_defaults()
            self._replays = self._stack.enter_context(Replays(self.source_url))
        except BaseException:
            self._stack.close()
            raise
        if self._keep:
            self.sandbox.keep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @property
    def url(self) -> str:
        """The sandbox's libpq URL, for a Runner."""
        return self.sandbox.url

    def replay(
        self, recorded: RecordedRequest, runner: Runner, *, as_of: bool = True, more_doubts: Sequence[str] = ()
    ) -> Replayed:
        """Run a request again; with `as_of` on the state it saw, else on what those before it left.

        The record of the replay is in the main database afterwards. What cannot be run again comes back as skipped.
        """
        blocked = obstacle(recorded, redacted=self._redacted)
        if blocked is not None:
            return Replayed(recorded, obstacle=blocked)
        moment = moment_of(recorded.request)
        if as_of:
            self.sandbox.restore(moment)
        for _ in range(MOST_TRIES):
            ran = self._run(recorded, runner)
            missing = sorted(set(ran.denied_tables) - set(self.sandbox.tables))
            if not missing:
                break
            self._add(missing, ran, moment if as_of else None)
        replay = self._kept(recorded, ran)
        difference = compare(recorded, replay, self.sandbox.generated)
        known = (*doubts(recorded), *more_doubts, *ran.inexact)
        if not (difference.same or known) and replay.request["code_sha"] == recorded.request["code_sha"]:
            known = (UNFORESEEN,)
        return Replayed(recorded, replay, difference, ran, doubts=known)

    def apply(self, mutations: Sequence[Mutation]) -> tuple[str, ...]:
        """Write what others wrote, from the record, in order; what no longer fits comes back in words."""
        there = set(self.sandbox.tables)
        self._held += [mutation for mutation in mutations if mutation["table_name"] not in there]
        return self._apply([mutation for mutation in mutations if mutation["table_name"] in there])

    def _apply(self, mutations: Sequence[Mutation]) -> tuple[str, ...]:
        return self.sandbox.apply(mutations) if mutations else ()

    def _run(self, recorded: RecordedRequest, runner: Runner) -> Ran:
        order = Order(
            recorded=recorded,
            replay_id=new_request_id(),
            stubs=self._stubs,
            generated=self.sandbox.generated,
            in_place=False,
        )
        return runner.run(order)

    def _add(self, missing: Sequence[str], ran: Ran, moment: Moment | None) -> None:
        """Copy tables that a run was refused, and take back what it did without them."""
        if moment is not None:
            self.sandbox.add_tables(missing, moment)
            self.sandbox.restore(moment)
            return
        assert self.moment is not None  # noqa: S101  # since __enter__
        self._apply(undone(self._mutations(ran)))
        self.sandbox.add_tables(missing, self.moment)
        now, self._held = self._held, []
        self.apply(now)

    def _mutations(self, ran: Ran) -> Sequence[Mutation]:
        try:
            kept: list[Mutation] = orjson.loads(self.sandbox.read_record(ran.request_id).mutations)
        except NotFound:
            return ()
        return kept

    def _kept(self, recorded: RecordedRequest, ran: Ran) -> RecordedRequest:
        """The record of a run, copied out of the sandbox into the main database."""
        try:
            row = self.sandbox.read_record(ran.request_id)
            request, spans, mutations = row.request, row.spans, row.mutations
        except NotFound:  # its process died before anything was written
            request, spans, mutations = died(recorded, ran), "[]", "[]"
        self._replays.keep(request, spans, mutations)
        return RecordedRequest(orjson.loads(request), tuple(orjson.loads(spans)), tuple(orjson.loads(mutations)))


def died(recorded: RecordedRequest, ran: Ran) -> str:
    """The row of a replay whose process ended before it could write one, as JSON."""
    row = recorded.request
    same = ("method", "path", "query", "route", "function", "headers", "input", "actor", "claims")
    now = datetime.now(UTC)
    said = ran.stderr_tail.strip().splitlines()
    return orjson.dumps(
        {
            **{name: row[name] for name in same},
            "request_id": ran.request_id,
            "kind": "replay",
            "replay_of": row["request_id"],
            "outcome": ran.outcome,
            "status": ran.status or (504 if ran.outcome == "timeout" else 500),
            "error_type": "Crashed" if ran.outcome == "crashed" else "FunctionTimeout",
            "error_message": said[-1] if said else f"the process of the replay ended: {ran.outcome}",
            "started_at": now,
            "attempt": 1,
        }
    ).decode()

"""Replaying what happened: the requests of a window or single ones, run again on other code, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from flux.config import Project
from flux.deploy.checkout import Checkout, checkout
from flux.engine.questions import Questions, asking
from flux.engine.sql_files import project_migrations
from flux.errors import CannotReplay
from flux.replay.fidelity import obstacle
from flux.replay.groups import groups_of
from flux.replay.in_place import InPlace
from flux.replay.order import Step
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Runner
from flux.replay.stage import Stage
from flux.replay.verdicts import Replayed
from flux.replay.window import Plan, plan_each_as_of, plan_in_order, plan_in_place

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """How to replay. `code` is None for the working tree; `tables` None for those the sandbox chooses."""

    code: str | None = None
    each_as_of: bool = False
    in_place: bool = False
    tables: tuple[str, ...] | None = None
    server_url: str | None = None
    keep: bool = False
    stubs: Mapping[str, Any] = field(default_factory=dict)
    redacted: bool = False
    parallel: int = 1


class Listener(Protocol):
    """Who is told while a replay goes on; by one thread at a time."""

    def began(self, requests: int, checkout: Checkout) -> None:
        """The requests and the code are known."""

    def copying(self, table: str, done: int, total: int) -> None:
        """A sandbox is being made: so many rows of a table are there."""

    def ready(self, stage: Stage | InPlace) -> None:
        """The place where requests are run again is there."""

    def said(self, remark: str) -> None:
        """Something that must be known of the replay as a whole."""

    def replayed(self, one: Replayed) -> None:
        """A request was replayed, or could not be."""


def replay_incident(
    project: Project, url: str, rows: Sequence[Row], way: Way, listener: Listener
) -> tuple[Replayed, ...]:
    """Run requests again, given as rows of flux.trace_requests; the answers in the order of the replay.

    Raises CannotLoad when the code cannot be loaded, NotPermitted when no sandbox may be made, and what checkout does.
    """
    with ExitStack() as stack:
        code = stack.enter_context(checkout(project, url, way.code))
        questions = stack.enter_context(asking(url))
        listener.began(len(rows), code)
        for note in (*code.notes, *_not_applied(questions, replace(project, root=code.root))):
            listener.said(note)
        plan = _plan(questions, rows, way)
        groups = groups_of(questions, plan, way.parallel, as_of=way.each_as_of)
        if len(groups) < min(way.parallel, len(rows)):
            listener.said(_not_split(len(groups)))
        one_by_one = _OneByOne(listener)
        replayed = _played([_Player(project, url, part, code, way, one_by_one) for part in groups])
    places = {step.request["request_id"]: number for number, step in enumerate(plan.steps) if step.request}
    return tuple(sorted(replayed, key=lambda one: places[one.recorded.request_id]))


def _played(players: Sequence[_Player]) -> list[Replayed]:
    """All parts, side by side where there are several; when one fails, or is interrupted, the others stop too."""
    if len(players) == 1:  # on this thread, so that Ctrl-C ends it at once
        return players[0].play()
    with ThreadPoolExecutor(len(players), "flux-replay") as pool:
        playing = [pool.submit(player.play) for player in players]
        try:
            return [one for future in as_completed(playing) for one in future.result()]
        except BaseException:
            for player in players:
                player.stopped = True
            raise


def replay_on(project: Project, url: str, request: RecordedRequest, code: str | None) -> UUID:
    """Run one request on some code, on the state it saw; the id of the replay, whose record is in the database.

    Raises CannotReplay when it cannot be run again, CannotLoad when the code cannot be loaded.
    """
    blocked = obstacle(request)
    if blocked is not None:
        raise CannotReplay(f"{request.request_id} cannot be run again: {blocked}")
    with (
        checkout(project, url, code) as found,
        Stage(project, url, [request]) as stage,
        Runner(found.root, stage.url, code_sha=found.code_sha) as runner,
    ):
        replay_id = stage.replay(request, runner).replay_id
    assert replay_id is not None, "nothing stood in its way"  # noqa: S101
    return replay_id


def _not_applied(questions: Questions, project: Project) -> list[str]:
    """Migrations that come with the code but are not in the database, whose schema the sandbox has."""
    done = {row["path"] for row in questions.ask("installed_files") if row["scope"] == "project"}
    waiting = [file.label for file in project_migrations(project) if file.path not in done]
    return [f"not applied in the sandbox, which has the schema of the database: {label}" for label in waiting]


def _plan(questions: Questions, rows: Sequence[Row], way: Way) -> Plan:
    if way.in_place:
        return plan_in_place(questions, rows)
    return plan_each_as_of(questions, rows) if way.each_as_of else plan_in_order(questions, rows)


def _not_split(groups: int) -> str:
    if groups == 1:
        return "the requests depend on each other's tables, so they are replayed one by one; --each-as-of can be split"
    return f"the requests fall into {groups} groups that share no table, so {groups} are replayed at a time"


class _Player:
    """One part of a replay on a stage of its own."""

    def __init__(self, project: Project, url: str, plan: Plan, code: Checkout, way: Way, listener: Listener) -> None:
        self.project = project
        self.url = url
        self.plan = plan
        self.code = code
        self.way = way
        self.listener = listener
        self.stopped = False

    def play(self) -> list[Replayed]:
        """Make the stage, start the code, and go through the steps."""
        with asking(self.url) as self.questions, self._stage() as self.stage:
            self.listener.ready(self.stage)
            with Runner(self.code.root, self.stage.url, code_sha=self.code.code_sha) as self.runner:
                for broken in self.runner.broken:
                    self.listener.said(f"does not load, so its functions fail: {broken}")
                return self._steps()

    def _stage(self) -> Stage | InPlace:
        if self.way.in_place:
            return InPlace(self.url, self.way.stubs, redacted=self.way.redacted)
        return Stage(
            self.project,
            self.url,
            moment=self.plan.moment,
            touched=self.plan.tables,
            tables=self.way.tables,
            server_url=self.way.server_url,
            stubs=self.way.stubs,
            redacted=self.way.redacted,
            keep=self.way.keep,
            on_progress=self.listener.copying,
        )

    def _steps(self) -> list[Replayed]:
        replayed: list[Replayed] = []
        others: list[Step] = []
        for step in self.plan.steps:
            if self.stopped:
                break
            if step.request is None:
                others.append(step)
                continue
            self._apply(others)
            others = []
            one = self._replay(step)
            if one.replay is None and not self.way.each_as_of:
                others.append(step)  # what it wrote is written from the record
            self.listener.replayed(one)
            replayed.append(one)
        return replayed

    def _replay(self, step: Step) -> Replayed:
        assert step.request is not None  # noqa: S101  # for the type checker
        recorded = RecordedRequest.of(self.questions, step.request["request_id"])
        return self.stage.replay(recorded, self.runner, as_of=self.way.each_as_of, more_doubts=step.doubts)

    def _apply(self, others: Sequence[Step]) -> None:
        """Write what others wrote here, from the record, in their order."""
        transactions = [transaction for step in others for transaction in step.transactions]
        if not transactions or isinstance(self.stage, InPlace):
            return
        rows = self.questions.ask(
            "writes_of_transactions",
            transactions=[str(transaction.xact_id) for transaction in transactions],
            since=min(transaction.began_at for transaction in transactions),
            until=max(transaction.recorded_at for transaction in transactions),
        )
        written: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            written.setdefault(row["xact_id"], []).append(row["mutation"])
        for misfit in self.stage.apply(
            [mutation for transaction in transactions for mutation in written.get(str(transaction.xact_id), ())]
        ):
            self.listener.said(f"a recorded write of others no longer fits: {misfit}")


class _OneByOne:
    """A listener for several threads: one speaks at a time."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        tell = getattr(self._listener, name)

        def told(*values: Any) -> None:
            with self._lock:
                tell(*values)

        return told

"""What the screens, and the commands beside them, ask: each question is one of Questions, asked again on a new
connection where the old one was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, TypeVar
from uuid import UUID

from flux.config import Project
from flux.deploy.source import Sources
from flux.engine.following import Follower
from flux.engine.questions import Questions, asking
from flux.errors import DatabaseUnavailable
from flux.presenters.moments import local_zone
from flux.presenters.walk import Step, steps_of
from flux.replay.difference import Difference

Row = Mapping[str, Any]
Answer = TypeVar("Answer")

#: Steps whose values are kept after they were looked at.
KEPT = 200

UNIQUE_VIOLATION = "23505"


@dataclass(slots=True)
class Walk:
    """A request with its steps; values of the steps come in as they are looked at."""

    answer: Row
    steps: list[Step]
    requests: dict[UUID, Row]
    details: dict[int, Row] = field(default_factory=dict)

    @property
    def request(self) -> Row:
        """The row of the request itself."""
        found: Row = self.answer["request"]
        return found

    def number_of(self, request_id: UUID | None, place: int | None) -> int | None:
        """The number of a step by its request and span."""
        return next((s.number for s in self.steps if (s.request_id, s.place) == (request_id, place)), None)


class Reader:
    """Answers about one project's record. May be asked from any thread, one at a time."""

    def __init__(self, project: Project, url: str) -> None:
        self.project = project
        self._url = url
        self._zone = local_zone()
        self._sources = Sources(project.root)
        self._lock = Lock()
        self._looking = Lock()
        self._held = ExitStack()
        self._questions: Questions | None = None
        self.left = False

    def leave(self) -> None:
        """Answer nothing more, and end what is being asked, so that nobody waits for it. From any thread."""
        self.left = True
        if self._lock.locked() and (questions := self._questions) is not None:
            questions.abandon()

    def close(self) -> None:
        """Give the connection back."""
        self._held.close()
        self._questions = None

    def walk(self, given: str) -> Walk:
        """A request by how people write its id, with what it handed off; raises NotFound, Ambiguous, UsageError."""
        answer = self._ask(lambda questions: questions.walk(given))
        request = answer["request"]
        return Walk(answer, steps_of(answer), {request["request_id"]: request})

    def detail(self, walk: Walk, step: Step) -> Row:
        """The values of one step, as flux.presenters.steps lays them out."""
        with self._looking:
            if step.number not in walk.details:
                found: dict[str, Any] = {}
                if step.request_id is not None and step.place is not None:
                    found = self._ask(partial(Questions.details, request=step.request_id, step=step.place))[step.place]
                    found["in_the_way"] = self._in_the_way(step, found["span"])
                elif step.request_id is not None and step.above is None:  # stands for steps that were not recorded
                    found = self._ask(partial(Questions.details, request=step.request_id)).get(None, {})
                if len(walk.details) >= KEPT:
                    del walk.details[next(iter(walk.details))]
                walk.details[step.number] = self._whole(walk, step, found)
            return walk.details[step.number]

    def details(self, walk: Walk) -> list[Row]:
        """The values of every step, in few questions."""
        requests = {step.request_id for step in walk.steps if step.request_id is not None}
        known = {request: self._ask(partial(Questions.details, request=request)) for request in requests}
        answers = []
        for step in walk.steps:
            found: dict[str, Any] = {}
            if step.request_id is not None:
                found = known[step.request_id].get(step.place, {})
            if step.place is not None:
                found["in_the_way"] = self._in_the_way(step, found["span"])
            answers.append(self._whole(walk, step, found))
        return answers

    def containing(self, walk: Walk, wanted: str) -> list[int]:
        """Numbers of the steps in which a text occurs; of a log line, the step that it was written in."""
        requests = {step.request_id for step in walk.steps if step.request_id is not None}
        found = {(request, place) for request in requests for place in self._places(request, wanted)}
        named = wanted.lower()
        return [
            step.number
            for step in walk.steps
            if (step.request_id, step.place) in found or (step.place is None and named in step.name.lower())
        ]

    def rows(self, step: Step) -> Sequence[Row]:
        """The rows that a step's request wrote, as they were at that step; raises NotRecorded."""
        arguments = {"request": step.request_id, "step": step.place if step.place is not None else 2**31 - 1}
        return self._ask(lambda questions: questions.ask("rows_at_step", **arguments))

    def last_writer(self, table: str, key: Row, before: UUID | None) -> Row | None:
        """Who wrote a row last before a request did."""
        arguments = {"target": table, "row_key": dict(key), "before": before}
        found = self._ask(lambda questions: questions.ask("last_writer", **arguments))
        return found[0] if found else None

    def difference(self, request: UUID) -> Difference:
        """How a request differs from the last good run before it; raises NotFound where there is none."""
        from flux.engine.generated import generated_columns
        from flux.replay.compare import compare
        from flux.replay.sides import Sides

        def ask(questions: Questions) -> Difference:
            sides = Sides(self.project, self._url, questions, lambda code, request: None)
            return compare(sides.find(f"{request}:last-good"), sides.find(str(request)), generated_columns(self._url))

        return self._ask(ask)

    def failures(self, *, refused: bool, most: int) -> list[dict[str, Any]]:
        """The latest failures, newest first."""
        return self._ask(lambda questions: questions.ask("recent_failures", with_refused=refused, most=most))

    def anything(self) -> bool:
        """Whether any request is recorded."""
        return bool(self._ask(lambda questions: questions.ask("requests_matching", most=1)))

    def news(self, follower: Follower) -> list[dict[str, Any]]:
        """What ended since the last call."""
        return self._ask(follower.news)

    def _in_the_way(self, step: Step, span: Row) -> Row | None:
        if not step.began or (span["error"] or {}).get("code") != UNIQUE_VIOLATION:
            return None
        arguments = {"request": step.request_id, "step": step.place}
        found = self._ask(lambda questions: questions.ask("row_in_the_way", **arguments))
        return found[0] if found else None

    def _places(self, request: UUID, wanted: str) -> list[int]:
        rows = self._ask(lambda questions: questions.ask("spans_containing", request=request, wanted=wanted))
        return [row["span_id"] for row in rows]

    def _whole(self, walk: Walk, step: Step, found: Row) -> Row:
        """The values with the request's row and, where it failed, the source around the place."""
        request = self._request(walk, step.request_id) if step.request_id is not None else {}
        span = found.get("span")
        if span is None and request:  # an attempt: what its request says
            span = {"input": request["input"], "output": request["output"], "attributes": None, "error": None}
            if request["error_type"] or request["error_message"]:
                names = ("type", "message", "code", "location", "stack")
                span["error"] = {name: request[f"error_{name}"] for name in names}
        error = (span or {}).get("error")
        source = self._sources.around(error, request) if error and step.error is not None else None
        return {**found, "span": span, "request": request, "source": source}

    def _request(self, walk: Walk, request: UUID) -> Row:
        if request not in walk.requests:
            walk.requests[request] = self._ask(lambda q: q.ask("request_record", request=request))[0]
        return walk.requests[request]

    def _ask(self, question: Callable[[Questions], Answer]) -> Answer:
        """Ask on the connection there is and, where that was lost, once more on a new one."""
        with self._lock:
            for known in (self._questions is not None, False):
                if self.left:
                    raise DatabaseUnavailable("nobody waits for the answer")
                if self._questions is None:
                    self._questions = self._held.enter_context(asking(self._url, self._zone))
                try:
                    return question(self._questions)
                except DatabaseUnavailable:
                    self.close()
                    if not known:
                        raise
        raise AssertionError("the second try ends it")

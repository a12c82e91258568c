"""The two sides of a comparison as people name them: 550e8400, 550e8400:last-good, abc123:550e8400."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from flux.config import Project
from flux.context import short_id
from flux.engine.questions import Questions
from flux.errors import NotFound, UsageError
from flux.replay.recorded import RecordedRequest

LAST_GOOD = "last-good"

Making = Callable[[str, UUID], None]


class Sides:
    """Finds the execution that a name means, and makes the replay it asks for where there is none.

    `making` is told the code and the request before a replay is made, which takes a while.
    """

    def __init__(self, project: Project, url: str, questions: Questions, making: Making) -> None:
        self._project = project
        self._url = url
        self._questions = questions
        self._making = making

    def find(self, given: str) -> RecordedRequest:
        """The execution; raises UsageError, NotFound, Ambiguous, and what making a replay does."""
        code, name, last_good = parts_of(given)
        request_id = self._questions.value("request_named", given=name)
        if last_good:
            request_id = self._last_good(request_id)
        if code is not None:
            request_id = self._replay_on(code, request_id)
        return RecordedRequest.of(self._questions, request_id)

    def _last_good(self, request_id: UUID) -> UUID:
        found: UUID | None = self._questions.value("last_good", request=request_id)
        if found is None:
            raise NotFound(
                f"no good run of the same function before {short_id(request_id)} is recorded",
                hint="Run `flux trace --status ok` to see the requests that went well.",
            )
        return found

    def _replay_on(self, code: str, request_id: UUID) -> UUID:
        from flux.replay.incident import replay_on

        recorded = RecordedRequest.of(self._questions, request_id)
        if recorded.replay_of is not None:
            recorded = RecordedRequest.of(self._questions, recorded.replay_of)
        known: UUID | None = self._questions.value("replay_on", request=recorded.request_id, code=code)
        if known is not None:
            return known
        self._making(code, recorded.request_id)
        return replay_on(self._project, self._url, recorded, code)


def parts_of(given: str) -> tuple[str | None, str, bool]:
    """The code if one is named, the request's digits, and whether the last good run before it is meant."""
    words = given.strip().split(":")
    last_good = words[-1] == LAST_GOOD
    if last_good:
        words.pop()
    name = words.pop() if words else ""
    if words and words[-1] == "req":
        words.pop()
    code = ":".join(words)
    if not name or (words and not code):
        raise UsageError(
            f'"{given}" names no execution', hint="Write an id (550e8400), ID:last-good, or CODE:ID (abc123:550e8400)."
        )
    return code or None, name, last_good

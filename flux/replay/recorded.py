"""One request with all that is known of it: what a replay starts from and a comparison looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flux.engine.questions import Questions
from flux.errors import NotFound

Row = Mapping[str, Any]

#: Outcomes in which a request did what it was asked, or rightly declined to.
_WELL = ("ok", "refused")


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request, its spans by number and its mutations by (rolled_back, id), each as `to_jsonb` gives its row.

    Ids are therefore text, times ISO 8601 text. Mutations are those of flux.state_mutations or, for a replay, of
    flux.replay_mutations, and are whole however many there are.
    """

    request: Row
    spans: tuple[Row, ...]
    mutations: tuple[Row, ...]

    @classmethod
    def of(cls, questions: Questions, request_id: UUID | str) -> RecordedRequest:
        """The whole record of a request, by its whole id; raises NotFound."""
        found = questions.ask("whole_record", request=UUID(str(request_id)))
        if not found:
            raise NotFound(f"no request {request_id} is recorded")
        return cls(found[0]["request_row"], tuple(found[0]["spans"]), tuple(found[0]["mutations"]))

    @property
    def request_id(self) -> UUID:
        """Its id."""
        return UUID(self.request["request_id"])

    @property
    def replay_of(self) -> UUID | None:
        """The request that this one replayed."""
        original = self.request.get("replay_of")
        return UUID(original) if original else None

    @property
    def outcome(self) -> str:
        """ok, error, refused, timeout, crashed or running."""
        return str(self.request["outcome"])

    @property
    def status(self) -> int | None:
        """HTTP status of the reply, or the one it would have had."""
        return self.request.get("status")

    @property
    def failed(self) -> bool:
        """Whether it ended in an error, at its timeout or with its process; a refusal (404, 422 …) is no failure."""
        return self.outcome not in _WELL

    @property
    def signature(self) -> str | None:
        """What its error shares with similar ones; None when there was no error."""
        return self.request.get("error_signature")

    @property
    def code_sha(self) -> str | None:
        """The code that ran."""
        return self.request.get("code_sha")

    @property
    def began(self) -> datetime:
        """When it was taken."""
        return datetime.fromisoformat(self.request["started_at"])

    @property
    def ended(self) -> datetime:
        """When it had been answered; when it began where that is not known."""
        return self.began + timedelta(microseconds=self.request.get("duration_us") or 0)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What its record lacks, as flux.record_gaps says it; nothing when it is whole."""
        return tuple(gap for _, gap in self.gaps_by_part())

    def gaps_by_part(self) -> Iterator[tuple[str, str]]:
        """What its record lacks, each with the part it is about: spans, mutations, or all of it."""
        attributes = self.request.get("attributes") or {}
        highest = max((span["span_id"] for span in self.spans), default=0)
        if self.outcome == "running":
            yield "all", "it still runs, or its end was never recorded"
        if self.outcome == "crashed":
            yield "all", "its process died: steps and uncommitted writes since its last commit are lost"
        elif not self.spans and self.outcome != "refused":
            yield "spans", "none of its steps were recorded"
        if "spans_omitted" in attributes:
            yield "spans", f"{attributes['spans_omitted']} of its steps were too many to keep"
        elif highest > len(self.spans):
            yield "spans", f"{highest - len(self.spans)} of its {highest} steps were not recorded"
        if "mutations_not_kept" in attributes:
            yield "mutations", f"writes that were rolled back: {attributes['mutations_not_kept']}"

"""Whether a commit passes, from how it ran a request again: what counts as bad, and what says nothing at all.

That a replay fails is not enough: code that calls what the record holds no answer to, that cannot be loaded, or that
fails in another way, says nothing about the fault that is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from flux.replay.difference import Change, Difference
from flux.replay.expectation import Comparison, parse
from flux.replay.recorded import RecordedRequest
from flux.replay.trials import Answer
from flux.replay.verdicts import Replayed

Judged = tuple[Answer, str]

#: What the gateway refuses before any function runs: no such route or function, another method, other arguments.
_REFUSALS = {"404": "", "405": "", "422": "it does not take this input: "}

#: The error type of a request whose module could not be imported.
_BROKEN = "FunctionBroken"

_BEHAVIOUR = re.compile(r"(same|changed)(?:\s+(output|spans|mutations))?")
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


class Criterion(Protocol):
    """What counts as bad. `text` says it."""

    @property
    def text(self) -> str:
        """For people, after `bad is: `."""

    def judge(self, run: RecordedRequest, replayed: Replayed) -> Judged:
        """How a run that came to its end answers, and why."""


def criterion(expected: str | None, recorded: RecordedRequest) -> Criterion:
    """What counts as bad for a request: what --expect says, else its own failure, else that it does as it did then.

    Raises UsageError.
    """
    if expected is None:
        return SameFailure(recorded) if recorded.outcome != "ok" else Behaviour("changed")
    behaviour = _BEHAVIOUR.fullmatch(expected.strip())
    if behaviour is not None:
        return Behaviour(behaviour[1], behaviour[2])  # type: ignore[arg-type]  # the pattern holds no other words
    return Expected(parse(expected))


def judge(by: Criterion, replayed: Replayed) -> Judged:
    """The answer of a commit that has run a request again."""
    run = replayed.replay
    if run is None:
        return "skipped", replayed.obstacle or "it could not be run again"
    if run.request.get("error_type") == _BROKEN != replayed.recorded.request.get("error_type"):
        return "skipped", run.request.get("error_message") or "its module cannot be imported"
    missing = _missing(run)
    if missing and not _missing(replayed.recorded):
        return "absent", missing
    return by.judge(run, replayed)


@dataclass(frozen=True, slots=True)
class SameFailure:
    """Bad is the failure of the record: the same signature, or the same error at a place that has moved."""

    recorded: RecordedRequest

    @property
    def text(self) -> str:
        """The error in words."""
        return f"it fails as it did: {_sentence(self.recorded)}"

    def judge(self, run: RecordedRequest, replayed: Replayed) -> Judged:
        """Whether it fails so again."""
        if _failure(run) == _failure(self.recorded):
            moved = self.recorded.signature is not None and run.signature != self.recorded.signature
            place = run.request.get("error_location") or "another place"
            return "fails", f"{_sentence(run)} (in {place})" if moved else _sentence(run)
        if replayed.unanswered:
            if _got_past(replayed):
                return "passes", f"it gets past that: {_unanswered(replayed)}"
            return "skipped", _unanswered(replayed)
        if run.failed:
            return "skipped", f"it fails in another way: {_sentence(run)}"
        return "passes", ""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Bad is to do as the record does (`changed` is expected), or not to (`same` is); in all, or in one part."""

    expected: Literal["same", "changed"]
    part: Literal["output", "spans", "mutations"] | None = None

    @property
    def text(self) -> str:
        """Which way round it is."""
        what = {None: "what it does", "output": "its output", "spans": "its steps", "mutations": "what it writes"}[
            self.part
        ]
        return f"{what} is as recorded" if self.expected == "changed" else f"{what} is not as recorded"

    def judge(self, run: RecordedRequest, replayed: Replayed) -> Judged:
        """Whether it does."""
        difference = replayed.difference
        if difference is None:
            return "skipped", "it could not be compared with the record"
        if replayed.unanswered and self.part in ("output", "mutations"):
            return "skipped", _unanswered(replayed)
        found = _differences(difference, self.part)
        if not found and difference.unknown:
            return "skipped", f"not known whether it differs: {difference.unknown[0]}"
        differs = found[0] if found else ""
        if self.expected == "same":
            return ("fails", differs) if found else ("passes", "")
        return ("passes", differs) if found else ("fails", "as recorded")


@dataclass(frozen=True, slots=True)
class Expected:
    """Bad is not to fulfil these."""

    comparisons: Sequence[Comparison]

    @property
    def text(self) -> str:
        """All of them."""
        return f"this does not hold: {' and '.join(map(str, self.comparisons))}"

    def judge(self, run: RecordedRequest, replayed: Replayed) -> Judged:
        """The first that is not fulfilled; what an unanswered call leads to counts only where calls are counted."""
        if replayed.unanswered and any(comparison.subject != "tool" for comparison in self.comparisons):
            return "skipped", _unanswered(replayed)
        reasons = filter(None, (comparison.fails(run) for comparison in self.comparisons))
        reason = next(reasons, None)
        return ("passes", "") if reason is None else ("fails", reason)


def _missing(run: RecordedRequest) -> str:
    """Why this code could not be asked this at all; empty where it could."""
    code, message = run.request.get("error_code"), run.request.get("error_message")
    return f"{_REFUSALS[code]}{message}" if code in _REFUSALS and run.outcome == "refused" else ""


def _failure(run: RecordedRequest) -> tuple[object, ...]:
    """What makes two failures one, wherever in the code they come from."""
    row = run.request
    if run.outcome in ("timeout", "crashed"):
        return (run.outcome,)
    message = _VALUES.sub("?", row.get("error_message") or "")
    return run.outcome, row.get("status"), row.get("error_type"), row.get("error_code"), message


def _sentence(run: RecordedRequest) -> str:
    row = run.request
    name = str(row.get("error_type") or "").rpartition(".")[2]
    return (
        ": ".join(part for part in (name, row.get("error_message")) if part)
        or f"{run.outcome} {run.status or ''}".strip()
    )


def _unanswered(replayed: Replayed) -> str:
    calls = sorted(set(replayed.unanswered))
    return f"it calls {' and '.join(calls)}, which the record holds no answer to"


def _got_past(replayed: Replayed) -> bool:
    """Whether it made every call that the failing run had made before it failed, and then went on to one of its own."""
    recorded = sum(span["kind"] == "tool" for span in replayed.recorded.spans)
    outcomes = [call.outcome for call in replayed.ran.calls] if replayed.ran else []
    return "new" not in outcomes[:recorded] and outcomes[recorded : recorded + 1] == ["new"]


def _differences(difference: Difference, part: str | None) -> list[str]:
    """What differs, each in few words."""
    found = []
    if part in (None, "output"):
        changes: Sequence[Change] = difference.request.changes
        found += [change.path for change in changes if not change.path.startswith("input")]
    if part in (None, "spans"):
        found += [f"{pair.either['kind']} {pair.either['name']}" for pair in difference.differing_spans]
    if part in (None, "mutations"):
        found += [f"{pair.either['operation']} {pair.either['table_name']}" for pair in difference.differing_mutations]
    return [f"it differs in {name}" for name in found]

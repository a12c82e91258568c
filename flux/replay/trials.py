"""How commits answer when they are tested, and what a search over them finds: plain values, and who is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from flux.deploy.commits import Commit

#: How a commit answers. `absent`: it cannot have the fault, because what was called is not there. `skipped`: not known.
Answer = Literal["passes", "fails", "absent", "skipped"]

#: `found`: first_bad fails, what is before it passes. `range`: one of `suspects`, because the others cannot be run.
#: `flaky`: the same commit answers in different ways. `no good`: first_bad is the oldest that fails and can be run.
#: `bad passes`, `good fails`: an end is not what it should be. `cannot run`: an end cannot be run.
Result = Literal["found", "range", "flaky", "no good", "bad passes", "good fails", "cannot run"]


@dataclass(frozen=True, slots=True)
class Trial:
    """How a commit answered; `answers` one a run, `like` names a commit of the same content that was run instead."""

    commit: Commit
    answer: Answer
    reason: str = ""
    replay_id: UUID | None = None
    answers: tuple[Answer, ...] = ()
    like: str | None = None

    @property
    def flaky(self) -> bool:
        """Whether the same code passed and failed."""
        return "passes" in self.answers and "fails" in self.answers


@dataclass(frozen=True, slots=True)
class Stretch:
    """The commits to search, by their number and their dates."""

    commits: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found out. `before` is the parent of first_bad to compare it with; `runs` counts every run."""

    result: Result
    first_bad: Commit | None = None
    before: Commit | None = None
    suspects: tuple[Commit, ...] = ()
    stretch: Stretch | None = None
    trials: tuple[Trial, ...] = ()
    notes: tuple[str, ...] = ()
    runs: int = 0


class Tester(Protocol):
    """Runs a commit so many times, each time in a process of its own."""

    def __call__(self, commit: Commit, times: int) -> Sequence[Trial]:
        """One trial a run."""


class Progress(Protocol):
    """Who is told while the search goes on."""

    def began(self, stretch: Stretch) -> None:
        """The commits to search are known."""

    def testing(self, commit: Commit) -> None:
        """A commit is about to be run."""

    def tested(self, trial: Trial) -> None:
        """A commit has answered."""


def together(trials: Iterable[Trial]) -> Trial:
    """Several runs of one commit as one: it fails if any of them fails."""
    trials = list(trials)
    answers = tuple(answer for trial in trials for answer in trial.answers or (trial.answer,))
    order: Sequence[Answer] = ("fails", "passes", "absent", "skipped")
    worst = min(trials, key=lambda trial: order.index(trial.answer))
    return replace(worst, answers=answers)

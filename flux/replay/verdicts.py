"""What a replay says of the code: passes, still fails, differs; and what many of them say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from flux.replay.compare import Difference
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Ran

#: same: nothing differs. changed: it ends as well as it did, but differs. fixed: it ends better. regressed: it ends
#: worse. failing: it failed and fails. skipped: it could not be run again.
Verdict = Literal["same", "changed", "fixed", "regressed", "failing", "skipped"]

#: What --fail-if knows, and the verdicts that each counts as a failure.
FAILURES: dict[str, frozenset[Verdict]] = {
    "failing": frozenset({"failing", "regressed"}),
    "regressed": frozenset({"regressed"}),
    "changed": frozenset({"changed", "regressed"}),
}

#: How well a request ended; what is not here failed.
_ENDINGS = {"ok": 0, "refused": 1}
_FAILED = 2


@dataclass(frozen=True, slots=True)
class Replayed:
    """One request that was run again, or why it could not be. `doubts`: why it may differ though the code does not.

    `applied` is what no longer fitted of what others wrote before it.
    """

    recorded: RecordedRequest
    replay: RecordedRequest | None = None
    difference: Difference | None = None
    ran: Ran | None = None
    obstacle: str | None = None
    doubts: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What it says of the code."""
        if self.replay is None or self.ran is None or self.difference is None:
            return "skipped"
        then, now = _ending(self.recorded), _FAILED if self.unanswered else _ending(self.replay)
        if now != then:
            return "fixed" if now < then else "regressed"
        if now == _FAILED:
            return "failing"
        return "same" if self.difference.same else "changed"

    @property
    def passes(self) -> bool:
        """Whether the request does not fail on this code."""
        return self.verdict in ("same", "changed", "fixed")

    @property
    def exact(self) -> bool:
        """Whether it was replayed exactly: nothing stood against it, or it came out as it was recorded all the same."""
        return self.difference is not None and (self.difference.same or not self.doubts)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Calls that the record holds no answer to: with one of them a replay fails, whatever its function did."""
        return tuple(call.name for call in self.ran.calls if call.outcome == "new") if self.ran else ()

    @property
    def replay_id(self) -> UUID | None:
        """The id of the replay's own record."""
        return self.replay.request_id if self.replay else None


def _ending(run: RecordedRequest) -> int:
    return _ENDINGS.get(run.outcome, _FAILED)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many requests of a replay have which verdict, and how faithful it could be."""

    requests: int
    verdicts: dict[Verdict, int]
    exact: int
    doubtful: int

    @classmethod
    def of(cls, replayed: Iterable[Replayed]) -> Totals:
        """Count them."""
        replayed = list(replayed)
        return cls(
            requests=len(replayed),
            verdicts=dict(Counter(one.verdict for one in replayed)),
            exact=sum(one.exact for one in replayed),
            doubtful=sum(one.verdict != "skipped" and not one.exact for one in replayed),
        )

    def count(self, *verdicts: Verdict) -> int:
        """How many have one of these verdicts."""
        return sum(self.verdicts.get(verdict, 0) for verdict in verdicts)

    @property
    def replayed(self) -> int:
        """How many were run again."""
        return self.requests - self.count("skipped")

    def says_no(self, fail_if: Sequence[str]) -> bool:
        """Whether the answer is no: by default where one was not replayed, fails, or changed."""
        if not self.replayed:
            return True
        if fail_if:
            return any(self.count(*FAILURES[name]) for name in fail_if)
        return bool(self.count("failing", "regressed", "changed", "skipped"))

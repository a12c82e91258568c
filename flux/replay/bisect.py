"""The search for the first bad commit: which commit to test next, and what the answers together say.

It knows git's history and a test that says how one commit answers, nothing of how that is found out. Halving is git's
own (`git rev-list --bisect-all`), so that merges are weighed right. The result names a step that was seen: a commit
that fails and, before it, one that does not; where that was not seen, the result is another and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flux.deploy.commits import Commit, Commits
from flux.errors import CannotBisect
from flux.replay.trials import Found, Progress, Result, Stretch, Tester, Trial, together

#: Further runs of the two commits that decide.
CONFIRMING_RUNS = 2

#: Times a search may begin again, after a revert or a parent that fails too.
MOST_ROUNDS = 5


@dataclass
class Bisection:
    """One search. `repeat`: runs of each commit, bad if any of them fails."""

    commits: Commits
    test: Tester
    progress: Progress
    repeat: int = 1
    runs: int = 0
    trials: dict[str, Trial] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stretch: Stretch | None = None
    _by_content: dict[str, Trial] = field(default_factory=dict)
    _goods: list[Commit] = field(default_factory=list)
    _any_good: bool = True

    def run(self, bad: Commit, good: Commit | None = None, hint: Commit | None = None) -> Found:
        """The first bad commit between the two; without `good`, one that passes is looked for, at `hint` first.

        Raises CannotBisect when the two are no two ends of one history.
        """
        bad = self.commits.effective(bad)
        if good is not None:
            self._check_order(bad, good)
            self._begin(bad, [good])
        trial = self._try(bad)
        if trial.answer != "fails":
            return self._found("bad passes" if trial.answer == "passes" else "cannot run", first_bad=bad)
        if good is None:
            start = self._walk_back(bad, hint)
            if not self._goods:
                return self._nothing_passes(start)
            self._begin(start, self._goods)
        else:
            start = bad
            ended = self._check_good(bad, good)
            if ended is not None:
                return ended
        return self._search(start, bad)

    def _check_order(self, bad: Commit, good: Commit) -> None:
        if self.commits.is_ancestor(bad, good):
            raise CannotBisect(
                f"{good.name} comes after {bad.name}, or is the same: the good commit has to be the older one",
                hint="Swap --good and --bad, or leave --good away to have one looked for.",
            )
        if not self.commits.merge_bases(bad, good):
            raise CannotBisect(
                f"{good.name} and {bad.name} have no commit in common", hint="Choose a --good in the history of --bad."
            )

    def _check_good(self, bad: Commit, good: Commit) -> Found | None:
        """Run the good end; where it is on another branch, also the commit where the two parted."""
        parted = [] if self.commits.is_ancestor(good, bad) else self.commits.merge_bases(bad, good)
        for commit in (good, *parted):
            trial = self._try(commit)
            if trial.answer == "fails":
                if commit in parted:
                    self.notes.append(
                        f"{commit.name}, where {good.name} and {bad.name} parted, fails: it was mended on the way to "
                        f"{good.name}, not broken on the way to {bad.name}"
                    )
                return self._found("good fails", first_bad=commit)
            if trial.answer == "skipped":
                return self._found("cannot run", first_bad=commit)
            self._goods.append(commit)
        return None

    def _walk_back(self, bad: Commit, hint: Commit | None) -> Commit:
        """Find a commit that passes by steps of 1, 2, 4 … commits back; the oldest that is known to fail."""
        hint = self.commits.effective(hint) if hint else None
        if hint and hint != bad and self.commits.is_ancestor(hint, bad):
            answer = self._try(hint).answer
            if answer in ("passes", "absent"):
                self._goods = [hint]
                return bad
            bad = hint if answer == "fails" else bad
        step, oldest, cannot = 1, bad, None
        while True:
            chain = self.commits.backwards(bad, step + 2)
            commit = self.commits.find(chain[min(step, len(chain) - 1)])
            answer = self._try(commit).answer
            if answer in ("passes", "absent"):
                self._goods = [commit]
                return oldest
            oldest, cannot = (commit, None) if answer == "fails" else (oldest, commit)
            if len(chain) <= step + 1:  # that was the first of all commits
                break
            step *= 2
        if cannot is not None:  # until something passes, what cannot be run counts as older than the fault
            self._goods, self._any_good = [cannot], False
        return oldest

    def _search(self, start: Commit, newest: Commit) -> Found:
        """Halve until one commit is left, again where a revert or a parent shows that there is more to find."""
        for _ in range(MOST_ROUNDS):
            left = self._narrow(start)
            if not self._any_good:
                return self._nothing_passes(left[0])
            if len(left) > 1:
                return self._found("range", suspects=tuple(left))
            first_bad = left[0]
            again = self._came_back(first_bad, newest) or self._was_there_before(first_bad)
            if again is None:
                return self._confirmed(first_bad)
            start = again
        return self._confirmed(first_bad)

    def _narrow(self, bad: Commit) -> list[Commit]:
        """The commits of which one is the first bad one; the oldest known to fail stands first."""
        skipped: set[str] = set()
        while True:
            halves = self.commits.halves(bad, self._goods)
            open_ = [sha for sha in halves if sha not in skipped and sha != bad.sha]
            if not open_:
                break
            streak = sum(sha in skipped for sha in halves)
            commit = self.commits.find(_away(open_, streak))
            answer = self._try(commit).answer
            if answer == "fails":
                bad = commit
            elif answer in ("passes", "absent"):
                self._goods = [*self._goods, commit] if self._any_good else [commit]
                self._any_good = True
            elif self._any_good:
                skipped.add(commit.sha)
            else:
                self._goods.append(commit)
        return [bad, *(self.commits.find(sha) for sha in halves if sha != bad.sha)]

    def _came_back(self, first_bad: Commit, newest: Commit) -> Commit | None:
        """Where the fault was taken back by a revert and came again later: the end of the search for when it came."""
        for revert in reversed(self.commits.reverting(first_bad, newest)):
            if self._try(revert).answer == "passes":
                self.notes.append(
                    f"{first_bad.name} broke it first and {revert.name} reverted that; what follows is about how it "
                    "came back"
                )
                self._goods = [revert]
                return newest
        return None

    def _was_there_before(self, first_bad: Commit) -> Commit | None:
        """A parent that fails though a commit after it passes: the end of the search for when it came."""
        for parent in self.commits.parents(first_bad):
            older = [commit for commit in self._goods if self.commits.is_ancestor(commit, parent)]
            if self._try(parent).answer == "fails" and older:
                self.notes.append(f"{parent.name} fails, though a commit after it passes; the search went on before it")
                self._goods = older
                return parent
        return None

    def _confirmed(self, first_bad: Commit) -> Found:
        """The two sides of the step, run again: a fault that comes and goes is not found by halving."""
        trials = [self._repeat(commit) for commit in (first_bad, *self.commits.parents(first_bad))]
        before = next((trial.commit for trial in trials[1:] if trial.answer == "passes"), None)
        for trial in trials:
            if trial.flaky:
                failed = trial.answers.count("fails")
                self.notes.append(
                    f"{trial.commit.name} fails in {failed} of {len(trial.answers)} runs of the same code"
                )
        for trial in trials[1:]:
            if trial.answer == "absent":
                self.notes.append(f"in {trial.commit.name}, before it, {trial.reason}")
            elif trial.answer == "skipped":
                self.notes.append(f"its parent {trial.commit.name} cannot be run: {trial.reason}")
        unsure = any(trial.flaky for trial in trials[1:]) or (trials[0].flaky and self.repeat == 1)
        return self._found("flaky" if unsure else "found", first_bad=first_bad, before=before)

    def _nothing_passes(self, oldest: Commit) -> Found:
        if self.commits.shallow:
            self.notes.append("this clone is shallow and ends here: run `git fetch --unshallow`")
        return self._found("no good", first_bad=oldest)

    def _try(self, commit: Commit) -> Trial:
        """How a commit answers; what has the same content answers the same."""
        content = self.commits.content(commit)
        known = self._by_content.get(content) if content else None
        if commit.sha in self.trials:
            return self.trials[commit.sha]
        if known is not None:
            trial = replace(known, commit=commit, like=known.like or known.commit.name)
        else:
            self.progress.testing(commit)
            trial = self._run(commit, self.repeat)
        self._keep(trial, content)
        self.progress.tested(trial)
        return trial

    def _repeat(self, commit: Commit) -> Trial:
        """A trial with more runs, told only if they change something."""
        trial = self._try(commit)
        if trial.answer in ("absent", "skipped"):
            return trial
        more = self._run(commit, CONFIRMING_RUNS)
        both = together([trial, more])
        self._keep(replace(both, like=trial.like), self.commits.content(commit))
        if both.flaky and not trial.flaky:
            self.progress.tested(both)
        return both

    def _run(self, commit: Commit, times: int) -> Trial:
        done = self.test(commit, times)
        self.runs += len(done)
        return together(done)

    def _keep(self, trial: Trial, content: str | None) -> None:
        self.trials[trial.commit.sha] = trial
        if content:
            self._by_content[content] = trial

    def _begin(self, bad: Commit, goods: Sequence[Commit]) -> None:
        listed = self.commits.between(bad, goods)
        dates = [commit.date for commit in listed] or [bad.date]
        self.stretch = Stretch(len(listed), min(dates), max(dates))
        self.progress.began(self.stretch)

    def _found(
        self, result: Result, first_bad: Commit | None = None, before: Commit | None = None,
        suspects: tuple[Commit, ...] = (),
    ) -> Found:  # fmt: skip
        return Found(
            result, first_bad, before, suspects, self.stretch, tuple(self.trials.values()), tuple(self.notes), self.runs
        )


def _away(shas: Sequence[str], skipped: int) -> str:
    """The best commit to test; after commits that could not be run, one further away, as git does: broken ones cluster.

    Which one follows from how many were skipped, by the van der Corput sequence, so that every part gets its turn.
    """
    place, share = 0.0, 0.5
    while skipped:
        place += share * (skipped & 1)
        skipped >>= 1
        share /= 2
    return shas[int(len(shas) * place**1.5)]

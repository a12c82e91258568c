"""From a request to the commit that broke it: which two ends to search between, and a sandbox to run them all in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from flux.config import Project
from flux.deploy.commits import Commit, Commits
from flux.engine.questions import asking
from flux.errors import CannotBisect
from flux.replay.bisect import Bisection
from flux.replay.fidelity import doubts, obstacle
from flux.replay.judgement import criterion
from flux.replay.recorded import RecordedRequest
from flux.replay.rehearsal import Conditions, Rehearsal
from flux.replay.stage import Stage
from flux.replay.trials import Found, Progress


@dataclass(frozen=True, slots=True)
class Way:
    """How to search. `good`, `bad` are what git calls commits; `timeout` in seconds; `repeat` runs of each commit."""

    good: str | None = None
    bad: str | None = None
    expect: str | None = None
    script: str | None = None
    prepare: str | None = None
    repeat: int = 1
    timeout: float | None = None
    tables: tuple[str, ...] | None = None
    server_url: str | None = None
    stubs: Mapping[str, Any] = field(default_factory=dict)
    redacted: bool = False


class Listener(Progress, Protocol):
    """Who is told while the search goes on."""

    def copying(self, table: str, done: int, total: int) -> None:
        """The sandbox is being made: so many rows of a table are there."""

    def said(self, remark: str) -> None:
        """Something that must be known of the search as a whole."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """What was found, of which request; `counted` says what counted as bad."""

    recorded: RecordedRequest
    counted: str
    found: Found


def find_culprit(project: Project, url: str, recorded: RecordedRequest, way: Way, listener: Listener) -> Culprit:
    """The first commit in which a request answers badly.

    Raises CannotBisect for a request that cannot be run again, NotARepository, UnknownCommit, UsageError, and what
    making a sandbox does.
    """
    blocked = obstacle(recorded, redacted=way.redacted)
    if blocked is not None:
        raise CannotBisect(
            f"req:{str(recorded.request_id)[:8]} cannot be run again: {blocked}",
            hint="Choose another request of the same failure (`flux errors` and `flux trace` list them). Where "
            "its input was redacted, --redacted runs it all the same.",
        )
    bad_is = criterion(way.expect, recorded)
    counted = "what --script says" if way.script else bad_is.text
    commits = Commits(project.root, whole=bool(way.prepare or way.script))
    bad, dirty = _bad_end(commits, recorded, way, listener)
    good = commits.find(way.good) if way.good else None
    hint = None if good else _code_of_last_good_run(url, commits, recorded)
    for doubt in doubts(recorded):
        listener.said(f"the replays may not be exact: {doubt}")
    with Stage(
        project, url, [recorded],
        tables=way.tables, server_url=way.server_url, stubs=way.stubs, redacted=way.redacted,
        on_progress=listener.copying,
    ) as stage:  # fmt: skip
        how = Conditions(bad_is, way.script, way.prepare, way.timeout)
        rehearsal = Rehearsal(project, url, commits, recorded, stage, how)
        found = Bisection(commits, rehearsal, listener, repeat=way.repeat).run(bad, good, hint)
    if dirty and found.result == "bad passes":
        note = f"it ran on {bad.name} with changes that were in no commit: the fault is in those, or in what they met"
        found = replace(found, notes=(*found.notes, note))
    return Culprit(recorded, counted, found)


def _bad_end(commits: Commits, recorded: RecordedRequest, way: Way, listener: Listener) -> tuple[Commit, bool]:
    """The commit to search backwards from, and whether the request ran on changes on top of it."""
    if way.bad is not None:
        return commits.find(way.bad), False
    commit, dirty = commits.of_code(recorded.code_sha)
    if commit is None:
        commit = commits.find("HEAD")
        ran = f"ran in code {recorded.code_sha[:12]}" if recorded.code_sha else "does not say in which code it ran"
        listener.said(f"the request {ran}, which is no commit here: searching back from HEAD, {commit.name}")
        if commits.dirty:
            listener.said("changes that are in no commit are left out")
    elif dirty:
        listener.said(f"the request ran on {commit.name} with changes that were in no commit; those are left out")
    return commit, dirty


def _code_of_last_good_run(url: str, commits: Commits, recorded: RecordedRequest) -> Commit | None:
    """The commit in which the function last went well before its error first came, where it is known."""
    with asking(url) as questions:
        codes = questions.ask("suspect_codes", request=recorded.request_id)
    commit, dirty = commits.of_code(codes[0]["good_code_sha"]) if codes else (None, False)
    return None if dirty else commit

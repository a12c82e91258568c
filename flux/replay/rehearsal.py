"""How a commit answers a request: its tree in a temporary folder, its code in a process, the state as it was.

One sandbox serves all commits of a search; it is brought back to the request's state before each run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from flux.config import FILE_NAME, Project
from flux.deploy.checkout import Checkout, checkout
from flux.deploy.commits import Commit, Commits, own_environment
from flux.errors import CannotBisect, CannotLoad
from flux.replay.judgement import Criterion, judge
from flux.replay.recorded import RecordedRequest
from flux.replay.runner import Order, Ran, Runner
from flux.replay.stage import Stage
from flux.replay.trials import Answer, Trial
from flux.replay.verdicts import Replayed

#: Seconds that --env and --script may take.
PATIENCE = 600.0

#: What the exit code of --script means, as for `git bisect run`: 0 good, 125 skip, others bad, and from 128 on: stop.
_SKIP, _STOP = 125, 128

_ENVIRONMENTS = (".venv/bin/python", "venv/bin/python")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What counts as bad, and how each commit is run; `timeout` in seconds.

    `script` is a shell's line that decides in place of `criterion`; `prepare` one that makes each tree ready.
    """

    criterion: Criterion
    script: str | None = None
    prepare: str | None = None
    timeout: float | None = None


class Rehearsal:
    """Runs one request on one commit after another."""

    def __init__(
        self, project: Project, url: str, commits: Commits, recorded: RecordedRequest, stage: Stage, how: Conditions
    ) -> None:
        self.project = project
        self.url = url
        self.commits = commits
        self.recorded = recorded
        self.stage = stage
        self.how = how
        self._runs: Counter[str] = Counter()

    def __call__(self, commit: Commit, times: int) -> list[Trial]:
        """One trial a run; a single one where the commit cannot be run at all."""
        if not self.commits.has_project(commit):
            return [Trial(commit, "absent", f"there is no {FILE_NAME} in this commit")]
        with checkout(self.project, self.url, commit.sha) as tree:
            refused = self._prepare(tree.root)
            if refused:
                return [Trial(commit, "skipped", refused)]
            trials = []
            for _ in range(times):
                trials.append(self._trial(commit, tree, self._runs[commit.sha]))
                self._runs[commit.sha] += 1
                if trials[-1].answer in ("absent", "skipped"):
                    break
            return trials

    def _trial(self, commit: Commit, tree: Checkout, seed: int) -> Trial:
        try:
            with self._runner(tree, seed) as runner:
                replayed = self.stage.replay(self.recorded, runner, as_of=True)
                answer, reason = self._answer(commit, tree.root, replayed)
                if answer == "absent" and runner.broken:
                    answer, reason = "skipped", runner.broken[0]
        except CannotLoad as error:
            return Trial(commit, "skipped", error.message)
        return Trial(commit, answer, reason, replayed.replay_id, (answer,))

    def _runner(self, tree: Checkout, seed: int) -> Runner:
        """The process of a run. Later runs of one commit get other hash seeds, so that the order of sets may differ."""
        python = [_python_of(tree.root) if self.how.prepare else sys.executable]
        if seed:
            python = ["/usr/bin/env", f"PYTHONHASHSEED={seed}", *python]
        return _Limited(tree.root, self.stage.url, tree.code_sha, python, self.how.timeout)

    def _answer(self, commit: Commit, root: Path, replayed: Replayed) -> tuple[Answer, str]:
        answer, reason = judge(self.how.criterion, replayed)
        if self.how.script is None or replayed.replay is None or (answer == "skipped" and _is_broken(replayed.replay)):
            return answer, reason
        return self._ask_script(self.how.script, commit, root, replayed.replay)

    def _ask_script(self, script: str, commit: Commit, root: Path, replay: RecordedRequest) -> tuple[Answer, str]:
        """What --script says; the record of the replay is its input, the sandbox is its database."""
        told = {"request": replay.request, "spans": replay.spans, "mutations": replay.mutations}
        variables = {
            "DATABASE_URL": self.stage.url,
            "FLUX_COMMIT": commit.sha,
            "FLUX_REQUEST": str(self.recorded.request_id),
            "FLUX_REPLAY": str(replay.request_id),
        }
        code, said = _shell(script, root, variables, orjson.dumps(told))
        last = f": {said}" if said else ""
        if code is None:
            return "skipped", f"--script took longer than {PATIENCE:g} s"
        if code >= _STOP or code < 0:
            raise CannotBisect(
                f"--script ended with {code} on {commit.name}{last}",
                hint="0 says good, 125 skip, 1 to 124 and 126, 127 bad; anything above stops the search.",
            )
        if code == _SKIP:
            return "skipped", f"--script says so{last}"
        return ("fails", f"--script ended with {code}{last}") if code else ("passes", "")

    def _prepare(self, root: Path) -> str:
        """Why --env could not make a tree ready; empty where it did, or was not asked to."""
        if self.how.prepare is None:
            return ""
        code, said = _shell(self.how.prepare, root, {}, b"")
        if code is None:
            return f"--env took longer than {PATIENCE:g} s"
        return f"--env ended with {code}{f': {said}' if said else ''}" if code else ""


class _Limited(Runner):
    """A Runner whose every run has the same time limit."""

    def __init__(
        self, root: Path, database_url: str, code_sha: str, python: Sequence[str], limit: float | None
    ) -> None:
        super().__init__(root, database_url, code_sha=code_sha, python=python, load_timeout=max(60, limit or 0))
        self._limit = limit

    def run(self, order: Order, timeout: float | None = None) -> Ran:
        """Run a request within the limit."""
        return super().run(order, self._limit if timeout is None else timeout)


def _is_broken(replay: RecordedRequest) -> bool:
    return bool(replay.request.get("error_type") == "FunctionBroken")


def _python_of(root: Path) -> str:
    """The interpreter that --env made in a tree: .venv or venv, of the project or of a folder above it."""
    for folder in (root, *root.parents):
        for name in _ENVIRONMENTS:
            if os.access(folder / name, os.X_OK):
                return str(folder / name)
        if (folder / ".git").exists():
            break
    return sys.executable


def _shell(line: str, root: Path, variables: dict[str, str], given: bytes) -> tuple[int | None, str]:
    """The exit code of a shell's line, None when it took too long, and the last line it printed."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=root, env={**own_environment(), **variables}, input=given, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, ""
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return done.returncode, lines[-1] if lines else ""

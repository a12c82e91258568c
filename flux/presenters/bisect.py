"""A search for the commit that broke a request: a line a commit while it goes on, and what it found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from flux.deploy.commits import Commit
from flux.presenters.answer import present, present_json, remark
from flux.presenters.progress import Progress
from flux.presenters.style import Style
from flux.presenters.text import cut, paint, render, wrap
from flux.replay.culprit import Culprit
from flux.replay.trials import Stretch, Trial

_MARKS = {
    "passes": ("✔ passes", "green"),
    "fails": ("✗ fails", "red"),
    "absent": ("– absent", "dim"),
    "skipped": ("– skipped", "yellow"),
}


class Bisecting:
    """Who is told by find_culprit."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._progress = Progress()
        self._begun = False
        self._open = False

    def copying(self, table: str, done: int, total: int) -> None:
        """The sandbox is being made."""
        self._progress.show(f"sandbox: {table.removeprefix('public.')}", done, total)

    def said(self, text: str) -> None:
        """Something to know of the whole."""
        self._progress.clear()
        if not self.style.json:
            remark(f"  {text}")

    def began(self, stretch: Stretch) -> None:
        """The heading: how many commits there are to search."""
        commits = f"{stretch.commits:,} {'commit' if stretch.commits == 1 else 'commits'}"
        dates = f"{stretch.oldest:%Y-%m-%d}..{stretch.newest:%Y-%m-%d}"
        self._say([*([""] if self._begun else []), f"  Bisecting {commits} ({dates})…", ""])
        self._begun = True

    def testing(self, commit: Commit) -> None:
        """A commit is about to be run; on a terminal its line begins now."""
        self._progress.clear()
        if not self._begun:
            self._say(["  Looking for a commit that passes…", ""])
            self._begun = True
        if self.style.terminal and not self.style.json:
            click.echo(render(_testing(commit), self.style.color), nl=False)
            self._open = True

    def tested(self, trial: Trial) -> None:
        """The line of a commit; on a terminal the rest of it."""
        start = _testing(trial.commit)
        line = start + cut_answer(trial, self.style.width - len(start))
        if self._open and not trial.like:
            click.echo("\r", nl=False)
        self._say([line])
        self._open = False

    def ended(self, culprit: Culprit) -> None:
        """What was found, or everything as JSON."""
        if self.style.json:
            present_json(as_json(culprit))
        else:
            present(found_lines(culprit, self.style.width), self.style)

    def _say(self, lines: list[str]) -> None:
        """Lines of the answer; for a program they are talk."""
        self._progress.clear()
        if not self.style.json:
            present(lines, self.style)
            return
        for line in filter(None, lines):
            remark(line)


def cut_answer(trial: Trial, columns: int) -> str:
    """How a commit answered, and why where that has to be said."""
    mark, colour = _MARKS[trial.answer]
    if trial.flaky:
        mark = f"{mark} in {trial.answers.count('fails')} of {len(trial.answers)} runs"
    more = f" (the same files as {trial.like})" if trial.like else ""
    if trial.answer in ("absent", "skipped"):
        more = f": {trial.reason}{more}"
    return paint(mark, colour) + cut(more, columns - len(mark))


def found_lines(culprit: Culprit, columns: int) -> Iterator[str]:
    """What came out: the commit with its author and how to compare, or why there is no such answer."""
    found = culprit.found
    yield ""
    sections = {
        "found": _first_bad, "flaky": _flaky, "range": _range, "no good": _no_good,
        "bad passes": _bad_passes, "good fails": _good_fails, "cannot run": _cannot_run,
    }  # fmt: skip
    yield from sections[found.result](culprit, columns)
    for note in found.notes:
        for number, line in enumerate(wrap(note, columns - 4)):
            yield paint(f"  {' ' if number else '·'} {line}", "dim")
    command = compare_command(culprit)
    if command:
        yield from ("", "  → Compare before/after:", "     " + paint(command, "cyan"))


def compare_command(culprit: Culprit) -> str | None:
    """The command that shows what the first bad commit changed; None where there is nothing to compare it with."""
    bad, before = culprit.found.first_bad, culprit.found.before
    if bad is None or before is None:
        return None
    request = str(culprit.recorded.request_id)[:8]
    return f"flux trace diff {before.name}:{request} {bad.name}:{request}"


def as_json(culprit: Culprit) -> dict[str, Any]:
    """The whole search with stable keys."""
    found, stretch = culprit.found, culprit.found.stretch
    return {
        "request_id": culprit.recorded.request_id,
        "bad_is": culprit.counted,
        "result": found.result,
        "first_bad": _commit_json(found.first_bad),
        "before": _commit_json(found.before),
        "suspects": [_commit_json(commit) for commit in found.suspects],
        "commits": stretch.commits if stretch else None,
        "runs": found.runs,
        "trials": [
            {
                "commit": trial.commit.sha, "answer": trial.answer, "reason": trial.reason or None,
                "answers": trial.answers, "replay_id": trial.replay_id, "like": trial.like,
            }
            for trial in found.trials
        ],
        "notes": found.notes,
        "compare": compare_command(culprit),
    }  # fmt: skip


def _first_bad(culprit: Culprit, columns: int) -> Iterator[str]:
    yield "  " + paint("FIRST BAD COMMIT", "bold")
    yield from _commit_lines(culprit.found.first_bad, columns)
    reason = next(trial.reason for trial in culprit.found.trials if trial.commit == culprit.found.first_bad)
    for line in wrap(reason, columns - 4) if reason else []:
        yield "    " + paint(line, "red")


def _flaky(culprit: Culprit, columns: int) -> Iterator[str]:
    yield "  " + paint("NOT CERTAIN", "bold") + ": the same code passes and fails by turns"
    yield from _commit_lines(culprit.found.first_bad, columns)
    yield from _advice("Run it again with --repeat 5 to make each commit answer several times.", columns)


def _range(culprit: Culprit, columns: int) -> Iterator[str]:
    yield "  " + paint("FIRST BAD COMMIT: ONE OF THESE", "bold")
    reasons = {trial.commit.sha: trial for trial in culprit.found.trials}
    for commit in reversed(culprit.found.suspects):
        yield from _commit_lines(commit, columns)
        trial = reasons.get(commit.sha)
        if trial and trial.answer == "skipped":
            yield "    " + paint(cut(f"cannot be run: {trial.reason}", columns - 4), "yellow")


def _no_good(culprit: Culprit, columns: int) -> Iterator[str]:
    yield "  " + paint("NO GOOD COMMIT", "bold") + ": it fails in every commit that was run, back to"
    yield from _commit_lines(culprit.found.first_bad, columns)
    older = [trial for trial in culprit.found.trials if trial.answer == "skipped"]
    if older:
        yield from _advice(f"Older ones cannot be run: {older[-1].reason}", columns)


def _bad_passes(culprit: Culprit, columns: int) -> Iterator[str]:
    yield "  " + paint("NOTHING TO FIND", "bold") + ": it passes on what should be bad"
    yield from _commit_lines(culprit.found.first_bad, columns)
    yield from _advice(f"Bad is: {culprit.counted}.", columns)
    yield from _advice("Give a commit that fails with --bad, or say with --expect what is wrong.", columns)


def _good_fails(culprit: Culprit, columns: int) -> Iterator[str]:
    yield "  " + paint("THE GOOD COMMIT FAILS TOO", "bold")
    yield from _commit_lines(culprit.found.first_bad, columns)
    yield from _advice("Give an older one with --good, or leave it away to have one looked for.", columns)


def _cannot_run(culprit: Culprit, columns: int) -> Iterator[str]:
    commit = culprit.found.first_bad
    trial = next(trial for trial in culprit.found.trials if trial.commit == commit)
    yield "  " + paint("CANNOT BE RUN", "bold") + f": {trial.answer} on one end of the search"
    yield from _commit_lines(commit, columns)
    for line in wrap(trial.reason, columns - 4):
        yield "    " + paint(line, "yellow")
    yield from _advice("Choose other ends with --good and --bad.", columns)


def _commit_lines(commit: Commit | None, columns: int) -> Iterator[str]:
    """Its first digits and subject; its date and author."""
    if commit is not None:
        name = f"{commit.name}  "
        yield "  " + paint(name, "yellow") + cut(f'"{commit.subject}"', columns - len(name) - 2)
        yield "  " + cut(f"{commit.date:%Y-%m-%d} by {commit.author}", columns - 2)


def _advice(text: str, columns: int) -> Iterator[str]:
    for line in wrap(text, columns - 2):
        yield "  " + paint(line, "dim")


def _commit_json(commit: Commit | None) -> dict[str, Any] | None:
    if commit is None:
        return None
    return {
        "commit": commit.sha, "name": commit.name, "author": commit.author, "date": commit.date,
        "subject": commit.subject,
    }  # fmt: skip


def _testing(commit: Commit) -> str:
    return f"  Testing {commit.name}…  "

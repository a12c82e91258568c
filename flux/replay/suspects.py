"""Suspect commits: what was committed between the last good run of a function and the first bad one, likeliest first.

Read from the record and from git alone; nothing is run. A commit that wrote a line of the stack comes first, then those
that touched a file of the stack, the innermost first, then the others, newest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flux.deploy.commits import Commit, Commits
from flux.errors import NotARepository, UnknownCommit

Row = Mapping[str, Any]

#: Commits told of.
MOST = 100

#: Frames of the stack whose lines are asked for, the innermost first.
MOST_FRAMES = 8


def suspects(root: Path, codes: Row | None, request: Row) -> dict[str, Any] | None:
    """The suspects of a failed request, as flux why shows them; None when nothing changed in between.

    `codes` is the row of flux.suspect_codes, `request` that of flux.request_record. In place of commits, `unknown` may
    say why they are not known.
    """
    if not codes or not codes["good_code_sha"] or not codes["bad_code_sha"]:
        return None
    if codes["good_code_sha"] == codes["bad_code_sha"]:
        return None
    try:
        return _Suspects(Commits(root), codes, request).answer()
    except (NotARepository, UnknownCommit) as error:
        return {"unknown": error.message, "commits": []}


class _Suspects:
    """The search for them in one repository."""

    def __init__(self, commits: Commits, codes: Row, request: Row) -> None:
        self.commits = commits
        self.codes = codes
        self.request = request
        frames = [frame for frame in request["error_stack"] or [] if frame.get("own")]
        self.frames: Sequence[Row] = frames[::-1][:MOST_FRAMES]

    def answer(self) -> dict[str, Any]:
        good, _ = self.commits.of_code(self.codes["good_code_sha"])
        bad, dirty = self.commits.of_code(self.codes["bad_code_sha"])
        if good is None or bad is None:
            missing = self.codes["good_code_sha" if good is None else "bad_code_sha"]
            return {"unknown": f"code {missing[:12]} is no commit of this repository", "commits": []}
        found = self.commits.between(bad, [good])
        answer = {"good": good.name, "bad": bad.name, "dirty": dirty, "total": len(found), "commits": []}
        if not found and not self.commits.is_ancestor(good, bad):
            return {**answer, "unknown": f"{good.name} does not come before {bad.name}"}
        lines = self._lines(good)
        touching = {file: self.commits.touching(file, bad, good) for file in self._files()}
        told = [self._told(commit, lines.get(commit.sha), touching) for commit in found]
        return {**answer, "commits": sorted(told, key=self._rank)[:MOST]}

    def _told(self, commit: Commit, line: str | None, touching: Mapping[str, set[str]]) -> dict[str, Any]:
        return {
            "commit": commit.sha, "name": commit.name, "author": commit.author, "date": commit.date,
            "subject": commit.subject, "merge": len(commit.parents) > 1, "line": line,
            "touched": [file for file, shas in touching.items() if commit.sha in shas],
        }  # fmt: skip

    def _rank(self, told: Row) -> tuple[int, int]:
        if told["line"]:
            return 0, 0
        files = self._files()
        return (1, files.index(told["touched"][0])) if told["touched"] else (2, 0)

    def _files(self) -> list[str]:
        return list(dict.fromkeys(frame["file"] for frame in self.frames))

    def _lines(self, good: Commit) -> dict[str, str]:
        """By commit, the innermost line of the stack that it wrote. Line numbers are those of the code that ran."""
        ran, dirty = self.commits.of_code(self.request["code_sha"])
        found: dict[str, str] = {}
        if ran is not None and not dirty:
            for frame in self.frames:
                sha = self.commits.last_change(frame["file"], frame["line"], ran, good)
                if sha is not None:
                    found.setdefault(sha, f"{frame['file']}:{frame['line']}")
        return found

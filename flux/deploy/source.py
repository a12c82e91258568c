"""The source lines around a place of the user's code, as the code was when it ran.

The commit that ran has them, where this repository holds it. The working tree has them where the recorded lines of the
stack still stand there. Otherwise only the recorded line is known, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flux.deploy.commits import Commits
from flux.errors import NotARepository, UnknownCommit

Row = Mapping[str, Any]

#: Lines shown before and after the place.
AROUND = 3

#: A file longer than this, in bytes, is not read for seven lines of it.
LARGEST = 2_000_000

_LIKELY = "as the working tree has it, where the recorded lines of the stack still stand"
_AROUND_UNKNOWN = "the lines around it are not here as they were when it ran"
_UNKNOWN = "its source is not here as it was when it ran"


class Sources:
    """The code of one project; what was read is kept."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._commits: Commits | None = None
        self._no_commits = False
        self._read: dict[tuple[str | None, str], list[str] | None] = {}

    def around(self, error: Row, request: Row) -> dict[str, Any] | None:
        """The place of an error of a request: `place`, `function`, `line`, `lines` as (number, text), and a `note`.

        None where no place in the user's code was recorded.
        """
        stacks = (error.get("stack") or (), request.get("error_stack") or ())
        frames = next(filter(None, ([frame for frame in stack if frame.get("own")] for stack in stacks)), [])
        place = str(error.get("location") or (f"{frames[-1]['file']}:{frames[-1]['line']}" if frames else ""))
        file, _, line = place.rpartition(":")
        if not file or not line.isdecimal():
            return None
        frame: Row = next((one for one in reversed(frames) if f"{one['file']}:{one['line']}" == place), {})
        found = {"place": place, "function": frame.get("function"), "line": int(line)}
        return {**found, **self._lines(file, int(line), frames, request.get("code_sha"))}

    def _lines(self, file: str, line: int, frames: Sequence[Row], code_sha: str | None) -> dict[str, Any]:
        recorded = {int(one["line"]): str(one["source"]) for one in frames if one["file"] == file and one.get("source")}
        then = self._then(file, code_sha)
        if then is not None and line <= len(then):
            return {"lines": _around(then, line), "note": None}
        now = self._now(file)
        if now is not None and recorded and line <= len(now) and all(_stands(now, *one) for one in recorded.items()):
            return {"lines": _around(now, line), "note": None if line in recorded else _LIKELY}
        known = [(line, recorded[line].strip())] if line in recorded else []
        return {"lines": known, "note": _AROUND_UNKNOWN if known else _UNKNOWN}

    def _then(self, file: str, code_sha: str | None) -> list[str] | None:
        """The file in the commit that ran, where it is known here."""
        key = (code_sha, file)
        if key not in self._read:
            self._read[key] = None
            commits = self._repository()
            if commits is not None and code_sha:
                commit, dirty = commits.of_code(code_sha)
                text = commits.file(commit, file) if commit is not None and not dirty else None
                self._read[key] = text.splitlines() if text is not None else None
        return self._read[key]

    def _now(self, file: str) -> list[str] | None:
        """The file in the working tree; never one outside of it, whatever was recorded."""
        root = self._root.resolve()
        try:
            path = (root / file).resolve()
            if not path.is_relative_to(root) or not path.is_file() or path.stat().st_size > LARGEST:
                return None
            return path.read_text(encoding="utf-8", errors="replace").splitlines()
        except (OSError, ValueError):
            return None

    def _repository(self) -> Commits | None:
        if self._commits is None and not self._no_commits:
            try:
                self._commits = Commits(self._root)
            except (NotARepository, UnknownCommit):
                self._no_commits = True
        return self._commits


def _stands(lines: Sequence[str], line: int, recorded: str) -> bool:
    return 1 <= line <= len(lines) and lines[line - 1].strip() == recorded.strip()


def _around(lines: list[str], line: int) -> list[tuple[int, str]]:
    first = max(1, line - AROUND)
    shown = list(enumerate(lines[first - 1 : line + AROUND], start=first))
    while shown[-1][0] > line and not shown[-1][1].strip():
        shown.pop()
    return shown

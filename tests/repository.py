"""A real git repository in a folder of the test's, with commits made in few words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

BEGAN = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Repository:
    """Commits by alice, one an hour from 1 March 2026 on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made = 0
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "commit.gpgsign", "false")

    def git(self, *arguments: str) -> str:
        """Run git in the repository; what it prints."""
        now = (BEGAN + timedelta(hours=self.made)).isoformat()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in (
            ("NAME", "Alice"), ("EMAIL", "alice@example.com"), ("DATE", now))}  # fmt: skip
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=False, env={**kept, **who}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, not yet committed."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, files: Mapping[str, str] | None = None, message: str = "change") -> str:
        """Commit all there is; its sha. Without files, a note is changed."""
        self.made += 1
        self.write(files if files is not None else {"notes.txt": f"note {self.made}\n"})
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head

    def merge(self, branch: str, message: str = "merge") -> str:
        """Merge a branch into this one, always with a commit of its own; its sha."""
        self.made += 1
        self.git("merge", "-q", "--no-ff", "-m", message, branch)
        return self.head

    def revert(self, sha: str) -> str:
        """Revert a commit with git's own message; its sha."""
        self.made += 1
        self.git("revert", "--no-edit", sha)
        return self.head

    def graph(self, parents: Sequence[Sequence[int]]) -> list[str]:
        """Many commits at once, each with the numbers of its parents and a note of its own; their shas."""
        stream = []
        for number, of in enumerate(parents):
            when = int((BEGAN + timedelta(hours=number)).timestamp())
            note = f"note {number}\n"
            stream += [
                "commit refs/heads/main", f"mark :{number + 1}",
                f"author Alice <alice@example.com> {when} +0000", f"committer Alice <alice@example.com> {when} +0000",
                f"data {len(note)}\n{note}",
                *([f"from :{of[0] + 1}"] if of else ["from 0000000000000000000000000000000000000000"]),
                *(f"merge :{other + 1}" for other in of[1:]),
                f"M 100644 inline notes.txt\ndata {len(note)}\n{note}",
            ]  # fmt: skip
        marks = self.root / ".git" / "marks"
        subprocess.run(
            ["git", "fast-import", "--quiet", "--force", f"--export-marks={marks}"],
            cwd=self.root, input="\n".join(stream), text=True, check=True, capture_output=True,
        )  # fmt: skip
        self.git("reset", "-q", "--hard", "main")
        self.made = len(parents)
        shas = dict(line.split() for line in marks.read_text().splitlines())
        return [shas[f":{number + 1}"] for number in range(len(parents))]

    @property
    def head(self) -> str:
        """The sha of HEAD."""
        return self.git("rev-parse", "HEAD")

    def state(self) -> tuple[str, ...]:
        """All that a search must leave alone: HEAD, branches, index, stash, worktrees, and the files themselves."""
        return (
            (self.root / ".git" / "HEAD").read_text(),
            self.git("for-each-ref"),
            self.git("status", "--porcelain", "--ignored"),
            self.git("stash", "list"),
            self.git("worktree", "list"),
            "\n".join(self._contents()),
        )

    def _contents(self) -> Iterator[str]:
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and ".git" not in path.parts and ".flux" not in path.parts:
                yield f"{path}: {path.read_bytes()!r}"

"""A replay while it goes on: its lines on stdout as requests are done, its progress and remarks on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flux.presenters.answer import present, present_json, remark
from flux.presenters.incident import as_json, began_lines, replayed_lines, total_lines, totals_json
from flux.presenters.progress import Progress
from flux.presenters.style import Style
from flux.replay.verdicts import Replayed

if TYPE_CHECKING:
    from flux.deploy.checkout import Checkout
    from flux.replay.in_place import InPlace
    from flux.replay.incident import Way
    from flux.replay.stage import Stage


class Replaying:
    """Who is told by replay_incident."""

    def __init__(self, style: Style, where: str, way: Way) -> None:
        self.style = style
        self.where = where
        self.way = way
        self._progress = Progress()
        self._done = 0
        self._requests = 0
        self._code = ""
        self._remarks: list[str] = []
        self._sandboxes: list[dict[str, Any]] = []

    def began(self, requests: int, code: Checkout) -> None:
        """The heading."""
        self._requests, self._code = requests, code.code_sha
        if not self.style.json:
            name = code_name(code.code_sha, self.way.code)
            present(began_lines(requests, self.where, name, in_place=self.way.in_place), self.style)

    def copying(self, table: str, done: int, total: int) -> None:
        """A sandbox is being made."""
        self._progress.show(f"sandbox: {table.removeprefix('public.')}", done, total)

    def ready(self, stage: Stage | InPlace) -> None:
        """A sandbox is there."""
        self._progress.clear()
        sandbox = getattr(stage, "sandbox", None)
        if sandbox is None:
            return
        self._sandboxes.append({"name": sandbox.name, "tables": list(sandbox.tables), "choice": sandbox.choice})
        self.said(f"sandbox: {sandbox.choice}")
        for note in sandbox.notes:
            self.said(note)
        if self.way.keep:
            self._sandboxes[-1]["url"] = sandbox.url
            self.said(f"the sandbox is kept: psql '{sandbox.url}'")
            self.said(f"to drop it: flux state checkout --drop {sandbox.name}")

    def said(self, text: str) -> None:
        """Something to know of the whole; once."""
        if text in self._remarks:
            return
        self._remarks.append(text)
        if not self.style.json:
            self._progress.clear()
            remark(f"  {text}")

    def replayed(self, one: Replayed) -> None:
        """The line of a request."""
        self._done += 1
        if not self.style.json:
            self._progress.clear()
            present(replayed_lines(one, self.style), self.style)
        self._progress.show("replaying", self._done, self._requests)

    def ended(self, replayed: Sequence[Replayed]) -> None:
        """The totals, or everything as JSON."""
        self._progress.clear()
        if not self.style.json:
            present(total_lines(replayed, self.style.width), self.style)
            return
        present_json(
            {
                "window": self.where,
                "code_sha": self._code,
                "state": "in place" if self.way.in_place else "each as of" if self.way.each_as_of else "in order",
                "sandboxes": self._sandboxes,
                "requests": [as_json(one) for one in replayed],
                "totals": totals_json(replayed),
                "remarks": self._remarks,
            }
        )


def code_name(code_sha: str, asked: str | None) -> str:
    """Which code it is, as people call it."""
    commit, plus, content = code_sha.partition("+")
    short = f"{commit[:12]}+{content[:6]}" if plus else commit[:12]
    return f"{asked} ({short})" if asked else f"the working tree ({short})"

"""flux debug: the latest failures, newest first, live; Enter opens one."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from flux.engine.following import INTERVAL, Follower
from flux.errors import DatabaseUnavailable, FluxError
from flux.presenters.failures import failure_line, failures_title
from flux.presenters.text import paint
from flux.screens.asking import AskingScreen
from flux.screens.debug import WalkScreen
from flux.screens.help import HELP
from flux.screens.keys import Key, Keys
from flux.screens.lines import Bar, Lines
from flux.screens.pager import Pager
from flux.screens.reader import Walk

_KEYS: tuple[Key, ...] = (
    ("↓", "next", "move(1)"),
    ("↑", "prev", "move(-1)"),
    ("Enter", "open", "open"),
    ("c", "copy command", "copy"),
    ("?", "help", "help"),
    ("q", "quit", "app.quit"),
)


class FailureScreen(AskingScreen):
    """A list that grows at its head; the cursor stays on its request."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", show=False),
        Binding("question_mark", "help", show=False),
        Binding("q", "app.quit", show=False),
    ]

    def __init__(self, rows: list[dict[str, Any]], *, refused: bool, most: int) -> None:
        super().__init__()
        self._rows = rows
        self._refused = refused
        self._most = most
        self._follower = Follower(None, {"failed_only": True})

    def compose(self) -> ComposeResult:
        """Head, list, keys."""
        yield Bar(id="title")
        yield Bar(id="rule")
        yield Lines(always=True, id="failures")
        yield Keys(_KEYS)

    def on_mount(self) -> None:
        """Show what there is, and begin to listen."""
        self.query_one("#title", Bar).show(lambda columns: [failures_title(len(self._rows), self._refused)])
        self.query_one("#rule", Bar).show(lambda columns: [paint("─" * columns, "dim")])
        self._show(0)
        self.set_focus(self.lines)  # before the screen is seen: keys may come with it
        self.run_worker(self._listen, thread=True, group="listening")

    @property
    def lines(self) -> Lines:
        """The list."""
        return self.query_one("#failures", Lines)

    def on_lines_chosen(self, event: Lines.Chosen) -> None:
        """Open the request under the cursor."""
        self.action_open()

    def action_move(self, by: int) -> None:
        """To another one, by the mouse."""
        self.lines.action_move(by)

    def action_open(self) -> None:
        """Walk through the request under the cursor."""
        if not self._rows:
            return
        request = str(self._rows[self.lines.cursor]["request_id"])
        self.ask(lambda: self.reader.walk(request), self._open)

    def action_copy(self) -> None:
        """The command that opens the request under the cursor."""
        if self._rows:
            command = f"flux trace debug {str(self._rows[self.lines.cursor]['request_id'])[:8]}"
            self.app.copy_to_clipboard(command)
            self._say(f"copied: {command}")

    def action_help(self) -> None:
        """What the keys do."""
        self.app.push_screen(Pager("Keys", lambda columns: HELP))

    def _open(self, walk: Walk) -> None:
        self.app.push_screen(WalkScreen(walk))

    def failed(self, error: FluxError, group: str) -> None:
        """Say that it cannot be opened."""
        self._say(error.message)

    def _listen(self) -> None:
        """Ask again and again for news; a database that is away is said, and tried again."""
        worker = get_current_worker()
        lost = False
        while not worker.is_cancelled:
            try:
                news = self.reader.news(self._follower)
            except DatabaseUnavailable as error:
                lost = True
                if not worker.is_cancelled:
                    self.app.call_from_thread(self._say, f"the database is away, trying again: {error.message}", True)
                time.sleep(1)
                continue
            if lost:
                lost = False
                self.app.call_from_thread(self._say, "the database is back")
            if rows := [row for row in news if self._refused or row["outcome"] != "refused"]:
                self.app.call_from_thread(self._add, rows)
            time.sleep(INTERVAL)

    def _add(self, rows: list[dict[str, Any]]) -> None:
        known = {row["request_id"] for row in self._rows}
        new = [row for row in reversed(rows) if row["request_id"] not in known]
        self._rows = [*new, *self._rows][: max(self._most, len(new))]
        self._show(self.lines.cursor + len(new) if self.lines.cursor else 0)

    def _show(self, cursor: int) -> None:
        self.lines.show(len(self._rows), self._line, cursor=cursor)
        self.query_one("#title", Bar).refresh()

    def _line(self, place: int, columns: int) -> str:
        return failure_line(self._rows[place], columns)

    def _say(self, text: str, wrong: bool = False) -> None:
        self.query_one(Keys).say(text, wrong=wrong)

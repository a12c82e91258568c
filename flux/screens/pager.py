"""Lines that take the whole screen: a comparison, or the help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from flux.presenters.text import paint
from flux.screens.keys import Keys
from flux.screens.lines import Bar, Lines


class Pager(Screen[None]):
    """Any lines, laid out for the width there is; `command` prints the same."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,b,question_mark,enter", "back", show=False),
        Binding("c", "copy", show=False),
        Binding("q", "app.quit", show=False),
    ]

    def __init__(self, title: str, lines: Callable[[int], Sequence[str]], command: str | None = None) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._command = command

    def compose(self) -> ComposeResult:
        """Title, lines, keys."""
        yield Bar(id="title")
        yield Lines(cursorless=True, id="page")
        copied = [("c", "copy command", "copy")] if self._command else []
        yield Keys([("↓", "on", "page(1)"), *copied, ("b", "back", "back"), ("q", "quit", "app.quit")])

    def on_mount(self) -> None:
        """The keys go to the lines."""
        self.query_one("#title", Bar).show(lambda columns: [f"  {paint(self._title, 'bold')}"])
        self.set_focus(self.query_one(Lines))

    def on_resize(self) -> None:
        """Lay out anew."""
        lines = list(self._lines(self.size.width - 2))
        page = self.query_one(Lines)
        page.show(len(lines), lambda place, columns: lines[place], cursor=page.cursor)

    def action_page(self, by: int) -> None:
        """A screen on."""
        self.query_one(Lines).action_page(by)

    def action_copy(self) -> None:
        """The command that prints the same."""
        if self._command:
            self.app.copy_to_clipboard(self._command)
            self.query_one(Keys).say(f"copied: {self._command}")

    def action_back(self) -> None:
        """To where it was called from."""
        self.dismiss()

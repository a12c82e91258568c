"""The program around the screens: which terminal it has, and who answers."""

from __future__ import annotations

import locale
import os
from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.app import App
from textual.screen import Screen

from flux.screens.lines import Terminal
from flux.screens.reader import Reader


class DebugApp(App[None]):
    """A full-screen program in the terminal's own colours, over one reader."""

    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    CSS = """
    Screen { background: ansi_default; color: ansi_default; overflow: hidden; }
    Lines { height: 1fr; }
    Lines, Bar, Search { background: ansi_default; color: ansi_default; }
    #steps { width: 38%; min-width: 26; }
    #detail { width: 1fr; border-left: solid ansi_bright_black; }
    .colourless #detail { border-left: solid ansi_default; }
    .ascii #detail { border-left: ascii ansi_default; }
    """

    def __init__(self, reader: Reader, first: Callable[[], Screen[None]], terminal: Terminal) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.reader = reader
        self.terminal = terminal
        self._first = first

    async def action_quit(self) -> None:
        """At once, also while a question takes long."""
        self.reader.leave()
        self.exit()

    def on_mount(self) -> None:
        """The first screen."""
        self.set_class(not self.terminal.color, "colourless")
        self.set_class(self.terminal.signs == "ascii", "ascii")
        self.push_screen(self._first())


def terminal_here(*, color: bool, environment: Mapping[str, str] = os.environ) -> Terminal:
    """What this terminal can show: a text console has fewer signs, one without UTF-8 none beyond ASCII."""
    if "utf" not in locale.getpreferredencoding(False).lower():
        return Terminal("ascii", color)
    return Terminal("console" if environment.get("TERM") == "linux" else "all", color)

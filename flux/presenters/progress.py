"""One line on stderr that says how far a long thing is: on a terminal only, drawn again at most ten times a second."""

from __future__ import annotations

import os
import sys
import time

from flux.presenters.text import cut, pad, render

#: Seconds between two drawings, and before the first one: what is done by then needs no bar.
PAUSE = 0.1
PATIENCE = 0.3

_BAR = 24


class Progress:
    """The line. Whoever prints something else calls clear() first."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._next = time.monotonic() + PATIENCE
        self._shown = False

    def show(self, what: str, done: int, total: int) -> None:
        """Show that so much of so much is done; `total` may be a guess, and 0 where nobody knows."""
        if not self._terminal or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PAUSE
        self._shown = True
        sys.stderr.write("\r\x1b[2K" + render(progress_line(what, done, total, _columns()), color=False))
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._shown = False


def progress_line(what: str, done: int, total: int, columns: int) -> str:
    """sandbox: users  ████████░░░░░░░░  12,000 of 50,000"""
    count = f"{done:,} of {total:,}" if total else f"{done:,}"
    bar = ""
    if total and columns >= 60:
        filled = min(_BAR, _BAR * done // total)
        bar = "█" * filled + "░" * (_BAR - filled) + "  "
    room = max(8, columns - len(bar) - len(count) - 5)
    return f"  {pad(cut(what, room), min(room, 32))}  {bar}{count}"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80

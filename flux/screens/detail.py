"""The right side: one step in full, or the rows as they were at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flux.presenters.steps import About, Line
from flux.screens.lines import Lines


class Detail(Lines):
    """Lines some of which are about a row of data."""

    def __init__(self) -> None:
        super().__init__(id="detail")
        self._given: Callable[[int], Iterable[Line]] = lambda columns: ()
        self._lines: list[Line] = []

    def give(self, given: Callable[[int], Iterable[Line]]) -> None:
        """Show what `given` lays out for a width."""
        self._given = given
        self._lay_out(0)

    def on_resize(self) -> None:
        """Lay out anew for another width."""
        self._lay_out(self.cursor)

    @property
    def about(self) -> About | None:
        """The row of data under the cursor or, while another widget has the keys, the first one there is."""
        if self.has_focus and self._lines:
            return self._lines[self.cursor].about
        return next((line.about for line in self._lines if line.about), None)

    def _lay_out(self, cursor: int) -> None:
        if self.size.width > 1:
            self._lines = list(self._given(self.size.width - 2))
            self.show(len(self._lines), lambda place, columns: " " + self._lines[place].text, cursor=cursor)

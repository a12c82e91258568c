"""The right side: one step in full, or the rows as they were at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.timer import Timer

from flux.presenters.steps import About, Line
from flux.presenters.text import paint
from flux.screens.lines import Lines

#: Seconds for which an answer may be late without a word.
PATIENCE = 0.2


class Detail(Lines):
    """Lines some of which are about a row of data."""

    def __init__(self) -> None:
        super().__init__(id="detail")
        self._given: Callable[[int], Iterable[Line]] = lambda columns: ()
        self._lines: list[Line] = []
        self._timer: Timer | None = None

    def expect(self) -> None:
        """What stands here is no longer what is asked for: it goes, unless the answer is quick."""
        self._given_up()
        self._timer = self.set_timer(PATIENCE, lambda: self.give(lambda columns: [Line(paint("asking …", "dim"))]))

    def give(self, given: Callable[[int], Iterable[Line]]) -> None:
        """Show what `given` lays out for a width."""
        self._given_up()
        self._given = given
        self._lay_out(0)

    def _given_up(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

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

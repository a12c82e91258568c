"""The line of keys at the bottom, which can be clicked; for a moment it says what a key did instead."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.timer import Timer

from flux.presenters.text import cut, paint, width
from flux.screens.lines import Bar

#: A key as it is shown, what it does in a word, and the name of its action.
Key = tuple[str, str, str]

#: Seconds that a message stays.
STAYS = 6.0


class Keys(Bar):
    """Keys, or what one of them just said."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(id="keys")
        self._keys = keys
        self._said = ""
        self._wrong = False
        self._timer: Timer | None = None
        self.show(self._lines)

    @property
    def said(self) -> str:
        """What is said now."""
        return self._said

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Say something in place of the keys; with `wrong` in red, for as long as nothing else is said."""
        self._said, self._wrong = text, wrong
        if self._timer is not None:
            self._timer.stop()
        self._timer = None if wrong or not text else self.set_timer(STAYS, lambda: self.say(""))
        self.refresh()

    async def on_click(self, event: events.Click) -> None:
        """A click on a key does what the key does."""
        place = 2
        for sign, word, action in self._keys:
            long = width(f"{sign} {word}")
            if place <= event.x < place + long and not self._said:
                await self.screen.run_action(action)
            place += long + 2

    def _lines(self, columns: int) -> Sequence[str]:
        if self._said:
            return ["  " + paint(cut(self._said, columns - 2), "red" if self._wrong else "yellow")]
        line, used = "", 2
        for sign, word, _ in self._keys:
            used += width(f"{sign} {word}") + 2
            if used > columns:
                break
            line += f"{paint(sign, 'bold')} {word}  "
        return ["  " + line]

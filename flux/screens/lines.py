"""Painted lines on the screen: a long list of which only what is seen is laid out, and a few that stand still.

Every character on a screen comes through strip_of(), which shows control characters and knows no markup, so what was
recorded can neither drive the terminal nor style itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as Look
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from flux.presenters.text import paint, pieces

#: Signs of our own that the fonts of a text console lack, each with one of the same width that they have.
CONSOLE = str.maketrans("✔✗…⏎▸▾−–⋯↵", "+x~¶><--~<")

#: Where not even the box-drawing characters can be shown.
ASCII = {**CONSOLE, **str.maketrans("─│├└█→←↑↓·×µ≠≡¶┃━", "-|+`#><^v.xu!=P|-")}

#: Sign tables by what a terminal can show.
SIGNS: dict[str, dict[int, int]] = {"all": {}, "console": CONSOLE, "ascii": ASCII}

_LOOKS = {
    "bold": Look(bold=True),
    "dim": Look(dim=True),
    "red": Look(color="red"),
    "green": Look(color="green"),
    "yellow": Look(color="yellow"),
    "cyan": Look(color="cyan"),
}

Source = Callable[[int, int], str]


@dataclass(frozen=True, slots=True)
class Terminal:
    """What can be shown: `signs` is a key of SIGNS; `color` whether there are colours."""

    signs: str = "all"
    color: bool = True


def strip_of(line: str, columns: int, look: Look, terminal: Terminal) -> Strip:
    """A painted line, cut or filled up to so many columns."""
    segments = []
    signs = SIGNS[terminal.signs]
    for text, colours in pieces(line):
        style = look
        for colour in sorted(colours):
            if terminal.color or colour in ("bold", "dim"):
                style += _LOOKS[colour]
        segments.append(Segment(text.translate(signs) if signs else text, style))
    return Strip(segments).adjust_cell_length(columns, look)


def terminal_of(widget: Widget) -> Terminal:
    """What the terminal of a widget's program can show."""
    found = getattr(widget.app, "terminal", None)
    return found if isinstance(found, Terminal) else Terminal()


class Bar(Widget):
    """A few painted lines that stand still; `given` lays them out for a width."""

    DEFAULT_CSS = "Bar { height: 1; }"

    def __init__(self, *, height: int = 1, id: str | None = None) -> None:
        super().__init__(id=id)
        self.styles.height = height
        self._given: Callable[[int], Sequence[str]] = lambda columns: ()

    def show(self, given: Callable[[int], Sequence[str]]) -> None:
        """Show other lines."""
        self._given = given
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of them."""
        lines = self._given(self.size.width)
        look = self.rich_style
        line = lines[y] if y < len(lines) else ""
        return strip_of(line, self.size.width, look, terminal_of(self))


class Lines(Widget, can_focus=True):
    """A list of painted lines with a cursor; `source` lays out one of them (by place and width) when it is seen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home,g", "edge(-1)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, lines: Lines, place: int) -> None:
            super().__init__()
            self.lines = lines
            self.place = place

        @property
        def control(self) -> Lines:
            """Whose cursor it is."""
            return self.lines

    class Chosen(Moved):
        """A line was chosen, by Enter or by a click on the line under the cursor."""

    def __init__(self, *, always: bool = False, cursorless: bool = False, id: str | None = None) -> None:
        """`always` shows the cursor also while another widget has the keys; `cursorless` only scrolls."""
        super().__init__(id=id)
        self.cursor = 0
        self.top = 0
        self._always = always
        self._cursorless = cursorless
        self._count = 0
        self._source: Source = lambda place, columns: ""

    def show(self, count: int, source: Source, *, cursor: int = 0) -> None:
        """Show other lines; says nothing of the cursor."""
        self._count, self._source = count, source
        self.cursor = max(0, min(cursor, count - 1))
        self._into_view()

    def move_to(self, place: int) -> None:
        """Set the cursor, and say so where it stood elsewhere."""
        place = max(0, min(place, self._count - 1))
        if place != self.cursor:
            self.cursor = place
            self.post_message(self.Moved(self, place))
        self._into_view()

    def scroll_lines(self, by: int) -> None:
        """Move what is seen, not the cursor."""
        self.top = max(0, min(self.top + by, self._count - self.size.height))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line that stands at y now."""
        place = self.top + y
        columns = self.size.width - 1
        look = self.rich_style
        terminal = terminal_of(self)
        line = self._source(place, columns) if place < self._count else ""
        seen = not self._cursorless and (self.has_focus or self._always)
        here = seen and place == self.cursor and self._count > 0
        if here:  # one block, whatever the colours of its parts
            strip = strip_of(line, columns, look + Look(reverse=True), replace(terminal, color=False))
        else:
            strip = strip_of(line, columns, look, terminal)
        return Strip.join([strip, strip_of(self._thumb(y), 1, look, terminal)])

    def _thumb(self, y: int) -> str:
        """The last column: where in the list the screen stands, where there is more than fits."""
        height = self.size.height
        if self._count <= height:
            return ""
        long = max(1, height * height // self._count)
        top = self.top * (height - long) // max(1, self._count - height)
        return paint("█" if top <= y < top + long else "│", "dim")

    def action_move(self, by: int) -> None:
        """A line on or back."""
        self.move_to((self.top if self._cursorless else self.cursor) + by)

    def action_page(self, by: int) -> None:
        """A screen on or back."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_edge(self, side: int) -> None:
        """To the first or the last line."""
        self.move_to(0 if side < 0 else self._count - 1)

    def on_click(self, event: events.Click) -> None:
        """The mouse sets the cursor; a second click chooses."""
        place = self.top + event.y
        if place < self._count:
            if place == self.cursor and event.chain > 1:
                self.post_message(self.Chosen(self, place))
            self.move_to(place)

    def key_enter(self) -> None:
        """Enter chooses."""
        if self._count:
            self.post_message(self.Chosen(self, self.cursor))

    def on_focus(self) -> None:
        """The cursor shows."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor goes."""
        self.refresh()

    def on_resize(self) -> None:
        """What the cursor stands on stays in view."""
        self._into_view()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls."""
        event.stop()
        self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls."""
        event.stop()
        self.scroll_lines(-3)

    def _into_view(self) -> None:
        height = max(1, self.size.height)
        if self._cursorless:
            self.top = self.cursor
        elif not self.top <= self.cursor < self.top + height:
            self.top = self.cursor if self.cursor < self.top else self.cursor - height + 1
        self.top = max(0, min(self.top, self._count - height))
        self.refresh()

"""Where one types what to look for."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class Search(Input):
    """One line at the bottom, there only while one types."""

    DEFAULT_CSS = """
    Search { display: none; height: 1; border: none; padding: 0 2 !important; }
    Search.typing { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self) -> None:
        super().__init__(placeholder="text in names, SQL, values, errors, logs and writes", id="search", compact=True)

    def begin(self) -> None:
        """Show it and take the keys."""
        self.add_class("typing")
        self.value = ""
        self.screen.set_focus(self)  # at once: the next key may be there already

    def on_blur(self) -> None:
        """Away when the keys go elsewhere, by the mouse for one."""
        self.remove_class("typing")

    def action_leave(self) -> None:
        """Away again, nothing looked for."""
        self.screen.focus_next()

"""flux trace debug: one request on a full screen, its steps on the left, the step in focus on the right."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from flux.context import short_id
from flux.errors import FluxError
from flux.presenters.diff import diff_lines
from flux.presenters.moments import full
from flux.presenters.stepping import state_lines, strip_line, title_lines
from flux.presenters.steps import About, Line, step_lines
from flux.presenters.text import paint, safe, wrap
from flux.presenters.walk import Step
from flux.presenters.why import row_text
from flux.screens.asking import AskingScreen
from flux.screens.detail import Detail
from flux.screens.help import HELP
from flux.screens.keys import Key, Keys
from flux.screens.lines import Bar, Lines
from flux.screens.pager import Pager
from flux.screens.reader import Walk
from flux.screens.search import Search
from flux.screens.steps import StepTree

_KEYS: tuple[Key, ...] = (
    ("↓", "next", "move(1)"),
    ("↑", "prev", "move(-1)"),
    ("e", "expand", "expand"),
    ("q", "quit", "app.quit"),
    ("?", "help", "help"),
    ("/", "search", "search"),
    ("f", "failure", "failure"),
    ("s", "state", "state"),
    ("w", "writer", "writer"),
    ("m", "mutations", "mutations"),
    ("d", "diff", "diff"),
    ("c", "copy command", "copy"),
    ("b", "back", "back"),
)


class WalkScreen(AskingScreen):
    """A walk through one request, which begins at step `number`; `said` is told at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "expand", show=False),
        Binding("slash", "search", show=False, priority=True),  # what is typed next is what to look for
        Binding("n", "found(1)", show=False),
        Binding("N", "found(-1)", show=False),
        Binding("f", "failure", show=False),
        Binding("m", "mutations", show=False),
        Binding("s", "state", show=False),
        Binding("w", "writer", show=False),
        Binding("d", "diff", show=False),
        Binding("c", "copy", show=False),
        Binding("b,escape", "back", show=False),
        Binding("question_mark", "help", show=False),
        Binding("tab,shift+tab", "other_side", show=False, priority=True),
        Binding("q", "app.quit", show=False),
    ]

    def __init__(self, walk: Walk, number: int = 1, said: str = "") -> None:
        super().__init__()
        self.walk = walk
        self._number = number
        self._said = said
        self._expanded = False
        self._state = False
        self._found: list[int] = []

    def compose(self) -> ComposeResult:
        """Head, both sides, the strip of time, keys."""
        yield Bar(id="title", height=2 if self.walk.answer["gaps"] else 1)
        yield Bar(id="rule")
        with Horizontal():
            yield StepTree(self.walk.steps, self._number)
            yield Detail()
        yield Bar(id="strip")
        yield Search()
        yield Keys(_KEYS)

    def on_mount(self) -> None:
        """The keys go to the tree."""
        self.query_one("#rule", Bar).show(lambda columns: [paint("─" * columns, "dim")])
        self.set_focus(self.tree)  # before the screen is seen: keys may come with it
        self.keys.say(self._said)
        self._look()

    @property
    def tree(self) -> StepTree:  # type: ignore[override]  # textual's tree is for its debugging
        """The left side."""
        return self.query_one(StepTree)

    @property
    def detail(self) -> Detail:
        """The right side."""
        return self.query_one(Detail)

    @property
    def keys(self) -> Keys:
        """The last line."""
        return self.query_one(Keys)

    def on_lines_moved(self, event: Lines.Moved) -> None:
        """Another step is in focus."""
        if event.lines is self.tree:
            self._look()

    def on_lines_chosen(self, event: Lines.Chosen) -> None:
        """Enter on a step goes over to its values."""
        if event.lines is self.tree:
            self.detail.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for what was typed."""
        self.query_one(Search).remove_class("typing")
        self.tree.focus()
        wanted = event.value
        if wanted:
            self.ask(lambda: self.reader.containing(self.walk, wanted), partial(self._show_found, wanted), "search")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """While one types what to look for, / and Tab are for that line."""
        return action not in ("search", "other_side") or self.focused is not self.query_one(Search)

    def action_move(self, by: int) -> None:
        """To another step, by the mouse."""
        self.tree.action_move(by)

    def action_other_side(self) -> None:
        """The keys go to the other side."""
        (self.tree if self.detail.has_focus else self.detail).focus()

    def action_expand(self) -> None:
        """Values in full, or short again."""
        self._expanded = not self._expanded
        self._look()

    def action_search(self) -> None:
        """Type what to look for."""
        self.query_one(Search).begin()

    def action_found(self, by: int) -> None:
        """To the next step that the last search found, or to the one before."""
        if not self._found:
            self.keys.say("nothing was searched for; / begins")
            return
        here = self.tree.step.number
        later = [number for number in self._found if number > here]
        earlier = [number for number in self._found if number < here]
        ways = [*later, *self._found] if by > 0 else [*earlier[::-1], *self._found[::-1]]
        self.tree.go(ways[0])
        self.keys.say(f"match {self._found.index(ways[0]) + 1} of {len(self._found)}")

    def action_failure(self) -> None:
        """To the next step in which a failure began."""
        failed = [step.number for step in self.walk.steps if step.began]
        if not failed:
            self.keys.say("no step failed")
            return
        self.tree.go(next((number for number in failed if number > self.tree.step.number), failed[0]))

    def action_mutations(self) -> None:
        """Only the steps that wrote, or all again."""
        if not self.tree.writing and not any(step.writes for step in self.walk.steps):
            self.keys.say("no step wrote a tracked table")
            return
        self.tree.only_writing(not self.tree.writing)
        self.keys.say("only steps that wrote; m shows all" if self.tree.writing else "")

    def action_state(self) -> None:
        """The rows as they were at this step, or its values again."""
        self._state = not self._state
        self._look()

    def action_writer(self) -> None:
        """To the request that last wrote the row under the cursor."""
        about = self.detail.about
        if about is None:
            self.keys.say("no row is here; w asks who last wrote one")
            return
        before = self.tree.step.request_id
        self.ask(lambda: self._written(about, before), lambda answer: self._go_to_writer(about, answer), "go")

    def action_diff(self) -> None:
        """What differs from the last good run of the same function and route."""
        request = self.walk.request["request_id"]
        command = f"flux trace diff {str(request)[:8]}:last-good {str(request)[:8]}"

        def shown(difference: Any) -> None:
            lines: Callable[[int], list[str]] = lambda columns: list(diff_lines(difference, columns, full=True))  # noqa: E731
            self.keys.say("")
            self.app.push_screen(Pager("The last good run (A) and this one (B)", lines, command))

        self.keys.say("comparing …")
        self.ask(lambda: self.reader.difference(request), shown, "go")

    def action_copy(self) -> None:
        """The command that prints the same."""
        command = self._command()
        self.app.copy_to_clipboard(command)
        self.keys.say(f"copied: {command}")

    def action_back(self) -> None:
        """To the screen from which this one was opened."""
        if len(self.app.screen_stack) > 2:
            self.dismiss()
        else:
            self.keys.say("nothing to go back to; q quits")

    def action_help(self) -> None:
        """What the keys do."""
        self.app.push_screen(Pager("Keys", lambda columns: HELP))

    def _command(self) -> str:
        name = str(self.walk.request["request_id"])[:8]
        same = f"flux trace debug {name} --at {self.tree.step.number}"
        about = self.detail.about
        if not self._state or about is None:
            return same
        table, key = about.table.removeprefix("public."), row_text(about.key)
        at = str(self.tree.step.request_id)[:8]
        command = shlex.join(["flux", "state", "show", table, "--id", key, "--at", f"req:{at}"])
        return command if command == safe(command) else same  # what is pasted may be run by its first newline

    def _look(self) -> None:
        """Show the step in focus: at once what is known of it, and its values when they are there."""
        step, total = self.tree.step, len(self.walk.steps)
        self.query_one("#title", Bar).show(lambda columns: title_lines(step, total, self.walk.answer, columns))
        self.query_one("#strip", Bar).show(lambda columns: [strip_line(step, columns)])
        self.detail.expect()
        if self._state:
            self.ask(lambda: self.reader.rows(step), lambda rows: self.detail.give(partial(state_lines, step, rows)))
        elif step.number in self.walk.details:
            self._show_detail(step, self.walk.details[step.number])
        else:
            self.ask(lambda: self.reader.detail(self.walk, step), partial(self._show_detail, step))

    def _show_detail(self, step: Step, detail: Any) -> None:
        self.detail.give(lambda columns: step_lines(step, detail, columns, pretty=self._expanded))
        self.look_ahead(partial(self.reader.detail, self.walk, self.tree.after))

    def _show_found(self, wanted: str, found: list[int]) -> None:
        self._found = found
        self.tree.mark(frozenset(found))
        if not found:
            self.keys.say(f"{wanted!r} is in no step")
            return
        if self.tree.step.number in found:
            self.keys.say(f"match {found.index(self.tree.step.number) + 1} of {len(found)}")
        else:
            self.action_found(1)

    def _written(self, about: About, before: Any) -> tuple[Any, Walk | None]:
        written = about.written or self.reader.last_writer(about.table, about.key, before)
        request = written["request_id"] if written else None
        return written, self.reader.walk(str(request)) if request else None

    def _go_to_writer(self, about: About, answer: tuple[Any, Walk | None]) -> None:
        written, walk = answer
        name = f"{about.table.removeprefix('public.')} {row_text(about.key)}"
        if written is None:
            self.keys.say(f"no earlier write of {name} is recorded")
        elif walk is None:
            self.keys.say(f"{name} was written outside Flux: {written['actor']}, {full(written['recorded_at'])}")
        else:
            number = walk.number_of(written["request_id"], written["span_id"]) or 1
            said = f"{name} was last written here, by {short_id(written['request_id'])}; b goes back"
            self.app.push_screen(WalkScreen(walk, number, said))

    def failed(self, error: FluxError, group: str) -> None:
        """Say what could not be answered where the answer would stand; what stands there stays if it is a true one."""
        if group != "look":
            self.keys.say(error.message)
            return
        text = [error.message, *([error.hint] if error.hint else [])]
        self.keys.say("")
        self.detail.give(lambda columns: [Line(paint(line, "red")) for part in text for line in wrap(part, columns)])

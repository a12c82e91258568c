"""The tree of steps on the left: what is shown of it, and where in it we stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from flux.presenters.stepping import tree_line
from flux.presenters.walk import Step
from flux.screens.lines import Lines


class StepTree(Lines):
    """All steps of a walk, but those inside of a folded one and, if `writing`, those that wrote nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold", show=False),
        Binding("right,l", "unfold", show=False),
    ]

    def __init__(self, steps: Sequence[Step], number: int) -> None:
        super().__init__(always=True, id="steps")
        self._steps = steps
        self._folded: set[int] = set()
        self._has_inside = {step.above for step in steps if step.above is not None}
        self.writing = False
        self.found: Collection[int] = ()
        self._shown = list(range(1, len(steps) + 1))
        self._start = number

    def on_mount(self) -> None:
        """Stand on the first step asked for."""
        self._lay_out(self._start)

    @property
    def step(self) -> Step:
        """The step in focus."""
        return self._steps[self._shown[self.cursor] - 1]

    @property
    def after(self) -> Step:
        """The one below it, to which the next key most often goes; itself where it is the last."""
        return self._steps[self._shown[min(self.cursor + 1, len(self._shown) - 1)] - 1]

    def go(self, number: int) -> None:
        """To a step, which is brought out of whatever hides it."""
        if self.writing and not self._steps[number - 1].writes:
            self.writing = False
        above = self._steps[number - 1].above
        while above is not None:
            self._folded.discard(above)
            above = self._steps[above - 1].above
        was = self._shown[self.cursor]
        self._lay_out(number)
        if number != was:
            self.post_message(self.Moved(self, self.cursor))

    def only_writing(self, wanted: bool) -> None:
        """Show only the steps that wrote, or all."""
        number = self.step.number
        self.writing = wanted
        self._lay_out(number)
        if self.step.number != number:
            self.post_message(self.Moved(self, self.cursor))

    def mark(self, found: Collection[int]) -> None:
        """Mark the steps that a search found."""
        self.found = found
        self.refresh()

    def action_fold(self) -> None:
        """Hide what is inside of the step or, where nothing is shown of it, go to the step around it."""
        step = self.step
        if step.number in self._has_inside and step.number not in self._folded:
            self._folded.add(step.number)
            self._lay_out(step.number)
        elif step.above is not None:
            self.go(step.above)

    def action_unfold(self) -> None:
        """Show what is inside of the step."""
        if self.step.number in self._folded:
            self._folded.discard(self.step.number)
            self._lay_out(self.step.number)

    def _lay_out(self, number: int) -> None:
        hidden: set[int] = set()
        shown = []
        for step in self._steps:
            if step.above in hidden or step.above in self._folded:
                hidden.add(step.number)
            elif not self.writing or step.writes:
                shown.append(step.number)
        self._shown = shown or [number]
        place = next((p for p, one in enumerate(self._shown) if one >= number), len(self._shown) - 1)
        self.show(len(self._shown), self._line, cursor=place)

    def _line(self, place: int, columns: int) -> str:
        step = self._steps[self._shown[place] - 1]
        return tree_line(step, columns, folded=step.number in self._folded, found=step.number in self.found)

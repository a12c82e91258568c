"""Drives the full-screen programs without a terminal: presses keys and gives what then stands on the screen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rich.cells import set_cell_size

from flux.screens.app import DebugApp
from flux.screens.debug import WalkScreen
from flux.screens.lines import Terminal
from flux.screens.reader import Reader
from flux.screens.steps import StepTree

Doing = Callable[[Any], Any]


@dataclass
class Seen:
    """What stands on the screen, line by line, and what the program did."""

    lines: list[str]
    copied: str
    ended: bool
    svg: str
    steps: int = 0

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)

    @property
    def head(self) -> str:
        """The first line."""
        return self.lines[0]

    @property
    def foot(self) -> str:
        """The last line."""
        return self.lines[-1]

    @property
    def tree(self) -> list[str]:
        """The left side, as far as it is filled."""
        left = [set_cell_size(line, self.steps).rstrip() for line in self.lines[2:-2]]
        return [line for line in left if line]


def drive(app: DebugApp, keys: Iterable[str | Doing] = (), size: tuple[int, int] = (80, 24)) -> Seen:
    """Start a program, press keys (or do other things with its pilot), wait for every answer; what is seen then."""
    try:
        return asyncio.run(_drive(app, keys, size))
    finally:
        app.reader.left = False  # other tests ask it too


def walk_through(
    reader: Reader, given: str, *keys: str | Doing, size: tuple[int, int] = (80, 24), terminal: Terminal | None = None
) -> Seen:
    """`drive` over flux trace debug ID."""
    walk = reader.walk(given)
    return drive(DebugApp(reader, lambda: WalkScreen(walk), terminal or Terminal()), keys, size)


async def _drive(app: DebugApp, keys: Iterable[str | Doing], size: tuple[int, int]) -> Seen:
    async with app.run_test(size=size) as pilot:
        await _settle(app, pilot)
        for key in keys:
            await (pilot.press(key) if isinstance(key, str) else key(pilot))
            if app.is_running and app._exit:
                break
            await _settle(app, pilot)
        ended = bool(app._exit)
        lines = (
            []
            if ended
            else ["".join(piece.text for piece in strip) for strip in app.screen._compositor.render_strips()]
        )
        svg = "" if ended else re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="flux"))
        steps = 0 if ended else sum(tree.size.width for tree in app.screen.query(StepTree))
        return Seen([line.rstrip() for line in lines], app.clipboard, ended, svg, steps)


async def _settle(app: DebugApp, pilot: Any) -> None:
    """Until every question was answered and shown; what listens without an end is not waited for."""
    while any(not worker.is_finished for worker in app.workers if worker.group != "listening"):
        await asyncio.sleep(0.005)
    await pilot.pause()

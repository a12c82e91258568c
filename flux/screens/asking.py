"""A screen that asks the record beside the keys, so that they go on working whatever a question takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar, cast

from textual.screen import Screen
from textual.worker import get_current_worker

from flux.errors import FluxError
from flux.screens.reader import Reader

if TYPE_CHECKING:
    from flux.screens.app import DebugApp

Answer = TypeVar("Answer")


class AskingScreen(Screen[None]):
    """Says what could not be answered through `failed`."""

    @property
    def reader(self) -> Reader:
        """Who answers."""
        return cast("DebugApp", self.app).reader

    def ask(self, question: Callable[[], Answer], show: Callable[[Answer], None], group: str = "look") -> None:
        """Ask in a thread and show the answer; of two questions of a group only the later one's."""

        def asked() -> None:
            worker = get_current_worker()
            if worker.is_cancelled:  # it waited for a thread, and something else is wanted now
                return
            try:
                answer = question()
            except FluxError as error:
                if not worker.is_cancelled:
                    self.app.call_from_thread(self.failed, error, group)
                return
            if not worker.is_cancelled:
                self.app.call_from_thread(show, answer)

        self.run_worker(asked, thread=True, exclusive=True, group=group)

    def look_ahead(self, question: Callable[[], object]) -> None:
        """Ask what is probably wanted next, so that it is there; an error is told when it is really asked for."""

        def asked() -> None:
            with suppress(FluxError):
                question()

        self.run_worker(asked, thread=True, exclusive=True, group="ahead")

    def failed(self, error: FluxError, group: str) -> None:
        """Tell an error where people look for the answers of a group."""
        raise NotImplementedError

"""How an answer is to look, decided once a command: for a program or a person, in colour or not, how wide.

Also the one shape in which errors are told, so that the command line and every command have the same voice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click

from flux.presenters.text import paint, render

#: Columns when nobody says how many: a pipe, or a terminal that does not tell.
WIDTH = 80

#: Narrower than this, nothing can be laid out; lines then wrap as the terminal likes.
NARROWEST = 40


@dataclass(frozen=True, slots=True)
class Style:
    """`json` for a program; else lines of `width` columns, in `color` or not. `terminal`: a person sees stdout live."""

    json: bool
    color: bool
    width: int
    terminal: bool

    @property
    def interactive(self) -> bool:
        """Whether a person sees stdout and types, so that a full-screen program can run."""
        return self.terminal and not self.json and sys.stdin.isatty() and os.environ.get("TERM") not in ("", "dumb")

    @classmethod
    def of_stdout(cls, *, json: bool, color: bool | None) -> Style:
        """The style that fits stdout; `color` None means: in colour on a terminal only."""
        terminal = sys.stdout.isatty()
        return cls(
            json=json,
            color=not json and (terminal if color is None else color),
            width=max(NARROWEST, _columns(terminal)),
            terminal=terminal,
        )


def wanted_color(environment: Mapping[str, str] = os.environ) -> bool | None:
    """What the environment says about colour: NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, TERM=dumb; None if nothing."""
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return False if environment.get("TERM") == "dumb" else None


def present_error(message: str, hint: str | None = None) -> None:
    """Tell an error on stderr as `error: …`, and `hint: …` below it; colours go where the terminal shows them."""
    first, *more = message.splitlines() or [""]
    _talk(f"{paint('error:', 'red')} {first}")
    for line in more:
        _talk(line)
    for number, line in enumerate((hint or "").splitlines()):
        _talk(line if number else f"{paint('hint:', 'dim')} {line}")


def _talk(line: str) -> None:
    """click takes colours out again where stderr is no terminal, or the context forbids them."""
    click.echo(render(line, color=True), err=True)


def _columns(terminal: bool) -> int:
    """COLUMNS, or what the terminal has."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH if terminal else WIDTH
    except OSError:
        return WIDTH

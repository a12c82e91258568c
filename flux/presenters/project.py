"""What flux init says: the files it made, and the first three commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from flux.presenters.answer import present, remark
from flux.presenters.style import Style
from flux.presenters.text import paint, render

BUILD = (("flux build", "compiles the function"),)
NEXT = (
    ("flux dev", "serves it at http://localhost:4000"),
    ("""curl localhost:4000/hello -H content-type:application/json -d '{"name":"Ada"}'""", "in another terminal"),
    ("flux state history greetings --id 1", "which request wrote that row"),
)


def present_project(folder: Path, made: Sequence[str], kept: Sequence[str], style: Style) -> None:
    """The files to stdout, as they can be opened from here; the rest is talk."""
    present([str(folder / path) for path in made], style)
    for path in kept:
        remark(f"kept your {path}")
    if folder != Path():
        _talk(f"\n  {paint(f'cd {shlex.quote(str(folder))}', 'cyan')}", style)
    else:
        _talk("", style)
    for command, purpose in (*BUILD, *NEXT) if any(is_built(path) for path in made) else NEXT:
        _talk(f"  {paint(command, 'cyan')}", style)
        _talk(f"      {paint(purpose, 'dim')}", style)


def is_built(path: str) -> bool:
    """Whether this file of a project says how a function is built."""
    return path.startswith("functions/") and path.endswith("/flux.toml")


def _talk(line: str, style: Style) -> None:
    for part in line.split("\n"):
        click.echo(render(part, style.color), err=True)

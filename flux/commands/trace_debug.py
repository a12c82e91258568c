"""flux trace debug: a request step by step, on a full screen or as lines."""

from __future__ import annotations

from typing import Any

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import UsageError
from flux.presenters.style import Style


@click.command
@click.argument("request", metavar="ID")
@click.option("--at", "number", type=click.IntRange(1), metavar="N", help="Print step N alone.")
@click.option("--plain", is_flag=True, help="Print the steps one below the other; so it is without a terminal, too.")
@answer_options
@click.pass_obj
def debug(project: Project, request: str, number: int | None, plain: bool, style: Style) -> None:
    """Step through a request on a full screen: what went in and out, errors, SQL, logs and writes of each step.

    ID is 4 or more of the first digits of a request id, with or without req:, or a job as job:1234. Exit code 1 when
    there is no such request, or when its record lacks something, which is then said; 2 when it has no such step.
    """
    from flux.engine.server import database
    from flux.screens.reader import Reader

    with database(project) as url:
        reader = Reader(project, url)
        try:
            walk = reader.walk(request)
            if number is not None and number > len(walk.steps):
                raise UsageError(f"the request has {len(walk.steps)} steps, and no step {number}")
            if plain or number or style.json or not style.interactive or not walk.steps:
                _print(reader, walk, style, number)
            else:
                _run(reader, walk, style)
        finally:
            reader.close()
    if walk.answer["gaps"]:
        raise click.exceptions.Exit(1)


def _run(reader: Any, walk: Any, style: Style) -> None:
    from flux.screens.app import DebugApp, terminal_here
    from flux.screens.debug import WalkScreen

    app = DebugApp(reader, lambda: WalkScreen(walk), terminal_here(color=style.color))
    app.run()
    if app.return_code:  # it said why
        raise click.exceptions.Exit(app.return_code)


def _print(reader: Any, walk: Any, style: Style, number: int | None) -> None:
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.steps import plain_lines, walk_json

    steps = walk.steps if number is None else [walk.steps[number - 1]]
    details = reader.details(walk) if number is None else [reader.detail(walk, steps[0])]
    if style.json:
        present_json(walk_json(walk.answer, steps, details, len(walk.steps)))
        return
    for place, (step, detail) in enumerate(zip(steps, details, strict=True)):
        if place:
            click.echo()
        present(plain_lines(step, len(walk.steps), detail, style.width), style)
    for gap in walk.answer["gaps"]:
        remark(f"not recorded: {gap['gap']}")

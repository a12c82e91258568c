"""flux debug: the latest failures on a full screen, live; Enter steps through one."""

from __future__ import annotations

from typing import Any

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.option("--refused", is_flag=True, help="Refused requests (401, 404, 422, …) too.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="How many failures.")
@click.option("--plain", is_flag=True, help="Print the list; so it is without a terminal, too.")
@answer_options
@click.pass_obj
def debug(project: Project, refused: bool, limit: int, plain: bool, style: Style) -> None:
    """The latest failures on a full screen, newest first, live; Enter steps through one.

    Exit code 1 when nothing is recorded, so that nothing is known.
    """
    from flux.engine.server import database
    from flux.screens.reader import Reader

    with database(project) as url:
        reader = Reader(project, url)
        try:
            rows = reader.failures(refused=refused, most=limit)
            if plain or style.json or not style.interactive:
                _print(reader, rows, style)
            else:
                _run(reader, rows, style, refused, limit)
        finally:
            reader.close()


def _run(reader: Any, rows: list[dict[str, Any]], style: Style, refused: bool, limit: int) -> None:
    from flux.screens.app import DebugApp, terminal_here
    from flux.screens.failures import FailureScreen

    first = FailureScreen(rows, refused=refused, most=limit)
    app = DebugApp(reader, lambda: first, terminal_here(color=style.color))
    app.run()
    if app.return_code:  # it said why
        raise click.exceptions.Exit(app.return_code)


def _print(reader: Any, rows: list[dict[str, Any]], style: Style) -> None:
    from flux.presenters.answer import present_json, remark
    from flux.presenters.request_line import request_line

    if style.json:
        present_json(rows)
    for row in [] if style.json else rows:
        click.echo(request_line(row, style, dated=True))
    if not rows and not reader.anything():
        remark("no requests were recorded, so nothing is known")
        raise click.exceptions.Exit(1)
    if not rows:
        remark("no recorded request failed")

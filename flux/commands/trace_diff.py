"""flux trace diff: how two executions differ, step by step and value by value."""

from __future__ import annotations

from typing import Literal, get_args
from uuid import UUID

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style

Part = Literal["spans", "mutations", "output"]


@click.command
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--only", type=click.Choice(get_args(Part)), help="Compare this part alone, also for the exit code.")
@click.option("--full", is_flag=True, help="Every step and write, the equal ones too, and every volatile value.")
@answer_options
@click.pass_obj
def diff(project: Project, a: str, b: str, only: Part | None, full: bool, style: Style) -> None:
    """How execution B differs from execution A: steps, writes, and what came in and went out.

    A and B are ids; ID:last-good, the last good run of the same function before it; or CODE:ID, the replay of a request
    on other code (a commit, a deployment, a path), which is made if there is none yet. Exit code 0: the same; 1: they
    differ, or it is not known.
    """
    from flux.engine.generated import generated_columns
    from flux.engine.questions import asking
    from flux.engine.server import database
    from flux.presenters.answer import present, present_json
    from flux.presenters.diff import diff_json, diff_lines
    from flux.presenters.moments import local_zone
    from flux.replay.compare import compare
    from flux.replay.sides import Sides

    with database(project) as url, asking(url, local_zone()) as questions:
        sides = Sides(project, url, questions, _making)
        one, other = sides.find(a), sides.find(b)
        generated = generated_columns(url)
    difference = compare(one, other, generated, only=only)
    if style.json:
        present_json(diff_json(difference))
    else:
        present(diff_lines(difference, style.width, full=full), style)
    if not difference.same:
        raise click.exceptions.Exit(1)


def _making(code: str, request: UUID) -> None:
    from flux.context import short_id
    from flux.presenters.answer import remark

    remark(f"replaying {short_id(request)} on {code} …")

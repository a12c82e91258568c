"""flux why: the cause of a failed request, and what the record knows around it."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.argument("request", metavar="ID")
@answer_options
@click.pass_obj
def why(project: Project, request: str, style: Style) -> None:
    """Why a request failed: cause, place in the code, data, steps, since when, which commits, and what to do.

    ID is 4 or more of the first digits of a request id, with or without req:, or a job as job:1234. Exit code 1 when
    there is no such request, or when its record lacks something, which is then said.
    """
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json
    from flux.presenters.moments import local_zone
    from flux.presenters.why import why_lines
    from flux.replay.suspects import suspects

    with questions_of(project, local_zone()) as questions:
        answer = questions.why(request)
        codes = questions.ask("suspect_codes", request=answer["request"]["request_id"])
    answer["suspects"] = suspects(project.root, codes[0] if codes else None, answer["request"])
    if style.json:
        present_json(answer)
    else:
        present(why_lines(answer, style.width), style)
    if answer["gaps"]:
        raise click.exceptions.Exit(1)

"""flux errors: failures grouped by what they share."""

from __future__ import annotations

from datetime import datetime

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.moments import Moment
from flux.presenters.style import Style


@click.command
@click.option("--since", type=Moment(), help="Only since then: 10m (ago), 14:00, yesterday, 2026-03-10.")
@click.option("--function", "function_name", help="Only failures of this function.")
@click.option("--refused", is_flag=True, help="Refused requests (401, 404, 422, …) too.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many kinds of failure.")
@answer_options
@click.pass_obj
def errors(
    project: Project,
    since: datetime | None,
    function_name: str | None,
    refused: bool,
    limit: int,
    style: Style,
) -> None:
    """Failed requests, grouped by what they share: how often, since when, where, and one to ask about."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.errors import error_lines

    with questions_of(project) as questions:
        found = questions.ask("errors_since", since=since, function_name=function_name, with_refused=refused)
        anything = questions.ask("requests_matching", since=since, function_name=function_name, most=1)
    if style.json:
        present_json(found[:limit])
    elif found:
        present(error_lines(found[:limit], style.width), style)
    if len(found) > limit:
        remark(f"and {len(found) - limit} kinds more; --limit {len(found)} shows all")
    if not anything:
        remark("no requests were recorded in that time, so nothing is known")
        raise click.exceptions.Exit(1)
    if not found:
        remark("no recorded request failed")

"""flux deployments: the versions of the functions in the database, and when which of them ran."""

from __future__ import annotations

import click

from flux.commands.options import style_options
from flux.presenters.style import Style


@click.command
@click.option("--history", is_flag=True, help="Every switch there was, in place of the versions.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Only the newest so many.")
@style_options
def deployments(history: bool, limit: int, style: Style) -> None:
    """The deployments in the database, newest first: which is active, since when, by whom, and who serves it.

    Exit code 1 when nothing was deployed.
    """
    from flux.deploy.deployments import home
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.deployments import deployment_lines, history_lines
    from flux.presenters.moments import local_zone

    question, newest = ("deployment_history", "id") if history else ("deployments", "version")
    with questions_of(home(), local_zone()) as questions:
        rows = sorted(questions.ask(question), key=lambda row: row[newest], reverse=True)
    if style.json:
        present_json(rows[:limit])
    elif rows:
        lines = history_lines if history else deployment_lines
        present(lines(rows[:limit], style.width), style)
    if len(rows) > limit:
        remark(f"and {len(rows) - limit} older; --limit {len(rows)} shows all")
    if not rows:
        remark("nothing is deployed in this database; run `flux deploy` in the project")
        raise click.exceptions.Exit(1)

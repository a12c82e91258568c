"""flux state undo: the SQL that takes back what one request committed, or doing it."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.argument("request_id", metavar="ID")
@click.option("--apply", "apply_", is_flag=True, help="Run it, in one transaction, in place of printing it.")
@answer_options
@click.pass_obj
def undo(project: Project, request_id: str, apply_: bool, style: Style) -> None:
    """SQL that takes back what a request committed, newest first.

    Rows that were changed after it are refused, with who changed them. Every statement finds its row only as the
    request left it; where one does not, the whole is rolled back.
    """
    from flux.context import short_id
    from flux.engine.questions import asking
    from flux.engine.server import database
    from flux.engine.undo import apply_undo, plan_undo
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.sandbox import undo_lines

    with database(project) as url:
        with asking(url) as questions:
            plan = plan_undo(questions, request_id)
        if apply_:
            apply_undo(url, plan)
    if style.json:
        present_json(
            {
                "request_id": str(plan.request["request_id"]),
                "rows": plan.rows,
                "statements": list(plan.statements),
                "script": plan.script,
                "applied": apply_,
            }
        )
    elif apply_:
        rows = f"{plan.rows:,} row{'' if plan.rows == 1 else 's'}"
        remark(f"took back {short_id(plan.request['request_id'])}: {rows}, recorded as writes of flux undo")
    else:
        present(undo_lines(plan.request, plan.script, plan.rows), style)

"""flux policies: what each role may do with each table, as Postgres enforces it."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.argument("table", required=False)
@click.option("--role", help="Only this role of db/policies.toml.")
@answer_options
@click.pass_obj
def policies(project: Project, table: str | None, role: str | None, style: Style) -> None:
    """Policies as Postgres has them, of one TABLE or of all, and how they differ from db/policies.toml.

    Exit code 4 when they differ, 1 when there is no such role or table.
    """
    from flux.engine.policies import drift_of
    from flux.engine.questions import asking
    from flux.engine.server import database
    from flux.errors import UnknownRole
    from flux.policies import read_policies
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.policies import drift_lines, policy_lines

    file = read_policies(project.root)
    with database(project) as url:
        with asking(url) as questions:
            named = questions.ask("table_named", given=table)[0]["table_named"] if table else None
            rows = questions.ask("policies")
        differences = drift_of(url, file)
    roles = {*file.roles, *(row["role"] for row in rows)}
    if role is not None and role not in roles:
        raise UnknownRole(f"there is no role {role}", hint=f"There is {', '.join(sorted(roles)) or 'none'}.")
    shown = [row for row in rows if role in (None, row["role"]) and named in (None, row["table_name"])]
    if style.json:
        present_json({"policies": shown, "drift": differences})
    else:
        present([*policy_lines(shown, style.width), *drift_lines(differences, style.width)], style)
    if differences:
        remark("run `flux db migrate`")
        raise click.exceptions.Exit(4)

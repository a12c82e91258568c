"""flux explain: what a query is to the database, and to a role, before it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from flux.commands.invoke import claims_of
from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import DatabaseUnavailable, UsageError
from flux.presenters.style import Style


@click.command
@click.argument("query", metavar="[FILE.json|SQL|-]", required=False)
@click.option("--role", help="As this role of db/policies.toml; service, the default, sees everything.")
@click.option("--claim", "claims", metavar="NAME=VALUE", multiple=True, help="What the caller's token would say.")
@click.option(
    "--parameter", "parameters", metavar="VALUE", multiple=True, help="The value of $1 or the first %s, and on."
)
@click.option("--request", metavar="ID", help="Every query of a recorded request, with its parameters and its role.")
@click.option(
    "--function", "function_name", metavar="NAME", help="The queries that the latest runs of a function sent."
)
@click.option("--plan", is_flag=True, help="Postgres's plan: cost, rows, scans, and the index that would help.")
@click.option("--dry-run", is_flag=True, help="Run it in a transaction that is rolled back, and say what it did.")
@answer_options
@click.pass_obj
def explain(
    project: Project,
    query: str | None,
    role: str | None,
    claims: tuple[str, ...],
    parameters: tuple[str, ...],
    request: str | None,
    function_name: str | None,
    plan: bool,
    dry_run: bool,
    style: Style,
) -> None:
    """What a query is to the database before it runs: its tables, the policies of a role, the SQL that comes of it.

    A query is SQL text or the structured form, as JSON. It is not run, except by --dry-run, which takes everything
    back. Exit code 1 when it is refused or breaks a rule, 3 when there is no database and so only a part is known.
    """
    from flux.engine.server import database
    from flux.explain.asked import asked_query
    from flux.presenters.answer import remark

    if sum(given is not None for given in (query, request, function_name)) != 1:
        raise UsageError("explain takes one of a query, --request and --function", hint="Run `flux explain --help`.")
    asked = asked_query(_text(query), parameters) if query is not None else None
    wanted = {"request": request, "function": function_name, "plan": plan, "dry_run": dry_run}
    try:
        with database(project) as url:
            answers = _answers(project, url, asked, role, claims_of(claims), wanted)
    except DatabaseUnavailable as error:
        if asked is None:
            raise
        remark(error.message)
        answers = _answers(project, None, asked, role, claims_of(claims), wanted)
    _present(answers, style)


def _answers(
    project: Project, url: str | None, asked: Any, role: str | None, claims: dict[str, Any], wanted: dict[str, Any]
) -> list[dict[str, Any]]:
    from flux.explain.asked import Caller, recorded
    from flux.explain.explanation import Explainer

    explainer = Explainer.of(project, url)
    caller = Caller.of(role, claims, project.auth.role_claim)
    if asked is None and url is not None:
        asked, of_record = recorded(url, wanted["request"], wanted["function"])
        caller = caller if role or claims else of_record
    return [explainer.explain(one, caller, plan=wanted["plan"], run=wanted["dry_run"]) for one in asked or ()]


def _text(query: str) -> str:
    """The query itself: of stdin, of a file that is there, or as it was given; raises UsageError."""
    try:
        if query == "-":
            return sys.stdin.buffer.read().decode()
        if query.endswith((".json", ".sql")) and " " not in query.strip():
            return Path(query).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {query}: {getattr(error, 'strerror', None) or error}") from error
    return query


def _present(answers: list[dict[str, Any]], style: Style) -> None:
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.explain import exit_code, explanation_lines

    if style.json:
        present_json({"queries": answers})
    else:
        present((line for answer in answers for line in explanation_lines(answer, style.width)), style)
    if not answers:
        remark("no query is recorded of it")
    code = max((exit_code(answer) for answer in answers), default=1)
    if code:
        raise click.exceptions.Exit(code)

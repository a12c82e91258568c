"""flux db: the project's database: bring it up to date, look at how it differs, open it, choose what is recorded."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict

import click

from flux.commands.options import answer_options, in_project
from flux.config import Project
from flux.presenters.style import Style


@click.group
def db() -> None:
    """The project's database: migrations, what is tracked, and a way in."""


@db.command
@answer_options
@click.pass_obj
def migrate(project: Project, style: Style) -> None:
    """Install Flux and run the project's new migrations, all in one transaction; a second run changes nothing."""
    from flux.engine.installer import install
    from flux.engine.server import database
    from flux.jobs.declarations import declare
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.database import installed_lines
    from flux.runtime.loader import load

    with database(project) as url:
        done = install(url, project, remark)
        with closing(load(project)) as registry:
            faults = declare(url, project, registry)
    if style.json:
        tables = [{"table": name, "outcome": outcome} for name, outcome in done.tables]
        hooks = [{"function": name, "fault": fault} for name, fault in faults.items()]
        present_json({**asdict(done), "tables": tables, "hook_faults": hooks})
        return
    objects = len(done.made) + len(done.dropped)
    warnings = [*done.warnings, *(f"{name} does not run after writes: {fault}" for name, fault in faults.items())]
    present(installed_lines(done.migrations, objects, done.tables, warnings, style.width, done.policies), style)


@db.command
@answer_options
@click.pass_obj
def status(project: Project, style: Style) -> None:
    """How the database differs from the files; changes nothing.

    Exit code 4 when it differs or Flux is not installed in it, 3 when there is no database.
    """
    from flux.engine.installer import status as status_of
    from flux.engine.questions import asking
    from flux.engine.server import database
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.database import status_lines

    with database(project) as url:
        with asking(url) as questions:
            server = questions.server()
        found = status_of(url, project)
    if style.json:
        present_json({**asdict(found), "current": found.current, "server": server})
    else:
        kinds = {
            "to be run": found.pending,
            "edited after they ran; put them back, and write a new migration": found.changed,
            "changed by hand, made anew by the next migrate": found.drifted,
            "in the database, but not in the files": found.unknown,
            "settings of flux.toml not yet in the database": found.settings,
            "policies that are not as db/policies.toml made them": found.policies,
        }
        where = f"PostgreSQL {server['version']}, {'external' if project.database_url else 'embedded'}"
        where = f"{where}, database {server['name']} as {server['role']}"
        present(status_lines(where, found.installed, [kind for kind in kinds.items() if kind[1]], style.width), style)
    if not found.current:
        remark("run `flux db migrate`")
        raise click.exceptions.Exit(4)


@db.command
@answer_options
@click.pass_obj
def url(project: Project, style: Style) -> None:
    """The database's URL, for psql and every other client: psql "$(flux db url)".

    The embedded Postgres runs while a Flux command does, so that of `flux dev` for one.
    """
    from flux.engine.server import database
    from flux.presenters.answer import present_json, remark

    stays = _runs_already(project)
    with database(project) as where:
        if style.json:
            present_json({"url": where, "running": stays})
        else:
            click.echo(where)
    if not stays:
        remark("it runs only while Flux does: start `flux dev`, or use `flux db shell`")


@db.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", metavar="[PSQL ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
@in_project
@click.pass_obj
def shell(project: Project, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; what follows goes to psql: flux db shell -c 'table flux.requests'."""
    from flux.engine.psql import run_psql
    from flux.engine.server import database

    with database(project) as where:
        code = run_psql(where, arguments)
    raise click.exceptions.Exit(code)


@db.command
@click.argument("table")
@answer_options
@click.pass_obj
def track(project: Project, table: str, style: Style) -> None:
    """Record every change of TABLE from now on, even if flux.toml excludes it."""
    from flux.engine.server import database
    from flux.engine.tracking import track as track_table

    with database(project) as where:
        _present(*track_table(where, table), style)


@db.command
@click.argument("table")
@answer_options
@click.pass_obj
def untrack(project: Project, table: str, style: Style) -> None:
    """Record no change of TABLE from now on, until it is tracked again; its history stays."""
    from flux.engine.server import database
    from flux.engine.tracking import untrack as untrack_table

    with database(project) as where:
        _present(*untrack_table(where, table), style)


def _runs_already(project: Project) -> bool:
    """Whether the database is there without this command."""
    from flux.engine.keeper import server_pid

    return project.database_url is not None or server_pid(project.state / "postgres" / "data") is not None


def _present(table: str, outcome: str, style: Style) -> None:
    from flux.presenters.answer import present, present_json
    from flux.presenters.database import tracking_line

    if style.json:
        present_json({"table": table, "outcome": outcome})
    else:
        present([tracking_line(table, outcome)], style)

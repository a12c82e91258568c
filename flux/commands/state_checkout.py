"""flux state checkout: the database as it was, to look around in with psql."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import UsageError
from flux.presenters.style import Style


@click.command
@click.argument("at", metavar="[TIME|ID]", required=False)
@click.option("--tables", metavar="A,B", help="Only these tables, or all; else all that are small enough.")
@click.option("--sandbox-url", metavar="URL", help="A server for it, in place of the database's own.")
@click.option("--list", "list_", is_flag=True, help="The sandboxes there are, in place of making one.")
@click.option("--drop", metavar="NAME", help="Drop this sandbox, in place of making one.")
@answer_options
@click.pass_obj
def checkout(
    project: Project,
    at: str | None,
    tables: str | None,
    sandbox_url: str | None,
    list_: bool,
    drop: str | None,
    style: Style,
) -> None:
    """Make a database with the state of a time, or as a request saw it, and print its URL.

    It stays until it is dropped: psql "$(flux state checkout 14:00)"
    """
    from flux.engine.sandbox import drop_sandbox, sandboxes_of
    from flux.engine.server import database
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.sandbox import sandboxes_lines

    if sum((at is not None, list_, drop is not None)) != 1:
        raise UsageError(
            "say what to check out, or give --list or --drop",
            hint="Write `flux state checkout 14:00`, or a request's id.",
        )
    with database(project) as url:
        if at is not None:
            _make(project, url, at, tables, sandbox_url, style)
        elif drop is not None:
            drop_sandbox(url, drop, sandbox_url)
            if style.json:
                present_json({"dropped": drop})
            else:
                remark(f"dropped {drop}")
        else:
            found = sandboxes_of(url, sandbox_url)
            if style.json:
                present_json(found)
            else:
                present(sandboxes_lines(found), style)


def _make(project: Project, url: str, at: str, tables: str | None, sandbox_url: str | None, style: Style) -> None:
    from flux.commands.state import moment_named
    from flux.engine.questions import asking
    from flux.engine.sandbox import make_sandbox
    from flux.presenters.answer import present_json, remark
    from flux.presenters.progress import Progress
    from flux.presenters.sandbox import sandbox_lines
    from flux.replay.recorded import RecordedRequest
    from flux.replay.touched import touched_in

    progress = Progress()
    named = None if tables is None else [name.strip() for name in tables.split(",") if name.strip()]
    moment = moment_named(url, at)
    touched: frozenset[str] = frozenset()
    if moment.seen_by is not None:
        with asking(url) as questions:
            touched = touched_in(questions, [RecordedRequest.of(questions, moment.seen_by)])
    with make_sandbox(
        url, moment, tables=named, touched=touched, server_url=sandbox_url, on_progress=progress.show
    ) as sandbox:
        sandbox.keep()
        progress.clear()
        if style.json:
            present_json(
                {
                    "url": sandbox.url,
                    "name": sandbox.name,
                    "tables": list(sandbox.tables),
                    "choice": sandbox.choice,
                    "notes": list(sandbox.notes),
                }
            )
            return
        stays = project.database_url is not None or sandbox_url is not None
        click.echo(sandbox.url)
        for line in sandbox_lines(sandbox.name, sandbox.choice, sandbox.notes, style.width, stays=stays):
            remark(line)

"""flux rollback: back to code that ran before, at once."""

from __future__ import annotations

from dataclasses import asdict

import click

from flux.commands.options import style_options
from flux.presenters.style import Style


@click.command
@click.argument("version", required=False)
@click.option("--note", help="Why, for `flux deployments`.")
@style_options
def rollback(version: str | None, note: str | None, style: Style) -> None:
    """Run an earlier deployment again: VERSION, or the one before the active one.

    VERSION is 3, v3 or the first digits of its code. Every server that serves from the database follows within a
    second. The database itself stays as it is: migrations are not undone.
    """
    from flux.deploy.deployments import following, home, roll_back
    from flux.engine.server import database
    from flux.presenters.answer import present_json, remark
    from flux.presenters.deployments import Report

    report = Report(style)
    with database(home()) as url:
        switched = roll_back(url, version, note)
        report.switched(switched.version, switched.previous, switched.code_sha, again=True)
        workers = following(url, switched.version)
        report.following(*workers)
    if style.json:
        serving, behind = workers
        present_json({"deployment": asdict(switched), "workers": {"serving": serving, "behind": behind}})
    if switched.version != switched.previous:
        remark("the database is not rolled back: migrations and data stay as they are")

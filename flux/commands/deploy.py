"""flux deploy: this project's functions into the database, and every server onto them."""

from __future__ import annotations

from dataclasses import asdict

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.option("--note", help="Why, for `flux deployments`.")
@click.option("--dry-run", is_flag=True, help="Pack and load the functions, and change nothing.")
@answer_options
@click.pass_obj
def deploy(project: Project, note: str | None, dry_run: bool, style: Style) -> None:
    """Put this project's functions into the database, and switch every server to them.

    Packs the files that git does not ignore, without secrets; loads them from an unpacked copy; applies migrations; and
    switches in one transaction, which `flux serve --from-database` follows within a second. What does not load is
    refused before anything changes, with exit code 1.
    """
    from flux.deploy.deployments import following, prepared, switch
    from flux.engine.installer import Installed, install
    from flux.engine.server import database
    from flux.presenters.answer import present_json, remark
    from flux.presenters.deployments import Report

    report = Report(style)
    with prepared(project) as ready:
        bundle = ready.bundle
        report.packed(len(bundle.files), len(bundle.packed), bundle.left_out, ready.functions)
        answer = {
            "code_sha": ready.code_sha,
            "content_sha": bundle.content_sha,
            "files": bundle.files,
            "bytes": len(bundle.packed),
            "left_out": [{"file": name, "reason": reason} for name, reason in bundle.left_out],
            "functions": ready.functions,
        }
        installed, switched, workers = Installed(), None, None
        if not dry_run:
            with database(project) as url:
                installed = install(url, ready.project, remark)
                report.migrated(installed.migrations, installed.warnings)
                switched = switch(url, ready, note)
                report.switched(switched.version, switched.previous, switched.code_sha, is_new=switched.is_new)
                workers = following(url, switched.version)
                report.following(*workers)
    if style.json:
        present_json(
            {
                **answer,
                "migrations": installed.migrations,
                "warnings": installed.warnings,
                "deployment": asdict(switched) if switched else None,
                "workers": {"serving": workers[0], "behind": workers[1]} if workers else None,
            }
        )

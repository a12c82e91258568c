"""flux worker: a process that runs jobs and nothing else."""

from __future__ import annotations

import click

from flux.commands.options import style_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.option("--queues", metavar="A,B", help="Only jobs of these queues. Default all.")
@click.option("--concurrency", type=click.IntRange(1, 200), help="Jobs at once, each on a thread. Default 4.")
@click.option("--from-database", is_flag=True, help="Run what `flux deploy` put there, and follow; no files needed.")
@style_options
def worker(queues: str | None, concurrency: int | None, from_database: bool, style: Style) -> None:
    """Run jobs, without serving HTTP; one process, of which any number may run on any number of machines.

    SIGTERM lets running jobs finish and hands back the others; a second one does not wait. What a killed worker was
    running is tried again, at once if another runs in this project, else when its lease has run out.
    """
    from flux.deploy.deployments import bring_up_to_date, home, state_of
    from flux.engine.installer import install
    from flux.engine.server import database
    from flux.gateway.follow import Deployed, Tree
    from flux.gateway.working import work
    from flux.presenters.answer import remark
    from flux.presenters.deployments import say_switched
    from flux.presenters.serving import Announcer

    names = [name for name in (queues or "").split(",") if name] or None
    announcer = Announcer(style)
    project = home() if from_database else Project.find()
    with database(project) as url:
        source = Deployed(url, state_of(project)) if from_database else Tree(project)
        threads = concurrency or source.project.queue.concurrency
        installed = (bring_up_to_date if from_database else install)(url, source.project, remark)
        announcer.installed(installed.migrations, installed.warnings)
        announcer.working(source.project.name, names, threads)
        work(
            project,
            url,
            queues=names,
            concurrency=threads,
            on_record=announcer.answered,
            source=source,
            on_load=announcer.broken,
            on_switch=lambda now, before: say_switched(
                now.version, now.code_sha, before, len(now.registry.functions), style
            ),
            on_error=announcer.failed,
        )

"""flux worker: a process that runs jobs and nothing else."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.option("--queues", metavar="A,B", help="Only jobs of these queues. Default all.")
@click.option("--concurrency", type=click.IntRange(1, 200), help="Jobs at once, each on a thread. Default 4.")
@answer_options
@click.pass_obj
def worker(project: Project, queues: str | None, concurrency: int | None, style: Style) -> None:
    """Run jobs, without serving HTTP; one process, of which any number may run on any number of machines.

    SIGTERM lets running jobs finish and hands back the others; a second one does not wait. What a killed worker was
    running is tried again, at once if another runs in this project, else when its lease has run out.
    """
    from flux.engine.installer import install
    from flux.engine.server import database
    from flux.gateway.working import work
    from flux.presenters.serving import Announcer

    names = [name for name in (queues or "").split(",") if name] or None
    threads = concurrency or project.queue.concurrency
    announcer = Announcer(style)
    with database(project) as url:
        installed = install(url, project)
        announcer.installed(installed.migrations, installed.warnings)
        announcer.working(project.name, names, threads)
        work(
            project,
            url,
            queues=names,
            concurrency=threads,
            on_record=announcer.answered,
            on_load=announcer.broken,
        )

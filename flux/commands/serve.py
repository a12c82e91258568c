"""flux serve: the project for others, in several processes."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.option("--bind", help="Where to listen: HOST:PORT, or unix:PATH. Default 127.0.0.1:4000.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes. Default one a core.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads, and database connections, a process. Default 8.")
@click.option("--no-worker", is_flag=True, help="Run no jobs here: `flux worker` does.")
@answer_options
@click.pass_obj
def serve(
    project: Project, bind: str | None, workers: int | None, threads: int | None, no_worker: bool, style: Style
) -> None:
    """Serve this project in production: several processes, no reload.

    Applies migrations, then serves until SIGTERM, which lets running requests finish. SIGHUP starts fresh processes
    with the code as it is then.
    """
    from flux.engine.installer import install
    from flux.engine.server import database
    from flux.gateway.server import Events, Server, listen
    from flux.presenters.serving import Announcer

    announcer = Announcer(style)
    settings = project.gateway
    listener = listen(bind or settings.bind)
    with database(project) as url:
        installed = install(url, project)
        announcer.installed(installed.migrations, installed.warnings)
        where = "an external database" if project.database_url else "embedded Postgres in .flux/"
        announcer.started(project.name, listener.url, where)
        Server(
            project,
            url,
            listener,
            workers=workers or settings.workers,
            threads=threads or settings.threads,
            jobs=0 if no_worker else project.queue.concurrency,
            events=Events(
                on_record=announcer.answered,
                on_deploy=lambda deployment: announcer.deployed(deployment.registry),
                on_error=announcer.failed,
            ),
        ).run()

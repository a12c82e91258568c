"""flux serve: the project for others, in several processes: its files, or what is deployed in the database."""

from __future__ import annotations

import click

from flux.commands.options import style_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.option("--bind", help="Where to listen: HOST:PORT, or unix:PATH. Default 127.0.0.1:4000.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes. Default one a core.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads, and database connections, a process. Default 8.")
@click.option("--no-worker", is_flag=True, help="Run no jobs here: `flux worker` does.")
@click.option("--from-database", is_flag=True, help="Serve what `flux deploy` put there, and follow; no files needed.")
@style_options
def serve(
    bind: str | None, workers: int | None, threads: int | None, no_worker: bool, from_database: bool, style: Style
) -> None:
    """Serve this project in production: several processes, no reload.

    Applies migrations, then serves until SIGTERM, which lets running requests finish. SIGHUP starts fresh processes
    with the code as it is then. With --from-database it serves the active deployment, and follows when another is.
    """
    from flux.deploy.deployments import active_in, bring_up_to_date, home, state_of
    from flux.engine.installer import install
    from flux.engine.server import database
    from flux.gateway.follow import Deployed, Tree
    from flux.gateway.listening import listen
    from flux.gateway.server import Events, Server
    from flux.presenters.answer import remark
    from flux.presenters.deployments import say_switched, say_tree_is_served
    from flux.presenters.serving import Announcer

    announcer = Announcer(style)
    project = home() if from_database else Project.find()
    listener = None if from_database else listen(bind or project.gateway.bind)
    with database(project) as url:
        source = Deployed(url, state_of(project)) if from_database else Tree(project)
        settings = source.project.gateway
        listener = listener or listen(bind or settings.bind)
        installed = (bring_up_to_date if from_database else install)(url, source.project, remark)
        announcer.installed(installed.migrations, installed.warnings)
        where = "an external database" if project.database_url else "embedded Postgres in .flux/"
        announcer.started(source.project.name, listener.url, where)
        if not from_database and (active := active_in(url)) is not None:
            say_tree_is_served(active.version, active.code_sha, style)
        Server(
            project,
            url,
            listener,
            workers=workers or settings.workers,
            threads=threads or settings.threads,
            jobs=0 if no_worker else source.project.queue.concurrency,
            events=Events(
                on_record=announcer.answered,
                on_deploy=lambda deployment: announcer.deployed(deployment.registry),
                on_switch=lambda now, before: say_switched(
                    now.version, now.code_sha, before, len(now.registry.functions), style
                ),
                on_error=announcer.failed,
            ),
            source=source,
        ).run()

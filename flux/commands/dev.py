"""flux dev: the project on this machine, with a database of its own, reloading what changes."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one. Default 4000.")
@click.option("--no-worker", is_flag=True, help="Run no jobs here.")
@answer_options
@click.pass_obj
def dev(project: Project, port: int | None, no_worker: bool, style: Style) -> None:
    """Serve this project here, and reload functions as they change.

    Starts the embedded Postgres unless the project names a database, applies migrations, and prints each request as it
    ends. Ctrl-C lets running requests finish; a second Ctrl-C does not.
    """
    from flux.engine.installer import install
    from flux.engine.server import database
    from flux.gateway.listening import listen
    from flux.gateway.lock import only_one
    from flux.gateway.server import Events, Server
    from flux.presenters.answer import remark
    from flux.presenters.serving import Announcer

    def migrate() -> None:
        installed = install(url, project, remark)
        announcer.installed(installed.migrations, installed.warnings)

    announcer = Announcer(style)
    listener = listen(f"127.0.0.1:{project.dev_port if port is None else port}")
    with only_one(project, listener.url), database(project) as url:
        migrate()
        where = "an external database" if project.database_url else "embedded Postgres in .flux/"
        announcer.started(project.name, listener.url, where)
        Server(
            project,
            url,
            listener,
            workers=1,
            threads=project.gateway.threads,
            jobs=0 if no_worker else project.queue.concurrency,
            events=Events(
                on_record=announcer.answered,
                on_deploy=lambda deployment: announcer.deployed(deployment.registry),
                on_error=announcer.failed,
                migrate=migrate,
            ),
            stops_on_hangup=True,
        ).run()

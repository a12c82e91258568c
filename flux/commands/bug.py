"""flux bug: which commit broke it."""

from __future__ import annotations

import sys
from typing import Any

import click

from flux.commands.options import answer_options
from flux.commands.stubs import read_stubs
from flux.config import Project
from flux.errors import UsageError
from flux.presenters.moments import Duration
from flux.presenters.style import Style


@click.group
def bug() -> None:
    """Which commit broke it."""


@bug.command
@click.option("--request", required=True, metavar="ID", help="The request that went wrong.")
@click.option("--good", metavar="COMMIT", help="A commit that passes; without it, one is looked for.")
@click.option("--bad", metavar="COMMIT", help="A commit that fails; without it, the one the request ran on.")
@click.option(
    "--expect", metavar="WHAT", help="What a good commit does: 'status<500', 'output.total=58', 'db<=3', 'same'."
)
@click.option("--script", metavar="CMD", help="A command that decides: exit code 0 good, 125 skip, others bad.")
@click.option(
    "--env", "prepare", metavar="CMD", help="A command that makes each commit's folder ready, such as 'uv sync'."
)
@click.option(
    "--repeat", type=click.IntRange(1), default=1, metavar="N", help="Runs of each commit; one failure is bad."
)
@click.option("--timeout", type=Duration(), help="Time limit of a run: 10s; without it, the function's own.")
@click.option("--stub", type=click.File("rb"), help="Answers for calls that the record does not hold, as JSON.")
@click.option("--redacted", is_flag=True, help="Run redacted input too, with [redacted] in its place.")
@click.option("--tables", metavar="NAME,…|all", help="Tables to copy, in place of those the request touched.")
@click.option("--sandbox-url", metavar="URL", help="A server for the sandbox, in place of the database's own.")
@answer_options
@click.pass_obj
def bisect(project: Project, /, request: str, style: Style, **options: Any) -> None:
    """Find the commit that broke a request, by running it again on a few of them.

    Each commit is checked out into a folder of its own, and the request runs there in a sandbox, on the state it saw
    and with the recorded tool answers. Your working tree is not touched. Exit code 1 when no single commit was found.
    """
    from flux.engine.questions import questions_of
    from flux.engine.server import database
    from flux.presenters.bisect import Bisecting
    from flux.replay.culprit import Way, find_culprit
    from flux.replay.recorded import RecordedRequest

    if options["expect"] and options["script"]:
        raise UsageError("--expect and --script both say what is bad", hint="Give one of the two.")
    stubs, tables, timeout = read_stubs(options.pop("stub")), options.pop("tables"), options.pop("timeout")
    way = Way(
        **{"server_url" if name == "sandbox_url" else name: value for name, value in options.items()},
        timeout=timeout / 1_000_000 if timeout else None,
        tables=tuple(name.strip() for name in tables.split(",")) if tables else None,
        stubs=stubs,
    )
    with database(project) as url:
        with questions_of(project) as questions:
            recorded = RecordedRequest.of(questions, questions.value("request_named", given=request))
            if recorded.replay_of:
                recorded = RecordedRequest.of(questions, recorded.replay_of)
        told = Bisecting(style)
        culprit = find_culprit(project, url, recorded, way, told)
    told.ended(culprit)
    sys.exit(culprit.found.result != "found")

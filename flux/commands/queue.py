"""flux queue: what waits, what failed for good, and what to do about it."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import UsageError
from flux.presenters.style import Style

_QUEUE = click.option("--queue", "queue_name", help="Only of this queue.")
_FUNCTION = click.option("--function", "function_name", help="Only for this function.")
_LIMIT = click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many jobs.")


@click.group
def queue() -> None:
    """Jobs: what waits, what failed for good, and what to do about it."""


@queue.command
@answer_options
@click.pass_obj
def stats(project: Project, style: Style) -> None:
    """By function: how many jobs wait, for how long, how many are done a minute, and how long they run."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.queue import stats_lines

    with questions_of(project) as questions:
        rows = questions.ask("queue_stats")
    if style.json:
        present_json(rows)
    else:
        present(stats_lines(sorted(rows, key=lambda row: (row["queue"], row["function"]))), style)
    if not rows and not style.json:
        remark("no job waits, and none ended in the last 15 minutes")


@queue.command("list")
@click.option(
    "--state", type=click.Choice(["ready", "scheduled", "running", "failed"]), help="Only jobs in this state."
)
@_QUEUE
@_FUNCTION
@_LIMIT
@answer_options
@click.pass_obj
def list_(
    project: Project, state: str | None, queue_name: str | None, function_name: str | None, limit: int, style: Style
) -> None:
    """Jobs that are not finished, in the order in which they run."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.moments import local_zone
    from flux.presenters.queue import job_lines

    with questions_of(project, local_zone()) as questions:
        rows = questions.ask(
            "jobs_matching", in_state=state, in_queue=queue_name, for_function=function_name, most=limit
        )
    if style.json:
        present_json(rows)
    else:
        present(job_lines(rows, style.width), style)
    if not rows and not style.json:
        remark("no such job waits")


@queue.command
@_QUEUE
@_FUNCTION
@_LIMIT
@answer_options
@click.pass_obj
def dead(project: Project, queue_name: str | None, function_name: str | None, limit: int, style: Style) -> None:
    """Jobs whose last attempt failed, with the request to ask about."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.moments import local_zone
    from flux.presenters.queue import dead_lines

    with questions_of(project, local_zone()) as questions:
        rows = questions.ask("dead_matching", in_queue=queue_name, for_function=function_name, most=limit)
    if style.json:
        present_json(rows)
    else:
        present(dead_lines(rows, style.width), style)
    if not rows and not style.json:
        remark("no job is dead")


@queue.command
@click.argument("job", metavar="[ID]", required=False)
@click.option("--all", "every", is_flag=True, help="Every dead job, or those of --queue and --function.")
@_QUEUE
@_FUNCTION
@answer_options
@click.pass_obj
def retry(
    project: Project, job: str | None, every: bool, queue_name: str | None, function_name: str | None, style: Style
) -> None:
    """Bring a dead job back; one that waits for its retry or its time runs now."""
    from flux.engine import queue_control
    from flux.engine.server import database

    if every == (job is not None):
        raise UsageError("one job, or all", hint="Give an id, or --all: `flux queue retry --all`.")
    with database(project) as url:
        if job is not None:
            _did(style, f"job:{queue_control.retry(url, job)} is in the queue", job=job)
            return
        count = queue_control.retry_all(url, queue_name, function_name)
    _did(style, f"{count} {'job is' if count == 1 else 'jobs are'} in the queue", retried=count)


@queue.command
@click.argument("job", metavar="ID")
@answer_options
@click.pass_obj
def cancel(project: Project, job: str, style: Style) -> None:
    """Take a job out of the queue; what a running one writes is not committed."""
    from flux.engine import queue_control
    from flux.engine.server import database

    with database(project) as url:
        _did(style, f"job:{queue_control.cancel(url, job)} is cancelled", job=job)


@queue.command
@click.argument("name", metavar="QUEUE")
@answer_options
@click.pass_obj
def pause(project: Project, name: str, style: Style) -> None:
    """Begin no job of a queue until it is resumed; those running go on."""
    _set(project, style, name, f"queue {name} is paused", pause=True)


@queue.command
@click.argument("name", metavar="QUEUE")
@answer_options
@click.pass_obj
def resume(project: Project, name: str, style: Style) -> None:
    """Begin jobs of a paused queue again."""
    _set(project, style, name, f"queue {name} goes on", pause=False)


@queue.command
@click.argument("name", metavar="QUEUE")
@click.argument("most", metavar="NUMBER", type=click.IntRange(0))
@answer_options
@click.pass_obj
def limit(project: Project, name: str, most: int, style: Style) -> None:
    """Run at most so many jobs of a queue at once, over all workers; 0 for no limit."""
    said = f"queue {name} runs at most {most} at once" if most else f"queue {name} has no limit"
    _set(project, style, name, said, limit=most)


def _set(
    project: Project, style: Style, name: str, said: str, *, pause: bool | None = None, limit: int | None = None
) -> None:
    from flux.engine import queue_control
    from flux.engine.server import database
    from flux.presenters.answer import remark

    with database(project) as url:
        known = queue_control.set_queue(url, name, pause=pause, limit=limit)
    _did(style, said, queue=name)
    if not known:
        remark(f"nothing was ever in a queue {name}; it holds once something is")


def _did(style: Style, said: str, **members: object) -> None:
    from flux.presenters.answer import present, present_json
    from flux.presenters.queue import done_line

    if style.json:
        present_json(members)
    else:
        present([done_line(said)], style)

"""flux events: what was published, who is told, and a way to publish by hand."""

from __future__ import annotations

from datetime import datetime

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import UsageError
from flux.presenters.moments import Moment
from flux.presenters.style import Style


@click.group
def events() -> None:
    """Events, and who is told of them and of writes to tables."""


@events.command("list")
@click.option("--type", "pattern", metavar="PATTERN", help="Only of these types: order.paid, order.*.")
@click.option("--since", type=Moment(), help="Only since then: 10m (ago), 14:00, yesterday, 2026-03-10.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@answer_options
@click.pass_obj
def list_(project: Project, pattern: str | None, since: datetime | None, limit: int, style: Style) -> None:
    """The latest events, newest first, each with the request that published it."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.events import event_lines

    with questions_of(project) as questions:
        found = questions.ask("events_published", pattern=pattern, since=since, most=limit)
    if style.json:
        present_json(found)
    elif found:
        present(event_lines(found, style.width), style)
    else:
        remark("no such event was published")


@events.command
@answer_options
@click.pass_obj
def subscribers(project: Project, style: Style) -> None:
    """Who is told of what: functions and webhooks of events, functions of writes to a table.

    Exit code 1 when a hook cannot fire.
    """
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.events import subscriber_lines

    with questions_of(project) as questions:
        found = questions.ask("subscribers")
    if style.json:
        present_json(found)
    elif found:
        present(subscriber_lines(found, style.width), style)
    else:
        remark('nothing is subscribed; subscribe a function: @function(on="order.*"), @function(after="insert", …)')
    if any(row["fault"] for row in found):
        raise click.exceptions.Exit(1)


@events.command
@click.argument("type")
@click.option("--data", metavar="JSON|@FILE|-", help="What to say about it, as a JSON object; - reads stdin.")
@click.option("--subject", help="What it happened to.")
@answer_options
@click.pass_obj
def publish(project: Project, type: str, data: str | None, subject: str | None, style: Style) -> None:
    """Publish an event by hand; subscribers get it like any other."""
    from flux.commands.invoke import arguments
    from flux.encoding import to_json
    from flux.engine.handoffs import publish as publish_event
    from flux.engine.server import database
    from flux.presenters.answer import present, present_json

    if not type.strip():
        raise UsageError("the type of the event is empty", hint="Write words between dots: order.paid.")
    given = to_json(arguments(data)).decode()
    with database(project) as url:
        event = publish_event(url, type, given, subject, f"/{project.name}/flux-events")
    if style.json:
        present_json({"id": event, "type": type})
    else:
        present([f"  published {type} as event {event}"], style)

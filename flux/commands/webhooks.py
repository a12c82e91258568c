"""flux webhooks: receivers of events over HTTP, what was delivered to them, and sending it again."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import NotFound, UsageError
from flux.presenters.style import Style


@click.group
def webhooks() -> None:
    """Receivers of events over HTTP, as [webhooks] in flux.toml names them."""


@webhooks.command("list")
@answer_options
@click.pass_obj
def list_(project: Project, style: Style) -> None:
    """Every webhook: where it is, which events it gets, and how the last delivery went."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.webhooks import webhook_lines

    rows = []
    with questions_of(project) as questions:
        for webhook in project.webhooks:
            latest = questions.ask("webhook_deliveries", webhook_name=webhook.name, most=1)
            rows.append(
                {
                    "webhook": webhook.name,
                    "url": webhook.url,
                    "events": list(webhook.events),
                    "signed": webhook.secret is not None,
                    "last": latest[0] if latest else None,
                }
            )
    if style.json:
        present_json(rows)
    elif rows:
        present(webhook_lines(rows, style.width), style)
    else:
        remark("flux.toml has no [webhooks.NAME]")


@webhooks.command
@click.argument("name", required=False)
@click.option("--open", "open_only", is_flag=True, help="Only those that are not done: waiting, failed, dead.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@answer_options
@click.pass_obj
def deliveries(project: Project, name: str | None, open_only: bool, limit: int, style: Style) -> None:
    """The latest deliveries, to one webhook or to all, newest first, with what the receiver answered."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.webhooks import delivery_lines

    if name is not None and name not in {webhook.name for webhook in project.webhooks}:
        raise NotFound(f"flux.toml has no [webhooks.{name}]", hint="Run `flux webhooks list` to see those there are.")
    with questions_of(project) as questions:
        found = questions.ask("webhook_deliveries", webhook_name=name, open_only=open_only, most=limit)
    if style.json:
        present_json(found)
    elif found:
        present(delivery_lines(found, style.width), style)
    else:
        remark("no such delivery")


@webhooks.command
@click.argument("job", metavar="ID")
@answer_options
@click.pass_obj
def resend(project: Project, job: str, style: Style) -> None:
    """Send a delivery again, whatever became of it: as a job of its own, with the event as it was."""
    from flux.engine.handoffs import resend as resend_delivery
    from flux.engine.server import database
    from flux.presenters.answer import present, present_json

    digits = job.removeprefix("job:")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
        raise UsageError(f'"{job}" is not the id of a delivery', hint="Write job:1234, as `flux webhooks deliveries`.")
    with database(project) as url:
        again = resend_delivery(url, int(digits))
    if style.json:
        present_json({"job_id": again, "resent": int(digits)})
    else:
        present([f"  job:{digits} is sent again as job:{again}"], style)

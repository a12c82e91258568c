"""flux cron: functions that run by the clock: when they do, how it went, and a hand on them."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.group
def cron() -> None:
    """Functions that run by the clock."""


@cron.command("list")
@answer_options
@click.pass_obj
def list_(project: Project, style: Style) -> None:
    """Every schedule: when it runs next, and how it went last."""
    from flux.engine.questions import questions_of
    from flux.jobs.cron import next_tick
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.cron import schedule_lines

    with questions_of(project) as questions:
        rows = [{**row, "next_tick": next_tick(row)} for row in questions.ask("cron")]
    if style.json:
        present_json(rows)
    elif rows:
        present(schedule_lines(rows, style.width), style)
    else:
        remark('no function runs by the clock; give one a schedule: @function(cron="*/5 * * * *")')


@cron.command
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many ticks.")
@answer_options
@click.pass_obj
def history(project: Project, name: str | None, limit: int, style: Style) -> None:
    """The latest ticks, of one function or of all, newest first, and what became of each."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json, remark
    from flux.presenters.cron import tick_lines

    with questions_of(project) as questions:
        if name is not None:
            questions.ask("require_schedule", function=name)
        ticks = questions.ask("cron_history", function_name=name, most=limit)
    if style.json:
        present_json(ticks)
    elif ticks:
        present(tick_lines(ticks, style.width), style)
    else:
        remark("no tick has come yet")


@cron.command
@click.argument("name")
@answer_options
@click.pass_obj
def run(project: Project, name: str, style: Style) -> None:
    """Run it now, besides its schedule: as a job, by whichever worker takes it."""
    job = _change(project, "run", name)
    _say(style, {"function": name, "job_id": job}, f"{name} runs as job:{job}")


@cron.command
@click.argument("name")
@answer_options
@click.pass_obj
def pause(project: Project, name: str, style: Style) -> None:
    """Stop its schedule until it is resumed; ticks of that time are not made up for."""
    changed = _change(project, "pause", name)
    _say(style, {"function": name, "changed": changed}, f"{name} {'is' if changed else 'was already'} paused")


@cron.command
@click.argument("name")
@answer_options
@click.pass_obj
def resume(project: Project, name: str, style: Style) -> None:
    """Let a paused schedule go on with its next tick."""
    changed = _change(project, "resume", name)
    _say(style, {"function": name, "changed": changed}, f"{name} {'goes on' if changed else 'was not paused'}")


def _change(project: Project, action: str, name: str) -> int | bool:
    from flux.engine.handoffs import change_schedule
    from flux.engine.server import database

    with database(project) as url:
        changed: int | bool = change_schedule(url, action, name)
    return changed


def _say(style: Style, answer: dict[str, object], words: str) -> None:
    from flux.presenters.answer import present, present_json

    if style.json:
        present_json(answer)
    else:
        present([f"  {words}"], style)

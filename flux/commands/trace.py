"""flux trace: the latest requests, one of them as a tree or step by step, or two of them beside each other."""

from __future__ import annotations

from datetime import datetime

import click
from click_default_group import DefaultGroup

from flux.commands.options import answer_options
from flux.commands.trace_debug import debug
from flux.commands.trace_diff import diff
from flux.config import Project
from flux.errors import UsageError
from flux.presenters.moments import Duration, Moment
from flux.presenters.style import Style


@click.command
@click.argument("request", metavar="[ID]", required=False)
@click.option("--function", "function_name", help="Only requests of this function.")
@click.option("--status", help="Only this status (500), class (5xx) or outcome (error, refused, timeout, crashed, ok).")
@click.option("--since", type=Moment(), help="Only since then: 10m (ago), 14:00, yesterday, 2026-03-10.")
@click.option("--slow", type=Duration(), help="Only what took this long or longer: 200ms, 1.5s.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many requests.")
@click.option("--full", is_flag=True, help="With ID: SQL, input, output and error of every step.")
@click.option("--flame", is_flag=True, help="With ID: the steps as bars on the time axis.")
@click.option("--no-children", is_flag=True, help="With ID: only this request, not what it handed off.")
@answer_options
@click.pass_obj
def show(
    project: Project,
    request: str | None,
    function_name: str | None,
    status: str | None,
    since: datetime | None,
    slow: int | None,
    limit: int,
    full: bool,
    flame: bool,
    no_children: bool,
    style: Style,
) -> None:
    """The latest requests, newest last; with ID, that request step by step, with the jobs it handed off.

    ID is 4 or more of the first digits of a request id, with or without req:, or a job as job:1234.
    """
    from flux.engine.questions import questions_of
    from flux.presenters.moments import local_zone

    if request is None and (full or flame):
        raise UsageError("--full and --flame show one request", hint="Give its id: flux trace ID --flame.")
    with questions_of(project, local_zone()) as questions:
        if request is not None:
            _one(questions.trace(request, children=not no_children), style, full=full, flame=flame)
            return
        rows = questions.ask(
            "requests_matching",
            function_name=function_name, status_like=status, since=since, slower_than_us=slow, most=limit,
        )  # fmt: skip
    _many(rows, style)


class _TraceGroup(DefaultGroup):  # type: ignore[misc]  # has no types
    """Shows the options of what it does by default, which is what most people ask its help for."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of flux trace show, then the commands."""
        show.format_options(click.Context(show), formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_TraceGroup, default="show", default_if_no_args=True, options_metavar="[ID] [OPTIONS]")
def trace() -> None:
    """The latest requests, newest last; with ID, that request step by step.

    ID is 4 or more of the first digits of a request id, with or without req:, or a job as job:1234.
    """


trace.add_command(show)
trace.add_command(diff)
trace.add_command(debug)


def _one(answer: dict[str, object], style: Style, *, full: bool, flame: bool) -> None:
    from flux.presenters.answer import present, present_json
    from flux.presenters.trace import trace_lines

    if style.json:
        present_json(answer)
    else:
        present(trace_lines(answer, style.width, full=full, flame=flame), style)
    if answer["gaps"]:
        raise click.exceptions.Exit(1)


def _many(rows: list[dict[str, object]], style: Style) -> None:
    from flux.presenters.answer import present_json, remark
    from flux.presenters.request_line import request_line

    if style.json:
        present_json(rows)
    for row in [] if style.json else reversed(rows):
        click.echo(request_line(row, style, dated=True))
    if not rows:
        remark("no such request is recorded")
        raise click.exceptions.Exit(1)

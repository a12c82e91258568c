"""flux tail: requests as they end, live."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.moments import Duration, Moment
from flux.presenters.style import Style


@click.command
@click.option("--errors", is_flag=True, help="Only requests that did not end well.")
@click.option("--function", "function_name", help="Only requests of this function.")
@click.option("--slow", type=Duration(), help="Only what took this long or longer: 200ms, 1.5s.")
@click.option("--since", type=Moment(), help="Begin with what ended since then: 10m (ago), 14:00.")
@answer_options
@click.pass_obj
def tail(
    project: Project,
    errors: bool,
    function_name: str | None,
    slow: int | None,
    since: datetime | None,
    style: Style,
) -> None:
    """Requests as they end, within a quarter of a second, until Ctrl-C; with --json, one object a line."""
    from flux.engine.following import Follower
    from flux.engine.server import database
    from flux.presenters.answer import remark

    follower = Follower(since, {"failed_only": errors, "function_name": function_name, "slower_than_us": slow})
    with database(project) as url:
        remark("following requests; Ctrl-C ends")
        try:
            while True:
                _follow(url, follower, style)
        except KeyboardInterrupt:
            return


def _follow(url: str, follower: Any, style: Style) -> None:
    """Print news until the database goes away; then say so, and wait a little."""
    from flux.engine.following import INTERVAL
    from flux.engine.questions import asking
    from flux.errors import DatabaseUnavailable
    from flux.presenters.answer import present_json, remark
    from flux.presenters.request_line import request_line

    try:
        with asking(url) as questions:
            while True:
                for row in follower.news(questions):
                    if style.json:
                        present_json(row, one_line=True)
                    else:
                        click.echo(request_line(row, style))
                time.sleep(INTERVAL)
    except DatabaseUnavailable as error:
        remark(f"{error.message}; trying again")
        time.sleep(1)

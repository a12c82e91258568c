"""flux state: what happened to a row, who wrote each of its columns, and what it, or everything, was at a moment."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import click

from flux.commands.options import answer_options
from flux.commands.state_checkout import checkout
from flux.commands.state_undo import undo
from flux.config import Project
from flux.errors import NotRecorded, UsageError
from flux.presenters.moments import Moment, local_zone, parse_moment
from flux.presenters.style import Style

if TYPE_CHECKING:
    from flux.engine.sandbox import Moment as AnyMoment

_KEY = click.option(
    "--id", "key", required=True, metavar="KEY", help="Primary key: 42, or a=1,b=2 for several columns."
)


@click.group
def state() -> None:
    """What happened to a row, and who did it."""


@state.command
@click.argument("table")
@_KEY
@click.option("--since", type=Moment(), help="Only since then: 10m (ago), 14:00, yesterday, 2026-03-10.")
@click.option("--limit", type=click.IntRange(1), help="Only the latest so many.")
@answer_options
@click.pass_obj
def history(project: Project, table: str, key: str, since: datetime | None, limit: int | None, style: Style) -> None:
    """Every change ever made to a row, oldest first, with the request that made it.

    Follows the row when its key changes; attempts that were rolled back and writes from outside Flux are there too.
    """
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json
    from flux.presenters.history import history_lines

    with questions_of(project, local_zone()) as questions:
        target, row_key = questions.row(table, key)
        changes = questions.ask("state_history", target=target, row_key=row_key, since=since, most=limit)
        if not changes and since is None:
            questions.say_why_unknown(target, row_key)
    if style.json:
        present_json(changes)
    else:
        present(history_lines(target, row_key, changes, style.width), style)


@state.command
@click.argument("table")
@_KEY
@answer_options
@click.pass_obj
def blame(project: Project, table: str, key: str, style: Style) -> None:
    """For each column of a row: its value, and the request that wrote it."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json
    from flux.presenters.history import blame_lines

    with questions_of(project, local_zone()) as questions:
        target, row_key = questions.row(table, key)
        blamed = questions.ask("state_blame", target=target, row_key=row_key)
        if not blamed:
            questions.say_why_unknown(target, row_key)
    if style.json:
        present_json(blamed)
    else:
        present(blame_lines(target, row_key, blamed, style.width), style)


@state.command
@click.argument("table")
@_KEY
@click.option(
    "--at", required=True, metavar="TIME|ID", help="A time (14:00, 10m ago), or the request that saw the row."
)
@answer_options
@click.pass_obj
def show(project: Project, table: str, key: str, at: str, style: Style) -> None:
    """A row as it was at a moment, or as a request saw it."""
    from flux.engine.questions import questions_of
    from flux.presenters.answer import present, present_json
    from flux.presenters.history import show_lines

    with questions_of(project, local_zone()) as questions:
        target, row_key = questions.row(table, key)
        moment = _moment(at)
        if moment is None:
            moment, columns = questions.show(target, row_key, at)
        else:
            columns = questions.ask("state_show", target=target, row_key=row_key, at=moment)
    if not columns:
        raise NotRecorded(
            f"there was no such row in {target} then",
            hint=f"Run `flux state history {table} --id {key}` to see when there was.",
        )
    if style.json:
        present_json({column["name"]: column["value"] for column in columns})
    else:
        present(show_lines(target, row_key, columns, moment, style.width), style)


def _moment(at: str) -> datetime | None:
    """The moment, or None where a request id was given; 2026 alone is a request id."""
    if re.fullmatch(r"(req:)?[0-9a-fA-F]{4,8}(-?[0-9a-fA-F-]*)", at) and not re.match(r"\d{4}-\d\d-\d\d", at):
        return None
    try:
        return parse_moment(at)
    except ValueError:
        raise UsageError(
            f'"{at}" is neither a time nor a request id', hint="Write 14:00, 10m, 2026-03-10T14:00, or req:4f9a3b2c."
        ) from None


def moment_named(url: str, at: str) -> AnyMoment:
    """The state meant by a time or by the id of the request that saw it; raises NotFound, Ambiguous, UsageError."""
    from flux.engine.questions import asking
    from flux.engine.sandbox import Moment as AnyMoment

    moment = _moment(at)
    if moment is not None:
        return AnyMoment(at=moment)
    with asking(url) as questions:
        return AnyMoment(seen_by=questions.value("request_named", given=at))


state.add_command(checkout)
state.add_command(undo)

"""flux incident: recorded traffic run again on other code, to see whether the fix holds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from flux.commands.options import answer_options
from flux.commands.stubs import read_stubs
from flux.config import Project
from flux.errors import UsageError
from flux.presenters.style import Style
from flux.presenters.windows import Window, WindowCommand, WindowType

if TYPE_CHECKING:
    from flux.engine.questions import Questions
    from flux.replay.incident import Way


@click.group
def incident() -> None:
    """Run recorded traffic again, to see whether the fix holds."""


@incident.command(cls=WindowCommand)
@click.argument("window", type=WindowType(), required=False, metavar="[WINDOW]")
@click.option("--request", "requests", multiple=True, metavar="ID", help="This request; may be given several times.")
@click.option("--function", "function_name", help="Only requests of this function.")
@click.option("--failed", is_flag=True, help="Only requests that failed.")
@click.option("--code", metavar="SHA|DEPLOYMENT|PATH", help="Other code than the working tree.")
@click.option(
    "--each-as-of/--in-order",
    default=None,
    help="Each on exactly the state it saw, or one after the other on what those before left.",
)
@click.option("--in-place", is_flag=True, help="Write to the connected database itself, for good.")
@click.option("--yes", is_flag=True, help="With --in-place: do not ask.")
@click.option("--stub", "stub_file", type=click.File("rb"), help="Answers for calls that the record does not hold.")
@click.option("--redacted", is_flag=True, help="Run redacted input too, with [redacted] in its place.")
@click.option("--tables", metavar="NAME,…|all", help="Tables to copy, in place of those the requests touched.")
@click.option("--sandbox-url", metavar="URL", help="A server for the sandbox, in place of the database's own.")
@click.option("--keep", is_flag=True, help="Keep the sandbox, and say how to reach it.")
@click.option("--parallel", type=click.IntRange(1), default=1, metavar="N", help="So many requests at a time.")
@click.option(
    "--fail-if",
    type=click.Choice(["failing", "regressed", "changed"]),
    multiple=True,
    help="Exit with 1 only where a request is so; may be given several times.",
)
@answer_options
@click.pass_obj
def replay(project: Project, /, window: Window | None, style: Style, **options: Any) -> None:
    """Run the requests of a window again on the working tree, in a sandbox with the state they met.

    WINDOW is 14:00..14:05, -15m..now, a day (2026-03-10, yesterday), or ISO times with .. between them. Nothing leaves
    the machine: tool calls are answered from the record, hooks, events, cron and jobs do not run.
    """
    from flux.engine.questions import questions_of
    from flux.engine.server import database
    from flux.presenters.replaying import Replaying
    from flux.replay.incident import replay_incident
    from flux.replay.verdicts import Totals

    way = _way(window, options)
    with database(project) as url:
        with questions_of(project) as questions:
            rows = _rows(questions, window, options)
        if way.in_place and not options["yes"]:
            _confirm(len(rows))
        told = Replaying(style, str(window) if window else "picked by id", way)
        replayed = replay_incident(project, url, rows, way, told)
    told.ended(replayed)
    sys.exit(int(Totals.of(replayed).says_no(options["fail_if"])))


def _way(window: Window | None, options: dict[str, Any]) -> Way:
    """How to replay, from the options; raises UsageError where they contradict each other."""
    from flux.replay.incident import Way

    picked = bool(options["requests"])
    if (window is None) is not picked:
        raise UsageError(
            "give a window of time or --request ID, one of the two",
            hint="Write for instance: flux incident replay 14:00..14:05, or: flux incident replay --request 550e8400",
        )
    if picked and (options["function_name"] or options["failed"]):
        raise UsageError("--function and --failed choose from a window, not from requests given by id")
    if options["in_place"] and (
        options["each_as_of"] or options["tables"] or options["sandbox_url"] or options["keep"]
    ):
        raise UsageError(
            "--in-place has no sandbox", hint="Leave out --each-as-of, --tables, --sandbox-url and --keep."
        )
    tables = options["tables"]
    return Way(
        code=options["code"],
        each_as_of=picked and not options["in_place"] if options["each_as_of"] is None else options["each_as_of"],
        in_place=options["in_place"],
        tables=tuple(name.strip() for name in tables.split(",")) if tables else None,
        server_url=options["sandbox_url"],
        keep=options["keep"],
        stubs=read_stubs(options["stub_file"]),
        redacted=options["redacted"],
        parallel=1 if options["in_place"] else options["parallel"],
    )


def _rows(questions: Questions, window: Window | None, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The requests to be replayed; raises NothingToReplay."""
    from flux.errors import NothingToReplay

    if window is None:
        ids = dict.fromkeys(questions.value("request_named", given=given) for given in options["requests"])
        rows = [questions.ask("request_record", request=request_id)[0] for request_id in ids]
        return [_original(questions, row) for row in rows]
    rows = questions.ask(
        "requests_between",
        since=window.since, until=window.until, function_name=options["function_name"], failed_only=options["failed"],
    )  # fmt: skip
    if not rows:
        kind = " that failed" if options["failed"] else ""
        of = f" of {options['function_name']}" if options["function_name"] else ""
        raise NothingToReplay(
            f"no request{of}{kind} was recorded {window}",
            hint="Run `flux trace --since 1d` to see when there were some.",
        )
    return rows


def _original(questions: Questions, row: dict[str, Any]) -> dict[str, Any]:
    """A replay named by its id stands for the request it replayed."""
    while row["replay_of"] is not None:
        row = questions.ask("request_record", request=row["replay_of"])[0]
    return row


def _confirm(requests: int) -> None:
    """Ask before writing to the connected database; raises UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UsageError(
            "--in-place writes to the connected database, and there is no terminal to ask at",
            hint="Give --yes as well if that is what you want.",
        )
    click.confirm(
        f"Run {requests:,} requests on the connected database, and keep what they write?", abort=True, err=True
    )

"""The command line: finds a command by its name, and turns every error into words and an exit code.

A command's module is imported when it is used, so that the command line starts at once. Exit codes: 0 done; 1 the
answer is no; 2 wrong usage; 3 no database; 4 not installed or drifted; 70 a fault in Flux itself; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from flux.errors import FluxError
from flux.presenters.style import present_error, wanted_color

#: Commands in the order in which people meet them, each with the module that holds it under the same name.
COMMANDS = {
    name: f"flux.commands.{name}"
    for name in (
        "init",
        "dev",
        "build",
        "serve",
        "worker",
        "deploy",
        "deployments",
        "rollback",
        "invoke",
        "queue",
        "cron",
        "events",
        "webhooks",
        "db",
        "explain",
        "policies",
        "trace",
        "debug",
        "why",
        "tail",
        "errors",
        "state",
        "incident",
        "bug",
        "doctor",
    )
}

#: Not 1, which means that the answer is no (sysexits.h: internal software error).
INTERNAL = 70
INTERRUPTED = 130


class CommandLine(click.Group):
    """A group whose commands are imported when they are used, and the edge where errors end."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in their own order, not the alphabet's."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command), f"{COMMANDS[cmd_name]} has no command"  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence of each command's help, whole."""
        rows = [(name, _first_sentence(self.get_command(ctx, name))) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """A context that knows what the environment wants of colours."""
        return super().make_context(info_name, args, parent, color=wanted_color(), **extra)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command line and exit."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal without Unicode gets \u2192 for →, not an error
                stream.reconfigure(errors="backslashreplace")
        try:
            result = super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            sys.exit(_usage(error))
        except click.Abort:
            sys.exit(INTERRUPTED)
        sys.exit(result if isinstance(result, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors become words here, while the context still knows about colours."""
        try:
            return super().invoke(ctx)
        except FluxError as error:
            present_error(error.message, error.hint)
            ctx.exit(error.exit_code)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:  # the edge: a fault in Flux must not look like an answer
            if os.environ.get("FLUX_TRACEBACK"):
                raise
            present_error(
                f"internal error: {type(error).__name__}: {error}",
                "This is a fault in Flux. Run it again with FLUX_TRACEBACK=1 to see where.",
            )
            ctx.exit(INTERNAL)


def _usage(error: click.ClickException) -> int:
    """Say what click found wrong in the voice of Flux; the exit code."""
    message = error.format_message().strip().removesuffix(".")
    context = getattr(error, "ctx", None)
    hint = f"Run `{context.command_path} --help`." if context is not None else None
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(message, err=True)
    elif context is None:
        present_error(_lower(message), hint)
    else:
        with context.scope(cleanup=False):
            present_error(_lower(message), hint)
    return error.exit_code


def _first_sentence(command: click.Command | None) -> str:
    paragraph = (command.help if command else None) or ""
    return " ".join(paragraph.split("\n\n")[0].split()).split(". ")[0].removesuffix(".")


def _lower(message: str) -> str:
    """A sentence's first letter made small, unless a word of capitals begins there."""
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="flux-runtime", message="flux %(version)s")
def main() -> None:
    """A backend runtime on Postgres that records every execution.

    Start with `flux init`, then `flux dev`. When a request fails, `flux why ID` says why.
    """

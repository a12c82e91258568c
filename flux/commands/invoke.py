"""flux invoke: one function, run here and now, and recorded like any request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import InvalidInput, UsageError
from flux.presenters.style import Style


@click.command
@click.argument("name")
@click.option("--data", metavar="JSON|@FILE|-", help="Arguments by name, as a JSON object; - reads stdin.")
@click.option("--claim", "claims", metavar="NAME=VALUE", multiple=True, help="What the caller's token would say.")
@click.option("--role", help="The caller's role, for a function that runs its SQL as its caller.")
@answer_options
@click.pass_obj
def invoke(
    project: Project, name: str, data: str | None, claims: tuple[str, ...], role: str | None, style: Style
) -> None:
    """Run one function here, and print what it returns.

    It runs in this process, with the project's database, and leaves a record of kind invoke. A failure exits with 1.
    """
    from flux.engine.installer import install
    from flux.engine.server import database
    from flux.gateway.once import run_once
    from flux.presenters.answer import remark
    from flux.presenters.invoked import present_reply

    given, said = arguments(data), claims_of(claims)
    if role is not None:
        said[project.auth.role_claim] = role
    with database(project) as url:
        install(url, project, remark)
        try:
            reply = run_once(project, url, name, given, said or None)
        except InvalidInput as error:
            fields = [f"  {problem['field']}: {problem['message']}" for problem in error.problems]
            raise InvalidInput("\n".join([error.message, *fields]), error.problems) from None
    sys.exit(present_reply(reply, style))


def arguments(data: str | None) -> dict[str, Any]:
    """The arguments that --data gives; raises UsageError."""
    import msgspec

    if data is None:
        return {}
    try:
        text = sys.stdin.buffer.read() if data == "-" else data.encode()
        if data.startswith("@"):
            text = Path(data[1:]).read_bytes()
        decoded = msgspec.json.decode(text)
    except OSError as error:
        raise UsageError(f"cannot read {data[1:]}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--data is not JSON: {error}", hint='Give an object: --data \'{"name": "value"}\'') from error
    if not isinstance(decoded, dict):
        raise UsageError("--data is not a JSON object", hint='Give an object: --data \'{"name": "value"}\'')
    return decoded


def claims_of(given: tuple[str, ...]) -> dict[str, Any]:
    """The claims that --claim gives, each as JSON where it can be read as that, else as text; raises UsageError."""
    import msgspec

    claims: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"--claim {pair} is not NAME=VALUE", hint="Write it as --claim sub=5.")
        try:
            claims[name] = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError):
            claims[name] = value
    return claims

"""What `flux invoke` prints: the returned value, or why there is none."""

from __future__ import annotations

import json
import sys

import click

from flux.context import short_id
from flux.presenters.answer import harmless
from flux.presenters.objects import json_of
from flux.presenters.serving import row_of
from flux.presenters.style import Style, present_error
from flux.presenters.text import paint, render, safe
from flux.runtime.runtime import Reply


def present_reply(reply: Reply, style: Style) -> int:
    """Print a reply and give the exit code: the value to stdout as it is, talk to stderr."""
    failed = reply.status >= 400
    if style.json:
        row = {**row_of(reply.record), "output": reply.record.output}
        click.echo(harmless(json_of(row)))
        return int(failed)
    request = short_id(reply.record.context.request_id)
    if reply.problem is None:
        _print_body(reply.body, reply.content_type or "")
    if not failed:
        click.echo(render(f"{paint('✔', 'green')} {paint(request, 'cyan')}", color=True), err=True)
        return 0
    failure = reply.record.failure
    message = failure.message if failure else f"{reply.record.function} answered {reply.status}"
    where = f"\nat {safe(failure.location)}" if failure and failure.location else ""
    present_error(f"{safe(message)}{where}", f"Run `flux why {request.removeprefix('req:')}`.")
    return 1


def _print_body(body: bytes, content_type: str) -> None:
    if content_type.startswith("application/json"):
        if sys.stdout.isatty():
            body = json_of(json.loads(body), indented=True).encode()
        body = harmless(body.decode()).encode()
    elif sys.stdout.isatty():  # a pipe gets it as it is
        body = "\n".join(map(safe, body.decode(errors="replace").splitlines())).encode()
    sys.stdout.buffer.write(body)
    if body and not content_type.startswith("application/octet-stream"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()

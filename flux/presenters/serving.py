"""What a running server tells its terminal: where it is, what it serves, and each request as it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

from flux.errors import FluxError
from flux.presenters.answer import harmless
from flux.presenters.objects import json_of
from flux.presenters.request_line import request_line
from flux.presenters.style import Style
from flux.presenters.text import pad, paint, render
from flux.record import Record
from flux.runtime.loader import Registry


class Announcer:
    """Talks of one server: requests to stdout, everything else to stderr. Used by several threads and processes."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._deployed = False

    def started(self, name: str, url: str, database: str) -> None:
        """The first lines."""
        self._talk(f"{paint('flux', 'bold')} serves {paint(name, 'bold')} at {paint(url, 'cyan')}, {database}")

    def installed(self, migrations: Iterable[str], warnings: Iterable[str]) -> None:
        """What was done to the database now; of Flux's own files one line says it all."""
        applied = list(migrations)
        own = [file for file in applied if not file.startswith("flux/")]
        if len(own) < len(applied):
            self._talk(f"{paint('✔', 'green')} installed Flux in the database")
        for file in own:
            self._talk(f"{paint('✔', 'green')} applied {file}")
        for warning in warnings:
            self._talk(f"{paint('!', 'yellow')} {warning}")

    def deployed(self, registry: Registry) -> None:
        """All routes the first time, later only how many; what is broken every time."""
        functions = registry.functions.values()
        if not self._deployed:
            for function in functions:
                route = f"{pad(function.method or '–', 6)} {function.route or '–'}"
                self._talk(f"  {pad(route, 32)} {function.name}")
            if not functions and not registry.broken:
                self._talk("  no functions yet: write one in functions/, or make an example with `flux init`")
        else:
            noun = "function" if len(functions) == 1 else "functions"
            self._talk(paint(f"reloaded {len(functions)} {noun}", "dim"))
        self._deployed = True
        self.broken(registry)

    def working(self, name: str, queues: Iterable[str] | None, threads: int) -> None:
        """The first line of a worker."""
        of = f"queue {', '.join(queues)}" if queues else "all queues"
        self._talk(f"{paint('flux', 'bold')} works for {paint(name, 'bold')}, {of}, {threads} at once")

    def broken(self, registry: Registry) -> None:
        """What of a project cannot be used."""
        for broken in registry.broken:
            self._talk(f"{paint('error:', 'red')} {broken}")
            if broken.hint:
                self._talk(f"{paint('hint:', 'dim')} {broken.hint}")

    def failed(self, error: FluxError) -> None:
        """A change that could not be put to work."""
        first, *more = error.message.splitlines() or [""]
        self._talk(f"{paint('error:', 'red')} {first}")
        for line in more:
            self._talk(line)
        if error.hint:
            self._talk(f"{paint('hint:', 'dim')} {error.hint}")

    def answered(self, record: Record) -> None:
        """One request, as `flux tail` shows it."""
        row = row_of(record)
        line = harmless(json_of(row)) if self.style.json else request_line(row, self.style)
        with suppress(OSError, ValueError):  # whoever read along went away; requests go on
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def _talk(self, line: str) -> None:
        with suppress(OSError, ValueError):
            click.echo(render(line, self.style.color), err=True)


def row_of(record: Record) -> dict[str, Any]:
    """A record as the columns of flux.trace_requests that a line shows."""
    context, failure = record.context, record.failure
    return {
        "request_id": str(context.request_id),
        "kind": context.kind,
        "method": context.method,
        "path": context.path,
        "route": context.route,
        "function": record.function,
        "status": record.status,
        "outcome": record.outcome,
        "error_type": failure.type if failure else None,
        "error_message": failure.message if failure else None,
        "error_code": failure.code if failure else None,
        "error_location": failure.location if failure else None,
        "started_at": datetime.fromtimestamp(context.started_ns / 1e9, UTC),
        "duration_us": record.duration_us,
        "attempt": context.job.attempt if context.job else record.attempt,
        "code_sha": context.code_sha,
    }

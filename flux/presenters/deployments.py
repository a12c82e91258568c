"""The answers of flux deploy, flux deployments and flux rollback, and what a server says while it follows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from flux.deploy.identity import short_code
from flux.presenters.answer import present
from flux.presenters.moments import ago, full
from flux.presenters.style import Style
from flux.presenters.text import cut, pad, paint, render, width, wrap

Row = Mapping[str, Any]

_DONE = paint("✔", "green")
_NOTE = paint("!", "yellow")


class Report:
    """Tells the steps of a switch as they are done; nothing where the answer is JSON."""

    def __init__(self, style: Style) -> None:
        self.style = style

    def packed(self, files: int, size: int, left_out: Sequence[tuple[str, str]], functions: Sequence[str]) -> None:
        """What is in the bundle, and what is not."""
        self._say(f"  {_DONE} packed {_many(files, 'file')}, {amount(size)}")
        for name, reason in left_out:
            for number, line in enumerate(wrap(f"left out {name}: {reason}", self.style.width - 4)):
                self._say(f"  {' ' if number else paint('–', 'yellow')} {line}")
        self._say(f"  {_DONE} {_many(len(functions), 'function')} loaded from the bundle")

    def migrated(self, migrations: Sequence[str], warnings: Sequence[str]) -> None:
        """What was done to the database before the switch."""
        own = [label for label in migrations if not label.startswith("flux/")]
        if len(own) < len(migrations):
            self._say(f"  {_DONE} installed Flux in the database")
        for label in own:
            self._say(f"  {_DONE} applied {label}")
        for warning in warnings:
            self._say(f"  {_NOTE} {warning}")

    def switched(
        self, version: int, previous: int | None, code_sha: str, *, is_new: bool = False, again: bool = False
    ) -> None:
        """Which version is active now."""
        named = f"{paint(f'v{version}', 'bold')}  {paint(short_code(code_sha), 'cyan')}"
        if previous == version:
            self._say(f"  {_DONE} {named} was active already")
            return
        before = f", in place of v{previous}" if previous is not None else ""
        known = "" if is_new or again else ": its files are the same"
        self._say(f"  {_DONE} {named} is active{'' if is_new else ' again'}{before}{known}")

    def following(self, serving: int, behind: int) -> None:
        """Who runs it."""
        if serving:
            self._say(f"  {_DONE} {_many(serving, 'worker')} {'serves' if serving == 1 else 'serve'} it")
        if behind:
            self._say(f"  {_NOTE} {_many(behind, 'worker')} still on another version; what its server says tells why")
        if not serving and not behind:
            start = "`flux serve --from-database`"
            self._say(f"  {paint('–', 'dim')} no worker follows this database yet: start {start}")

    def _say(self, line: str) -> None:
        if not self.style.json:
            present([line], self.style)


def deployment_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """Versions, newest first: two lines each, and a third for a note."""
    versions = max(len(f"v{row['version']}") for row in rows)
    for row in rows:
        mark = paint("●", "green") if row["is_active"] else " "
        named = pad(paint(f"v{row['version']}", "bold"), versions)
        active = f"  {paint('active', 'green')}" if row["is_active"] else ""
        yield f"  {mark} {named}  {paint(short_code(row['code_sha']), 'cyan')}{active}"
        under = " " * (versions + 6)
        since = row["activated_at"]
        said = [f"{full(since)} ({ago(since)})", f"by {row['activated_by']}"] if since else []
        contents = f"{_many(row['functions'], 'function')} in {_many(row['files'], 'file')}, {amount(row['bytes'])}"
        serving = [f"{_many(row['workers'], 'worker')}"] if row["workers"] else []
        for line in wrap(" · ".join([*said, contents, *serving]), columns - width(under)):
            yield under + paint(line, "dim")
        for line in wrap(row["note"], columns - width(under)) if row["note"] else []:
            yield under + line


def history_lines(rows: Sequence[Row], columns: int) -> Iterator[str]:
    """Each switch on one line, newest first, its note below it."""
    for row in rows:
        before = f"v{row['version_before']} → " if row["version_before"] is not None else ""
        what = f"{before}v{row['version']}"
        line = f"  {full(row['activated_at'])}  {pad(row['kind'], 8)}  {pad(what, 10)}  {short_code(row['code_sha'])}"
        yield cut(f"{line}  {row['activated_by']}", columns)
        for part in wrap(row["note"], columns - 23) if row["note"] else []:
            yield " " * 23 + part


def amount(size: int) -> str:
    """812 bytes, 3.2 KiB, 1.4 MiB"""
    if size < 1024:
        return _many(size, "byte")
    return f"{size / 1024:.1f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"


def say_switched(version: int | None, code_sha: str, before: int | None, functions: int, style: Style) -> None:
    """One worker follows."""
    was = f", after v{before}" if before is not None else ""
    what = f"v{version} {short_code(code_sha)} with {_many(functions, 'function')}"
    talk(f"{_DONE} worker {os.getpid()} serves {what}{was}", style)


def say_tree_is_served(version: int, code_sha: str, style: Style) -> None:
    """A deployment is active, and this server does not serve it."""
    code = short_code(code_sha)
    talk(f"{_NOTE} v{version} ({code}) is deployed in this database, but this server serves the files here", style)
    talk(f"{paint('hint:', 'dim')} To serve what is deployed: `flux serve --from-database`.", style)


def talk(line: str, style: Style) -> None:
    """A line on stderr, from any thread or process of a server."""
    with suppress(OSError, ValueError):
        click.echo(render(line, style.color), err=True)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else noun + 's'}"

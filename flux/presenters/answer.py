"""An answer on stdout: as lines for people, or as JSON with stable keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click

from flux.presenters.objects import json_of, number
from flux.presenters.style import Style
from flux.presenters.text import render

#: What JSON may hold raw, and a terminal takes for a command.
_RAW_CONTROL = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def present(lines: Iterable[str], style: Style) -> None:
    """Print lines as they come."""
    for line in lines:
        click.echo(render(line, style.color))


def present_json(value: Any, *, one_line: bool = False) -> None:
    """Print a value as JSON: times as ISO 8601, ids in full, what only Postgres knows as its text."""
    click.echo(harmless(json_of(value, _as_json, indented=not one_line)))


def harmless(text: str) -> str:
    """JSON with everything escaped that a terminal may obey; it means the same."""
    return _RAW_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_json(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, Decimal) and value.is_finite():
        whole = value.to_integral_value()
        return number(whole if whole == value else value)
    return str(value)


def remark(text: str) -> None:
    """Say something to the person, not to the program that reads stdout."""
    click.echo(render(text, color=False), err=True)

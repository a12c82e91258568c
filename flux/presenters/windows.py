"""Windows of time as people write them: 14:00..14:05, -15m..now, 2026-03-10, yesterday."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from flux.presenters.moments import clock, full, parse_moment

_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|today|yesterday", re.IGNORECASE)
_EXAMPLES = "write 14:00..14:05, -15m..now, 2026-03-10, or 2026-03-10T14:00..14:05"


@dataclass(frozen=True, slots=True)
class Window:
    """What began at `since` or later and before `until`."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        since, until = self.since.astimezone(), self.until.astimezone()
        today = datetime.now().astimezone().date()
        begin = clock(since) if since.date() == until.date() == today else full(since)
        end = clock(until) if since.date() == until.date() else full(until)
        return "–".join(text.removesuffix(":00") if text.count(":") == 2 else text for text in (begin, end))


def parse_window(text: str, now: datetime | None = None) -> Window:
    """The window that a text means; a day stands for the whole of it. Raises ValueError, which says what is wrong."""
    now = now or datetime.now().astimezone()
    since_text, dots, until_text = (part.strip() for part in text.partition(".."))
    if not dots and not _DAY.fullmatch(since_text):
        raise ValueError(f"{text!r} is not a window of time; {_EXAMPLES}")
    since = _moment(since_text, text, now)
    if not dots or _DAY.fullmatch(until_text):
        last = since if not dots else _moment(until_text, text, now)
        until = last + timedelta(days=1)
    elif _CLOCK.fullmatch(until_text):
        at = _moment(until_text, text, now)
        until = since.replace(hour=at.hour, minute=at.minute, second=at.second, microsecond=0)
        if until < since and until_text:  # 23:55..00:05
            until += timedelta(days=1)
    else:
        until = _moment(until_text or "now", text, now)
    if until <= since:
        raise ValueError(f"the window {text} ends before it begins")
    if since > now:
        raise ValueError(f"the window {text} lies in the future")
    return Window(since, until)


def _moment(part: str, text: str, now: datetime) -> datetime:
    try:
        return parse_moment(re.sub(r"^-(?=\d)", "", part), now)
    except ValueError:
        raise ValueError(f"{part!r} in {text!r} is not a time; {_EXAMPLES}") from None


class WindowType(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """An argument that takes a window of time."""

    name = "window"

    def convert(self, value: str | Window, param: click.Parameter | None, ctx: click.Context | None) -> Window:
        """The window; fails with examples of how to write one."""
        if isinstance(value, Window):
            return value
        try:
            return parse_window(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class WindowCommand(click.Command):
    """A command whose window may begin with a minus, which is no option: -15m..now."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The minus is taken away, which changes nothing: 15m is 15 minutes ago."""
        return super().parse_args(ctx, [re.sub(r"^-(?=\d+\w*\.\.)", "", arg) for arg in args])

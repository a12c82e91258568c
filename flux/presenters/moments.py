"""Moments and durations as people write and read them. Moments are shown in the zone of this machine."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from pathlib import Path

import click

from flux.config import duration_seconds

_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def parse_moment(text: str, now: datetime | None = None) -> datetime:
    """The moment meant by 10m (ago), 14:00, yesterday, 2026-03-10, or ISO 8601; raises ValueError.

    A time of day is the last one there was, which is yesterday's where today's is still to come.
    """
    now = now or datetime.now().astimezone()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    text = text.strip()
    words = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if text.lower() in words:
        return words[text.lower()]
    if _CLOCK.fullmatch(text):
        clock = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()
        today = datetime.combine(now.date(), clock).astimezone()
        return today if today <= now else datetime.combine(now.date() - timedelta(days=1), clock).astimezone()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now - timedelta(seconds=duration_seconds(text.lower().removesuffix("ago").strip()))
    return moment.astimezone()


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """An option that takes a moment."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment; fails with examples of how to write one."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write 10m (ago), 14:00, yesterday, or 2026-03-10T14:00", param, ctx)


class Duration(click.ParamType):  # type: ignore[type-arg]  # as above
    """An option that takes a length of time and gives microseconds; a bare number is milliseconds."""

    name = "duration"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The microseconds; fails with examples of how to write a duration."""
        if isinstance(value, int):
            return value
        try:
            return round(duration_seconds(f"{value}ms" if value.isdigit() else value) * 1_000_000)
        except ValueError:
            self.fail(f"{value!r} is not a duration; write 200ms, 1.5s or 2m", param, ctx)


def local_zone() -> str:
    """The zone of this machine as Postgres takes it: Europe/Berlin, or an offset where it has no name."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        try:
            name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
        except OSError:
            name = ""
    if re.fullmatch(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)+|UTC", name):
        return name
    offset = datetime.now().astimezone().strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}"


def clock(moment: datetime) -> str:
    """14:22:01"""
    return f"{moment.astimezone():%H:%M:%S}"


def full(moment: datetime) -> str:
    """2026-03-10 14:22:01"""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def precise(moment: datetime) -> str:
    """2026-03-10 14:22:01.123 CET"""
    local = moment.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {local.tzname()}"


def length(microseconds: float | None) -> str:
    """40µs, 0.8ms, 81ms, 1.23s, 2m05s; a dash where it is not known."""
    if microseconds is None:
        return "–"
    milliseconds = float(microseconds) / 1_000
    if milliseconds < 0.1:
        return f"{float(microseconds):.0f}µs"
    if milliseconds < 9.95:
        return f"{milliseconds:.1f}ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    if milliseconds < 59_995:
        return f"{milliseconds / 1_000:.2f}s"
    minutes, seconds = divmod(round(milliseconds / 1_000), 60)
    return f"{minutes}m{seconds:02d}s"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """just now, 5 minutes ago, 3 days ago"""
    seconds = ((now or datetime.now().astimezone()) - moment).total_seconds()
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"

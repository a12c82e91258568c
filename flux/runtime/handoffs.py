"""What the decorator says of work handed to a function: how its jobs are tried, and what starts it besides HTTP.

A schedule, events and table writes hand it arguments of known names, of which it takes those it has parameters for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flux.config import is_event_pattern
from flux.errors import BadDefinition
from flux.runtime.arguments import Arguments
from flux.runtime.schedule import MISSED, Schedule

#: What each kind of hand-off gives by name; a job gives whatever was pushed.
GIVEN: Mapping[str, tuple[str, ...]] = {
    "cron": ("tick",),
    "event": ("id", "source", "specversion", "type", "time", "subject", "data"),
    "hook": ("operation", "table", "new", "old"),
}

#: The options of @function that are read here.
OPTIONS = ("queue", "max_attempts", "cron", "timezone", "missed", "on", "after", "table", "when")

OPERATIONS = ("insert", "update", "delete")

#: Attempts that fit Postgres's integer with room to spare.
MOST_ATTEMPTS = 1_000_000

_QUEUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Hook:
    """`table` as the user wrote it, `operations` in the order of OPERATIONS, `when` SQL over new and old, or None."""

    table: str
    operations: tuple[str, ...]
    when: str | None


@dataclass(frozen=True, slots=True)
class Handoffs:
    """`queue` and `max_attempts` are None for the project's defaults; `on` are patterns of event types."""

    queue: str | None = None
    max_attempts: int | None = None
    schedule: Schedule | None = None
    on: tuple[str, ...] = ()
    hook: Hook | None = None


class HandoffReader:
    """Reads the options of one function; every error is a BadDefinition with the function's place."""

    def __init__(self, name: str, place: str, arguments: Arguments) -> None:
        self._name = name
        self._place = place
        self._arguments = arguments

    def read(self, options: Mapping[str, Any]) -> Handoffs:
        """The options of OPTIONS by name; those left out, or None, have their defaults."""
        for option in options:
            if option not in OPTIONS:
                near = difflib.get_close_matches(option, OPTIONS, 1)
                raise self._wrong(
                    f"@function of {self._name} has no option {option}", f"Did you mean {near[0]}?" if near else None
                )
        queue, max_attempts, cron, timezone, missed, on, after, table, when = map(options.get, OPTIONS)
        return Handoffs(
            queue=self._queue(queue),
            max_attempts=self._max_attempts(max_attempts),
            schedule=self._schedule(cron, timezone, missed),
            on=self._on(on),
            hook=self._hook(after, table, when),
        )

    def _queue(self, queue: object) -> str | None:
        if queue is None or (isinstance(queue, str) and _QUEUE.fullmatch(queue)):
            return queue
        raise self._wrong(f"the queue of {self._name} is {queue!r}", 'Write a name such as "mail".')

    def _max_attempts(self, attempts: object) -> int | None:
        if attempts is None:
            return None
        if isinstance(attempts, int) and not isinstance(attempts, bool) and 1 <= attempts <= MOST_ATTEMPTS:
            return attempts
        raise self._wrong(
            f"the max_attempts of {self._name} are {attempts!r}", f"Write a number from 1 to {MOST_ATTEMPTS}."
        )

    def _schedule(self, cron: object, timezone: object, missed: object) -> Schedule | None:
        if cron is None:
            self._stands_alone({"timezone": timezone, "missed": missed}, "cron")
            return None
        if not isinstance(cron, str):
            raise self._wrong(f"the cron of {self._name} is {cron!r}", 'Write five fields: "*/5 * * * *".')
        if missed is not None and missed not in MISSED:
            raise self._wrong(f"the missed of {self._name} is {missed!r}", f"It is one of {', '.join(MISSED)}.")
        zone = "UTC" if timezone is None else str(timezone)
        schedule = Schedule(" ".join(cron.split()), zone, str(missed or "once"))
        wrong = schedule.check()
        if wrong is not None:
            raise self._wrong(
                f"the schedule of {self._name} is {cron!r}, and {wrong}",
                'Write minute, hour, day, month and weekday, and a zone of the IANA list: cron="30 2 * * MON-FRI", '
                'timezone="Europe/Berlin".',
            )
        self._takes_what_is_given("cron", "a schedule")
        return schedule

    def _on(self, on: object) -> tuple[str, ...]:
        if on is None:
            return ()
        patterns: Sequence[object] = (on,) if isinstance(on, str) else tuple(on) if isinstance(on, list | tuple) else ()
        for pattern in patterns or (on,):
            if not is_event_pattern(pattern):
                raise self._wrong(
                    f"{self._name} is on {pattern!r}, which is no pattern of event types",
                    'Write words between dots, with * for any: "order.paid", "order.*".',
                )
        self._takes_what_is_given("event", "an event")
        return tuple(dict.fromkeys(str(pattern) for pattern in patterns))

    def _hook(self, after: object, table: object, when: object) -> Hook | None:
        if after is None:
            self._stands_alone({"table": table, "when": when}, "after")
            return None
        words = {word.strip().lower() for word in after.split(",")} if isinstance(after, str) else set()
        if not words or not words <= set(OPERATIONS):
            raise self._wrong(
                f"{self._name} runs after {after!r}", 'Write one or several of insert, update, delete: "insert,update".'
            )
        if not isinstance(table, str) or not table.strip():
            raise self._wrong(
                f"{self._name} runs after {after!r} of no table",
                f'Name it: @function(after="{after}", table="orders").',
            )
        if when is not None and (not isinstance(when, str) or not when.strip()):
            raise self._wrong(
                f"the when of {self._name} is {when!r}", "Write a condition in SQL: when=\"new.status = 'paid'\"."
            )
        self._takes_what_is_given("hook", "a hook")
        operations = tuple(operation for operation in OPERATIONS if operation in words)
        return Hook(table.strip(), operations, when.strip() if isinstance(when, str) else None)

    def _stands_alone(self, options: Mapping[str, object], without: str) -> None:
        """Refuse an option whose main one is missing: a typo must not become a function that nothing starts."""
        for option, value in options.items():
            if value is not None:
                raise self._wrong(
                    f"{self._name} has a {option} and no {without}",
                    f"Add {without}=… to its @function, or take {option} out.",
                )

    def _takes_what_is_given(self, kind: str, article: str) -> None:
        for name in sorted(self._arguments.required - set(GIVEN[kind])):
            raise self._wrong(
                f"{self._name} needs {name}, which {article} does not give",
                f"It gives {', '.join(GIVEN[kind])}; any other parameter needs a default.",
            )

    def _wrong(self, message: str, hint: str | None) -> BadDefinition:
        return BadDefinition(f"{self._place}: {message}", hint=hint)


def taken(kind: str, arguments: Arguments, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a function takes of what a hand-off gives. All of a job's input is meant for it, so nothing is left out."""
    if kind not in GIVEN:
        return given
    return {name: value for name, value in given.items() if arguments.takes(name)}

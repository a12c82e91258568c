"""What is expected of a request that is run again, as --expect says it.

    status<500                              how it ended: status, outcome, error, error.type, error.message, duration
    output.items[0].price = 29              what came out
    db<=3, tool=1, rows<100                 how many steps of a kind there were, how many rows were read
    writes.orders=1                         how many rows were written to a table for good
    written.orders[0].total = 58            what was written
    same, same output|spans|mutations       that it does what the record holds; `changed`: that it does not

Comparisons are joined with `and` or a comma. A value that is not there fulfils no comparison but `= null` and `!=`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from flux.config import duration_seconds
from flux.errors import UsageError
from flux.replay.recorded import RecordedRequest

#: What a path may begin with.
SUBJECTS = (
    "status", "outcome", "function", "duration", "error", "output", "rows", "writes", "written",
    "db", "tool", "log", "queue", "event", "invoke",
)  # fmt: skip

_COMPARISON = re.compile(
    r"""\s*(?P<path>[a-z_]+(?:\.(?:[\w-]+|"[^"]+")|\[\d+\])*)
        \s*(?P<sign><=|>=|!=|==|=|<|>|~)
        \s*(?P<value>"[^"]*"|'[^']*'|(?![<>=!~])[^\s,]+)
        \s*(?P<more>,|and\b|$)""",
    re.VERBOSE,
)
_MEMBER = re.compile(r'\.(?:([\w-]+)|"([^"]+)")|\[(\d+)\]')

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition, such as output.total <= 58. `subject` is what its path begins with."""

    path: str
    sign: str
    value: Any

    @property
    def subject(self) -> str:
        """The first word of the path."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]

    def __str__(self) -> str:
        return f"{self.path} {self.sign} {json.dumps(self.value)}"

    def fails(self, run: RecordedRequest) -> str | None:
        """Why a run does not fulfil it; None when it does."""
        found = value_at(run, self.path)
        if self._holds(found):
            return None
        shown = "not there" if found is None else json.dumps(found, default=str, ensure_ascii=False)
        return (
            f"{self.path} is {shown}, not {'' if self.sign in ('=', '==') else f'{self.sign} '}{json.dumps(self.value)}"
        )

    def _holds(self, found: Any) -> bool:
        one, other = _number(found), _number(self.value)
        both = one is not None and other is not None
        if self.sign in ("=", "=="):
            return one == other if both else found == self.value
        if self.sign == "!=":
            return one != other if both else found != self.value
        if self.sign == "~":
            return found is not None and str(self.value) in (found if isinstance(found, str) else json.dumps(found))
        return both and _SIGNS[self.sign](one, other)


def parse(text: str) -> tuple[Comparison, ...]:
    """The comparisons that --expect gives; raises UsageError, which names the place it does not understand."""
    found, at = [], 0
    while True:
        matched = _COMPARISON.match(text, at)
        if matched is None:
            raise UsageError(
                f'--expect is not understood at "{text[at:].strip() or text}"',
                hint="Write for instance --expect 'status<500', 'output.total = 58', 'db<=3 and tool=1', 'same'.",
            )
        comparison = Comparison(matched["path"], matched["sign"], _value(matched["value"], matched["path"]))
        if comparison.subject not in SUBJECTS:
            raise UsageError(
                f'--expect knows no "{comparison.subject}"',
                hint=f"It knows {', '.join(SUBJECTS[:-1])} and {SUBJECTS[-1]}.",
            )
        found.append(comparison)
        at = matched.end()
        if not matched["more"]:
            return tuple(found)


def value_at(run: RecordedRequest, path: str) -> Any:
    """What a path leads to in the record of a run; None where it leads nowhere."""
    members = [name or quoted or int(number) for name, quoted, number in _MEMBER.findall(path)]
    subject = re.split(r"[.\[]", path, maxsplit=1)[0]
    if subject == "writes":
        tables = Counter(_tables(run))
        return sum(tables.values()) if not members else tables[str(members[0])]
    value = _subject(run, subject)
    for member in members:
        try:
            value = value[member]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _subject(run: RecordedRequest, subject: str) -> Any:
    row = run.request
    if subject in ("status", "outcome", "function", "output"):
        return row.get(subject)
    if subject == "duration":
        return row.get("duration_us")
    if subject == "error":
        members = ("type", "message", "code", "location", "signature")
        return {name: row.get(f"error_{name}") for name in members} if row.get("error_type") else None
    if subject == "rows":
        return sum((span.get("attributes") or {}).get("db.response.returned_rows") or 0 for span in run.spans)
    if subject == "written":
        rows: dict[str, list[Any]] = {}
        for mutation in run.mutations:
            if not mutation["rolled_back"]:
                rows.setdefault(_short(mutation["table_name"]), []).append(mutation.get("new_values") or {})
        return rows
    return sum(span["kind"] == subject for span in run.spans)


def _tables(run: RecordedRequest) -> Sequence[str]:
    return [_short(mutation["table_name"]) for mutation in run.mutations if not mutation["rolled_back"]]


def _short(table: str) -> str:
    return table.removeprefix("public.")


def _value(text: str, path: str) -> Any:
    """A quoted text, a JSON value, or the word itself; microseconds where a duration is compared."""
    if text[:1] in "\"'":
        return text[1:-1]
    if path == "duration":
        try:
            return round(duration_seconds(f"{text}ms" if text.isdigit() else text) * 1_000_000)
        except ValueError:
            raise UsageError(f'--expect: "{text}" is not a duration', hint="Write 200ms or 1.5s.") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _number(value: Any) -> Decimal | None:
    """A number, also where the record keeps it as text, as it does for the values of rows."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None

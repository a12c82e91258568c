"""The answer of flux doctor: one line a finding, with what to do under those that need it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flux.presenters.text import pad, paint, wrap

_MARKS = {"ok": ("✔", "green"), "note": ("–", "yellow"), "problem": ("✗", "red"), "unknown": ("?", "yellow")}


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is ok, note (on purpose, but worth knowing), problem, or unknown (it could not be looked at)."""

    subject: str
    state: str
    finding: str
    hint: str | None = None


def doctor_lines(findings: Sequence[Finding], columns: int) -> Iterator[str]:
    """Findings in their order; a subject is named once."""
    subjects = max(len(finding.subject) for finding in findings)
    before = ""
    for found in findings:
        mark, colour = _MARKS[found.state]
        subject = "" if found.subject == before else found.subject
        before = found.subject
        first, *more = wrap(found.finding, columns - subjects - 6)
        yield f"  {paint(mark, colour)} {pad(subject, subjects)}  {first}"
        under = " " * (subjects + 6)
        for line in more:
            yield under + line
        for line in wrap(found.hint, columns - subjects - 6) if found.hint else []:
            yield under + paint(line, "dim")

"""The answer of flux errors: each kind of failure once: how often, since when, where, and one to ask about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flux.context import short_id
from flux.deploy.identity import short_code
from flux.presenters.moments import ago, full
from flux.presenters.request_line import error_text
from flux.presenters.text import cut, pad, paint, wrap

Row = Mapping[str, Any]


def error_lines(errors: Sequence[Row], columns: int) -> Iterator[str]:
    """Two to four lines an error, the latest first."""
    digits = max(len(f"{row['times']:,}") for row in errors) + 1
    for number, row in enumerate(errors):
        if number:
            yield ""
        times = pad(f"{row['times']:,}×", digits, right=True)
        text = error_text(row["error_type"], row["error_message"]) or row["outcome"]
        first, *more = wrap(text, columns - digits - 4)
        yield f"  {paint(times, 'bold')}  {paint(first, 'red')}"
        under = " " * (digits + 4)
        for line in more[:2]:
            yield under + paint(line, "red")
        where = " · ".join(part for part in (", ".join(row["functions"]), row["error_location"]) if part)
        if where:
            yield under + cut(where, columns - len(under))
        seen = f"last {ago(row['last_seen'])}"
        if row["times"] > 1:
            seen += f" · first {full(row['first_seen'])}"
        code = f" · since code {short_code(row['first_code_sha'])}" if row["first_code_sha"] else ""
        yield under + paint(cut(seen + code, columns - len(under)), "dim")
        yield under + paint(f"flux why {short_id(row['last_request_id']).removeprefix('req:')}", "cyan")

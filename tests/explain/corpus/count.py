"""Reads statements that others wrote with both parsers, and has Postgres say whether sqlglot's reading is the same.

    python tests/explain/corpus/count.py > docs/queries/corpus.md

Needs Postgres, which it starts. What both parsers read alike must have one plan; everything else is listed.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import pq

from flux.explain.parser import Reading, one_spelling, print_tree, read_statements

HERE = Path(__file__).parent

#: File of statements, and what makes its tables.
CORPORA = {
    "PostgreSQL's select.sql": ("postgres/select.sql", "postgres/setup.sql"),
    "PostgreSQL's join.sql": ("postgres/join.sql", "postgres/setup.sql"),
    "Pagila": ("pagila/queries.sql", "pagila/setup.sql"),
}

PLANNED = ("select", "insert", "update", "delete", "merge")
_EXPLAIN = re.compile(r"explain\s*(\([^)]*\)|(analyze|verbose)\b)?\s*", re.IGNORECASE)
_PSQL = re.compile(r"^\\.*$", re.MULTILINE)


@dataclass
class Count:
    """What became of the statements of a file. `silent` must stay empty: read alike, planned otherwise."""

    outcomes: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[str, str]] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All queries of the file that Postgres itself can plan."""
        return self.outcomes.total()


def count(url: str, name: str) -> Count:
    """The count of one corpus, in an empty database."""
    statements, setup = CORPORA[name]
    found = Count()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((HERE / setup).read_text())
        for text in _statements((HERE / statements).read_text()):
            _look(connection, text, found)
            connection.pgconn.exec_(text.encode())  # tables come and go; some statements are wrong on purpose
    return found


def _statements(script: str) -> list[str]:
    return [reading.text for reading in read_statements(_PSQL.sub("", script), marks=False)]


def _look(connection: psycopg.Connection, text: str, found: Count) -> None:
    asked = _EXPLAIN.sub("", text, count=1) if text.lower().startswith("explain") else text
    (reading,) = read_statements(asked, marks=False)
    if reading.kind not in PLANNED or (plan := _plan(connection, asked)) is None:
        return  # no query, or one that Postgres refuses
    found.outcomes[_outcome(connection, reading, plan, found)] += 1


def _outcome(connection: psycopg.Connection, reading: Reading, plan: str, found: Count) -> str:
    if reading.tree is None:
        found.listed.append((reading.text, reading.partial or ""))
        return "not parsed"
    same = _plan(connection, print_tree(reading.tree)) == plan
    if reading.partial is None:
        if not same:
            found.silent.append(reading.text)
        return "same" if same else "silent"
    found.listed.append((reading.text, reading.partial))
    return "flagged, same plan" if same else "flagged, another plan"


def _plan(connection: psycopg.Connection, text: str) -> str | None:
    """Postgres's plan with every expression; None where it refuses the statement."""
    result = connection.pgconn.exec_(f"explain (verbose, costs off) {text}".encode())
    if result.status != pq.ExecStatus.TUPLES_OK:
        return None
    lines = ((result.get_value(row, 0) or b"").decode() for row in range(result.ntuples))
    return "\n".join(map(one_spelling, lines))


def main() -> None:
    """Write the page."""
    from flux.engine.binaries import wheel_binaries
    from flux.engine.server import embedded

    with tempfile.TemporaryDirectory(prefix="flux-corpus-") as folder:
        Path(folder).chmod(0o711)
        with embedded(Path(folder) / "pg", wheel_binaries(), ("fsync=off",)) as cluster:
            counts = {}
            for number, name in enumerate(CORPORA):
                with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
                    connection.execute(f"create database corpus_{number}")
                counts[name] = count(cluster.url(f"corpus_{number}"), name)
    print(page(counts))


def page(counts: dict[str, Count]) -> str:
    """docs/queries/corpus.md."""
    kinds = ("same", "flagged, same plan", "flagged, another plan", "not parsed", "silent")
    lines = [
        "# What sqlglot reads of other people's SQL",
        "",
        "Written by `tests/explain/corpus/count.py` with"
        f" sqlglot {version('sqlglot')} and postgast {version('postgast')}.",
        "",
        "Each query is read by Postgres's own parser and by sqlglot. What sqlglot prints is read by Postgres's parser",
        "again, and Postgres plans both texts. *Same*: both parsers agree, and so do the plans. *Flagged*: the texts",
        "differ for Postgres's parser, and Flux says so. *Silent*: taken for the same and planned otherwise, which",
        "must be none. What runs is always the original text.",
        "",
        "| corpus | queries | same | flagged, same plan | flagged, another plan | not parsed | silent |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in counts.items():
        lines.append(f"| {name} | {one.total} | {' | '.join(str(one.outcomes[kind]) for kind in kinds)} |")
    for name, one in counts.items():
        lines += ["", f"## {name}", "", "| why | statements |", "|---|---:|"]
        reasons = Counter(_reason(why) for _, why in one.listed)
        lines += [f"| {_cell(reason)} | {number} |" for reason, number in reasons.most_common()]
        lines += ["", "```sql", *(_one_line(text) for text in [*(text for text, _ in one.listed), *one.silent]), "```"]
    return "\n".join(lines)


def _reason(why: str) -> str:
    return re.sub(r"Line \d+, Col: \d+\.", "", why)[:110].strip()


def _one_line(text: str) -> str:
    short = " ".join(re.sub(r"--[^\n]*", "", text).split())
    return short if len(short) <= 110 else f"{short[:107]}…"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()

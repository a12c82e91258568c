"""Which tables requests touch, as far as their record tells: by their statements, their writes and their triggers'."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from flux.engine.questions import Questions
from flux.engine.statements import may_write, tables
from flux.replay.recorded import RecordedRequest

Tables = frozenset[str]

#: Functions of the catalogue that queries use most; one that is not here makes its statement count as a writer.
_READERS = frozenset(
    """array_agg avg concat concat_ws count date_trunc format greatest json_agg json_build_object jsonb_agg
    jsonb_build_object least left length lower max min now replace round row_number string_agg sum to_char to_jsonb trim
    upper""".split()
)


@dataclass(frozen=True, slots=True)
class Touched:
    """What a request touched. `reads_once`: it ran no more than one statement, which only read: it saw one snapshot."""

    tables: Tables = frozenset()
    reads_once: bool = False


def touched_by(questions: Questions, requests: Collection[UUID]) -> Mapping[UUID, Touched]:
    """What each request touched: tables by their recorded names such as public.users; views stand for what they read.

    What a database function reads inside is not told by its call; a replay meets that when it is refused the table.
    """
    statements: dict[UUID, list[str]] = {request: [] for request in requests}
    for row in questions.ask("statements_of", requests=list(requests)):
        statements[row["request_id"]] += [row["statement"]] * min(row["times"], 2)
    meant = _meant(questions, {name for texts in statements.values() for text in texts for name in tables(text)})
    written = {row["request_id"]: row["tables"] for row in questions.ask("tables_written", requests=list(requests))}
    return {
        request: Touched(
            frozenset(written.get(request, ())).union(
                *(meant.get(name, ()) for text in texts for name in tables(text))
            ),
            len(texts) <= 1 and not any(may_write(text, _READERS) for text in texts),
        )
        for request, texts in statements.items()
    }


def touched_in(questions: Questions, recorded: Iterable[RecordedRequest]) -> Tables:
    """The tables of requests whose record is at hand."""
    recorded = list(recorded)
    statements = (
        str((span.get("attributes") or {}).get("db.query.text") or "") for one in recorded for span in one.spans
    )
    names = {name for statement in statements for name in tables(statement)}
    written = {str(mutation["table_name"]) for one in recorded for mutation in one.mutations}
    return frozenset(written.union(*_meant(questions, names).values()))


def _meant(questions: Questions, names: Collection[str]) -> Mapping[str, set[str]]:
    """The tables that names without a schema may stand for."""
    meant: dict[str, set[str]] = {}
    for row in questions.ask("tables_meant", names=sorted(names)) if names else ():
        meant.setdefault(row["name"], set()).add(row["table_name"])
    return meant


def independent(touched: Mapping[UUID, Touched], links: Iterable[tuple[str, str]]) -> list[frozenset[UUID]]:
    """Requests in groups that share no table, also not through a foreign key, in the order of their first request.

    `links` are the pairs of tables that foreign keys bind; requests without tables are groups of one.
    """
    root: dict[str, str] = {}

    def find(table: str) -> str:
        while root.setdefault(table, table) != table:
            root[table] = root[root[table]]
            table = root[table]
        return table

    for one, other in links:
        root[find(one)] = find(other)
    groups: dict[object, set[UUID]] = {}
    for touch in touched.values():
        for table in touch.tables:
            root[find(table)] = find(min(touch.tables))
    for request, touch in touched.items():
        key: object = find(min(touch.tables)) if touch.tables else request
        groups.setdefault(key, set()).add(request)
    return [frozenset(group) for group in groups.values()]

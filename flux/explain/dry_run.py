"""A statement tried and taken back: the rows it meets, what would be recorded, fired and published, what breaks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from flux.engine.rehearsal import Rehearsal, rehearsing
from flux.errors import StatementRefused
from flux.explain.effects import Effects

#: Writes that are listed; all are counted.
MOST = 20


def dry_run(
    url: str,
    role: str,
    claims: Mapping[str, Any] | None,
    effects: Effects,
    text: str,
    values: Sequence[Any] | None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """What a statement would do, as a Postgres role. `refused` says why it was not tried, None where it was.

    Raises DatabaseUnavailable, UnknownRole.
    """
    answer: dict[str, Any] = {
        "refused": effects.refusal,
        "rows": None,
        "duration_us": None,
        "mutations": [],
        "mutation_count": 0,
        "unrecorded": [],
        "jobs": [],
        "events": [],
        "error": None,
        "sequences": [],
    }
    if effects.refusal is None and values is None and effects.parameters:
        count = effects.parameters
        answer["refused"] = (
            f"{count} parameter{'' if count == 1 else 's'} of it ha{'s' if count == 1 else 've'} no value"
        )
    if answer["refused"]:
        return answer
    request = uuid.uuid4()
    with rehearsing(url, role, claims, request=request, seconds=seconds) as rehearsal:
        outside = _outside(rehearsal, effects)
        if outside:
            return {**answer, "refused": outside}
        answer["unrecorded"] = _unrecorded(rehearsal, effects)
        started = time.perf_counter()
        try:
            reads = effects.kind == "select"
            answer["rows"] = rehearsal.run(text, values or (), reads=reads)
            answer["duration_us"] = round((time.perf_counter() - started) * 1_000_000)
            answer |= _done(rehearsal, request)
            rehearsal.check_deferred()
        except StatementRefused as error:
            answer["error"] = error.told
        rehearsal.roll_back()
        answer["sequences"] = rehearsal.drawn()
    return answer


def _outside(rehearsal: Rehearsal, effects: Effects) -> str | None:
    """Why a rollback would not take everything back."""
    found = rehearsal.ask("select * from flux.outside_effects(%s, %s)", list(effects.called), list(effects.written))
    if not found:
        return None
    first = found[0]
    by = "" if first["via"] == "the statement" else f", which {first['via']} may call,"
    return f"{first['function'].removeprefix('pg_catalog.')}(){by} {first['reason']}"


def _unrecorded(rehearsal: Rehearsal, effects: Effects) -> list[str]:
    """Written tables whose rows no recorder sees."""
    names = rehearsal.ask(
        "select flux.logical_name(to_regclass(name)) as name from unnest(%s::text[]) as name"
        " where to_regclass(name) is not null",
        list(effects.written),
    )
    written = {row["name"] for row in names}
    untracked = {row["table_name"] for row in rehearsal.ask("select table_name from flux.untracked_tables")}
    return sorted(written & untracked)


def _done(rehearsal: Rehearsal, request: uuid.UUID) -> dict[str, Any]:
    mutations = rehearsal.ask("select * from flux.data_changes(%s, %s)", request, MOST)
    kept = ("table_name", "operation", "row_key", "change", "old_values", "new_values")
    return {
        "mutations": [{name: row[name] for name in kept} for row in mutations],
        "mutation_count": mutations[0]["writes"] if mutations else 0,
        "jobs": rehearsal.ask("select kind, function, queue, input, error from flux.jobs_pushed_by(%s)", request),
        "events": rehearsal.ask(
            "select type, subject, data from flux.events where request_id = %s order by time, id", request
        ),
    }

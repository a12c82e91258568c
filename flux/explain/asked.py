"""What flux explain is asked about: a query and where it comes from, and as whom it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flux.engine.questions import asking
from flux.engine.roles import SERVICE
from flux.errors import BadQuery, UnknownRole
from flux.explain.effects import effects_of
from flux.explain.form import Form, read_form
from flux.explain.parser import numbered_marks, read_statements
from flux.policies import ANONYMOUS, is_role, postgres_role

SERVICE_ROLE = "service"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query to be explained: SQL whose parameters are $1 and on, or a form. `values` is None for unknown ones.

    `source` says where a recorded one comes from, `remarks` what is not known of it.
    """

    text: str = ""
    values: tuple[Any, ...] | None = None
    form: Form | None = None
    source: Mapping[str, Any] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """As whom: "service" or a role of db/policies.toml, and claims; None for nobody's."""

    role: str = SERVICE_ROLE
    claims: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, role: str | None, claims: Mapping[str, Any], role_claim: str) -> Caller:
        """As whom a person wants to look: a role named, or that of the claims, or the service."""
        named = role or claims.get(role_claim) or (ANONYMOUS if claims else SERVICE_ROLE)
        if named != SERVICE_ROLE and not is_role(named):
            raise UnknownRole(
                f"{named!r} is not the name of a role", hint="Run `flux policies` to see which there are."
            )
        return cls(str(named), dict(claims) if claims else None)

    @property
    def postgres_role(self) -> str:
        """The role of the database."""
        return SERVICE if self.role == SERVICE_ROLE else postgres_role(self.role)


def asked_text(text: str, parameters: Sequence[str] = ()) -> list[Asked]:
    """The statements of SQL text, with %s or $1 for parameters; raises BadQuery where Postgres's parser stops."""
    marks = len(re.findall(r"%(?:[sbt]|\(\w+\)[sbt])", text))
    readings = read_statements(text) if marks else []
    if not readings or sum(effects_of(reading.text).parameters for reading in readings) < 1:
        readings = read_statements(text, marks=False)  # what looks like a mark stands in a string
    if not readings:
        raise BadQuery("there is no statement in it")
    if parameters and len(readings) > 1:
        raise BadQuery("parameters are for one statement, and there are more")
    return [Asked(text=reading.text, values=_given(reading.text, parameters)) for reading in readings]


def _given(text: str, parameters: Sequence[str]) -> tuple[Any, ...] | None:
    wanted = effects_of(text).parameters
    if parameters and len(parameters) != wanted:
        raise BadQuery(f"the statement has {wanted} parameters, and {len(parameters)} are given")
    return tuple(parameters) if parameters or not wanted else None


def asked_recorded(rows: Sequence[Mapping[str, Any]]) -> Iterator[Asked]:
    """Recorded statements, from rows with sql, input, request_id, span_id and perhaps times."""
    for row in rows:
        if not row["sql"] or row["sql"] in ("savepoint", "commit"):
            continue
        values, remarks = _recorded(row["input"])
        source = {name: row.get(name) for name in ("request_id", "span_id", "times")}
        text = numbered_marks(row["sql"]) if row["input"] is not None else row["sql"]
        yield Asked(text=text, values=values, source=source, remarks=remarks)


def _recorded(given: Any) -> tuple[tuple[Any, ...] | None, tuple[str, ...]]:
    if given is None:
        return (), ()
    if not isinstance(given, list):
        return None, ("its parameters were too large to be kept",)
    hidden = [str(number) for number, value in enumerate(given, start=1) if value == "[redacted]"]
    if hidden:
        return None, (f"the record hides parameter {', '.join(hidden)}",)
    return tuple(given), ()


def asked_query(text: str, parameters: Sequence[str] = ()) -> list[Asked]:
    """What text asks about: a form where it is a JSON object, else SQL. Raises BadQuery."""
    if not text.lstrip().startswith("{"):
        return asked_text(text, parameters)
    if parameters:
        raise BadQuery("a structured query holds its values itself")
    return [Asked(form=read_form(text))]


def recorded(url: str, request: str | None, function_name: str | None) -> tuple[list[Asked], Caller]:
    """The statements of a recorded request, or that a function's latest runs sent, and as whom they were sent.

    Raises NotFound, Ambiguous, NotInstalled, DatabaseUnavailable.
    """
    with asking(url) as questions:
        if request is None:
            rows = questions.ask("function_queries", function_name=function_name)
            latest = rows[0]["request_id"] if rows else None
        else:
            latest = questions.value("request_named", given=request)
            steps = questions.ask("span_tree", request=latest)
            rows = [{**step, "request_id": latest} for step in steps if step["kind"] == "db"]
        found = questions.ask("request_record", request=latest) if latest else []
    attributes = (found[0]["attributes"] or {}) if found else {}
    role = str(attributes.get("db.role", SERVICE_ROLE))
    return list(asked_recorded(rows)), Caller(role, found[0]["claims"] if found else None)

"""The answer of flux explain: one query, what the policies make of it, the guard, the plan and the dry run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from flux.config import Project
from flux.engine.policies import drift_of
from flux.engine.rehearsal import Rehearsal, rehearsing
from flux.engine.statements import refusal_of
from flux.errors import BadQuery, ColumnRefused, StatementRefused
from flux.explain.asked import SERVICE_ROLE, Asked, Caller
from flux.explain.catalogue import Catalogue, read_catalogue
from flux.explain.compiler import compile_form
from flux.explain.dry_run import dry_run
from flux.explain.effects import Effects, effects_of
from flux.explain.guard import Verdict, judge
from flux.explain.parser import formatted, numbered_marks, read_statements
from flux.explain.plan import plan_of
from flux.explain.policies import Policies
from flux.explain.preview import SHOWN, Preview, Surroundings, preview
from flux.policies import PolicyFile, read_policies


@dataclass(slots=True)
class Explainer:
    """Explains queries of a project; without a database (`url` None) only what the text tells."""

    project: Project
    url: str | None
    file: PolicyFile = field(default_factory=PolicyFile)
    _drift: list[str] | None = None
    _catalogues: dict[str, Catalogue] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project, url: str | None) -> Explainer:
        """An explainer with the policies of the project; raises PolicyError."""
        return cls(project, url, read_policies(project.root))

    def explain(self, asked: Asked, caller: Caller, *, plan: bool = False, run: bool = False) -> dict[str, Any]:
        """The answer with stable keys; what could not be told is named in `notes`.

        Raises BadQuery and its kin, UnknownRole, NotInstalled, DatabaseUnavailable, PolicyError.
        """
        if self.url is None:
            return self._without_database(asked, caller)
        if asked.source is not None:
            try:
                effects_of(asked.text)
            except BadQuery as unread:  # one recorded statement that cannot be read must not hide the others
                return _unread(asked, caller, unread)
        with rehearsing(
            self.url, caller.postgres_role, caller.claims, seconds=self.project.queries.timeout
        ) as rehearsal:
            catalogue = self._catalogue(rehearsal, caller)
            refusal = None
            try:
                text, values, types, verdict = self._compiled(asked, catalogue)
            except ColumnRefused as refused:  # the rest is shown of the query as the service would send it
                refusal = (refused.message, refused.hint)
                text, values, types, verdict = self._compiled(asked, self._catalogue(rehearsal, Caller()))
            effects = _placed(effects_of(text), catalogue)
            answer = _empty(asked, caller, text, effects)
            shown = self._preview(text, caller, catalogue, rehearsal, effects)
            answer["query"]["tables"] = list(effects.relations)
            answer["guard"] = _guard(asked, caller, text, verdict, self.project, refusal)
            types, error = _accepted(rehearsal, text, values, effects, types)
            answer["query"]["parameters"] = _parameters(effects, values, types)
            answer["postgres"] = {"accepts": error is None, "error": _with_nearest(error, catalogue)}
            answer |= _policies(_reconciled(shown, effects, accepted=error is None), rehearsal, values)
            if plan and error is None:
                answer["plan"] = (
                    plan_of(rehearsal, text, values, catalogue) if effects.kind in (*SHOWN, "merge") else None
                )
                if answer["plan"] is None:
                    answer["notes"].append(f"Postgres makes no plan for {effects.kind.replace('_', ' ')}")
        if run:
            answer["dry_run"] = dry_run(
                self.url, caller.postgres_role, caller.claims, effects, text, values, self.project.queries.timeout
            )
        if caller.role != SERVICE_ROLE and self.drift:
            answer["notes"].append("db/policies.toml is not what Postgres enforces: run `flux db migrate`")
        return answer

    @property
    def drift(self) -> list[str]:
        """How the database differs from db/policies.toml."""
        if self._drift is None:
            self._drift = drift_of(self.url, self.file) if self.url else []
        return self._drift

    def _without_database(self, asked: Asked, caller: Caller) -> dict[str, Any]:
        if asked.form is not None:
            answer = _empty(asked, caller, "", Effects(asked.form.operation, (), (), (asked.form.table,), None, 0))
        else:
            effects = effects_of(asked.text)
            answer = _empty(asked, caller, asked.text, effects)
            answer["query"]["parameters"] = _parameters(effects, asked.values, None)
            answer["guard"] = _guard(asked, caller, asked.text, None, self.project)
        missing = "the compiled SQL, the guard" if asked.form is not None else "types"
        answer["notes"].append(f"there is no database: {missing}, policies, plan and dry run are not known")
        return answer

    def _catalogue(self, rehearsal: Rehearsal, caller: Caller) -> Catalogue:
        role = None if caller.role == SERVICE_ROLE else caller.postgres_role
        if caller.role not in self._catalogues:
            with rehearsal.as_owner() as connection:
                self._catalogues[caller.role] = read_catalogue(connection, role)
        return self._catalogues[caller.role]

    def _compiled(
        self, asked: Asked, catalogue: Catalogue
    ) -> tuple[str, tuple[Any, ...] | None, list[str] | None, Verdict | None]:
        if asked.form is None:
            return asked.text, asked.values, None, None
        compiled = compile_form(asked.form, catalogue, self.project.queries, enforce=False)
        text = numbered_marks(compiled.sql) if compiled.parameters else compiled.sql
        return text, compiled.parameters, list(compiled.types), compiled.verdict

    def _preview(
        self, text: str, caller: Caller, catalogue: Catalogue, rehearsal: Rehearsal, effects: Effects
    ) -> Preview:
        role = None if caller.role == SERVICE_ROLE else caller.role
        around = Surroundings()
        if role is not None:
            found = rehearsal.ask(
                "select * from flux.surroundings(%s, %s)", list(effects.called), list(effects.relations)
            )[0]
            around = Surroundings(frozenset(found["functions"]), frozenset(found["invoker_views"]))
        return preview(text, role, caller.claims or {}, catalogue, Policies(self.file, catalogue), around)


def _empty(asked: Asked, caller: Caller, text: str, effects: Effects) -> dict[str, Any]:
    return {
        "query": {
            "sql": text or None,
            "structured": asked.form is not None,
            "operation": asked.form.operation if asked.form else effects.kind.replace("_", " "),
            "tables": [name.replace('"', "") for name in effects.relations],
            "parameters": [],
            "source": dict(asked.source) if asked.source else None,
        },
        "role": caller.role,
        "claims": dict(caller.claims) if caller.claims is not None else None,
        "policies": [],
        "refused": [],
        "partial": [],
        "compiled_sql": None,
        "guard": None,
        "postgres": None,
        "plan": None,
        "dry_run": None,
        "notes": list(asked.remarks),
    }


def _unread(asked: Asked, caller: Caller, error: BadQuery) -> dict[str, Any]:
    answer = _empty(asked, caller, asked.text, Effects("unknown", (), (), (), None, 0))
    told = dict.fromkeys(("code", "detail", "hint", "table", "column", "constraint"))
    answer["postgres"] = {"accepts": False, "error": {**told, "message": error.message}}
    answer["notes"].append("the statement cannot be read, so nothing more is known of it")
    return answer


def _placed(effects: Effects, catalogue: Catalogue) -> Effects:
    """Effects whose relations are tables as the catalogue calls them, found as Postgres finds them."""
    by_name = {f'"{table.schema}"."{table.name}"': key for key, table in catalogue.tables.items()}

    def placed(names: tuple[str, ...]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for name in names:
            places = [name] if '"."' in name else [f'"{schema}".{name}' for schema in catalogue.search_path]
            found |= dict.fromkeys([by_name[place] for place in places if place in by_name][:1])
        return tuple(found)

    return replace(effects, written=placed(effects.written), relations=placed(effects.relations))


def _guard(
    asked: Asked,
    caller: Caller,
    text: str,
    verdict: Verdict | None,
    project: Project,
    refusal: tuple[str, str | None] | None = None,
) -> dict[str, Any]:
    """What ctx.db makes of it: `refusal` where it runs no such statement, the rules of [queries] otherwise.

    What was recorded has run: the runtime itself may say `commit`.
    """
    structured = asked.form is not None
    if not structured and asked.source is None:
        refusal = refusal_of(text, service=caller.role == SERVICE_ROLE)
    unread = None
    if verdict is None:
        reading = read_statements(text, marks=False)[0]
        unread = reading.partial if reading.tree is None else None
        verdict = judge(reading.tree, project.queries) if reading.tree is not None else None
    return {
        "complexity": verdict.complexity if verdict else None,
        "depth": verdict.depth if verdict else None,
        "rules": [asdict(rule) for rule in verdict.rules] if verdict else [],
        "allowed": False if refusal else verdict.allowed if verdict else None,
        "enforced": structured or refusal is not None,
        "refusal": {"message": refusal[0], "hint": refusal[1]} if refusal else None,
        "unread": unread,
    }


def _with_nearest(error: dict[str, Any] | None, catalogue: Catalogue) -> dict[str, Any] | None:
    """What Postgres says, with the nearest name of a table that is not there."""
    if error is None or error["code"] != "42P01" or error["hint"]:
        return error
    named = re.search('"(.+)"', error["message"])
    near = get_close_matches(named[1].removeprefix("public."), catalogue.names(), 1) if named else []
    return {**error, "hint": f"Did you mean {near[0]}?" if near else None}


def _accepted(
    rehearsal: Rehearsal, text: str, values: tuple[Any, ...] | None, effects: Effects, types: list[str] | None
) -> tuple[list[str] | None, dict[str, Any] | None]:
    """The types of the parameters, and what Postgres says where it refuses the statement before it runs."""
    if effects.kind not in (*SHOWN, "merge", "values"):
        return types, None
    try:
        found = rehearsal.types(text)
        rehearsal.plan(text, values)
    except StatementRefused as error:
        return types, error.told
    return types or found, None


def _reconciled(shown: Preview, effects: Effects, *, accepted: bool) -> Preview:
    """A preview beside what Postgres says as the role, who is right: its planner drops what it finds to be unused."""
    if not accepted or effects.kind not in SHOWN:
        return replace(shown, compiled_sql=shown.compiled_sql if accepted else None)
    if not shown.refused:
        return shown
    odd = tuple(f"{reason}, and yet Postgres takes the statement" for reason in shown.refused)
    return replace(shown, refused=(), partial=(*shown.partial, *odd), compiled_sql=None)


def _policies(shown: Preview, rehearsal: Rehearsal, values: tuple[Any, ...] | None) -> dict[str, Any]:
    """What was applied, and the compiled SQL where Postgres takes that too."""
    partial = list(shown.partial)
    if shown.compiled_sql is not None and not shown.refused:
        try:
            rehearsal.plan(shown.compiled_sql, values, owner=True)
        except StatementRefused as error:
            partial.append(f"Postgres does not take the compiled SQL: {error.told['message']}")
    compiled = shown.compiled_sql if shown.compiled_sql is not None and not shown.refused else None
    return {
        "policies": [_as_json(one) for one in shown.applied],
        "refused": list(shown.refused),
        "partial": partial,
        "compiled_sql": formatted(compiled) if compiled is not None else None,
    }


def _as_json(applied: Any) -> dict[str, Any]:
    """What was applied, as JSON has it."""
    return {
        name: dict(value) if isinstance(value, Mapping) else value
        for name in applied.__dataclass_fields__
        for value in [getattr(applied, name)]
    }


def _parameters(effects: Effects, values: Sequence[Any] | None, types: Sequence[str] | None) -> list[dict[str, Any]]:
    return [
        {
            "number": number + 1,
            "type": types[number] if types and number < len(types) else None,
            "value": values[number] if values is not None and number < len(values) else None,
            "known": values is not None and number < len(values),
        }
        for number in range(effects.parameters)
    ]

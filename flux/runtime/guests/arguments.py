"""Arguments of a function in another language: what its JSON Schema says, behind the interface of Arguments.

JSON is validated by jsonschema-rs as it is. Text from paths, queries and forms is first made into what the schema's
types allow: "42" is a number where the schema has one there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import jsonschema_rs

from flux.errors import BadDefinition, InvalidInput
from flux.runtime.arguments import Arguments
from flux.runtime.problems import Problem

_HINTS: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}
_WORDS = {"true": True, "false": False, "1": True, "0": False}


class SchemaArguments(Arguments):
    """The arguments that a JSON Schema of type object describes; None stands for any at all.

    Members that it does not name are refused unless its additionalProperties allows them. Defaults of members that
    were not sent are filled in.
    """

    def __init__(self, schema: Mapping[str, Any] | None, name: str, place: str) -> None:
        self._name = name
        self._place = place
        self._schema = dict(schema) if schema is not None else {"type": "object", "additionalProperties": True}
        described = self._resolved(self._schema)
        members: Any = described.get("properties", {})
        if described.get("type", "object") != "object" or not isinstance(members, Mapping):
            raise BadDefinition(
                f"{place}: the input of {name} is not an object, and arguments have names",
                hint='Write a JSON Schema of {"type": "object", "properties": {…}}.',
            )
        self._members_known: Mapping[str, Any] = members
        self.names = tuple(members)
        required = described.get("required")
        self.required = frozenset(
            known
            for known in (required if isinstance(required, list | tuple) else ())
            if isinstance(known, str) and not (isinstance(members.get(known), dict) and "default" in members[known])
        )
        self.takes_others = described.get("additionalProperties", False) is not False or bool(
            described.get("patternProperties")
        )

    def compile(self) -> None:
        """Read the schema now; raises BadDefinition for what is no JSON Schema."""
        _ = self._schema_validator

    @cached_property
    def raw_body(self) -> str | None:
        """None: a guest takes JSON."""
        return None

    @cached_property
    def _hints(self) -> Mapping[str, Any]:
        return {name: _hint(self._resolved(schema)) for name, schema in self._members_known.items()}

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return {
            name: schema["default"]
            for name, schema in self._members_known.items()
            if isinstance(schema, dict) and "default" in schema
        }

    @cached_property
    def _schema_validator(self) -> Any:
        try:
            return jsonschema_rs.validator_for(self._schema, validate_formats=True, retriever=_refuse)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise BadDefinition(
                f"{self._place}: the input of {self._name} is no JSON Schema: {reason}",
                hint="https://json-schema.org/draft/2020-12 says what one is.",
            ) from None

    def _convert(self, text: dict[str, object], json: dict[str, object], problems: list[Problem]) -> dict[str, Any]:
        values = {**self._defaults, **json}
        values |= {name: self._of_text(name, value) for name, value in text.items()}
        found = dict.fromkeys(problems)
        try:
            if not problems and self._schema_validator.is_valid(values):
                return values
            found |= dict.fromkeys(problem for error in self._errors(values) for problem in self._named(error))
        except (TypeError, ValueError) as error:  # values that are no JSON, from a function in Python
            found[Problem("body", f"cannot be validated: {error}")] = None
        raise InvalidInput(
            f"{self._name} cannot take these arguments: {', '.join(problem.field for problem in found)}",
            [{"field": problem.field, "message": problem.message} for problem in found],
        )

    def _errors(self, values: Mapping[str, Any]) -> Sequence[Any]:
        return sorted(
            self._schema_validator.iter_errors(values), key=lambda error: [str(part) for part in error.instance_path]
        )

    def _named(self, error: Any) -> list[Problem]:
        """The fields that one error of the validator is about."""
        kind, path = error.kind, _path(error.instance_path)
        if kind.name == "required":
            return [Problem(_joined(path, kind.property), "required, but missing")]
        if kind.name in ("additionalProperties", "unevaluatedProperties"):
            return [Problem(_joined(path, name), f"not an argument of {self._name}") for name in kind.unexpected]
        if kind.name == "type":
            return [Problem(path or "body", f"expected {_expected(kind.types)}, got {_type_of(error.instance)}")]
        if kind.name == "enum":
            choices = ", ".join(map(repr, kind.options if isinstance(kind.options, list) else [kind.options]))
            return [Problem(path or "body", f"expected one of {choices}, got {error.instance!r}")]
        return [Problem(path or "body", error.message)]

    def _of_text(self, name: str, value: object) -> object:
        """Text as the value that the schema of this argument has room for; as it is where it has none."""
        schema = self._resolved(self._members_known.get(name, {}))
        if isinstance(value, list):
            items = self._resolved(schema.get("items", {}))
            return [_fitted(item, _types(items)) for item in value]
        return _fitted(value, _types(schema))

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """A schema behind its local reference."""
        for _ in range(8):
            reference = schema.get("$ref") if isinstance(schema, Mapping) else None
            if not isinstance(reference, str) or not reference.startswith("#/"):
                break
            found: Any = self._schema
            for part in reference[2:].split("/"):
                found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
            schema = found
        return schema if isinstance(schema, Mapping) else {}


def _refuse(uri: str) -> Any:
    """What a reference names that leads out of the schema: a load asks no network, and reads no other file."""
    raise ValueError(f"{uri} lies elsewhere; write what it holds under $defs")


def _types(schema: Mapping[str, Any]) -> list[str]:
    """Every type that a schema allows; none where it does not say."""
    types = schema.get("type", [])
    found = [types] if isinstance(types, str) else list(types)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if isinstance(part, Mapping):
            found += _types(part)
    if not found and ("enum" in schema or "const" in schema):
        values = schema.get("enum", [schema.get("const")])
        found = [_type_of(value) for value in values]
    return found


def _hint(schema: Mapping[str, Any]) -> Any:
    """The type as Arguments knows it, as far as it matters there: whether it takes many values."""
    types = [kind for kind in _types(schema) if kind != "null"]
    return _HINTS.get(types[0], Any) if len(types) == 1 else Any


def _fitted(value: object, types: Sequence[str]) -> object:
    if not isinstance(value, str):
        return value
    if "integer" in types or "number" in types:
        try:
            number = json.loads(value)
        except ValueError:
            number = None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return number
    if "boolean" in types and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if "null" in types and "string" not in types and value in ("", "null"):
        return None
    return value


def _path(parts: Sequence[str | int]) -> str:
    path = ""
    for part in parts:
        path = f"{path}[{part}]" if isinstance(part, int) else _joined(path, part)
    return path


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _expected(types: Sequence[str] | str) -> str:
    return f"`{types}`" if isinstance(types, str) else " or ".join(f"`{kind}`" for kind in types)


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), type(value).__name__)

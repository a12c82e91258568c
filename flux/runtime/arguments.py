"""What a function takes: its type hints made into a validator, and a request's values fitted to it.

Text from paths, queries and forms is coerced ("42" is an int), JSON is not. The one quick
conversion of msgspec says only whether all is well; when it is not, the values are gone through
again to name every field that is wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from flux.errors import BadDefinition, InvalidInput
from flux.runtime.hints import check_hint, is_bytes, read_hints, signature, takes_many
from flux.runtime.problems import Problem, problems_of

_KEYWORD_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Form(dict[str, Sequence[object]]):
    """A form as body: each field with the values it was given, all of them text (or bytes, for a file)."""


class Bound(dict[str, Any]):
    """Arguments ready to be passed by name. `given` is what was sent, by name, before any conversion."""

    given: dict[str, object]

    def __init__(self, values: Mapping[str, Any], given: dict[str, object]) -> None:
        super().__init__(values)
        self.given = given


class Arguments:
    """The arguments of one function; the first parameter, ctx, is not one of them.

    Hints are read when `compile` is called or the first request comes, so that they may name
    classes defined further down. `raw_body` is the parameter annotated `bytes`, which takes the
    whole body as it came.
    """

    def __init__(self, handler: Callable[..., Any], name: str, place: str) -> None:
        self._handler = handler
        self._name = name
        self._place = place
        parameters = list(signature(handler).parameters.values())[1:]
        self.names = tuple(parameter.name for parameter in parameters if parameter.kind in _KEYWORD_KINDS)
        self.required = frozenset(
            parameter.name
            for parameter in parameters
            if parameter.kind in _KEYWORD_KINDS and parameter.default is parameter.empty
        )
        self.takes_others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)

    def takes(self, name: str) -> bool:
        """Whether there is an argument of this name."""
        return self.takes_others or name in self.names

    def compile(self) -> None:
        """Read the type hints now; raises BadDefinition for one that no JSON value can fill."""
        _ = self._validator

    @property
    def hints(self) -> Mapping[str, Any]:
        """The type of each named argument; Any where it has no hint."""
        return {name: self._hints.get(name, Any) for name in self.names}

    @cached_property
    def raw_body(self) -> str | None:
        """The name of the argument that takes the body as bytes, if there is one."""
        raw = [name for name, hint in self.hints.items() if is_bytes(hint)]
        if len(raw) > 1:
            raise BadDefinition(f"{self._place}: {raw[0]} and {raw[1]} of {self._name} would both be the body")
        return raw[0] if raw else None

    def bind(
        self,
        path: Mapping[str, str],
        query: Mapping[str, Sequence[str]],
        body: object | None = None,
    ) -> Bound:
        """Arguments from a request: by name from the path, then the query, then the members of the
        body.

        `body` is decoded JSON, a Form, bytes for a function with a `raw_body`, or None. A default
        stands for what was not sent. Raises InvalidInput, which names every field that is missing,
        unknown or of the wrong type.
        """
        text, json, problems = self._sort(path, query, body)
        values = self._convert(text, json, problems)
        return Bound(values, {**json, **text})

    def bind_input(self, given: Mapping[str, object]) -> Bound:
        """Arguments from one JSON object. The raw body is given as text, or as hex after `\\x`."""
        json, problems = self._members(given)
        if self.raw_body is not None and isinstance(body := json.get(self.raw_body), str):
            json[self.raw_body] = _bytes_of(body)
        values = self._convert({}, json, problems)
        return Bound(values, dict(given))

    def given(
        self,
        path: Mapping[str, str],
        query: Mapping[str, Sequence[str]],
        body: object | None = None,
    ) -> dict[str, object]:
        """What was sent, by name, right or wrong: the input of the record when `bind` refuses it."""
        sent: dict[str, object] = {name: _single(values) for name, values in query.items()}
        if isinstance(body, Form):
            sent = {**{name: _single(values) for name, values in body.items()}, **sent}
        elif isinstance(body, Mapping):
            sent = {**body, **sent}
        elif body is not None:
            sent[self.raw_body or "body"] = body
        return {**sent, **path}

    @cached_property
    def _hints(self) -> Mapping[str, Any]:
        return read_hints(self._handler, self._name, self._place)

    @cached_property
    def _validator(self) -> type[msgspec.Struct]:
        hints = self.hints
        for name, hint in hints.items():
            check_hint(hint, name, self._name, self._place)
        _ = self.raw_body
        fields = [(name, hints[name], msgspec.UNSET) for name in self.names]
        return msgspec.defstruct("Arguments", fields)

    def _sort(
        self, path: Mapping[str, str], query: Mapping[str, Sequence[str]], body: object | None
    ) -> tuple[dict[str, object], dict[str, object], list[Problem]]:
        """The text and the JSON values that were given to arguments, and what is wrong with them already."""
        json: dict[str, object] = {}
        text: dict[str, object] = {}
        problems: list[Problem] = []
        if self.raw_body is not None:
            if body is not None:
                json[self.raw_body] = body
        elif isinstance(body, Form):
            members, problems = self._members(body)
            text = self._texts(members, problems)
        elif isinstance(body, Mapping):
            json, problems = self._members(body)
        elif body is not None:
            problems.append(Problem("body", f"expected `object`, got `{_json_type(body)}`"))
        sent = {name: values for name, values in query.items() if self.takes(name)}
        text |= self._texts(sent, problems)
        text |= {name: value for name, value in path.items() if self.takes(name)}
        for name in text:
            json.pop(name, None)
        return text, json, problems

    def _members(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        known = {name: value for name, value in body.items() if self.takes(name)}
        unknown = [Problem(str(name), f"not an argument of {self._name}") for name in body if name not in known]
        return known, unknown

    def _texts(self, sent: Mapping[str, Sequence[Any]], problems: list[Problem]) -> dict[str, object]:
        texts: dict[str, object] = {}
        for name, values in sent.items():
            if takes_many(self._hints.get(name, Any)):
                texts[name] = list(values)
            elif len(values) == 1:
                texts[name] = values[0]
            else:
                problems.append(Problem(name, f"expected one value, got {len(values)}"))
                texts[name] = values[-1]
        return texts

    def _convert(self, text: dict[str, object], json: dict[str, object], problems: list[Problem]) -> dict[str, Any]:
        missing = [name for name in self.required if name not in text and name not in json]
        if not problems and not missing:
            try:
                return self._quick(text, strict=False) | self._quick(json, strict=True)
            except msgspec.ValidationError:
                pass
        problems = [*problems, *self._problems(text, json, missing)]
        raise InvalidInput(
            f"{self._name} cannot take these arguments: {', '.join(problem.field for problem in problems)}",
            [{"field": problem.field, "message": problem.message} for problem in problems],
        )

    def _quick(self, values: dict[str, object], *, strict: bool) -> dict[str, Any]:
        """The values converted, all at once; raises ValidationError for the first that does not fit."""
        if not values:
            return {}
        converted = msgspec.convert(values, self._validator, strict=strict)
        fields = zip(self.names, msgspec.structs.astuple(converted), strict=True)
        found = {name: value for name, value in fields if value is not msgspec.UNSET}
        if self.takes_others:
            hint = self._hints.get("**", Any)
            others = {name: value for name, value in values.items() if name not in self.names}
            found |= {name: msgspec.convert(value, hint, strict=strict) for name, value in others.items()}
        return found

    def _problems(
        self, text: Mapping[str, object], json: Mapping[str, object], missing: Sequence[str]
    ) -> list[Problem]:
        other = self._hints.get("**", Any)
        found = [Problem(name, "required, but missing") for name in self.names if name in missing]
        for values, strict in ((text, False), (json, True)):
            for name, value in values.items():
                hint = self.hints[name] if name in self.names else other
                found += problems_of(value, hint, name, strict=strict)
        return found


def _single(values: Sequence[object]) -> object:
    return values[0] if len(values) == 1 else list(values)


def _bytes_of(text: str) -> bytes:
    if text.startswith("\\x"):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            pass
    return text.encode()


def _json_type(value: object) -> str:
    names = {list: "array", str: "str", bool: "bool", int: "int", float: "float", bytes: "bytes"}
    return names.get(type(value), type(value).__name__)

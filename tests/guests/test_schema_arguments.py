"""Arguments by JSON Schema: the same answers that functions in Python give to wrong input."""

from __future__ import annotations

import pytest

from flux.errors import BadDefinition, InvalidInput
from flux.runtime.arguments import Form
from flux.runtime.guests.arguments import SchemaArguments

SCHEMA = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "integer"}},
        "address": {
            "type": "object",
            "required": ["zip"],
            "properties": {"zip": {"type": "string"}},
            "additionalProperties": False,
        },
        "plan": {"enum": ["free", "pro"], "default": "free"},
        "active": {"$ref": "#/$defs/maybe"},
        "email": {"type": "string", "format": "email"},
    },
    "$defs": {"maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}},
}


@pytest.fixture
def arguments():
    """A schema as people write them."""
    made = SchemaArguments(SCHEMA, "signup", "functions/signup.ts:3")
    made.compile()
    return made


def test_text_of_a_url_becomes_what_the_schema_has_room_for(arguments):
    """ "42" is a number where a number is wanted, and text where text is."""
    bound = arguments.bind({"age": "42"}, {"name": ["007"], "tags": ["1", "2"], "active": ["true"]})

    assert dict(bound) == {"plan": "free", "age": 42, "name": "007", "tags": [1, 2], "active": True}
    assert bound.given == {"age": "42", "name": "007", "tags": ["1", "2"], "active": "true"}


def test_json_is_not_coerced(arguments):
    """A caller who sends JSON knows the difference between 42 and "42"."""
    with pytest.raises(InvalidInput) as refused:
        arguments.bind({}, {}, {"name": "Ada", "age": "42"})

    assert refused.value.problems == [{"field": "age", "message": "expected `integer`, got string"}]


def test_every_field_that_is_wrong_is_named(arguments):
    """A form is corrected once, not field by field."""
    given = {
        "age": 1.5,
        "tags": [1, "x"],
        "address": {"street": "a"},
        "plan": "gold",
        "email": "nobody",
        "more": 1,
    }
    with pytest.raises(InvalidInput) as refused:
        arguments.bind_input(given)

    problems = {problem["field"]: problem["message"] for problem in refused.value.problems}
    assert problems == {
        "more": "not an argument of signup",
        "name": "required, but missing",
        "address.zip": "required, but missing",
        "address.street": "not an argument of signup",
        "age": "expected `integer`, got number",
        "email": '"nobody" is not a "email"',
        "plan": "expected one of 'free', 'pro', got 'gold'",
        "tags[1]": "expected `integer`, got string",
    }
    assert refused.value.status == 422


def test_a_form_is_text_too(arguments):
    """Browsers send forms."""
    assert arguments.bind({}, {}, Form(name=["Ada"], age=["3"]))["age"] == 3


def test_members_that_are_not_named_are_taken_where_the_schema_says_so():
    """Webhooks send more than anybody asked for."""
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}, "additionalProperties": True}

    assert SchemaArguments(schema, "hook", "f:1").bind_input({"id": 1, "x": 2}) == {"id": 1, "x": 2}
    assert SchemaArguments(None, "any", "f:1").bind_input({"x": [2]}) == {"x": [2]}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "array"}, "is not an object"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "is no JSON Schema"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, "is no JSON Schema"),
        ({"required": 5}, "is no JSON Schema"),
        ({"required": [["a"]]}, "is no JSON Schema"),
        ({"properties": {"a": {"$ref": "file:///etc/hostname"}}}, "is no JSON Schema: .* lies elsewhere"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:9/a.json"}}}, "is no JSON Schema: .* lies elsewhere"),
    ],
)
def test_what_is_no_schema_of_arguments_is_refused_with_its_place(schema, reason):
    """Found at load, not at the first request."""
    with pytest.raises(BadDefinition, match=f"functions/a.ts:3: the input of signup {reason}"):
        SchemaArguments(schema, "signup", "functions/a.ts:3").compile()


def test_the_whole_schema_may_be_a_reference():
    """Generators put every type under $defs, the outermost too."""
    schema = {
        "$ref": "#/$defs/Input",
        "$defs": {"Input": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    }
    arguments = SchemaArguments(schema, "signup", "f:1")

    assert (arguments.names, arguments.required) == (("n",), frozenset({"n"}))
    assert arguments.bind_input({"n": 1}) == {"n": 1}


def test_what_is_no_json_is_wrong_input():
    """A function in Python may hand on any value; the error is the caller's, and names the callee."""
    with pytest.raises(InvalidInput, match="any cannot take these arguments: body"):
        SchemaArguments({"properties": {"x": {"type": "string"}}}, "any", "f:1").bind_input({"x": object()})

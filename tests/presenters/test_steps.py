"""Steps as lines: values in short and in full, and the order in which one walks."""

from __future__ import annotations

from uuid import UUID

import pytest

from flux.presenters.objects import json_of, object_lines, object_text
from flux.presenters.walk import steps_of

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"email": "a@b.com"}, '{ email: "a@b.com" }'),
        ({"a b": [1, None, True], "c": {}}, '{ "a b": [1, null, true], c: {} }'),
        ("null", '"null"'),
        (None, "null"),
        ({"$omitted": {"bytes": 9_000, "head": "abc"}}, "9000 bytes, not kept; begins abc"),
    ],
)
def test_values_are_written_as_people_write_them(value, text):
    """And one is never taken for another."""
    assert object_text(value) == text


def test_what_does_not_fit_stands_a_member_a_line():
    """A long object is read down, not across."""
    value = {"id": 1, "items": [{"sku": "a" * 10}, {"sku": "b" * 10}]}

    assert list(object_lines(value, 40)) == [
        "{", "  id: 1", "  items: [", '    { sku: "aaaaaaaaaa" }', '    { sku: "bbbbbbbbbb" }', "  ]", "}",
    ]  # fmt: skip


@pytest.mark.parametrize("depth", [200, 950])
def test_a_value_made_to_be_deep_is_shown_all_the_same(depth):
    """An attacker's nesting must not end the program that looks at it."""
    value = []
    for _ in range(depth):
        value = [value]

    assert object_text(value).count("[") == depth + 1
    assert list(object_lines({"deep": value, "more": "x" * 50}, 20))
    assert json_of({"deep": value, "more": [2**70, "x", {}]}, indented=depth < 250).replace(" ", "").replace(
        "\n", ""
    ) == ("{" + f'"deep":{"[" * (depth + 1)}{"]" * (depth + 1)},"more":[{2**70},"x",{{}}]' + "}")


def span(number, above, **members):
    """A row of flux.span_outline."""
    defaults = {"kind": "function", "name": f"f{number}", "offset_us": 0, "duration_us": 5, "writes": 0, "error": None}
    return {"span_id": number, "parent_id": above, **defaults, **members}


def walk(steps, handed_off=()):
    """What Questions.walk answers."""
    return {"request": {"request_id": ONE, "duration_us": 9}, "steps": steps, "handed_off": handed_off}


def test_steps_are_numbered_in_the_order_of_the_tree():
    """A child before its parent's next one; a log line is no step."""
    steps = steps_of(walk([span(1, None), span(2, 1), span(3, 2), span(4, 3, kind="log"), span(5, 1), span(9, 7)]))

    assert [(step.number, step.place, step.above, step.branch, step.logs) for step in steps] == [
        (1, 1, None, "", 0), (2, 2, 1, "├─", 0), (3, 3, 2, "│ └─", 1), (4, 5, 1, "└─", 0), (5, 9, None, "", 0),
    ]  # fmt: skip


def test_a_failure_began_where_nothing_inside_failed_so():
    """What only went through a step did not begin there."""
    steps = steps_of(walk([span(1, None, error="b"), span(2, 1, error="b"), span(3, 2, error="a"), span(4, 1)]))

    assert [step.began for step in steps] == [False, True, True, False]


def test_a_job_hangs_below_the_step_that_pushed_it():
    """With its own steps, but for the gateway that says the same; a job still to run stands there too."""
    row = {"parent_request_id": ONE, "parent_span_id": 2, "kind": "job", "duration_us": 7, "error": None, "state": "ok"}
    run = {**row, "request_id": TWO, "function": "mail", "steps": [span(1, None, kind="gateway"), span(2, 1)]}
    inner = {**row, "parent_request_id": TWO, "request_id": None, "job_id": 5, "function": "later", "steps": []}

    steps = steps_of(walk([span(1, None), span(2, 1), span(3, 1)], [run, inner]))

    assert [(step.name, step.above, step.called) for step in steps] == [
        ("f1", None, "req:00000000"), ("f2", 1, "req:00000000"), ("mail", 2, "req:00000000"),
        ("f2", 3, "req:00000000"), ("later", 4, "job:5"), ("f3", 1, "req:00000000"),
    ]  # fmt: skip


def test_a_failure_of_a_job_began_in_its_function():
    """Its attempt only says so, with the type in front; one that was refused began there."""
    row = {"parent_request_id": ONE, "parent_span_id": 1, "kind": "job", "duration_us": 7, "function": "mail"}
    failed = {**row, "request_id": TWO, "error": "ValueError: no", "steps": [span(1, None, error="no")]}
    refused = {**row, "request_id": UUID(int=3), "error": "InvalidInput: mail cannot take this", "steps": []}

    steps = steps_of(walk([span(1, None)], [failed, refused]))

    assert [(step.name, step.began) for step in steps] == [
        ("f1", False), ("mail", False), ("f1", True), ("mail", True),
    ]  # fmt: skip


def test_ten_thousand_levels_are_no_recursion():
    """A request may call itself as deep as it likes."""
    assert len(steps_of(walk([span(n, n - 1 or None) for n in range(1, 3_001)]))) == 3_000

"""How a comparison looks: what differs in its place, and the rest out of the way."""

from __future__ import annotations

import pytest
from executions import Generated, inserted, query, signup, span

from flux.presenters.beside import value_text
from flux.presenters.diff import diff_json, diff_lines
from flux.presenters.text import render
from flux.replay.compare import compare
from flux.replay.difference import MISSING

WIDE = 120


def lines(one, other, columns=80, **options):
    """The comparison as a terminal without colours shows it."""
    difference = compare(one, other, [Generated("public.users", "id", "sequence")])
    return [render(line, False) for line in diff_lines(difference, columns, **options)]


def plans(count):
    """The same statement so many times."""
    return [query("select * from plans where id = %s", number, rows=1) for number in range(count)]


def test_a_statement_in_a_loop_is_one_line():
    """N+1 is seen at once: ×12 beside ×1, in one column and in two."""
    one, other = signup(*plans(1)), signup(*plans(12), number=2)

    assert any("db  select plans  ×1 → ×12" in line for line in lines(one, other))
    assert any(
        "select plans  ×1 " in line[:60] and "select plans  ×12" in line[60:] for line in lines(one, other, WIDE)
    )


def test_equal_steps_of_a_long_list_are_counted():
    """The difference must not be looked for among a hundred lines; --full shows them."""
    steps = [query(f"select * from t{number}") for number in range(40)]
    changed = [*steps[:20], query("select * from t20", error={"type": "Odd", "message": "x"}), *steps[21:]]

    short, full = (lines(signup(*steps), signup(*changed, number=2), full=full) for full in (False, True))

    assert [line.strip() for line in short if "equal steps" in line] == ["⋯ 19 equal steps", "⋯ 18 equal steps"]
    assert sum("db  select t" in line for line in short) == 3
    assert sum("db  select t" in line for line in full) == 40


def test_a_step_of_one_side_has_an_empty_place_on_the_other():
    """In two columns, what is missing is seen to be missing."""
    found = next(line for line in lines(signup(), signup(query("select 1"), number=2), WIDE) if "select" in line)

    assert not found[:58].strip()
    assert "+" in found[58:62]


def test_volatile_values_are_shown_and_marked():
    """Who wonders why the ids differ is told that it does not count."""
    insert = query("insert into users (email) values (%s)", "a@b.com")
    one = signup(insert, mutations=[inserted("users", id="42", email="a@b.com")], output={"id": 42})
    other = signup(insert, mutations=[inserted("users", id="57", email="a@b.com")], output={"id": 57}, number=2)

    shown = lines(one, other)

    assert "      output.id  42 ~ 57" in shown
    assert any(line.startswith("  ✔ same: ") and "volatile" in line for line in shown)


def test_the_end_of_a_request_is_told_once():
    """An error goes through the function and the gateway; it is still one error."""
    error = {"type": "ValueError", "message": "no such plan"}
    failed = span("function", "create_user", error=error)
    other = signup(
        number=2, status=500, outcome="error", error_type="ValueError", error_message="no such plan", output=None
    )
    spans = tuple({**step, "error": error} if step["kind"] == failed["kind"] else step for step in other.spans)
    other = type(other)(other.request, spans, ())

    assert sum("error.message" in line for line in lines(signup(), other)) == 1


def test_long_values_begin_near_their_first_difference():
    """The thousandth character is where to look, not the first."""
    one, other = signup(output={"text": "x" * 1_000 + "A"}), signup(output={"text": "x" * 1_000 + "B"}, number=2)

    assert f"      output.text  …{'x' * 24}A → …{'x' * 24}B" in lines(one, other)


@pytest.mark.parametrize("columns", [80, 100, 132])
def test_no_line_is_wider_than_the_terminal(columns):
    """Also with long names, long values, and deep trees."""
    deep = query("select * from a where id = %s", "y" * 500)
    for number in range(12):
        deep = span("function", f"a_function_with_a_rather_long_name_{number}", deep)
    one = signup(deep, mutations=[inserted("users", id="1", note="z" * 300)])
    other = signup(number=2, output={"note": "w" * 900, "list": list(range(90))}, error_message="e" * 300)

    assert max(map(len, lines(one, other, columns))) <= columns


def test_control_characters_are_shown_not_sent():
    """In names of steps, in values and in paths."""
    odd = "\x1b[2J\u202e"
    one = signup(span("tool", odd, input={odd: 1}), mutations=[inserted(odd, id=odd)])
    other = signup(span("tool", odd, input={odd: 2}), number=2)

    for columns in (80, WIDE):
        text = "\n".join(lines(one, other, columns))
        assert "\x1b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("pro", "pro"), ("1", '"1"'), (1, "1"), (None, "null"), ("null", '"null"'), ("", '""'), (" a", '" a"'),
        (True, "true"), ("true", '"true"'), (MISSING, "(none)"), ([], "[]"), ({}, "{}"), ("2026-03-10", "2026-03-10"),
        ({"a": 1}, '{"a":1}'), ("-1.5", '"-1.5"'),
    ],
)  # fmt: skip
def test_text_that_could_be_something_else_is_quoted(value, text):
    """1 → 1 would be no difference to look at."""
    assert value_text(value) == text


def test_json_says_which_side_has_no_value():
    """null and nothing are two things."""
    difference = compare(signup(output={"a": None}), signup(output={}, number=2))

    assert {"path": "output.a", "a": None} in diff_json(difference)["request"]["changes"]

"""The tree of a request: loops folded, causes pointed at, every line within the terminal."""

from __future__ import annotations

import pytest

from flux.presenters.text import render, width
from flux.presenters.tree import flame_lines, grow, tree_lines


def step(number, parent, kind="db", name="select orders", **members):
    return {
        "span_id": number, "parent_id": parent, "kind": kind, "name": name, "offset_us": number * 1_000,
        "duration_us": 1_000, "self_us": 1_000, "rows": None, "sql": None, "input": None, "output": None, "error": None,
        "attributes": None, "writes": 0, "orphaned": False, **members,
    }  # fmt: skip


def loop(times, **last):
    sql = "select * from orders where user_id = $1"
    steps = [step(1, None, "gateway", "GET /x", duration_us=50_000), step(2, 1, "function", "x")]
    steps += [step(3 + n, 2, sql=sql, rows=1, input=[n]) for n in range(times)]
    steps[-1].update(last)
    return steps


def shown(steps, **options):
    return [render(line, color=False) for line in tree_lines(grow(steps), 78, **options)]


def test_a_loop_of_equal_statements_is_one_line():
    """A hundred equal lines hide the one that matters; how many and how long is what counts."""
    lines = shown(loop(100))

    assert len(lines) == 3
    assert "db  select orders  ×100" in lines[2]
    assert lines[2].endswith("100ms  N+1")


def test_a_failure_inside_a_loop_keeps_its_own_line():
    """Folding must never hide the step that failed."""
    lines = shown(loop(20, error={"type": "UniqueViolation", "message": "duplicate"}), cause=22)

    assert "×19" in lines[2]
    assert lines[3].endswith("✗ root cause")
    assert lines[4].strip() == "UniqueViolation: duplicate"


def test_a_few_equal_statements_are_shown_one_by_one():
    """Two alike are no loop."""
    assert len(shown(loop(3))) == 5


def test_details_come_with_full():
    """SQL, input and output of every step: what the step-by-step reader came for."""
    text = "\n".join(shown(loop(1), full=True))

    assert "sql     select * from orders where user_id = $1" in text
    assert "in      [0]" in text


def test_a_step_whose_parent_was_lost_says_so():
    """It is shown at the root, but not as if it belonged there."""
    assert "parent not recorded" in shown([step(1, None), step(5, 4, orphaned=True)])[-1]


@pytest.mark.parametrize("columns", [40, 78, 160])
def test_lines_fit_whatever_the_names(columns):
    """Deep trees, wide characters, long names: the times stay where they are."""
    steps = [step(1, None, "gateway", "GET /" + "日本" * 40)]
    steps += [step(n, n - 1, "function", "f" * 90, duration_us=99_000_000) for n in range(2, 6)]

    for lines in (tree_lines(grow(steps), columns), flame_lines(grow(steps), columns, 100_000_000)):
        assert all(width(line) <= columns for line in lines)


def test_bars_stand_where_the_time_went():
    """A flame is read by place and length; both must be true to the clock."""
    steps = [
        step(1, None, "gateway", "GET /x", offset_us=0, duration_us=100_000),
        step(2, 1, "db", "first", offset_us=0, duration_us=50_000),
        step(3, 1, "db", "second", offset_us=50_000, duration_us=50_000),
    ]

    _, whole, first, second = (render(line, color=False) for line in flame_lines(grow(steps), 78, 100_000))

    assert whole.count("█") == pytest.approx(2 * first.count("█"), abs=1)
    assert second.index("█") == pytest.approx(first.index("█") + first.count("█"), abs=1)

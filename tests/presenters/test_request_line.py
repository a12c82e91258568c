"""One request, one line: the same in flux trace, flux tail, flux dev and flux serve."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from flux.presenters.request_line import request_line
from flux.presenters.style import Style
from flux.presenters.text import width

OK = {
    "request_id": UUID("4f9a3b2c-0000-4000-8000-000000000003"),
    "started_at": datetime(2026, 3, 10, 14, 22, 1, tzinfo=UTC),
    "kind": "http", "method": "POST", "path": "/create_user", "function": "create_user", "status": 200, "outcome": "ok",
    "duration_us": 81_000, "error_type": None, "error_message": None, "error_location": None, "attempt": 1,
}  # fmt: skip
FAILED = {
    **OK, "status": 500, "outcome": "error", "error_type": "psycopg.errors.UniqueViolation",
    "error_message": "duplicate key\x1b[2J", "error_location": "functions/f.py:3",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def style(**settings):
    return Style(**{"json": False, "color": False, "width": 80, "terminal": True, **settings})


def test_a_request_is_one_line_of_80_columns():
    """What a person watches all day must fit and line up."""
    line = request_line(OK, style())

    assert line == "14:22:01  ✔ req:4f9a3b2c  POST   /create_user                        200    81ms"
    assert width(line) == 80


def test_a_failure_says_why_on_a_second_line():
    """The reason saves the next question; what was recorded in it stays harmless."""
    first, second = request_line(FAILED, style()).splitlines()

    assert "✗ req:4f9a3b2c" in first
    assert second == "          └─ UniqueViolation: duplicate key\\x1b[2J (functions/f.py:3)"


def test_a_pipe_gets_one_line_a_request_with_nothing_cut_off():
    """grep and awk need whole lines and full dates."""
    line = request_line({**FAILED, "path": "/" + "long" * 40}, style(terminal=False))

    assert line.startswith("2026-03-10 14:22:01  ✗ req:4f9a3b2c  POST   /longlong")
    assert line.endswith("500    81ms  UniqueViolation: duplicate key\\x1b[2J (functions/f.py:3)")
    assert "\n" not in line


def test_a_long_path_is_cut_not_the_status():
    """The end of a long path is worth less than how the request ended."""
    line = request_line({**OK, "path": "/日本語" * 20}, style())

    assert "…" in line
    assert line.endswith("200    81ms")
    assert width(line) <= 80


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "invoke", "method": None, "path": None}, "invoke create_user"),
        ({"outcome": "crashed", "duration_us": None, "status": 500}, "–"),
        ({"outcome": "timeout", "error_message": "longer than 30 s"}, "timeout: longer than 30 s"),
        ({"attempt": 3}, "3 attempts"),
        ({"outcome": "refused", "status": 404}, "! req:4f9a3b2c"),
    ],
)
def test_every_outcome_has_its_line(changed, said):
    """Nothing that can be recorded may break the one line everybody watches."""
    assert said in request_line({**OK, **changed}, style())

"""Numbers that are longer than a machine's: recorded, so every command shows them, digit by digit."""

from __future__ import annotations

import json
from uuid import UUID

import psycopg
import pytest
import story

from flux.cli import main

COUNTED = UUID("b16b00c5-0000-4000-8000-000000000031")
LATER = UUID("1a7e0000-0000-4000-8000-000000000032")
LONG = 2**70
AT = "2026-03-10T18:00:00Z"


@pytest.fixture(scope="module")
def past(new_database, tmp_path_factory):
    """The story, and two requests with an integer of more than 64 bits in their values."""
    project = story.told(new_database(), tmp_path_factory.mktemp("counted"))
    with psycopg.connect(project.database_url) as connection:
        for request_id, output in ((COUNTED, {"count": LONG}), (LATER, {"count": LONG + 1})):
            spans = [
                {"kind": "gateway", "name": "POST /count"},
                {"kind": "function", "name": "count", "input": {"from": LONG}, "output": output},
                {"kind": "log", "name": "counted", "parent_id": 2, "duration_us": None, "input": {"to": LONG}},
            ]
            story.request(
                connection, request_id, AT, spans, route="/count", function="count", input={"from": LONG}, output=output
            )
    return project


@pytest.mark.parametrize(
    "arguments",
    [
        ("trace", "b16b"),
        ("trace", "b16b", "--full"),
        ("trace", "b16b", "--json"),
        ("trace", "debug", "b16b"),
        ("trace", "debug", "b16b", "--json"),
        ("trace", "diff", "b16b", "1a7e", "--full"),
        ("trace", "diff", "b16b", "1a7e", "--json"),
    ],
    ids=" ".join,
)
def test_a_long_number_is_shown_as_it_was_recorded(past, arguments):
    """JSON allows it and functions return it, so no question about it may fail."""
    result = story.run(main, past, *arguments)

    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert str(LONG) in result.stdout
    if "--json" in arguments:
        json.loads(result.stdout)

"""Values as the record stores them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from uuid import UUID

from flux.encoding import to_json


def test_a_long_number_changes_nothing_beside_it():
    """An integer of more than 64 bits is written on another way, on which an id is still an id and a time a time."""
    values = {
        "id": UUID(int=1),
        "at": datetime(2026, 3, 10, 12, 30, tzinfo=UTC),
        "day": date(2026, 3, 10),
        "hour": time(12, 30),
    }

    assert json.loads(to_json({**values, "n": 2**70})) == {**json.loads(to_json(values)), "n": 2**70}

"""What the tests of the recorder share: the mutations of a table, in order, as dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

Recorded = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def recorded(connection: psycopg.Connection) -> Recorded:
    """Mutations of a table, without the members that differ from run to run."""

    def read(table: str, *, of: psycopg.Connection = connection) -> list[dict[str, Any]]:
        with of.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "select operation, row_key, previous_key, new_values, old_values, request_id, span_id, actor "
                "from flux.state_mutations where table_name = %s order by id",
                (table,),
            ).fetchall()

    return read

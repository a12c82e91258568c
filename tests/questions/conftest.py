"""What the tests of the questions share: a past to ask about, and the questions themselves on its connection."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import story

from flux.engine.questions import Questions


@pytest.fixture
def past(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A connection on which the story was told; rolled back after the test."""
    story.tell(connection)
    return connection


@pytest.fixture
def blank(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A connection with the story's tables, empty."""
    story.tables(connection)
    return connection


@pytest.fixture
def questions(connection: psycopg.Connection[Any]) -> Questions:
    """Questions asked inside the test's own transaction."""
    return Questions(connection)

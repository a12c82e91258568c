"""Statements that others wrote: what both parsers read alike is planned alike, and what they do not is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.count import CORPORA, count

PAGE = Path(__file__).parents[2] / "docs" / "queries" / "corpus.md"


@pytest.mark.parametrize("name", CORPORA)
def test_no_query_is_read_as_another_in_silence(bare_url, name):
    """A preview of another statement than the one that runs would be a lie."""
    found = count(bare_url, name)

    assert found.silent == []
    assert found.total > 40
    assert found.outcomes["same"] > 0.8 * found.total
    assert all(why for _, why in found.listed)


def test_the_page_counts_every_corpus():
    """It is written by tests/explain/corpus/count.py, and none was left out."""
    page = PAGE.read_text()

    assert all(f"| {name} | " in page for name in CORPORA)

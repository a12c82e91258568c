"""A short soak of all languages at once; by hand it is 100,000 requests long."""

from __future__ import annotations

import pytest
from soak import LOOKS, languages, records_are_whole, soaking


@pytest.mark.slow
def test_mixed_traffic_leaks_nothing_and_mixes_nothing(new_database, tmp_path):
    """What goes wrong once in a thousand requests goes wrong every second in production."""
    url = new_database()
    chosen = [language for language in languages() if not language.missing()]

    with soaking(url, tmp_path, chosen, 4) as soak:
        found = soak.run(800, 4)
    records_are_whole(url, found)

    assert found.wrong == []
    assert len(found.looks) == LOOKS
    assert sum(found.statuses.values()) >= 800

"""Moments and durations as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flux.presenters.moments import ago, length, local_zone, parse_moment

NOW = datetime.now().astimezone().replace(hour=15, minute=30, second=0, microsecond=0)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("1h30m ago", NOW - timedelta(hours=1, minutes=30)),
        ("now", NOW),
        ("14:00", NOW.replace(hour=14, minute=0)),
        ("18:00", NOW.replace(hour=18, minute=0) - timedelta(days=1)),
        ("today", NOW.replace(hour=0, minute=0)),
        ("2026-03-10T14:00Z", datetime(2026, 3, 10, 14, tzinfo=UTC)),
        ("2026-03-10 14:00+02:00", datetime(2026, 3, 10, 12, tzinfo=UTC)),
    ],
)
def test_moments_are_read_as_people_write_them(text, meant):
    """--since 10m, --at 14:00: nobody types ISO 8601 at three in the morning."""
    assert parse_moment(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "soon", "25:00", "10 parsecs", "2026-13-01"])
def test_what_is_no_moment_is_refused(text):
    """A misread --since would answer another question."""
    with pytest.raises(ValueError):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [
        (None, "–"), (0, "0µs"), (40, "40µs"), (800, "0.8ms"), (9_940, "9.9ms"), (9_960, "10ms"), (81_000, "81ms"),
        (999_400, "999ms"), (1_230_000, "1.23s"), (59_999_000, "1m00s"), (125_000_000, "2m05s"),
    ],
)  # fmt: skip
def test_durations_are_short_and_exact_enough(microseconds, shown):
    """Three digits tell what a person needs, in six columns."""
    assert length(microseconds) == shown


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "just now"), (60, "1 minute ago"), (7_300, "2 hours ago"), (200_000, "2 days ago")]
)
def test_the_past_is_told_from_now(seconds, said):
    """How long ago matters more than when, for an error."""
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("variable", "zone"), [("Europe/Berlin", "Europe/Berlin"), ("UTC", "UTC"), (":Asia/Tokyo", "Asia/Tokyo")]
)
def test_the_zone_of_the_machine_is_told_to_postgres(monkeypatch, variable, zone):
    """Times inside sentences are worded by the database: in the reader's zone."""
    monkeypatch.setenv("TZ", variable)

    assert local_zone() == zone

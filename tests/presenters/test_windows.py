"""A window of time means what people expect of what they wrote."""

from __future__ import annotations

from datetime import datetime

import pytest

from flux.presenters.windows import parse_window

NOW = datetime(2026, 3, 10, 16, 30).astimezone()


def window(text):
    """Begin and end on NOW's clock, without the zone."""
    found = parse_window(text, NOW)
    return tuple(f"{moment.astimezone():%Y-%m-%d %H:%M}" for moment in (found.since, found.until))


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("14:00..14:05", "2026-03-10 14:00", "2026-03-10 14:05"),
        ("18:00..18:05", "2026-03-09 18:00", "2026-03-09 18:05"),
        ("16:00..17:00", "2026-03-10 16:00", "2026-03-10 17:00"),
        ("-15m..now", "2026-03-10 16:15", "2026-03-10 16:30"),
        ("15m..", "2026-03-10 16:15", "2026-03-10 16:30"),
        ("-2h..-1h", "2026-03-10 14:30", "2026-03-10 15:30"),
        ("2026-03-09", "2026-03-09 00:00", "2026-03-10 00:00"),
        ("2026-03-08..2026-03-09", "2026-03-08 00:00", "2026-03-10 00:00"),
        ("yesterday", "2026-03-09 00:00", "2026-03-10 00:00"),
        ("2026-03-09T23:55..00:05", "2026-03-09 23:55", "2026-03-10 00:05"),
        ("2026-03-09T14:00..14:05", "2026-03-09 14:00", "2026-03-09 14:05"),
        ("2026-03-09T14:00..2026-03-09T14:05", "2026-03-09 14:00", "2026-03-09 14:05"),
    ],
)
def test_a_window_is_read_as_it_is_meant(text, since, until):
    """Each form is one that a page or the help names."""
    assert window(text) == (since, until)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("14:00", "is not a window"),
        ("banana", "is not a window"),
        ("14:00..banana", "'banana' in '14:00..banana' is not a time"),
        ("..14:05", "'' in '..14:05' is not a time"),
        ("2026-03-10..2026-03-01", "ends before it begins"),
        ("-5m..-10m", "ends before it begins"),
        ("2026-03-11T18:00..18:05", "lies in the future"),
    ],
)
def test_a_window_that_means_nothing_is_refused(text, reason):
    """A guess would replay something else than was asked for."""
    with pytest.raises(ValueError, match=reason):
        parse_window(text, NOW)


def test_a_window_is_shown_in_short():
    """The heading of a replay repeats it."""
    assert str(parse_window("14:00..14:05", NOW)) == "2026-03-10 14:00–14:05"
    assert str(parse_window("2026-03-08..2026-03-09", NOW)) == "2026-03-08 00:00–2026-03-10 00:00"
    assert str(parse_window("14:00:30..14:05", NOW)) == "2026-03-10 14:00:30–14:05"

"""The line in which one types what to look for."""

from __future__ import annotations

from checkout import RICH
from driving import walk_through
from textual.events import Key

GOOD = str(RICH)


def test_what_is_typed_at_once_is_what_is_looked_for(reader):
    """Keys come faster than the line for them appears, from a paste or over a slow connection."""

    def typed(pilot):
        for key, character in [("slash", "/"), *((one, one) for one in "mfd"), ("slash", "/"), ("enter", None)]:
            pilot.app.post_message(Key(key, character))
        return pilot.pause(0.3)

    assert walk_through(reader, GOOD, typed).foot == "  'mfd/' is in no step"


def test_tab_does_not_leave_the_line(reader):
    """What was typed is not left standing there."""
    assert walk_through(reader, GOOD, "slash", *"zz", "tab", "enter").foot == "  'zz' is in no step"


def test_a_click_elsewhere_ends_the_search(reader):
    """The line goes, and the keys are keys again."""
    seen = walk_through(reader, GOOD, "slash", *"zz", lambda pilot: pilot.click("#steps", offset=(3, 2)), "down")

    assert seen.head.startswith("  Step 4/9")
    assert "zz" not in seen.text

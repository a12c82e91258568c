"""The main states as pictures, compared with those that were looked at: `SNAPSHOTS=write pytest tests/screens` anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from checkout import RICH
from driving import drive, walk_through

from flux.screens.app import DebugApp
from flux.screens.failures import FailureScreen
from flux.screens.lines import Terminal

HERE = Path(__file__).parent / "snapshots"

STATES = {
    "failure": ("d0b1", ("f",)),
    "writes": (str(RICH), ("down", "down", "down")),
    "state": (str(RICH), ("down", "down", "down", "s")),
}


def compare(name, svg):
    """The picture of this name is the same, or it is written."""
    path = HERE / f"{name}.svg"
    svg = "\n".join(line.rstrip() for line in re.sub(r"[ \t]+\n", "\n", svg).splitlines()) + "\n"
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(svg)
    assert svg == path.read_text(), f"{name}.svg differs; look at it after SNAPSHOTS=write"


@pytest.mark.parametrize("name", STATES)
def test_a_state_looks_as_it_did_when_it_was_looked_at(reader, name):
    """Colours, places and signs together; no other test sees them so."""
    given, keys = STATES[name]

    compare(name, walk_through(reader, given, *keys).svg)


def test_the_list_of_failures_looks_as_it_did(reader):
    """The other screen."""
    rows = reader.failures(refused=False, most=200)

    compare("failures", drive(DebugApp(reader, lambda: FailureScreen(rows, refused=False, most=200), Terminal())).svg)

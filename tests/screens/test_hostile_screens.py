"""What was recorded cannot drive the terminal from a full screen either, nor style itself."""

from __future__ import annotations

import psycopg
import pytest
import story
from driving import drive, walk_through
from hostile import ATTACK, FORBIDDEN, attack

from flux.screens.app import DebugApp
from flux.screens.failures import FailureScreen
from flux.screens.lines import Terminal
from flux.screens.reader import Reader


@pytest.fixture(scope="module")
def attacked(new_database, tmp_path_factory):
    """Answers about a record of attacks."""
    project = story.queueing(story.handing_on(story.told(new_database(), tmp_path_factory.mktemp("attacked"))))
    with psycopg.connect(project.database_url) as connection:
        attack(connection)
    reader = Reader(project, project.database_url)
    yield reader
    reader.close()


@pytest.mark.parametrize(
    "keys", [(), ("f",), ("f", "e"), ("down", "down", "down", "s"), ("m", "w"), ("d",), ("slash", *"forged", "enter")]
)
def test_recorded_values_are_text_on_every_screen(attacked, keys):
    """Each character that a terminal obeys is shown; square brackets are square brackets."""
    seen = walk_through(attacked, str(ATTACK), *keys, size=(100, 40))

    assert not [line for line in seen.lines if FORBIDDEN.search(line)]
    assert "\\x1b" in seen.text
    assert "[red]" in seen.text or keys == ("m", "w")


def test_the_list_of_failures_and_what_is_copied_are_safe(attacked):
    """The clipboard gets a command of ours, not a value of theirs, but in quotes."""
    rows = attacked.failures(refused=False, most=200)
    seen = drive(DebugApp(attacked, lambda: FailureScreen(rows, refused=False, most=200), Terminal()), ("c",))
    assert not [line for line in seen.lines if FORBIDDEN.search(line)]
    assert seen.copied == "flux trace debug e711e711"

    state = walk_through(attacked, str(ATTACK), "m", "s", "c")
    assert not FORBIDDEN.search(state.copied)

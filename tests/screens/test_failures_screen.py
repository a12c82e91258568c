"""flux debug on a full screen: the list of failures, live, and the way into one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
import story
from driving import drive
from textual.app import App

from flux.cli import main
from flux.errors import DatabaseUnavailable
from flux.presenters.style import Style
from flux.screens.app import DebugApp
from flux.screens.failures import FailureScreen
from flux.screens.lines import Terminal
from flux.screens.reader import Reader


@pytest.fixture
def listing(reader):
    """Opens the list and presses keys."""

    def opened(*keys, reader=reader, refused=False):
        rows = reader.failures(refused=refused, most=200)
        return drive(DebugApp(reader, lambda: FailureScreen(rows, refused=refused, most=200), Terminal()), keys)

    return opened


def test_the_newest_failure_stands_first(listing):
    """What just broke is what one came for."""
    seen = listing()

    assert seen.head == "  2 failed requests  newest first, live"
    assert "req:d0b1e000  POST /signup" in seen.lines[2]
    assert "500  UniqueViolation" in seen.lines[2]
    assert "req:550e8400" in seen.lines[3]


def test_enter_opens_a_failure_and_b_comes_back(listing):
    """From the list into the walk and out again."""
    assert "req:550e8400" in listing("down", "enter").head
    assert "failed requests" in listing("down", "enter", "b").head
    assert listing("down", "enter", "q").ended


def test_a_double_click_opens_too(listing):
    """As in every list."""
    seen = listing(lambda pilot: pilot.click("#failures", offset=(5, 1), times=2))

    assert "req:550e8400" in seen.head


def test_c_copies_the_command_that_opens_it_and_help_and_quit_work(listing):
    """The keys mean here what they mean there."""
    assert listing("c").copied == "flux trace debug d0b1e000"
    assert "expand" in listing("question_mark").text
    assert listing("q").ended


def test_a_new_failure_appears_and_the_cursor_stays(new_database, tmp_path, listing):
    """Live, and not under the hand of whoever is about to press Enter."""
    project = story.told(new_database(), tmp_path)
    reader = Reader(project, project.database_url)

    async def fails(pilot):
        await asyncio.sleep(0.4)  # the listener has begun
        now = datetime.now(UTC).isoformat()
        with psycopg.connect(project.database_url) as connection:
            story.request(connection, uuid4(), now, function="new", **story.failed_columns(story.CARD_DECLINED))
            story.request(connection, uuid4(), now, function="no", status=404, outcome="refused")
        for _ in range(100):
            await asyncio.sleep(0.05)
            if len(pilot.app.screen._rows) == 3:
                return

    seen = listing("down", fails, "enter", reader=reader)
    reader.close()
    assert "req:550e8400" in seen.head, "the cursor was on it when the new one came"

    again = Reader(project, project.database_url)
    assert listing(reader=again).head.startswith("  3 failed requests")
    assert listing(reader=again, refused=True).head.startswith("  4 failed or refused requests")
    again.close()


def test_a_request_that_is_gone_is_said_and_the_list_goes_on(past, listing, monkeypatch):
    """Retention may have dropped it since; the keys come back."""

    class Late(Reader):
        def walk(self, given):
            return super().walk("ffffffff")

    late = Late(past, past.database_url)
    assert listing("enter", reader=late).foot == "  no request begins with ffffffff"

    monkeypatch.setattr("flux.screens.keys.STAYS", 0.1)
    assert listing("enter", lambda pilot: pilot.pause(0.3), reader=late).foot.startswith("  ↓ next")
    late.close()


def test_a_database_that_is_away_is_said_first(reader, listing):
    """The narrowest terminal shows that it is tried again; the reason follows as far as there is room."""

    class Away(Reader):
        def news(self, follower):
            raise DatabaseUnavailable("connection to server on socket /a/long/path failed")

    away = Away(reader.project, reader.project.database_url)

    seen = listing(lambda pilot: pilot.pause(0.3), reader=away)

    assert seen.foot.startswith("  the database is away, trying again: connection to server")
    away.close()


@pytest.mark.parametrize("command", [("debug",), ("trace", "debug", "550e")])
def test_a_screen_that_broke_is_a_failed_command(past, monkeypatch, command):
    """A script must not take a fault for a look around."""

    def broken(app):
        raise RuntimeError("broken")

    monkeypatch.setattr(DebugApp, "on_mount", broken)
    monkeypatch.setattr(DebugApp, "run", lambda app: App.run(app, headless=True))
    monkeypatch.setattr(Style, "interactive", True)

    assert story.run(main, past, *command).exit_code == 1


def test_an_empty_list_says_so(new_database, tmp_path, listing):
    """And waits."""
    from flux.config import Project

    reader = Reader(Project(root=tmp_path, name="shop"), new_database())

    assert listing("enter", "c", "down", reader=reader).head.startswith("  No failed requests are recorded")
    reader.close()

"""The full screen in a real terminal: a tmux that nobody looks at, its keys and its screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def tmux(past, tmp_path):
    """Starts a command in a terminal of 80 by 24; gives what sends keys and waits for words on the screen."""
    socket = str(tmp_path / "tmux")

    def ask(*words):
        return subprocess.run(["tmux", "-S", socket, *words], check=True, capture_output=True, text=True).stdout

    class Terminal:
        def start(self, *arguments):
            program = f"{sys.executable} -c 'from flux.cli import main; main()' {' '.join(arguments)}"
            program += "; echo ended with $?; cat"
            environment = {**os.environ, "LANG": "C.UTF-8", "TZ": "UTC"}
            subprocess.run(
                ["tmux", "-S", socket, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", program],
                cwd=past.root, env=environment, check=True,
            )  # fmt: skip

        def press(self, *keys):
            ask("send-keys", *keys)

        def screen(self):
            return ask("capture-pane", "-p")

        def shows(self, words):
            until = time.monotonic() + 20
            while words not in self.screen():
                assert time.monotonic() < until, f"{words!r} did not come:\n{self.screen()}"
                time.sleep(0.05)

    yield Terminal()
    subprocess.run(["tmux", "-S", socket, "kill-server"], check=False, capture_output=True)


@needs_tmux
def test_a_walk_in_a_real_terminal(tmux):
    """Keys come as bytes, the screen goes as bytes, and the terminal is given back as it was."""
    tmux.start("debug")
    tmux.shows("2 failed requests")
    tmux.press("Down")
    tmux.press("Enter")
    tmux.shows("Step 1/4  gateway")
    tmux.press("f")
    tmux.shows("Step 4/4  stripe.charge")
    tmux.shows("Error:   HTTPError: stripe.charge answered 502")
    tmux.press("Up")
    tmux.shows("Step 3/4  update users")
    tmux.press("/")
    tmux.press("u", "p", "g", "Enter")
    tmux.shows("match 3 of 3")
    tmux.press("q")
    tmux.shows("ended with 0")
    assert "Step" not in tmux.screen()

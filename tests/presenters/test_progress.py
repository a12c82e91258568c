"""The progress line: for a person at a terminal, and for nobody else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from flux.presenters.progress import progress_line

SHOW = """
import time
from flux.presenters.progress import PATIENCE, Progress
progress = Progress()
time.sleep(PATIENCE)
progress.show("users\\x1b]0;title\\x07", 1, 2)
progress.clear()
"""


def test_a_pipe_sees_no_progress():
    """A log full of bars is of use to nobody."""
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_terminal_sees_one_line_that_goes_again():
    """What is printed next begins at the start of an empty line, and no name moves the cursor."""
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", SHOW], stderr=theirs, check=True, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)

    said = os.read(ours, 4096)
    os.close(ours)

    assert "1 of 2" in said.decode()
    assert b"\x1b]0" not in said
    assert said.endswith(b"\r\x1b[2K")


def test_the_line_fits_the_terminal():
    """A line that wraps cannot be drawn over."""
    for columns in (40, 80, 120):
        assert len(progress_line("sandbox: " + "x" * 200, 3, 7, columns)) < columns


def test_more_than_was_guessed_is_a_full_bar():
    """Row counts are estimates of the planner."""
    line = progress_line("users", 20, 10, 80)

    assert "░" not in line
    assert "20 of 10" in line

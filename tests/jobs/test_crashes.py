"""Whatever is killed when: every job whose request was answered runs exactly once in the database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_answered_jobs_run_exactly_once_whatever_is_killed(capsys):
    """The promise of the queue; `python tests/jobs/crash.py` shows it for 20,000 jobs and four workers."""
    script = Path(__file__).with_name("crash.py")

    done = subprocess.run(
        [sys.executable, script, "--jobs", "2000", "--workers", "2"], capture_output=True, text=True, check=False
    )

    with capsys.disabled():
        print("", done.stdout, sep="\n")
    assert done.returncode == 0, done.stdout + done.stderr

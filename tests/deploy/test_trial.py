"""Loading a project in another process tells what does not work, whatever its modules do when they are imported."""

from __future__ import annotations

import os
import time

import pytest

from flux.deploy.trial import try_loading
from flux.errors import DeployRefused

FINE = "from flux import function\n\n\n@function\ndef fine(ctx):\n    return 1\n"


def tried(project, text, **options):
    (project.root / "functions" / "fine.py").write_text(FINE)
    (project.root / "functions" / "odd.py").write_text(text)
    return try_loading(project.root, **options)


def test_functions_that_work_are_named(project):
    """A bundle without functions is a mistake, so they are counted."""
    found = tried(project, "")

    assert found.functions == ("fine",)
    assert found.faults == ()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("import os\nimport nowhere_at_all\n", "functions/odd.py:2: ModuleNotFoundError"),
        ("x = 1\n\ndef\n", "functions/odd.py:3: SyntaxError"),
        ("raise SystemExit('no')\n", "functions/odd.py:1: SystemExit"),
        (FINE, "functions/odd.py:4: fine is already the name of a function"),
    ],
)
def test_what_cannot_be_loaded_is_named_with_its_line(project, text, where):
    """The one who deploys has an editor open."""
    assert [fault.where[: len(where)] for fault in tried(project, text).faults] == [where]


def test_what_modules_print_is_not_taken_for_the_answer(project):
    """Many print at import, and some close what they were given."""
    found = tried(project, "import sys\nprint('{\"functions\": []}')\nsys.stdout.close()\nsys.stdout = None\n")

    assert found.functions == ("fine",)


def test_a_module_that_ends_the_process_is_told_with_what_it_said(project):
    """A native library may do so."""
    with pytest.raises(DeployRefused) as refused:
        tried(project, "import os\nos.write(2, b'no licence')\nos._exit(7)\n")

    assert refused.value.message == "importing the functions ended the process with exit code 7\nno licence"


def test_a_module_that_never_ends_is_given_up(project):
    """Together with what it started."""
    pid_file = project.root / "pid"
    with pytest.raises(DeployRefused, match=r"still being imported after 1\.5 s"):
        tried(
            project,
            "import subprocess, pathlib\n"
            f"child = subprocess.Popen(['sleep', '60'])\npathlib.Path({str(pid_file)!r}).write_text(str(child.pid))\n"
            "child.wait()\n",
            patience=1.5,
        )

    pid = int(pid_file.read_text())
    end = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _runs(pid)


def test_threads_of_a_module_are_not_waited_for(project):
    """A pool made at import must not hold up a deployment."""
    found = tried(project, "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n")

    assert found.functions == ("fine",)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] != "Z"

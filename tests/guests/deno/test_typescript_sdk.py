"""The SDK and the template of TypeScript are right by its own tools, and greet Ada."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flux.runtime.guests.deno.program import SDK, environment, find_deno

FLUX = Path(sys.executable).with_name("flux")
TESTS = Path(__file__).parent
CONFORMANCE = TESTS.parent / "projects" / "typescript"


def deno(folder, *words):
    """Run Deno's own command line."""
    environ = environment(folder)
    return subprocess.run([find_deno(), *words], cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["check", "--quiet", "flux.ts", "host/main.ts", str(CONFORMANCE / "functions" / "act.ts")],
        ["lint", "--quiet", "flux.ts", "host"],
        [
            "fmt",
            "--check",
            "--quiet",
            "flux.ts",
            "host",
            str(TESTS / "project"),
            str(TESTS.parent / "projects/typescript"),
        ],
    ],
    ids=lambda words: words[0],
)
def test_what_is_shipped_is_right_by_denos_own_tools(words):
    """It lands in other people's projects, whose checks it must pass."""
    done = subprocess.run(
        [find_deno(), *words], cwd=SDK, env=environment(SDK), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_the_new_project_in_typescript_greets_ada(tmp_path, bare_url):
    """The first thing a newcomer runs must work, types and all."""
    made = subprocess.run([FLUX, "init", "my-app", "--template", "ts"], cwd=tmp_path, capture_output=True, check=False)
    root = tmp_path / "my-app"
    variables = {**os.environ, "DATABASE_URL": bare_url}

    done = subprocess.run(
        [FLUX, "invoke", "hello", "--data", '{"name": "Ada"}'],
        cwd=root, env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    checked = subprocess.run(
        [find_deno(), "check", "functions"],
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    assert json.loads(done.stdout) == {"id": 1, "greeting": "Hello, Ada"}, done.stderr
    assert checked.returncode == 0, checked.stderr

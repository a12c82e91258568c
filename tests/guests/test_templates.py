"""Every template is built by its own tool chain, where that is there, and greets Ada."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FLUX = Path(sys.executable).with_name("flux")

#: How tool chains say that there is no network, or only half of them.
CANNOT = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|could not resolve|couldn't resolve|could not connect|unknown host|offline"
    r"|no default is configured|target may not be installed",
    re.IGNORECASE,
)


@pytest.mark.slow
@pytest.mark.parametrize("template", ["rust", "go", "assemblyscript", "python-wasm", "php", "java"])
def test_the_template_is_built_and_greets_ada(template, tmp_path, bare_url):
    """The first thing a newcomer runs must work, whatever the language."""
    flux(tmp_path, "init", "my-app", "--template", template)
    root = tmp_path / "my-app"

    built = flux(root, "build")
    if built.returncode and ("not installed" in built.stdout + built.stderr or CANNOT.search(built.stdout)):
        pytest.skip(f"{template} cannot be built here: {built.stdout.strip()} {built.stderr.strip()}")
    done = flux(root, "invoke", "hello", "--data", '{"name": "Ada"}', DATABASE_URL=bare_url)

    assert built.returncode == 0, built.stdout
    assert json.loads(done.stdout) == {"id": 1, "greeting": "Hello, Ada"}, done.stderr


def flux(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line, run."""
    return subprocess.run(
        [FLUX, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )

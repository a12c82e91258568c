"""The modules and the runtime that are checked in: each is what its sources were when it was built."""

from __future__ import annotations

import hashlib
import json
import lzma
import tomllib

import pytest
from build_modules import BUILT_HERE, FLUX, MADE, SUMS, module_bytes, module_file, sum_of

PHP = FLUX / "sdk" / "php"

CHECKED_IN = [language for language in MADE if language not in BUILT_HERE]


@pytest.mark.parametrize("language", CHECKED_IN)
def test_a_module_is_made_of_the_sources_that_are_there(language):
    """A suite that runs yesterday's module says nothing about today's SDK."""
    known = json.loads(SUMS.read_text())[language]

    assert known["sources"] == sum_of(language), f"run `make modules LANGUAGES={language}`"
    assert known["module"] == hashlib.sha256(module_bytes(module_file(language))).hexdigest()


def test_the_runtime_of_php_is_made_of_the_sources_that_are_there():
    """A binary that nobody can make again is a binary that nobody can trust."""
    known = dict(reversed(line.split()) for line in (PHP / "SHA256SUMS").read_text().splitlines())
    runtime = lzma.decompress((PHP / "php.wasm.xz").read_bytes())

    assert known.pop("php.wasm") == hashlib.sha256(runtime).hexdigest()
    assert known == {name: hashlib.sha256((PHP / name).read_bytes()).hexdigest() for name in known}
    assert {path.name for path in PHP.glob("*.[chs]")} | {"build.sh", "prelude.php"} == set(known)


@pytest.mark.parametrize("listed", sorted(FLUX.glob("templates/*/sdk.toml")), ids=lambda path: path.parent.name)
def test_what_a_template_takes_of_an_sdk_is_there(listed):
    """A project without its SDK does not build, and its user cannot know why."""
    for source in tomllib.loads(listed.read_text()).values():
        assert (FLUX / "sdk" / source).is_file()

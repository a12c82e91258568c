"""flux build: a module from its source, and why there is none."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from click.testing import CliRunner, Result

from flux.cli import main
from flux.runtime.guests.wasm import build as building

#: A guest as its source, which the build compiles by what comes with Flux anyway.
SOURCE = """(module
  (import "flux" "call" (func $call (param i32 i32) (result i64)))
  (memory (export "memory") 1)
  (func (export "flux_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "flux_handle") (param i32 i32) (result i64) (call $call (local.get 0) (local.get 1))))
"""

COMPILE = (
    'python -c \'import wasmtime, pathlib; pathlib.Path("build").mkdir(exist_ok=True); '
    'pathlib.Path("build/echo.wasm").write_bytes(wasmtime.wat2wasm(pathlib.Path("echo.wat").read_text()))\''
)

Run = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a cache of its own."""
    (tmp_path / "flux.toml").write_text('[project]\nname = "guests"\n')
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def place(root: Path, name: str, build: str | None = COMPILE, more: str = "", source: str = SOURCE) -> Path:
    """A function's folder."""
    folder = root / "functions" / name
    folder.mkdir(parents=True)
    command = "" if build is None else f"build = '''{build}'''\n"
    (folder / "flux.toml").write_text(
        f'[function]\nname = "{name}"\n\n[wasm]\nmodule = "build/echo.wasm"\n{command}{more}'
    )
    (folder / "echo.wat").write_text(source)
    return folder


def flux(*words: str) -> Result:
    """What the command says."""
    return CliRunner().invoke(main, ["build", *words])


def builds(*words: str) -> dict[str, Any]:
    """What it says to a program, by function."""
    return {build["function"]: build for build in json.loads(flux(*words, "--json").stdout)["builds"]}


def test_build_makes_the_module_and_its_machine_code(root: Path) -> None:
    """Otherwise the first request would wait for it."""
    folder = place(root, "echo")

    first, second = builds()["echo"], builds()["echo"]

    assert (folder / "build" / "echo.wasm").read_bytes() == wasmtime.wat2wasm(SOURCE)
    assert first["module"] == "functions/echo/build/echo.wasm"
    assert first["bytes"] == len(wasmtime.wat2wasm(SOURCE))
    assert (first["compiled"], second["compiled"]) == (True, False)
    assert len(list((root / "cache" / "flux" / "wasm").glob("*.cwasm"))) == 1


def test_build_tells_a_person_what_it_made(root: Path) -> None:
    """A line a module."""
    place(root, "echo")

    said = flux()

    assert said.exit_code == 0
    assert "✔ echo  functions/echo/build/echo.wasm, " in said.stdout


def test_a_missing_tool_is_named_with_how_to_install_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer has none of the tools."""
    monkeypatch.setenv("PATH", f"{root}:/bin" if not Path("/bin/cargo").exists() else str(root))
    place(root, "fast", "cargo build --release")
    place(root, "odd", "wondertool --make")

    said = builds()

    assert said["fast"]["error"] == "the build of fast needs cargo, which is not installed"
    assert "rustup target add wasm32-wasip1" in said["fast"]["hint"]
    assert said["odd"]["error"] == "the build of odd needs wondertool, which is not installed"


def test_a_missing_target_of_rust_is_named(root: Path) -> None:
    """Rust itself is there, and says so on its fifth line."""
    said = (
        "error[E0463]: cannot find crate for core\n  = note: the `wasm32-unknown-unknown` target may not be installed"
    )
    place(root, "fast", f"echo '{said}' >&2; exit 101")

    assert builds()["fast"]["hint"] == "Run `rustup target add wasm32-unknown-unknown`."


@pytest.mark.parametrize(
    "said",
    [
        "The JAVA_HOME environment variable is not defined correctly,",
        "[ERROR] No compiler is provided in this environment. Perhaps you are running on a JRE rather than a JDK?",
    ],
)
def test_a_missing_jdk_is_named(root: Path, said: str) -> None:
    """Maven is there, and says it in its own way."""
    place(root, "slow", f"echo '{said}' >&2; exit 1")

    assert builds()["slow"]["error"] == "the build of slow needs java, which is not installed"


def test_a_build_that_fails_is_told_and_the_others_are_built(root: Path) -> None:
    """One language less must not stop the rest."""
    place(root, "broken", "echo 'main.c:3: expected ;' >&2; exit 2")
    place(root, "echo")

    said = flux()

    assert said.exit_code == 1
    assert "the build of broken ended with status 2" in said.stdout
    assert "main.c:3: expected ;" in said.stdout
    assert "✔ echo" in said.stdout


def test_only_what_is_named_is_built(root: Path) -> None:
    """Others may take minutes."""
    place(root, "echo")
    place(root, "broken", "exit 1")

    assert set(builds("echo")) == {"echo"}


def test_a_name_that_is_none_is_refused(root: Path) -> None:
    """With the one that was meant."""
    place(root, "echo")

    said = flux("ecco")

    assert said.exit_code == 1
    assert isinstance(said.exception, BaseException)
    assert "there is no WebAssembly function ecco" in said.stderr
    assert "Did you mean echo?" in said.stderr


def test_a_project_without_webassembly_has_nothing_to_build(root: Path) -> None:
    """It is no error: CI may run it always."""
    said = flux()

    assert said.exit_code == 0
    assert "no function of this project is WebAssembly" in said.stdout


def test_what_keeps_no_abi_is_refused_by_the_build(root: Path) -> None:
    """And not in production."""
    place(root, "odd", source=SOURCE.replace('"flux_handle"', '"handle"'))

    error = builds()["odd"]["error"]

    assert error == (
        "functions/odd/flux.toml:1: functions/odd/build/echo.wasm cannot be odd: "
        "it does not export the function flux_handle"
    )


def test_a_module_that_is_not_valid_is_refused_by_the_build(root: Path) -> None:
    """Its exports may be right, and its code not."""
    broken = bytes(wasmtime.wat2wasm(SOURCE)).replace(b"\x20\x00\x20\x01\x10\x00", b"\x20\x00\x20\x09\x10\x00")
    folder = place(root, "odd", build=None)
    (folder / "build").mkdir()
    (folder / "build" / "echo.wasm").write_bytes(broken)

    assert "it cannot be compiled: " in builds()["odd"]["error"]


def test_a_build_that_makes_nothing_is_an_error(root: Path) -> None:
    """A wrong path in flux.toml looks like success to its tool."""
    place(root, "odd", "true")

    assert builds()["odd"]["error"].endswith(
        "odd has no module at functions/odd/build/echo.wasm: its build did not make it"
    )


def test_a_snapshot_is_made_where_it_is_asked_for(root: Path) -> None:
    """The module is its own start's result then."""
    started = SOURCE.replace(
        "(memory (export",
        '(func (export "_initialize") (i32.store (i32.const 64) (i32.const 0x12345678))) (memory (export',
    )
    folder = place(root, "echo", more="snapshot = true\n", source=started)

    built = builds()["echo"]

    assert built["snapshot"] is True
    assert b"\x78\x56\x34\x12" in (folder / "build" / "echo.wasm").read_bytes()
    assert b"_initialize" not in (folder / "build" / "echo.wasm").read_bytes()


def test_an_interpreter_of_flux_is_started_with_the_source(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function in an interpreted language has no build command."""
    runtime = SOURCE.replace(
        "(memory (export",
        """(data (i32.const 512) "{\\22ok\\22:null}")
        (data (i32.const 640) "{\\22error\\22:{\\22message\\22:\\22oh\\22,\\22line\\22:3}}")
        (func (export "flux_init") (result i32) (i32.const 0))
        (func (export "flux_load") (param $at i32) (param i32) (result i64)
          (if (result i64) (i32.eq (i32.load8_u offset=30 (local.get $at)) (i32.const 33))
            (then (i64.const 0x28000000023)) (else (i64.const 0x2000000000b))))
        (memory (export""",
    )
    (root / "sdk" / "tiny").mkdir(parents=True)
    (root / "sdk" / "tiny" / "tiny.wasm.xz").write_bytes(lzma.compress(wasmtime.wat2wasm(runtime)))
    monkeypatch.setattr(building, "SDK", root / "sdk")
    more = 'interpreter = "tiny"\nsource = "main.tiny"\n'
    good, bad = (place(root, name, build=None, more=more) for name in ("good", "bad"))
    (good / "main.tiny").write_text("fine")
    (bad / "main.tiny").write_text("!")

    said = builds()

    assert said["good"]["snapshot"] is True
    assert b"fine" in (good / "build" / "echo.wasm").read_bytes()
    assert said["bad"]["error"] == "functions/bad/main.tiny:3: oh"
    place(root, "other", build=None, more=more.replace("tiny", "giant"))
    assert builds("other")["other"]["hint"] == "There is tiny."


def test_a_build_finds_the_sdks_that_come_with_flux(root: Path) -> None:
    """Templates refer to them, wherever Flux is installed."""
    place(root, "echo", f'test "$FLUX_SDK" = "{building.SDK}" && {COMPILE}')

    assert builds()["echo"]["error"] is None
    assert "FLUX_SDK" not in os.environ


def test_a_module_that_cannot_be_read_or_kept_is_told(root: Path) -> None:
    """And the others are built all the same."""
    (place(root, "folder", build=None) / "build" / "echo.wasm").mkdir(parents=True)
    place(root, "good")

    told = builds()

    assert "the module functions/folder/build/echo.wasm of folder cannot be read" in told["folder"]["error"]
    assert told["good"]["module"]

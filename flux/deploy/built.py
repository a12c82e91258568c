"""The modules of WebAssembly functions in the tree of a commit: git rarely has them, so they are built there."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path

from flux.deploy.unpacked import link_packages
from flux.errors import BadDefinition, FluxError
from flux.runtime.guests.found import sources

#: Modules kept of those that were built: most commits that a bisection tries have not changed them.
MOST_KEPT = 32

_kept: OrderedDict[str, bytes] = OrderedDict()


def build_missing(tree: Path, project: Path) -> tuple[str, ...]:
    """Build, as the commit says, each module that is not in its tree; gives a note of each that cannot be.

    npm packages that are installed in the function's folder of `project` are found from there.
    """
    folders = sources(tree).wasm
    if not folders:
        return ()
    from flux.runtime.guests.wasm.build import build
    from flux.runtime.guests.wasm.folder import read

    notes = []
    for path in folders:
        try:
            folder = read(path, tree)
        except BadDefinition:  # the loader says so
            continue
        if folder.module.exists() or not (folder.build or folder.interpreter):
            continue
        key = _digest(path, tree)
        link_packages(path, project / path.relative_to(tree))
        if key in _kept:
            folder.module.parent.mkdir(parents=True, exist_ok=True)
            folder.module.write_bytes(_kept[key])
            continue
        try:
            build(path, tree)
        except FluxError as error:
            notes.append(f"{folder.name} could not be built: {error.message.partition(chr(10))[0]}")
            continue
        _kept[key] = folder.module.read_bytes()
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return tuple(notes)


def _digest(path: Path, tree: Path) -> str:
    """What a module is built from, as far as it lies in its folder."""
    digest = hashlib.sha256(path.relative_to(tree).as_posix().encode())
    for file in sorted(path.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            digest.update(f"{file.relative_to(path)}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()

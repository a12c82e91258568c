"""Modules of this machine ready to run: compiled once, kept on disk, and the last ones in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import wasmtime
from wasmtime import component as wit

from flux.runtime.guests.wasm import capi
from flux.runtime.guests.wasm.binary import is_component
from flux.runtime.guests.wasm.cache import CompiledFiles, LoadedModules
from flux.runtime.guests.wasm.component import ComponentModule
from flux.runtime.guests.wasm.core import CoreModule
from flux.runtime.guests.wasm.engine import Engine, component_engine, core_engine
from flux.runtime.guests.wasm.public import PublicModule
from flux.runtime.guests.wasm.run import Run
from flux.runtime.guests.wasm.signatures import BadModule


class Ready(Protocol):
    """A module that can be run."""

    def handle(self, data: bytes, run: Run) -> bytes:
        """The reply of a fresh instance; raises Ended, and what ended the run from our side."""


_loaded: LoadedModules[Ready] = LoadedModules()


def cache_folder() -> Path:
    """Where compiled modules lie: with the user's other caches, since every tree of a project shares them."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # Path raises without a home
    folder = Path(home) / "flux" / "wasm"
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if folder.is_absolute() and nearest is not None and nearest.is_dir() and os.access(nearest, os.W_OK):
        return folder
    return Path(tempfile.gettempdir()) / f"flux-wasm-{os.geteuid()}"


def ready(sha: str, read: Callable[[], bytes]) -> Ready:
    """The module of this hash, whose bytes `read` gives; raises BadModule, OSError."""
    return _loaded.get(f"{os.getpid()} {sha}", lambda: _load(read()))


def compile_to_cache(data: bytes) -> bool:
    """Compile a module to the cache, and see whether it can be linked; whether it was not there. Raises BadModule."""
    engine = _engine(data)
    known = CompiledFiles(cache_folder()).holds(data, engine.identity)
    _load(data)
    return not known


def _load(data: bytes) -> tuple[Ready, int]:
    """The module, and what it takes."""
    engine = _engine(data)
    try:
        with CompiledFiles(cache_folder()).file(data, engine.identity, lambda data: _compile(engine, data)) as path:
            return _linked(engine, path, is_component(data)), path.stat().st_size
    except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
        raise BadModule(
            f"it cannot be compiled: {' '.join(str(error).split())}", "`flux build` makes it anew."
        ) from None


def _engine(data: bytes) -> Engine:
    return component_engine() if is_component(data) else core_engine()


def _compile(engine: Engine, data: bytes) -> bytes:
    kind = wit.Component if is_component(data) else wasmtime.Module
    return bytes(kind(engine.engine, data).serialize())


def _linked(engine: Engine, path: Path, component: bool) -> Ready:
    if component:
        return ComponentModule(engine, wit.Component.deserialize_file(engine.engine, str(path)))
    module = wasmtime.Module.deserialize_file(engine.engine, str(path))
    return PublicModule(engine, module) if capi.missing else CoreModule(engine, module)

"""Compiled modules: on disk, so that a module is compiled once a machine, and in memory, so that it is loaded once.

Wasmtime runs machine code from a file as it is; of a file that was changed it only notices when its header was. So the
folder is its owner's alone, a file's name says the hash of its content, and what does not have that hash is thrown
away. The name begins with what the code depends on: the module, wasmtime's version and configuration, the machine.
Where nothing can be written, such as on a full disk, modules run all the same, compiled anew in each process.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

log = logging.getLogger("flux")

#: Compiled modules that are kept in memory, and their bytes on disk: what ran takes about as much memory.
MOST_MODULES = 256
MOST_BYTES = 1024**3

#: Compiled modules that are kept on disk; each build makes another.
MOST_FILES = 512


class Compiler(Protocol):
    """What makes machine code of a module."""

    def __call__(self, data: bytes) -> bytes:
        """Compile; raises WasmtimeError where the module is not valid."""


class CompiledFiles:
    """The folder of compiled modules. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def file(self, data: bytes, identity: str, compile: Compiler) -> Iterator[Path]:
        """The compiled file of a module, made if it is not there; valid inside, also when it is deleted meanwhile."""
        key = f"{hashlib.sha256(data).hexdigest()}-{identity}"
        folder = self._private_folder()
        opened = self._open(folder, key)
        if opened is None:
            with self._lock(folder, key):
                opened = self._open(folder, key)
                if opened is None:
                    opened = self._made(folder, key, compile(data))
        try:
            yield Path(f"/proc/self/fd/{opened}") if Path("/proc/self/fd").exists() else self._find(folder, key)[0]
        finally:
            os.close(opened)

    def holds(self, data: bytes, identity: str) -> bool:
        """Whether the module is there compiled."""
        return bool(self._find(self._folder, f"{hashlib.sha256(data).hexdigest()}-{identity}"))

    def _private_folder(self) -> Path:
        """The folder, which nobody else may write to."""
        folder = self._folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.stat()
        except OSError:  # then nothing is found there, and nothing written
            return folder
        if state.st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user, whose machine code is not run")
        if state.st_mode & 0o077:
            folder.chmod(0o700)
        return folder

    def _find(self, folder: Path, key: str) -> list[Path]:
        return sorted(folder.glob(f"{key}-*.cwasm"))

    def _open(self, folder: Path, key: str) -> int | None:
        """A descriptor of the file with this key, whose content has been checked; None where there is none."""
        for path in self._find(folder, key):
            try:
                opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            except FileNotFoundError:  # another process has just thrown it away
                continue
            with os.fdopen(os.dup(opened), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if path.stem.rpartition("-")[2] == digest and os.fstat(opened).st_uid == os.geteuid():
                with suppress(OSError):  # a cache that was made beforehand, and cannot be written
                    os.utime(opened)
                return opened
            os.close(opened)
            with suppress(OSError):
                path.unlink()
        return None

    def _made(self, folder: Path, key: str, compiled: bytes) -> int:
        """A descriptor of what was compiled: of its file, or of memory where it cannot be kept."""
        try:
            self._write(folder, key, compiled)
            opened = self._open(folder, key)
        except OSError as error:
            log.warning("a compiled WebAssembly module cannot be kept in %s: %s", folder, error)
            opened = None
        return _in_memory(compiled) if opened is None else opened

    def _write(self, folder: Path, key: str, compiled: bytes) -> None:
        """Put it there whole or not at all, and throw away what was not used for longest."""
        digest = hashlib.sha256(compiled).hexdigest()
        with tempfile.NamedTemporaryFile(dir=folder, prefix="compiling-", delete=False) as file:
            try:
                file.write(compiled)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(folder / f"{key}-{digest}.cwasm")
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
        for old in sorted(folder.glob("*.cwasm"), key=lambda path: path.stat().st_mtime)[:-MOST_FILES]:
            old.unlink(missing_ok=True)

    @contextmanager
    def _lock(self, folder: Path, key: str) -> Iterator[None]:
        """One process compiles a module, and the others wait for it."""
        path = folder / f"{key}.lock"
        try:
            file = path.open("w")
        except OSError:
            yield
            return
        try:
            with file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        finally:
            path.unlink(missing_ok=True)


def _in_memory(compiled: bytes) -> int:
    """A descriptor of a file that lies in memory only."""
    opened = os.memfd_create("flux-wasm")
    with os.fdopen(os.dup(opened), "wb") as file:
        file.write(compiled)
    return opened


Module = TypeVar("Module")


class LoadedModules(Generic[Module]):
    """What was loaded last, at most `most_modules` of them and `most_bytes`; what is in use lives on when it goes."""

    def __init__(self, most_modules: int = MOST_MODULES, most_bytes: int = MOST_BYTES) -> None:
        self._most_modules, self._most_bytes = most_modules, most_bytes
        self._modules: OrderedDict[str, tuple[Module, int]] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._bytes = 0

    def get(self, key: str, load: Callable[[], tuple[Module, int]]) -> Module:
        """The module of this key; `load` gives it and its bytes, and is called by one thread while others wait."""
        found = self._found(key)
        if found is not None:
            return found
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            found = self._found(key)
            if found is not None:
                return found
            module, size = load()
            with self._lock:
                self._modules[key] = (module, size)
                self._bytes += size
                while len(self._modules) > 1 and (
                    len(self._modules) > self._most_modules or self._bytes > self._most_bytes
                ):
                    _, (_, freed) = self._modules.popitem(last=False)
                    self._bytes -= freed
                self._loading.pop(key, None)
            return module

    def __len__(self) -> int:
        return len(self._modules)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._modules.clear()
            self._bytes = 0

    def _found(self, key: str) -> Module | None:
        with self._lock:
            entry = self._modules.get(key)
            if entry is None:
                return None
            self._modules.move_to_end(key)
            return entry[0]

"""WebAssembly functions as the runtime sees them: folders with a flux.toml, run by wasmtime in this process."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from flux.config import Project
from flux.errors import BadDefinition, FluxError, GuestLimit, GuestProtocol, GuestTrap, GuestUnusable
from flux.runtime.broken import Broken
from flux.runtime.definition import checked_route
from flux.runtime.guests import making
from flux.runtime.guests.guest import Loaded
from flux.runtime.guests.host import Host
from flux.runtime.guests.wasm import signatures
from flux.runtime.guests.wasm.folder import Folder, options_of, read
from flux.runtime.guests.wasm.modules import Ready, ready
from flux.runtime.guests.wasm.run import Run
from flux.runtime.guests.wasm.signatures import BadModule
from flux.runtime.guests.wasm.traps import Ended
from flux.runtime.guests.wasm.wasi import System
from flux.runtime.guests.wire import encoded
from flux.runtime.raised import FRAMES

#: What ran out, among the ways that a guest ends.
_LIMITS = frozenset({"ComputeLimit", "MemoryLimit", "OutputLimit", "StackOverflow", "TooDeep", "TooManyInstances"})
_PROTOCOL = frozenset({"BadReply", "BadAddress", "Unsupported"})

_AT = re.compile(r"^at (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Module:
    """A function's folder, and the hash of the module that lay there when it was loaded."""

    folder: Folder
    sha: str


class WasmGuest:
    """The WebAssembly functions of one tree. Their modules are shared with all other trees of the process."""

    def __init__(self, project: Project, folders: Sequence[Path]) -> None:
        self._root, self._folders = project.root, folders
        self._modules: dict[Path, _Module] = {}  # by folder: two may say the same name, of which one is used

    def load(self) -> Loaded:
        """Read each folder, and see that its module is a guest; it is compiled at its first request, or by a build."""
        functions, broken = [], []
        for path in self._folders:
            try:
                folder = read(path, self._root)
                sha = _checked(folder, self._root)
                functions.append(
                    making.make_guest_function(
                        self,
                        folder.options,
                        schema=folder.schema,
                        file=folder.file,
                        line=folder.line,
                        root=self._root,
                        language=folder.language,
                        runtime="wasmtime",
                    )
                )
            except BadDefinition as error:
                broken.append(_broken(path, self._root, error))
            else:
                self._modules[path] = _Module(folder, sha)
        return Loaded(tuple(functions), tuple(broken))

    def invoke(self, name: str, host: Host, input: Mapping[str, Any]) -> Any:
        """The result of a fresh instance, as JSON values."""
        module = self._modules[host.folder]
        loaded = self._ready(module)
        system = System(_HostTape(host), host.log)
        run = Run(_Dispatch(host), system, module.folder.limits, time.monotonic() + host.remaining())
        try:
            reply = loaded.handle(encoded(input, exact_integers=True), run)
        except Ended as ended:
            raise self._error(name, module, ended) from None
        finally:
            system.finish()
        return _result(name, host, reply)

    def close(self) -> None:
        """Nothing is held but what is shared."""

    def prepare(self) -> None:
        """Compile and load every module now, rather than in its first request; what cannot be is told there."""
        for module in self._modules.values():
            try:
                self._ready(module)
            except GuestUnusable:
                continue

    def faults(self) -> list[str]:
        """File, line and reason of each module that cannot be compiled or linked."""
        found = []
        for module in self._modules.values():
            try:
                self._ready(module)
            except GuestUnusable as error:
                found.append(f"{_place(module.folder, self._root)}: {error.message}")
        return found

    def ready(self, name: str) -> Ready:
        """The module of a function, compiled and loaded; raises GuestUnusable."""
        return self._ready(next(module for module in self._modules.values() if module.folder.name == name))

    def _ready(self, module: _Module) -> Ready:
        name = module.folder.name
        try:
            return ready(module.sha, lambda: _same(module))
        except BadModule as error:
            raise GuestUnusable(
                f"{name} cannot run: {error.message}", file=str(module.folder.file), hint=error.hint
            ) from None
        except OSError as error:
            raise GuestUnusable(f"{name} cannot run: {error}", file=str(module.folder.file)) from None

    def _error(self, name: str, module: _Module, ended: Ended) -> FluxError:
        """What ended a guest as the record knows it."""
        if ended.type in _LIMITS:
            error: FluxError = GuestLimit(f"{name} was stopped: {ended.message}")
        elif ended.type in _PROTOCOL:
            error = GuestProtocol(f"{name} broke the protocol: {ended.message}")
        else:
            error = GuestTrap(f"{name} trapped: {ended.message}")
        file = str(module.folder.module).removeprefix(f"{self._root}/")
        frames = [
            {"file": file, "line": 0, "function": function, "source": "", "own": False}
            for function in reversed(_AT.findall(ended.stack))
        ]
        vars(error)[FRAMES] = tuple(frames)
        return error


class _Dispatch:
    """Answers a guest by the host; raises what is to end the request whatever the guest makes of it."""

    __slots__ = ("_host",)

    def __init__(self, host: Host) -> None:
        self._host = host

    def __call__(self, request: bytes) -> bytes:
        reply = self._host.answer(request)
        if self._host.ended is not None:
            raise self._host.ended
        return reply


class _HostTape:
    """Clock and chance of the request."""

    __slots__ = ("_host",)

    def __init__(self, host: Host) -> None:
        self._host = host

    def time_ns(self) -> int:
        return self._host.time_ns()

    def seed(self) -> bytes:
        return bytes.fromhex(self._host.seed("wasm"))

    @property
    def is_replay(self) -> bool:
        return self._host.execution.recalled is not None


def _checked(folder: Folder, root: Path) -> str:
    """The hash of the folder's module, which can be a guest; raises BadDefinition."""
    place = _place(folder, root)
    module = str(folder.module).removeprefix(f"{root}/")
    try:
        data = folder.module.read_bytes()
    except FileNotFoundError:
        hint = f"`flux build {folder.name}` makes it." if folder.build or folder.interpreter else "Put it there."
        raise BadDefinition(f"{place}: {folder.name} has no module at {module}", hint=hint) from None
    except OSError as error:
        raise BadDefinition(f"{place}: the module {module} of {folder.name} cannot be read: {error}") from None
    try:
        signatures.check(data, folder.limits.memory)
    except BadModule as error:
        raise BadDefinition(f"{place}: {module} cannot be {folder.name}: {error.message}", hint=error.hint) from None
    return hashlib.sha256(data).hexdigest()


def _place(folder: Folder, root: Path) -> str:
    """Where a function is declared, as file:line."""
    return f"{str(folder.file).removeprefix(f'{root}/')}:{folder.line}"


def _same(module: _Module) -> bytes:
    """The bytes of a module that is still what it was when the project was loaded; raises BadModule, OSError."""
    data = module.folder.module.read_bytes()
    if hashlib.sha256(data).hexdigest() != module.sha:
        raise BadModule("its module has changed since it was loaded", "Load the project again.")
    return data


def _broken(path: Path, root: Path, error: BadDefinition) -> Broken:
    """Why a folder cannot be used, and what would have been there."""
    options = options_of(path)
    place, _, message = error.message.partition(": ")
    file, _, line = place.rpartition(":")
    try:
        method, route = checked_route(options.get("route"), str(options["name"]), place)
    except BadDefinition:
        method = route = None
    return Broken(
        file or str(path.relative_to(root)),
        int(line) if line.isdigit() else 1,
        message,
        error.hint,
        routes=((method, route),) if method and route else (),
        names=(str(options["name"]),),
    )


def _result(name: str, host: Host, reply: bytes) -> Any:
    """What a reply says; raises the guest's error, GuestProtocol."""
    try:
        told = orjson.loads(reply)
    except orjson.JSONDecodeError as error:
        raise GuestProtocol(f"the reply of {name} is not JSON: {error}") from None
    if isinstance(told, dict) and len(told) == 1:
        if "ok" in told:
            return told["ok"]
        if "error" in told:
            raise host.error_of(told["error"])
    raise GuestProtocol(f'the reply of {name} is neither {{"ok": …}} nor {{"error": …}}')

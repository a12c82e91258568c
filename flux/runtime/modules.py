"""The user's modules of one generation: how they are found, imported, and import each other.

A reload must give new modules while requests in flight go on with the old ones, lazy imports
included. So a module's imports do not go by sys.path or sys.modules: its globals carry builtins of
their own whose `__import__` looks in its generation first. Nothing that other code imports changes.
In sys.modules the newest generation stands under `functions.<name>`, for those who look a class's
module up by name (dataclasses, typing, pickle); a file named like a module of the standard library
hides nothing.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import linecache
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "functions"

#: Files that belong to the user's tests, and would import what production does not have.
_TESTS = ("test_*.py", "*_test.py", "conftest.py")


class Source:
    """A module's file as it was read, so that a traceback shows the lines that ran and not those of a later edit."""

    def __init__(self, path: Path) -> None:
        self.text = importlib.util.decode_source(path.read_bytes())
        lines = [f"{line}\n" for line in self.text.splitlines()]
        # no time of change: linecache takes the lines as they are, whatever becomes of the file
        linecache.cache[str(path)] = (len(self.text), None, lines, str(path))

    def get_source(self, fullname: str) -> str:
        """The text, for inspect."""
        return self.text


class BrokenImport(ImportError):
    """A module imported another that cannot be imported itself."""


class Modules:
    """One generation. Modules are imported once each, by whoever needs them first, in whatever thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = _find(folder)
        self.loaded: dict[str, ModuleType] = {}
        self.failed: dict[str, BaseException] = {}
        self._importing: set[str] = set()
        self._lock = threading.RLock()
        self._builtins = {**vars(builtins), "__import__": self._import}

    def load(self, name: str) -> ModuleType:
        """The module of this full name, such as `functions.billing`.

        Raises whatever its code raises, the first time; BrokenImport from then on.
        """
        module = self.loaded.get(name)
        if module is not None and name not in self._importing:
            return module
        with self._lock:
            module = self.loaded.get(name)
            if module is not None:  # perhaps half imported, in a circle of imports
                return module
            if name in self.failed:
                raise _broken_import(name, self.failed[name]) from self.failed[name]
            parent = name.rpartition(".")[0]
            above = self.load(parent) if parent else None
            module = self._run(name)
            if above is not None:
                setattr(above, name.rpartition(".")[2], module)
            return module

    def forget(self, newer: Modules | None) -> None:
        """Leave sys.modules and linecache what a newer generation does not have."""
        names = newer.files if newer else {}
        for name, module in self.loaded.items():
            if name not in names and sys.modules.get(name) is module:
                del sys.modules[name]
        kept = {str(path) for path in names.values()}
        for path in map(str, self.files.values()):
            if path not in kept:
                linecache.cache.pop(path, None)

    def _run(self, name: str) -> ModuleType:
        """Import one file as importlib would, without its caches."""
        path = self.files[name]
        module = _empty(name, path, self.folder)
        vars(module)["__builtins__"] = self._builtins
        self.loaded[name] = module
        self._importing.add(name)
        replaced = sys.modules.get(name)
        sys.modules[name] = module
        try:
            if path is not None:
                source = vars(module)["__loader__"] = Source(path)
                exec(compile(source.text, str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102
        except BaseException as error:
            del self.loaded[name]
            self.failed[name] = error
            if replaced is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = replaced
            raise
        finally:
            self._importing.discard(name)
        return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """`__import__` of the user's modules: their own generation first, then everyone's."""
        own = self._own_name(name, globals or {}, level)
        if own is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self._load_for(own, globals or {})
        if not fromlist:
            first = own.split(".")[: 1 if name.startswith(f"{PACKAGE}.") else 2]
            return self.load(".".join(first))
        wanted = fromlist if "*" not in fromlist else getattr(module, "__all__", ())
        for item in wanted:
            if f"{own}.{item}" in self.files and not hasattr(module, item):
                self._load_for(f"{own}.{item}", globals or {})
        return module

    def _load_for(self, name: str, importer: Mapping[str, Any]) -> ModuleType:
        try:
            return self.load(name)
        except BrokenImport:
            raise
        except (Exception, SystemExit) as error:
            raise _broken_import(name, error) from error

    def _own_name(self, name: str, importer: Mapping[str, Any], level: int) -> str | None:
        """The full name when the import means one of these modules."""
        if level:
            package = importer.get("__package__") or PACKAGE
            full = importlib.util.resolve_name("." * level + name, package)
        elif name == PACKAGE or name.startswith(f"{PACKAGE}."):
            full = name
        elif name.partition(".")[0] in sys.stdlib_module_names:
            return None
        else:
            full = f"{PACKAGE}.{name}"
            if full == importer.get("__name__"):  # functions/stripe.py means the stripe that is installed
                return None
        return full if full in self.files else None


def _find(folder: Path) -> dict[str, Path | None]:
    """Files by full name; a folder without an __init__.py has none, and is there only when modules lie below it."""
    found = dict(_walk(folder))
    packages = {PACKAGE}
    for name, path in found.items():
        if path is not None:
            parts = name.split(".")
            packages |= {".".join(parts[:end]) for end in range(1, len(parts))}
    return {name: path for name, path in found.items() if path is not None or name in packages}


def _walk(folder: Path) -> Iterator[tuple[str, Path | None]]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        prefix = ".".join((PACKAGE, *here.relative_to(folder).parts))
        yield prefix, here / "__init__.py" if "__init__.py" in files else None
        modules = {file[:-3] for file in files if _is_module(file)}
        for module in sorted(modules):
            if not (here / module / "__init__.py").is_file():
                yield f"{prefix}.{module}", here / f"{module}.py"
        folders[:] = sorted(name for name in folders if _is_package(here / name, modules))


def _is_module(file: str) -> bool:
    stem, _, ending = file.partition(".")
    return ending == "py" and not stem.startswith("__") and not any(fnmatch(file, test) for test in _TESTS)


def _is_package(folder: Path, modules: set[str]) -> bool:
    """A folder's own flux.toml makes it another runtime's, and a module goes before a folder of its name."""
    name = folder.name
    if name.startswith((".", "__")) or "." in name or name == "node_modules":
        return False
    if (folder / "__init__.py").is_file():
        return True
    return name not in modules and not (folder / "flux.toml").exists() and not (folder / "pyvenv.cfg").exists()


def _empty(name: str, path: Path | None, folder: Path) -> ModuleType:
    """A module with what importlib gives it, before its code has run."""
    is_package = path is None or path.name == "__init__.py"
    spec = importlib.machinery.ModuleSpec(name, None, origin=str(path) if path else None, is_package=is_package)
    module = ModuleType(name)
    module.__spec__ = spec
    module.__package__ = name if is_package else name.rpartition(".")[0]
    if path is not None:
        module.__file__ = str(path)
    if is_package:
        module.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        spec.submodule_search_locations = list(module.__path__)
    return module


def _broken_import(name: str, error: BaseException) -> BrokenImport:
    short = name.removeprefix(f"{PACKAGE}.")
    return BrokenImport(f"{short} cannot be imported: {type(error).__name__}: {error}", name=name)

"""A function's folder: what its flux.toml says of the function, its input, and the module that is to be run.

Unknown keys are errors, as in the project's own flux.toml. Of each error the line is told that it stands on.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flux.config import FILE_NAME, duration_seconds, size_bytes
from flux.errors import BadDefinition
from flux.runtime.guests.wasm.engine import MOST_MEMORY
from flux.runtime.guests.wasm.run import Limits

_TABLES = ("function", "input", "wasm")
#: The settings of [wasm].
KEYS = ("module", "build", "language", "memory", "output", "compute", "snapshot", "interpreter", "source")
_PAGE = 65_536


@dataclass(frozen=True, slots=True)
class Folder:
    """One function. `options` are those of every function, `schema` the JSON Schema of its input, None for any.

    `module` and `source` are absolute, `build` a command for a shell in `path`.
    """

    path: Path
    options: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    module: Path
    language: str
    limits: Limits
    build: str | None = None
    snapshot: bool = False
    interpreter: str | None = None
    source: Path | None = None

    @property
    def name(self) -> str:
        """What the function is called: its folder's name where flux.toml says no other."""
        return str(self.options["name"])

    @property
    def file(self) -> Path:
        """Its flux.toml."""
        return self.path / FILE_NAME

    @property
    def line(self) -> int:
        """Where it is declared there."""
        return _line(self.file.read_text(encoding="utf-8"), "function")


def read(path: Path, root: Path) -> Folder:
    """The function in this folder of the project in `root`; raises BadDefinition, with file and line."""
    return _Reader(path, root).folder()


def options_of(path: Path) -> Mapping[str, Any]:
    """What can be read of the function's options where the folder as a whole cannot; never raises."""
    try:
        table = tomllib.loads((path / FILE_NAME).read_text(encoding="utf-8")).get("function")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        table = None
    return {"name": path.name, **(table if isinstance(table, dict) else {})}


class _Reader:
    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._relative = str(path / FILE_NAME).removeprefix(f"{root}/")
        try:
            self._text = (path / FILE_NAME).read_text(encoding="utf-8")
            self._document = tomllib.loads(self._text)
        except (OSError, UnicodeDecodeError) as error:
            raise BadDefinition(f"{self._relative}:1: it cannot be read: {error}") from None
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            raise BadDefinition(f"{self._relative}:{line[1] if line else 1}: {error}") from None

    def folder(self) -> Folder:
        for name, value in self._document.items():
            if name not in _TABLES:
                raise self._wrong(name, f"[{name}] is not a table of a function", f"It has [{'], ['.join(_TABLES)}].")
            if name != "input" and not isinstance(value, dict):
                raise self._wrong(name, f"{name} is not a table", f"Write [{name}].")
        wasm = self._document.get("wasm")
        if wasm is None:
            raise self._wrong("function", "it has no [wasm]", 'Write [wasm] and `module = "build/….wasm"`.')
        for key in wasm:
            if key not in KEYS:
                raise self._wrong(key, f"[wasm] has no {key}", f"It has {', '.join(KEYS)}.")
        module = self._text_of(wasm, "module")
        if module is None:
            raise self._wrong("wasm", "[wasm] names no module", f'Write `module = "build/{self._path.name}.wasm"`.')
        options = {"name": self._path.name, **self._document.get("function", {})}
        interpreter, source = self._text_of(wasm, "interpreter"), self._text_of(wasm, "source")
        if interpreter is not None and source is None:
            raise self._wrong("interpreter", "[wasm] names an interpreter, and no source for it", "Add `source = …`.")
        return Folder(
            path=self._path,
            options=options,
            schema=self._schema(),
            module=self._inside("module", module),
            language=self._text_of(wasm, "language") or interpreter or "wasm",
            limits=self._limits(wasm),
            build=self._text_of(wasm, "build"),
            snapshot=self._flag(wasm, "snapshot", interpreter is not None),
            interpreter=interpreter,
            source=None if source is None else self._inside("source", source),
        )

    def _schema(self) -> Mapping[str, Any] | None:
        """[input] itself, or the file that `input = "schema.json"` names."""
        given = self._document.get("input")
        if isinstance(given, str):
            file = self._inside("input", given)
            try:
                given = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise self._wrong("input", f"input is {given}, which cannot be read: {error}") from None
        if given is not None and not isinstance(given, dict):
            raise self._wrong("input", "input is not a JSON Schema", "Write [input], or the name of a file of JSON.")
        return given

    def _limits(self, wasm: Mapping[str, Any]) -> Limits:
        usual = Limits()
        memory, output = self._size(wasm, "memory", usual.memory), self._size(wasm, "output", usual.output)
        if not _PAGE <= memory <= MOST_MEMORY:
            raise self._wrong("memory", f"[wasm] memory is {memory} bytes", "It is 64KiB to 1GiB.")
        compute = None
        if "compute" in wasm:
            try:
                compute = duration_seconds(wasm["compute"])
            except ValueError:
                raise self._wrong(
                    "compute", f"[wasm] compute is {wasm['compute']!r}", 'Write "500ms", or "2s".'
                ) from None
        return Limits(memory=memory, output=output, compute=compute)

    def _size(self, wasm: Mapping[str, Any], key: str, usual: int) -> int:
        try:
            return size_bytes(wasm[key]) if key in wasm else usual
        except ValueError:
            raise self._wrong(key, f"[wasm] {key} is {wasm[key]!r}", 'Write a size such as "64MiB".') from None

    def _text_of(self, wasm: Mapping[str, Any], key: str) -> str | None:
        value = wasm.get(key)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        raise self._wrong(key, f"[wasm] {key} is {value!r}, not text")

    def _flag(self, wasm: Mapping[str, Any], key: str, usual: bool) -> bool:
        value = wasm.get(key, usual)
        if isinstance(value, bool):
            return value
        raise self._wrong(key, f"[wasm] {key} is {value!r}, not true or false")

    def _inside(self, key: str, name: str) -> Path:
        """A file of the folder: what lies outside of it is not deployed with it."""
        path = (self._path / name).resolve()
        if self._path.resolve() not in path.parents:
            raise self._wrong(key, f"{key} is {name}, which lies outside of its folder")
        return path

    def _wrong(self, key: str, message: str, hint: str | None = None) -> BadDefinition:
        return BadDefinition(f"{self._relative}:{_line(self._text, key)}: {message}", hint=hint)


def _line(text: str, key: str) -> int:
    """The line on which a table or a key stands, 1 where it does not."""
    found = re.search(rf"^[ \t]*(?:\[\s*{re.escape(key)}\b|{re.escape(key)}\s*[=.])", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1

"""The project's functions, read from its `functions/` folder: those that work, and why the others
do not.

A module that cannot be imported takes no other down with it. What it would have served is read from
its text, so that its routes can answer with the reason.
"""

from __future__ import annotations

import difflib
import re
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flux.config import Project
from flux.errors import BadDefinition, FluxError, FunctionBroken, FunctionNotFound
from flux.runtime.broken import Broken
from flux.runtime.chance import record_chance
from flux.runtime.clock import record_clock
from flux.runtime.declared import declared_in
from flux.runtime.functions import Function, declarations
from flux.runtime.generation import Generation
from flux.runtime.guests.found import guests_of
from flux.runtime.modules import PACKAGE, BrokenImport, Modules
from flux.runtime.webhooks import webhook_function

#: How a function says its name, by language; others do it in their flux.toml.
_NAMING = {"python": '@function(name="…")', "typescript": 'defineFunction({ name: "…" })'}
_NAMING_ELSE = 'name = "…" under [function] in its flux.toml'

_PARAMETERS = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Registry:
    """What one load found. Functions by name; requests in flight keep the registry they began with. `builtin` are
    Flux's own, which only jobs run; `generation` are what runs functions in other languages. Who loads closes."""

    functions: Mapping[str, Function]
    broken: tuple[Broken, ...]
    modules: Modules
    builtin: Mapping[str, Function] = field(default_factory=dict)
    generation: Generation = field(default_factory=Generation)

    @property
    def root(self) -> Path:
        """The folder of the project it was loaded from, which each deployment has for itself."""
        return self.modules.folder.parent

    def close(self) -> None:
        """Let go of what runs functions in other languages."""
        self.generation.close()

    def find(self, name: str) -> Function:
        """The function of this name; raises FunctionNotFound, FunctionBroken."""
        function = self.functions.get(name) or self.builtin.get(name)
        if function is not None:
            return function
        for broken in self.broken:
            if name in broken.names:
                raise FunctionBroken(f"{name} cannot run: {broken}", hint=broken.hint)
        near = difflib.get_close_matches(name, self.functions, 1)
        raise FunctionNotFound(
            f"there is no function {name}",
            hint=f"Did you mean {near[0]}?" if near else "`flux doctor` lists the functions of this project.",
        )


_lock = threading.Lock()
_newest: Modules | None = None


def load(project: Project) -> Registry:
    """Import every module under functions/ anew, start the guests, and gather what they declare.

    Never raises for the user's code.
    """
    global _newest  # noqa: PLW0603  # sys.modules and linecache are one a process, and so is what stands in them
    record_clock()  # before user modules take what they import of it
    record_chance()
    with _lock:
        modules = Modules(project.root / PACKAGE)
        generation = Generation(guests_of(project))
        functions, broken = _Loading(project.root, modules, generation).run()
        if _newest is not None:
            _newest.forget(modules)
        _newest = modules
    deliver = webhook_function(project)
    return Registry(functions, tuple(broken), modules, {deliver.name: deliver}, generation)


class _Loading:
    """One load under way."""

    def __init__(self, root: Path, modules: Modules, generation: Generation) -> None:
        self.root = root
        self.modules = modules
        self.generation = generation
        self.broken: list[Broken] = []

    def run(self) -> tuple[dict[str, Function], list[Broken]]:
        with declarations(self.root) as declared:
            for name, path in self.modules.files.items():
                try:
                    self.modules.load(name)
                except (Exception, SystemExit) as error:  # noqa: BLE001  # user code may raise anything
                    first = self.modules.failed.get(name, error)  # an importer may have met it before
                    self._report_module(path or self.modules.folder, first)
        found = dict.fromkeys(declared.functions)
        for module in self.modules.loaded.values():  # also what they import from installed packages
            found |= dict.fromkeys(value for value in vars(module).values() if isinstance(value, Function))
        usable = [function for function in found if function.__module__ not in self.modules.failed]
        for guest in self.generation.guests:
            loaded = guest.load()
            usable += loaded.functions
            self.broken += loaded.broken
        return self._distinct(sorted(usable, key=lambda function: (function.file, function.line))), self.broken

    def _distinct(self, functions: list[Function]) -> dict[str, Function]:
        """Functions by name, without those that cannot be served."""
        names: dict[str, Function] = {}
        routes: dict[tuple[str | None, str], Function] = {}
        for function in functions:
            try:
                function.arguments.compile()
            except BadDefinition as error:
                self._report(function, error.message, error.hint, keeps_route=True)
                continue
            shape = (function.method, _PARAMETERS.sub("{}", function.route or ""))
            if function.name in names:
                other = self._place(names[function.name])
                self._report(
                    function,
                    f"{function.name} is already the name of a function at {other}",
                    f"Give one of them another name: {_NAMING.get(function.language, _NAMING_ELSE)}.",
                    keeps_route=shape not in routes,
                )
            elif function.route and shape in routes:
                other = f"{routes[shape].name} at {self._place(routes[shape])}"
                message = f"{function.method} {function.route} is already the route of {other}"
                self._report(function, message, None, keeps_route=False)
            else:
                names[function.name] = function
                if function.route:
                    routes[shape] = function
        return names

    def _report(self, function: Function, message: str, hint: str | None, *, keeps_route: bool) -> None:
        """A function that cannot be used, though its module can."""
        file = self._relative(function.file)
        route = ((function.method, function.route),) if function.method and function.route and keeps_route else ()
        message = message.removeprefix(f"{file}:{function.line}: ")
        self.broken.append(Broken(file, function.line, message, hint, "", route, (function.name,)))

    def _report_module(self, path: Path, error: BaseException) -> None:
        """A module that cannot be imported."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if self._is_own(frame.filename)]
        file, line = str(path), 1
        if isinstance(error, SyntaxError) and error.filename and self._is_own(error.filename):
            file, line = error.filename, error.lineno or 1
        elif frames:
            file, line = frames[-1].filename, frames[-1].lineno or 1
        file = self._relative(file)
        message, hint = _message(error), getattr(error, "hint", None)
        message = message.removeprefix(f"{file}:{line}: ")
        own = traceback.StackSummary.from_list(frames).format() if frames else []
        text = "".join([*own, *traceback.format_exception_only(error)])
        names, routes = declared_in(_text(path))
        self.broken.append(Broken(file, line, message, hint, text, routes, names))

    def _is_own(self, file: str) -> bool:
        return file.startswith(f"{self.root}/")

    def _relative(self, file: str) -> str:
        return file.removeprefix(f"{self.root}/")

    def _place(self, function: Function) -> str:
        return f"{self._relative(function.file)}:{function.line}"


def _message(error: BaseException) -> str:
    if isinstance(error, FluxError | BrokenImport):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

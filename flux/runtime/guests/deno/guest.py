"""Functions in TypeScript as the runtime sees them: modules below functions/, run by processes of Deno."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from flux.config import Project
from flux.errors import BadDefinition, FluxError, GuestDied, GuestProtocol
from flux.runtime.broken import Broken
from flux.runtime.definition import checked_name, checked_route
from flux.runtime.functions import Function
from flux.runtime.guests import making
from flux.runtime.guests.deno.connection import Gone
from flux.runtime.guests.deno.fleet import Fleet
from flux.runtime.guests.deno.invocation import Invocation
from flux.runtime.guests.deno.process import Isolate
from flux.runtime.guests.deno.program import CONFIGS, find_deno
from flux.runtime.guests.guest import Loaded
from flux.runtime.guests.host import Host

#: Seconds that the import of one module may take before its top level counts as one that never ends.
IMPORT_PATIENCE = 10.0

#: Where a module is that could not be imported, at the end of what Deno says of it.
_AT = re.compile(r"\s+at file://(\S+?):(\d+):(\d+)\s*$")
_ROUTE = re.compile(r"""\broute\s*:\s*["'`]([^"'`]+)["'`]""")
_NAME = re.compile(r"""\bname\s*:\s*["'`]([\w.-]+)["'`]""")
_NOT_NAMED = re.compile(r'Import "([^"]+)" not a dependency')
_NOT_INSTALLED = re.compile(r"matching package for 'npm:")
_REMOTE = re.compile(r"--no-remote")


class DenoGuest:
    """The TypeScript functions of one tree."""

    def __init__(self, project: Project, files: Sequence[Path]) -> None:
        settings = project.typescript
        self._root, self._files = project.root, tuple(files)
        self._fleet: Fleet | None = None
        self._settings = settings
        self._keys: dict[str, str] = {}
        self._outputs: dict[str, Any] = {}

    def load(self) -> Loaded:
        """Import each module in a first isolate. One that ends it, or does not come to an end, others do not get."""
        try:
            find_deno()
        except FluxError as error:
            return Loaded(broken=tuple(self._broken(file, error.message, error.hint) for file in self._files))
        fleet = self._fleet = Fleet(self._root, self._settings.isolates, self._settings.memory)
        functions: list[Function] = []
        broken: list[Broken] = []
        usable: list[Path] = []
        isolate: Isolate | None = None
        for number, file in enumerate(self._files):
            try:
                isolate = isolate or _loaded_with(fleet, usable)
            except GuestDied as error:
                broken += [self._broken(left, error.message, error.hint) for left in self._files[number:]]
                break
            try:
                told = isolate.load(file, IMPORT_PATIENCE)
            except (TimeoutError, Gone) as error:
                isolate.kill("stuck")
                isolate.close()
                broken.append(self._broken(file, _unfinished(error, isolate), "Do at a request what takes its time."))
                isolate = None
                continue
            if "error" in told:
                broken.append(self._not_imported(file, told["error"]))
                continue
            usable.append(file)
            for definition in told["functions"]:
                self._define(file, definition, functions, broken)
        fleet.files = tuple(usable)
        if isolate is not None:
            fleet.add(isolate)
        return Loaded(tuple(functions), tuple(broken))

    def invoke(self, name: str, host: Host, input: Mapping[str, Any]) -> Any:
        """The function's result, as JSON values."""
        if self._fleet is None:
            raise GuestProtocol(f"{name} was not loaded")
        value = Invocation(self._fleet, host, self._keys[name], input).run()
        output = self._outputs.get(name)
        if output is not None and not (isinstance(value, dict) and set(value) == {"$response"}):
            _check(output, name, value)
        return value

    def prepare(self) -> None:
        """Have further isolates ready, and one more for when one of them ends."""
        if self._fleet is not None and self._keys:
            self._fleet.prepare()

    def close(self) -> None:
        """End every process."""
        if self._fleet is not None:
            self._fleet.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """Its processes."""
        return self._fleet.pids if self._fleet is not None else ()

    def _define(self, file: Path, told: Mapping[str, Any], functions: list[Function], broken: list[Broken]) -> None:
        place = told["place"] or {"file": str(file), "line": 1}
        options = dict(told["options"])
        at = Path(place["file"]), int(place["line"])
        try:
            function = making.make_guest_function(
                self,
                options,
                schema=told["input"],
                file=at[0],
                line=at[1],
                root=self._root,
                language="typescript",
                runtime="deno",
                exact_integers=False,
            )
            if told["output"] is not None:
                self._outputs[function.name] = _validator(told["output"], function)
        except BadDefinition as error:
            broken.append(self._undefined(at, options, error))
            return
        self._keys[function.name] = told["key"]
        functions.append(function)

    def _undefined(self, at: tuple[Path, int], options: Mapping[str, Any], error: BadDefinition) -> Broken:
        """A function that cannot be, though its module can be imported."""
        file = self._relative(at[0])
        try:
            name = checked_name(options.get("name"), file)
            method, route = checked_route(options.get("route"), name, file)
        except BadDefinition:
            name, method, route = "", None, None
        message = error.message.removeprefix(f"{file}:{at[1]}: ")
        routes = ((method, route),) if method and route else ()
        return Broken(file, at[1], message, error.hint, "", routes, (name,) if name else ())

    def _not_imported(self, file: Path, error: Mapping[str, Any]) -> Broken:
        """A module that threw while it was imported, or could not be read."""
        message = str(error.get("message", ""))
        found = _AT.search(message)
        if found:
            said = message[: found.start()].partition("\n")[0].partition(". Ensure ")[0]
            said = said.replace(f"{self._root.as_uri()}/", "")
            return self._broken(file, said, self._hint(said), (unquote(found[1]), int(found[2])))
        own = [
            (frame["file"], frame["line"])
            for frame in error.get("frames") or ()
            if str(frame["file"]).startswith(f"{self._root}/") and "/node_modules/" not in frame["file"]
        ]
        return self._broken(file, f"{error.get('type') or 'Error'}: {message}", None, own[-1] if own else None)

    def _hint(self, said: str) -> str | None:
        """What to do about an import that leads nowhere."""
        config = next((name for name in CONFIGS if (self._root / name).is_file()), "deno.json")
        missing = _NOT_NAMED.search(said)
        if missing is not None and missing[1] == "flux":
            return f'Add "flux" to the imports of {config}: `flux init --template ts` shows how.'
        if missing is not None:
            return f"Run `deno add npm:{missing[1]}` in the project."
        if _NOT_INSTALLED.search(said):
            return "Run `deno install` in the project."
        if _REMOTE.search(said):
            return "Import packages of npm, by `deno add npm:NAME`, and files of the project."
        return None

    def _broken(self, file: Path, message: str, hint: str | None, place: tuple[str, int] | None = None) -> Broken:
        """A module, with what it would have served as far as its text tells."""
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        routes = []
        for route in _ROUTE.findall(text):
            method, _, path = route.partition(" ")
            if path.startswith("/"):
                routes.append((method.upper(), path))
        names = _NAME.findall(text) or [file.stem]
        where, line = place or (str(file), 1)
        return Broken(self._relative(Path(where)), line, message, hint, "", tuple(routes), tuple(names))

    def _relative(self, file: Path) -> str:
        return str(file).removeprefix(f"{self._root}/")


def _loaded_with(fleet: Fleet, files: Sequence[Path]) -> Isolate:
    """A new isolate that has imported these; raises GuestDied."""
    isolate = fleet.start()
    try:
        for file in files:
            isolate.load(file, IMPORT_PATIENCE)
    except (TimeoutError, Gone) as error:
        isolate.close()
        raise GuestDied(_unfinished(error, isolate)) from error
    return isolate


def _unfinished(error: Exception, isolate: Isolate) -> str:
    if isinstance(error, TimeoutError):
        return f"its top level had not ended after {IMPORT_PATIENCE:g} s"
    return f"its import ended the process: {isolate.said()[-500:] or 'it said nothing'}"


def _validator(schema: Any, function: Function) -> Any:
    try:
        return jsonschema_rs.validator_for(schema, validate_formats=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise BadDefinition(f"the output of {function.name} is no JSON Schema: {reason}") from None


def _check(validator: Any, name: str, value: Any) -> None:
    """Refuse a result that is not what the function says it gives; raises GuestProtocol."""
    for error in validator.iter_errors(value):
        where = ".".join(map(str, error.instance_path))
        raise GuestProtocol(
            f"{name} returned what its output is not{f', at {where}' if where else ''}: {error.message}"
        )

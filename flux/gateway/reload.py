"""Changed files put to work while the server runs: functions are loaded anew, migrations and policies are applied.

A load that fails leaves its routes answering with the reason; requests in flight finish on the code they began with.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

from flux.config import FILE_NAME, Project
from flux.deploy.identity import code_sha
from flux.errors import FluxError
from flux.gateway.app import Deployment, Gateway
from flux.gateway.types import TypeChecker
from flux.policies import FILE_NAME as POLICIES
from flux.runtime.loader import load

#: Milliseconds without a further change after which a save counts as done.
QUIET = 50

#: Milliseconds after which a folder that was not there is looked for again.
PAUSE = 500


#: Beside the project's flux.toml, what says how TypeScript is loaded.
_TYPESCRIPT = ("deno.json", "deno.jsonc", "deno.lock", "package.json")

#: What of a function in a folder of its own is loaded; its sources are what its build is for.
_LOADED = (FILE_NAME, ".wasm", ".json")


class _Loaded(DefaultFilter):
    """Only files that a load reads: a compiler at work would have everything loaded anew again and again."""

    def __init__(self, functions: Path) -> None:
        super().__init__()
        self._functions = functions

    def __call__(self, change: Change, path: str) -> bool:
        return super().__call__(change, path) and (path.endswith(_LOADED) or not self._is_built(Path(path)))

    def _is_built(self, path: Path) -> bool:
        """Whether a file lies in a folder with a flux.toml of its own, or below one."""
        if not path.is_relative_to(self._functions):
            return False
        below = itertools.takewhile(self._functions.__ne__, path.parents)
        return any((folder / FILE_NAME).exists() for folder in below)


class Reloader(threading.Thread):
    """Watches a project. `migrate` applies migrations and policies, `declare` tells the database what the functions
    declare then; `on_deploy` and `on_error` are told what came of a change."""

    def __init__(
        self,
        project: Project,
        gateway: Gateway,
        *,
        migrate: Callable[[], None],
        declare: Callable[[], None],
        on_deploy: Callable[[Deployment], None],
        on_error: Callable[[FluxError], None],
    ) -> None:
        super().__init__(name="flux-reloader", daemon=True)
        self._project = project
        self._gateway = gateway
        self._migrate = migrate
        self._declare = declare
        self._on_deploy = on_deploy
        self._on_error = on_error
        self._stopping = threading.Event()
        self._functions = project.root / "functions"
        self._migrations = project.root / "db" / "migrations"
        self._policies = project.root / POLICIES
        self._settings = project.root / FILE_NAME
        self._typescript = tuple(project.root / name for name in _TYPESCRIPT)
        self._types = TypeChecker(project.root, on_error)
        self._loaded = _Loaded(self._functions)
        self._stamps = self._stamped(self._present())

    def run(self) -> None:
        """Watch until stopped; folders may come and go."""
        self._types.start()
        while not self._stopping.is_set():
            self._watch(self._present())

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        self._types.stop()

    def _present(self) -> set[Path]:
        watched = (self._functions, self._migrations, self._policies, self._settings, *self._typescript)
        return {path for path in watched if path.exists()}

    def _watch(self, present: set[Path]) -> None:
        """Act on changes until the set of watched paths itself changes.

        What was saved while nobody watched, as before the first watch or between two, is found by comparison.
        """
        if not present:
            self._stopping.wait(PAUSE / 1_000)
            return
        changes = watch(
            *present,
            watch_filter=self._loaded,
            step=QUIET,
            rust_timeout=PAUSE,
            yield_on_timeout=True,
            stop_event=self._stopping,
            raise_interrupt=False,
        )
        for number, changed in enumerate(changes):
            paths = {Path(path) for _, path in changed}
            if paths or not number:
                before, self._stamps = self._stamps, self._stamped(present)
                if not number:
                    paths |= {path for path, _ in before.items() ^ self._stamps.items()}
            self._changed(paths)
            if self._present() != present:
                return

    def _stamped(self, present: set[Path]) -> dict[Path, tuple[int, int]]:
        """Every file that counts, with the time of its last change and its size."""
        found: dict[Path, tuple[int, int]] = {}
        for top in present:
            for folder, folders, files in os.walk(top):
                folders[:] = [name for name in folders if name not in self._loaded.ignore_dirs]
                found |= _stamps(
                    Path(folder, name) for name in files if self._loaded(Change.modified, f"{folder}/{name}")
                )
            found |= _stamps([top] if top.is_file() else [])
        return found

    def _changed(self, paths: set[Path]) -> None:
        try:
            if self._policies in paths or any(path.is_relative_to(self._migrations) for path in paths):
                self._migrate()
                self._declare()
            if any(path.is_relative_to(self._functions) or path in self._typescript for path in paths):
                self._reload()
            if self._settings in paths:
                raise FluxError(f"{FILE_NAME} changed", hint="Stop `flux dev` and start it again to use it.")
        except FluxError as error:
            self._on_error(error)
        except Exception as error:  # noqa: BLE001  # the edge: whatever it was, the next change must be seen
            self._on_error(FluxError(f"a change could not be put to work: {type(error).__name__}: {error}"))

    def _reload(self) -> None:
        deployment = Deployment.of(self._project, load(self._project), code_sha(self._project.root))
        self._gateway.deploy(deployment)
        self._declare()
        self._on_deploy(deployment)
        self._types.check()


def _stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """The files that are there, with the time of their last change and their size."""
    found: dict[Path, tuple[int, int]] = {}
    for file in files:
        with suppress(OSError):  # it is gone again
            status = file.stat()
            found[file] = (status.st_mtime_ns, status.st_size)
    return found

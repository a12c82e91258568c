"""The languages of the conformance suite: what each project is, whether it can run here, what it says it cannot do."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import build_modules

from flux.config import FILE_NAME
from flux.runtime.guests.wasm.build import build

PROJECTS = Path(__file__).parent.parent / "projects"

#: Folder of a project, and the language as people write it; in the order of the table.
NAMES = {
    "python": "Python",
    "typescript": "TypeScript",
    "rust": "Rust",
    "go": "Go",
    "assemblyscript": "AssemblyScript",
    "python-wasm": "Python (wasm)",
    "php": "PHP",
    "java": "Java",
}


@dataclass(frozen=True)
class Language:
    """One language; `cannot` is why not, by the name of a behaviour."""

    folder: str
    name: str
    cannot: dict[str, str]

    @property
    def project(self) -> Path:
        return PROJECTS / self.folder

    @property
    def folders(self) -> list[Path]:
        """Its functions that are WebAssembly."""
        return [path.parent for path in sorted(self.project.glob("functions/*/flux.toml"))]

    def missing(self) -> str | None:
        """Why it cannot be run on this machine."""
        if self.folder == "typescript" and importlib.util.find_spec("deno") is None:
            return "the package deno is not installed"
        if self.folder in build_modules.BUILT_HERE:
            return build_modules.made_here(self.folder)
        interpreted = any("interpreter" in _settings(folder) for folder in self.folders)
        if self.folders and not interpreted and build_modules.module_file(self.folder) is None:
            return f"tests/guests/modules/ has no module of {self.name}"
        return None

    def copy(self, root: Path) -> None:
        """Its project as `flux build` leaves it, with the module that is there in place of a build."""
        root.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.project, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target", "build"))
        for folder in self.folders:
            own, settings = root / folder.relative_to(self.project), _settings(folder)
            text = re.sub(r"^build = .*\n", "", (folder / FILE_NAME).read_text(), flags=re.MULTILINE)
            (own / FILE_NAME).write_text(text.replace(settings["module"], "build/act.wasm"))
            if "interpreter" not in settings:
                module = build_modules.module_file(self.folder) or root / "functions" / "act" / "build" / "act.wasm"
                (own / "build").mkdir()
                (own / "build" / "act.wasm").write_bytes(build_modules.module_bytes(module))
            build(own, root)


def _settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((folder / FILE_NAME).read_text())["wasm"]
    return settings


def languages() -> list[Language]:
    """Those that have a project."""
    found = []
    for folder, name in NAMES.items():
        settings = PROJECTS / folder / "language.toml"
        if (PROJECTS / folder / "functions").is_dir():
            cannot = tomllib.loads(settings.read_text()).get("cannot", {}) if settings.exists() else {}
            found.append(Language(folder, name, cannot))
    return found

"""The SQL files that a database is made of: Flux's own, which travel with the package, and the project's migrations."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flux.config import Project
from flux.errors import ConfigError, InstallFailed

#: The package flux, wherever it is installed.
PACKAGE = Path(__file__).resolve().parent.parent

#: Folders whose files each make one object anew, in an order that lets most of them through at the first try.
RECREATED = ("functions", "triggers", "views")


@dataclass(frozen=True)
class SqlFile:
    """One file. `path` is relative to db/; `scope` is flux or project, as in flux.installed_files."""

    scope: str
    path: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """What names it in flux.installed_files."""
        return self.scope, self.path

    @property
    def object(self) -> str:
        """The name of the object it makes, for files in functions, triggers and views."""
        return Path(self.path).stem

    @property
    def is_view(self) -> bool:
        """Whether it makes a view; other files that can be run again make functions."""
        return self.path.startswith("views/")

    @property
    def label(self) -> str:
        """How people find it: in their project, or in Flux."""
        return f"db/{self.path}" if self.scope == "project" else f"flux/db/{self.path}"

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def flux_migrations() -> list[SqlFile]:
    """Flux's own tables, in order."""
    return _in_folder("flux", _home(), "migrations")


def flux_objects() -> list[SqlFile]:
    """Flux's functions, triggers and views."""
    return [file for folder in RECREATED for file in _in_folder("flux", _home(), folder)]


def project_migrations(project: Project) -> list[SqlFile]:
    """The project's own migrations, in order of their names; raises ConfigError."""
    return _in_folder("project", project.root / "db", "migrations")


def _home() -> Path:
    """db/ inside the installed package, or beside it in a checkout."""
    package = PACKAGE
    for place in (package / "db", package.parent / "db"):
        if (place / "migrations").is_dir():
            return place
    raise InstallFailed(f"the SQL files of flux are missing from {package}", hint="Install flux-runtime again.")


def _in_folder(scope: str, home: Path, folder: str) -> list[SqlFile]:
    files = []
    for path in sorted((home / folder).glob("*.sql")):
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        files.append(SqlFile(scope, f"{folder}/{path.name}", text.replace("\r\n", "\n")))
    return files

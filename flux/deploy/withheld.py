"""What is never packed, whoever asks: secrets that lie in a project's folder, and the database's URL in flux.toml."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from flux.errors import DeployRefused

#: Files that hold credentials by their name alone.
_SECRET_NAMES = (
    *(".env", ".env.*", "*.env", ".envrc", ".netrc", ".pgpass", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd"),
    *("*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*_rsa", "*_ed25519"),
)

#: How far into a file of keys its private one is looked for.
_KEY_BYTES = 64 * 1024

_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?")
_URL = re.compile(r"\s*(#\s*)?(database\s*\.\s*)?[\"']?url[\"']?\s*=")


def why_withheld(path: Path) -> str | None:
    """Why a file is not packed; None when it may be. Raises OSError where it cannot be read."""
    if any(fnmatch(path.name.lower(), pattern) for pattern in _SECRET_NAMES):
        return "it holds secrets, by its name"
    with path.open("rb") as file:
        head = file.read(_KEY_BYTES)
    if head.lstrip().startswith(b"-----BEGIN ") and _PRIVATE_KEY.search(head):
        return "it holds a private key"
    return None


def packed_settings(text: str) -> str:
    """flux.toml without `[database] url`, also where that is commented out; raises DeployRefused where it stays."""
    wanted = tomllib.loads(text)
    database = wanted.get("database", {})
    url = database.pop("url", None) if isinstance(database, dict) else None
    kept, table = [], ""
    for line in text.splitlines(keepends=True):
        heading = _TABLE.fullmatch(line.rstrip("\r\n"))
        table = heading[1].strip("\"'") if heading else table
        found = _URL.match(line)
        if not found or (table != "database" and not found[2]):
            kept.append(line)
    packed = "".join(kept)
    if _without_empty(_parsed(packed)) != _without_empty(wanted) or (isinstance(url, str) and url and url in packed):
        raise DeployRefused(
            "the database's URL cannot be taken out of flux.toml",
            hint="Write it on a line of its own below [database], or set DATABASE_URL instead.",
        )
    return packed


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _without_empty(document: object) -> object:
    """A table that lost its only key means what no table means."""
    return {key: value for key, value in document.items() if value != {}} if isinstance(document, dict) else None

"""The project's flux.toml, read once into frozen values.

Unknown keys are errors: a typo must not become a setting that is silently ignored.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flux.auth import Auth, read_auth
from flux.errors import ConfigError, NotAProject

FILE_NAME = "flux.toml"

_SIZES = {"b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
_WEBHOOK = re.compile(r"[A-Za-z0-9_-]+")
_PATTERN = re.compile(r"(?:[A-Za-z0-9_-]+|\*)(?:\.(?:[A-Za-z0-9_-]+|\*))*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Recording:
    """What is recorded and what is hidden. Sizes in bytes."""

    schemas: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    keep_bytes: int = 64 * 1024
    keep_days: int = 30


@dataclass(frozen=True, slots=True)
class Gateway:
    """How HTTP is served. `body_limit` in bytes."""

    bind: str = "127.0.0.1:4000"
    workers: int = 0
    threads: int = 8
    body_limit: int = 1024**2


@dataclass(frozen=True, slots=True)
class Functions:
    """Defaults for functions. `timeout` in seconds; `attempts` counts the first run."""

    timeout: float = 30.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Queue:
    """How jobs are run. `lease` in seconds, `payload_limit` in bytes; `concurrency` of one worker process."""

    lease: float = 30.0
    max_attempts: int = 10
    payload_limit: int = 1024**2
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class TypeScript:
    """How functions in TypeScript are run: processes of one worker, and `memory` that each may use, in bytes."""

    isolates: int = 1
    memory: int = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Queries:
    """Limits of queries: rows when none are said, and at most; nesting; complexity. `timeout` of a statement in s."""

    default_limit: int = 100
    max_limit: int = 1000
    max_depth: int = 5
    max_complexity: int = 100
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of events over HTTP. `events` are patterns of types; `secret` is the environment variable that holds
    what deliveries are signed with, None where they are not signed."""

    name: str
    url: str
    events: tuple[str, ...]
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A user's project: where it is and what its flux.toml says. `database_url` is None for the embedded Postgres."""

    root: Path
    name: str
    database_url: str | None = None
    dev_port: int = 4000
    recording: Recording = field(default_factory=Recording)
    gateway: Gateway = field(default_factory=Gateway)
    functions: Functions = field(default_factory=Functions)
    queue: Queue = field(default_factory=Queue)
    typescript: TypeScript = field(default_factory=TypeScript)
    queries: Queries = field(default_factory=Queries)
    webhooks: tuple[Webhook, ...] = ()
    auth: Auth = field(default_factory=Auth)

    @property
    def state(self) -> Path:
        """The folder for what Flux keeps beside the project: the embedded database, in-flight tables, locks."""
        return self.root / ".flux"

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The project of this folder or the nearest one above; raises NotAProject, ConfigError."""
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / FILE_NAME).is_file() and not _is_of_function(folder / FILE_NAME):
                return cls.load(folder)
        raise NotAProject(
            f"no {FILE_NAME} in {here} or a folder above",
            hint="Run `flux init` to make a project here.",
        )

    @classmethod
    def load(cls, root: Path) -> Project:
        """The project in this folder; raises ConfigError with the line or the key that is wrong."""
        path = root / FILE_NAME
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        return _Reader(path, document).project()


class _Reader:
    """Takes keys out of the document one by one, so that what is left over is what nobody knows."""

    def __init__(self, path: Path, document: Mapping[str, Any]) -> None:
        self.path = path
        self.left: dict[str, dict[str, Any]] = {}
        for name, table in document.items():
            if not isinstance(table, dict):
                raise ConfigError(f"{path}: {name} stands outside any [table]")
            self.left[name] = dict(table)

    def project(self) -> Project:
        root = self.path.parent
        project = Project(
            root=root,
            name=self.take("project", "name", str, root.name),
            database_url=os.environ.get("DATABASE_URL") or self.take("database", "url", str, None),
            dev_port=self.take("dev", "port", int, 4000),
            recording=Recording(
                schemas=self.names("recording", "schemas"),
                exclude=self.names("recording", "exclude"),
                redact=self.names("recording", "redact"),
                keep_bytes=self.size("recording", "keep", 64 * 1024),
                keep_days=self.take("recording", "keep_days", int, 30),
            ),
            gateway=Gateway(
                bind=self.take("gateway", "bind", str, "127.0.0.1:4000"),
                workers=self.take("gateway", "workers", int, 0),
                threads=self.take("gateway", "threads", int, 8),
                body_limit=self.size("gateway", "body_limit", 1024**2),
            ),
            functions=Functions(
                timeout=self.duration("functions", "timeout", 30.0),
                attempts=self.take("functions", "attempts", int, 3),
            ),
            queue=Queue(
                lease=self.duration("queue", "lease", 30.0),
                max_attempts=self.take("queue", "max_attempts", int, 10),
                payload_limit=self.size("queue", "payload_limit", 1024**2),
                concurrency=self.take("queue", "concurrency", int, 4),
            ),
            typescript=TypeScript(
                isolates=self.take("typescript", "isolates", int, 1),
                memory=self.size("typescript", "memory", 256 * 1024**2),
            ),
            queries=self.queries(),
            webhooks=self.webhooks(),
            auth=read_auth(self),
        )
        self.left.get("database", {}).pop("url", None)
        for table, keys in self.left.items():
            for key in keys:
                raise ConfigError(f"{self.path}: [{table}] {key} is not a setting of Flux")
        return project

    def queries(self) -> Queries:
        found = Queries(
            default_limit=self.take("queries", "default_limit", int, 100),
            max_limit=self.take("queries", "max_limit", int, 1000),
            max_depth=self.take("queries", "max_depth", int, 5),
            max_complexity=self.take("queries", "max_complexity", int, 100),
            timeout=self.duration("queries", "timeout", 0.0) or None,
        )
        if not 0 < found.default_limit <= found.max_limit:
            raise ConfigError(f"{self.path}: [queries] default_limit must be from 1 to max_limit, {found.max_limit}")
        return found

    def webhooks(self) -> tuple[Webhook, ...]:
        return tuple(self.webhook(name, table) for name, table in sorted(self.left.pop("webhooks", {}).items()))

    def webhook(self, name: str, table: Any) -> Webhook:
        where = f"webhooks.{name}"
        if not isinstance(table, dict) or not _WEBHOOK.fullmatch(name):
            raise ConfigError(f"{self.path}: [webhooks] {name} must be a table with a plain name: [webhooks.crm]")
        self.left[where] = dict(table)
        url = self.take(where, "url", str, "")
        if not re.match(r"https?://[^\s/]", url):
            raise ConfigError(f"{self.path}: [{where}] url must be an http or https URL, not {url!r}")
        events = self.names(where, "events")
        if not events or not all(map(is_event_pattern, events)):
            raise ConfigError(
                f'{self.path}: [{where}] events must be a list of event types such as ["order.*"], not {list(events)!r}'
            )
        return Webhook(name, url, events, self.environment_variable(where, "secret"))

    def environment_variable(self, table: str, key: str) -> str | None:
        value: str | None = self.take(table, key, str, None)
        if value is not None and not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*", value):
            raise ConfigError(f'{self.path}: [{table}] {key} must name an environment variable: "env:{key.upper()}"')
        return value and value.removeprefix("env:")

    def take(self, table: str, key: str, kind: type, default: Any) -> Any:
        value = self.left.get(table, {}).pop(key, default)
        if value is default:
            return value
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(f"{self.path}: [{table}] {key} must be a {kind.__name__}, not {value!r}")
        return value

    def names(self, table: str, key: str) -> tuple[str, ...]:
        value = self.take(table, key, list, [])
        if not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{self.path}: [{table}] {key} must be a list of strings")
        return tuple(value)

    def size(self, table: str, key: str, default: int) -> int:
        value = self.left.get(table, {}).pop(key, default)
        try:
            return size_bytes(value)
        except ValueError:
            raise ConfigError(f'{self.path}: [{table}] {key} must be a size such as "64KiB", not {value!r}') from None

    def duration(self, table: str, key: str, default: float) -> float:
        if key not in self.left.get(table, {}):
            return default
        value = self.left[table].pop(key)
        try:
            return duration_seconds(value)
        except ValueError:
            raise ConfigError(f'{self.path}: [{table}] {key} must be a duration such as "30s", not {value!r}') from None


def _is_of_function(path: Path) -> bool:
    """Whether this flux.toml is that of one function, which lies in its own folder below a project."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return "wasm" in document


def is_event_pattern(pattern: object) -> bool:
    """Whether this is a pattern of event types: words between dots, each of which may be *."""
    return isinstance(pattern, str) and _PATTERN.fullmatch(pattern) is not None


def size_bytes(value: str | int) -> int:
    """Bytes of a number, or of text such as "64KiB"; raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    matched = re.fullmatch(r"(\d+)\s*([a-z]+)", str(value).strip().lower())
    if not matched or matched[2] not in _SIZES:
        raise ValueError(f"not a size: {value!r}")
    return int(matched[1]) * _SIZES[matched[2]]


def duration_seconds(value: str | int | float) -> float:
    """Seconds of a number, or of text such as "500ms", "30s" or "1h30m"; raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    text = str(value).strip().lower()
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"not a duration: {value!r}")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)

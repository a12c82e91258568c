"""db/policies.toml: which role may read and write which rows and columns, read once into frozen values.

Only the form of the file is checked here; what its tables, columns and conditions mean is known to Postgres, which is
told of them by `flux db migrate`. Unknown keys are errors: a typo must not open or close a table.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flux.errors import PolicyError

FILE_NAME = "db/policies.toml"

#: The Postgres role of a role of the file; roles belong to the server, so the name says whose they are.
ROLE_PREFIX = "flux_role_"

#: The role of a caller without claims, or whose claims name none.
ANONYMOUS = "anon"

OPERATIONS = ("select", "insert", "update", "delete")

_ROLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RESERVED = frozenset({"caller", "service"})
_KEYS = {
    "select": ("columns", "rows", "mask"),
    "insert": ("columns", "check"),
    "update": ("columns", "rows", "check"),
    "delete": ("rows",),
}
_STRING = r"""\b[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"""
_COMMENT = r"--[^\n]*|/\*.*?\*/"
_CLAIM = re.compile(
    rf"""(?P<other>{_STRING}|{_COMMENT})
        |(?<![\w.$])(?:flux\s*\.\s*)?claim\s*\(\s*(?:'(?P<name>(?:[^']|'')*)'\s*\))?""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a role on a table: its columns (None for all), and SQL expressions over a row.

    `rows` is true for the rows that the role sees, changes or deletes, `check` for those that it may write; None stands
    for every row. `mask` is what the role reads in place of a column.
    """

    columns: tuple[str, ...] | None = None
    rows: str | None = None
    check: str | None = None
    mask: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Policy:
    """What a role may do with a table: what is not among the operations, it may not. `table` is as in the file."""

    table: str
    role: str
    operations: Mapping[str, Operation]

    @property
    def place(self) -> str:
        """Where it stands in the file."""
        table = self.table if re.fullmatch(r"[A-Za-z0-9_-]+", self.table) else f'"{self.table}"'
        return f"[tables.{table}.{self.role}]"


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The whole file; empty where there is none."""

    roles: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()


def postgres_role(role: str) -> str:
    """The Postgres role that enforces a role of the file."""
    return ROLE_PREFIX + role


def is_role(name: object) -> bool:
    """Whether this can be the name of a role of the file."""
    return isinstance(name, str) and _ROLE.fullmatch(name) is not None and name not in _RESERVED


def read_policies(root: Path) -> PolicyFile:
    """The policies of the project in this folder; raises PolicyError with the place that is wrong."""
    path = root / FILE_NAME
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return PolicyFile()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(f"{FILE_NAME}: {error}") from error
    return _Reader(document).file()


def claims_of(expression: str) -> tuple[str, ...]:
    """The names of the claims that an expression asks for, each once."""
    found = (match["name"] for match in _CLAIM.finditer(expression) if match["name"] is not None)
    return tuple(dict.fromkeys(name.replace("''", "'") for name in found))


def replace_claims(expression: str, to_sql: Callable[[str], str]) -> str:
    """An expression in which each `claim('name')` is what `to_sql` makes of its name; strings and comments stay."""

    def replaced(match: re.Match[str]) -> str:
        return match[0] if match["name"] is None else to_sql(match["name"].replace("''", "'"))

    return _CLAIM.sub(replaced, expression)


class _Reader:
    """Takes the document apart; every refusal names its place."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.roles: tuple[str, ...] = ()

    def file(self) -> PolicyFile:
        self.keys("", self.document, ("roles", "tables"))
        for name, settings in self.table("[roles]", self.document.get("roles", {})).items():
            where = f"[roles.{name}]"
            if not is_role(name):
                raise self.wrong(where, "a role is lower-case letters, digits and _, and not caller or service")
            self.keys(where, self.table(where, settings), ())
            self.roles = (*self.roles, name)
        policies = [
            self.policy(table, role, given)
            for table, roles in self.table("[tables]", self.document.get("tables", {})).items()
            for role, given in self.table(f"[tables.{table}]", roles).items()
        ]
        return PolicyFile(self.roles, tuple(policies))

    def policy(self, table: str, role: str, given: Any) -> Policy:
        where = Policy(table, role, {}).place
        if role not in self.roles:
            near = get_close_matches(role, self.roles, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise self.wrong(where, f"there is no [roles.{role}]{meant}")
        given = self.table(where, given)
        self.keys(where, given, ("rows", *OPERATIONS))
        rows = self.expression(where, "rows", given)
        operations = {
            name: self.operation(where, name, given[name], rows)
            for name in OPERATIONS
            if name in given and given[name] is not False
        }
        return Policy(table, role, MappingProxyType(operations))

    def operation(self, where: str, name: str, given: Any, rows: str | None) -> Operation:
        place = f"{where} {name}"
        given = {} if given is True else self.table(place, given)
        self.keys(place, given, _KEYS[name])
        own = self.expression(place, "rows", given) or rows
        check = self.expression(place, "check", given) or own
        return Operation(
            columns=self.columns(place, given),
            rows=own if name != "insert" else None,
            check=check if name in ("insert", "update") else None,
            mask=self.mask(place, given),
        )

    def columns(self, where: str, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        names = given.get("columns")
        if names is None:
            return None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise self.wrong(where, "columns must be a list of names; without it, all are meant")
        return tuple(dict.fromkeys(names))

    def mask(self, where: str, given: Mapping[str, Any]) -> Mapping[str, str]:
        mask = self.table(f"{where} mask", given.get("mask", {}))
        columns = given.get("columns")
        for name in mask:
            if columns is not None and name not in columns:
                raise self.wrong(f"{where} mask", f"{name} is not among the columns that may be read")
        return MappingProxyType({name: self.expression(f"{where} mask", name, mask) or "" for name in mask})

    def expression(self, where: str, key: str, given: Mapping[str, Any]) -> str | None:
        if key not in given:
            return None
        text = self.text(where, key, given[key]).strip()
        if not text:
            raise self.wrong(where, f"{key} is empty")
        for match in _CLAIM.finditer(text):
            if match["other"] is None and match["name"] is None:
                raise self.wrong(where, f"{key}: claim() takes the name of a claim, as in claim('sub')")
        return text

    def text(self, where: str, key: str, value: Any) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise self.wrong(where, f"{key} must be text, not {value!r}")
        return value

    def table(self, where: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(where, f"this must be a table, not {value!r}")
        return value

    def keys(self, where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in given:
            if key not in known:
                near = get_close_matches(key, known, 1)
                meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known) or 'nothing'}"
                raise self.wrong(where, f"{key} is not known here; {meant}")

    def wrong(self, where: str, what: str) -> PolicyError:
        return PolicyError(f"{FILE_NAME}: {where}: {what}" if where else f"{FILE_NAME}: {what}")

"""Which statements can be tried and taken back: what they are, the functions they call and the tables they write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flux.explain.parser import postgres_tree
from flux.explain.syntax import below, quoted

_TRIED = frozenset({"select", "insert", "update", "delete", "merge", "call"})

#: Kinds of statement that are not tried, by Postgres's word for them, and why.
_REASONS = {
    "transaction": "it ends or divides the transaction that would take it back",
    "vacuum": "vacuum and analyze work outside the transaction, so nothing takes them back",
    "copy": "copy moves data through a program, a file or the connection",
    "listen": "it is about the session, not about data",
    "createdb": "databases are made outside any transaction",
    "dropdb": "databases are dropped outside any transaction",
    "alter_system": "it writes the server's configuration file at once",
    "check_point": "a checkpoint is done at once",
    "load": "it loads a library into the server",
    "do": "the code of a do block cannot be looked into",
    "execute": "a prepared statement is known to its own session only",
    "variable_set": "it changes the session, and could leave its role",
    "truncate": "it would lock everybody out of the table while it is tried",
    "discard": "it ends the session's state at once",
    "cluster": "it would lock everybody out of the table while it is tried",
    "reindex": "it would lock everybody out of the table while it is tried",
    "create_subscription": "it connects to another server",
    "explain": "it is an explanation already",
}
_OTHERWISE = "it changes the schema, which would lock others out while it is tried"


@dataclass(frozen=True, slots=True)
class Effects:
    """What a statement does as far as its text tells. `refusal` is why it cannot be tried, None where it can."""

    kind: str
    called: tuple[str, ...]
    written: tuple[str, ...]
    relations: tuple[str, ...]
    refusal: str | None
    parameters: int


def effects_of(text: str) -> Effects:
    """The effects of one statement whose parameters are $1 and on; names are quoted as Postgres reads them.

    Raises BadQuery.
    """
    node = postgres_tree(text).stmts[0].stmt
    kind = str(node.WhichOneof("node")).removesuffix("_stmt")
    called: dict[str, None] = {}
    written: dict[str, None] = {}
    relations: dict[str, None] = {}
    refusal = None if kind in _TRIED else _REASONS.get(kind, _OTHERWISE)
    parameters = 0
    for message in below(node):
        name = message.DESCRIPTOR.name
        if name == "FuncCall":
            called[message.funcname[-1].string.sval] = None
            refusal = refusal or _leaving(message)
        elif name in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
            written[_relation(message.relation)] = None
        elif name == "RangeVar":
            relations[_relation(message)] = None
        elif name == "ParamRef":
            parameters = max(parameters, message.number)
        elif name == "IntoClause":
            refusal = refusal or _OTHERWISE
    return Effects(kind, tuple(called), tuple(written), tuple(relations), refusal, parameters)


def _leaving(call: Any) -> str | None:
    """Why set_config() may not be tried: it can leave the role that the statement is tried as."""
    if call.funcname[-1].string.sval != "set_config":
        return None
    name = call.args[0].a_const.sval.sval.lower() if call.args else ""
    if not name or name in ("role", "session_authorization") or name.startswith("flux."):
        return "set_config() could leave the role and the request that it is tried as"
    return None


def _relation(name: Any) -> str:
    return ".".join(quoted(part) for part in (name.schemaname, name.relname) if part)

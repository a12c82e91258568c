"""What the engine must know of a statement before it runs: may it write, is it one statement, what to call its span.

Read by rule from the text, once for each distinct text. Wrong guesses are safe on one side only: a statement taken for
a writer costs a savepoint, so everything that is not certainly a reader counts as a writer.
"""

from __future__ import annotations

import re
from functools import lru_cache

_COMMENT = r"--[^\n]*|/\*.*?\*/"  # nested ones are rare, and read as writers
_STRING = r"""(?:\b[eE])?'(?:[^'\\]|''|\\.)*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"""
_NOISE = re.compile(f'(?P<comment>{_COMMENT})|(?P<name>"(?:[^"]|"")*")|{_STRING}', re.DOTALL)
_ODD = re.compile(r"[^\w .$-]|--")
_WORD = re.compile(r"[a-z_][a-z0-9_$]*")
_CALL = re.compile(r"""("[^"]+"|[a-z_][a-z0-9_$.]*)\s*\(""")
_TARGET = re.compile(
    r"""\b(?:insert\s+into|update(?:\s+only)?|delete\s+from(?:\s+only)?|merge\s+into|truncate(?:\s+table)?|from|join|call)\s+
        ((?:"[^"]+"|[a-z_][\w$]*)(?:\.(?:"[^"]+"|[a-z_][\w$]*))*)""",
    re.VERBOSE | re.IGNORECASE,
)
_WRITING_WORDS = frozenset({"insert", "update", "delete", "merge", "into", "for", "call", "do", "nextval", "setval"})
_CONTROL = re.compile(
    r"""(?: begin | start\s+transaction | commit | end | rollback | abort | savepoint | release | prepare\s+transaction
      | set\s+ (?:local\s+|session\s+)? (?:role | authorization | session\s+authorization | session_authorization
        | flux\s*\.\s*\w+)
      | reset\s+ (?:role | all | session\s+authorization | session_authorization | flux\s*\.\s*\w+) | discard ) \b""",
    re.VERBOSE,
)
_SET_ROLE_CALL = re.compile(r"set_config\s*\(\s*'(?:role|session_authorization|flux\.\w+)'", re.IGNORECASE)
#: Other ways to the same settings; names spelled in escapes could be any.
_DETOUR = re.compile(r"\bupdate\s+(?:only\s+)?(?:pg_catalog\s*\.\s*)?pg_settings\b|\bu&\s*\"")
_SETTING = re.compile(r"\bset_config\s*\(\s*(?:'(?P<number>\d+)'\s*,)?")
_SAFE_SETTING = re.compile(r"'(?!role'|session_authorization'|flux\.)[^'\\]+'", re.IGNORECASE)
#: What stays on the connection when the transaction is over: `set` without `local`, set_config() without true.
_SET = re.compile(r"(?:set\s+(?!local\b|constraints\b|transaction\b)|listen\b)")
_SET_LOCALLY = re.compile(r"\bset_config\s*\((?:[^()]|\([^()]*\))*,\s*true\s*\)")
#: Objects of the session's own schema, which is looked into before all others, also by the next request.
_TEMPORARY = re.compile(
    r"""\bcreate\s+(?:or\s+replace\s+)?(?:(?:local|global)\s+)?temp(?:orary)?\s
      | (?<!insert\s)(?<!merge\s)\binto\s+(?:(?:local|global)\s+)?temp(?:orary)?\s
      | \bpg_temp(?:_\d+)?\s*\.""",
    re.VERBOSE,
)
_QUOTED = re.compile(r'"([\w$]+)"')
_READING_STARTS = frozenset({"select", "with", "values", "table", "show", "explain"})

#: Words that may stand before a parenthesis without being a function of the catalogue.
_SYNTAX = frozenset(
    """all and any array as between by case cast coalesce cross cube distinct else end except exists extract false
    filter from full greatest group grouping having in inner intersect interval is isnull join json_array
    json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table
    json_value lateral least left like limit materialized natural not notnull null nullif numeric offset on
    or order outer over overlaps overlay partition position returning right rollup row rows select sets
    similar some substring table tablesample then timestamp timestamptz treat trim true union unique using
    values varchar char decimal when where window with within xmlelement xmlforest""".split()
)


@lru_cache(maxsize=4096)
def plain(sql: str) -> str:
    """The statement in lower case on one line, without comments and with every string empty."""
    return " ".join(_quiet(sql).lower().split())


@lru_cache(maxsize=4096)
def may_write(sql: str, known_readers: frozenset[str]) -> bool:
    """False only where the statement certainly neither writes nor locks.

    `known_readers` are the names of the catalogue's functions that are not volatile.
    """
    text = plain(sql)
    words = _WORD.findall(text)
    if not words or words[0] not in _READING_STARTS or _WRITING_WORDS.intersection(words):
        return True
    names = {name.removeprefix("pg_catalog.") for name in _CALL.findall(text)}
    return not all(name in known_readers or name in _SYNTAX for name in names)


@lru_cache(maxsize=4096)
def is_single(sql: str) -> bool:
    """Whether the text is certainly one statement, as the extended protocol needs it."""
    return ";" not in plain(sql).rstrip("; ")


@lru_cache(maxsize=4096)
def controls_transaction(sql: str) -> bool:
    """Whether the text begins, ends or divides a transaction, or changes its role, which is the runtime's to do."""
    text = _QUOTED.sub(r"\1", plain(sql))
    return (
        _SET_ROLE_CALL.search(sql) is not None
        or _DETOUR.search(text) is not None
        or _DETOUR.search(plain(sql)) is not None
        or any(_CONTROL.match(part.strip()) is not None for part in text.split(";"))
        or _sets_unseen(sql)
    )


@lru_cache(maxsize=4096)
def outlives_transaction(sql: str) -> bool:
    """Whether the text sets something for the whole session, which the next request on its connection would find."""
    text = _QUOTED.sub(r"\1", plain(sql))
    return any(_SET.match(part.strip()) for part in text.split(";")) or (
        len(_SETTING.findall(text)) > len(_SET_LOCALLY.findall(text))
    )


@lru_cache(maxsize=4096)
def makes_temporary(sql: str) -> bool:
    """Whether the text makes a temporary object, or names the schema of these."""
    text = plain(sql)
    return _TEMPORARY.search(text) is not None or _TEMPORARY.search(_QUOTED.sub(r"\1", text)) is not None


@lru_cache(maxsize=4096)
def refusal_of(sql: str, *, service: bool = True) -> tuple[str, str] | None:
    """Why ctx.db does not run a statement, and what to write in its place; None where it runs it.

    `service` is false for the roles of callers, which may do less.
    """
    if controls_transaction(sql):
        return (
            f"this statement changes what belongs to the runtime: {sql.strip()[:60]}",
            "Use ctx.db.commit() or `with ctx.db.savepoint():`; name other settings by a plain string.",
        )
    if outlives_transaction(sql):
        return (
            f"this statement sets something for other requests too: {sql.strip()[:60]}",
            "Write `set local …`, or set_config(…, true), which end with the request.",
        )
    if not service and makes_temporary(sql):
        return (
            f"this statement makes something temporary, which a caller may not: {sql.strip()[:60]}",
            "Write a `with` query, or make it in a function of the service.",
        )
    return None


@lru_cache(maxsize=4096)
def describe(sql: str) -> str:
    """A name for the span: the operation and the first table, such as `insert users`."""
    text = plain(sql)
    operation = next(iter(_WORD.findall(text)), "sql")
    if operation == "with":
        operation = next(
            (word for word in _WORD.findall(text) if word in ("insert", "update", "delete", "merge")), "select"
        )
    target = _TARGET.search(_quiet(sql))
    return f"{operation} {target[1]}" if target else operation


@lru_cache(maxsize=4096)
def tables(sql: str) -> tuple[str, ...]:
    """The names, without schema and in lower case, of the tables that stand behind from, join, into and update."""
    found = _TARGET.findall(_quiet(sql))
    return tuple(dict.fromkeys(name.rpartition(".")[2].strip('"').lower() for name in found))


def _sets_unseen(sql: str) -> bool:
    """Whether set_config() is called for a setting of the runtime's, or one that is not named by a plain string."""
    strings: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found["comment"] or found["name"]:
            return _silence(found)
        strings.append(found[0])
        return f"'{len(strings) - 1}'"

    if "set_config" not in sql.lower():
        return False
    text = _QUOTED.sub(r"\1", _NOISE.sub(number, sql)).lower()
    return any(
        call["number"] is None or _SAFE_SETTING.fullmatch(strings[int(call["number"])]) is None
        for call in _SETTING.finditer(text)
    )


def _quiet(sql: str) -> str:
    return _NOISE.sub(_silence, sql)


def _silence(found: re.Match[str]) -> str:
    """Nothing for a comment, an empty string for a string, a name without what would be read as more than that."""
    if found["comment"]:
        return " "
    name = found["name"]
    return f'"{_ODD.sub("_", name[1:-1])}"' if name else " '' "

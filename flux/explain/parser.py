"""SQL text, read by Postgres's own parser and by sqlglot; the only module that knows libpg_query.

sqlglot reads some statements otherwise than Postgres, now and then in silence; so what it prints is read by Postgres's
parser again, and compared with how that reads the original. Previews are made of the tree of Postgres's parser.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import postgast
import sqlglot
from google.protobuf.message import DecodeError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from flux.errors import BadQuery

# What sqlglot takes for an opaque command is said in the reading, not on stderr.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

#: psycopg's marks, and the % that stands for itself.
_MARK = re.compile(r"%%|%s|%b|%t|%\((\w+)\)[sbt]")

#: A quoted name, or a string to be passed over.
_QUOTED = re.compile(r"""'(?:[^']|'')*'|(?P<name>"(?:[^"]|"")*")""")

#: What needs no quotes by its letters alone.
_PLAIN_WORD = re.compile(r"[a-z_][a-z0-9_]*")


#: Spellings that mean the same to Postgres, of which sqlglot knows one only. Other strings are skipped, not changed.
_SPELLING = re.compile(
    r"""date_trunc\('\w+' | '[^']*'::interval | (?P<string>'(?:[^']|\'\')*') | (?P<now>\bcurrent_timestamp\b(?!\())
    | ::(?P<type>int2|int4|int8|float4|float8|bool|timestamptz|timetz|decimal)\b""",
    re.VERBOSE | re.IGNORECASE,
)
_TYPES = {
    "int2": "smallint",
    "int4": "int",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "decimal": "numeric",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One statement. `text` has $1 for its first parameter; `tree` is None where sqlglot cannot read it at all.

    `partial` says why the tree is not to be taken for the statement, None where both parsers agree. `kind` is
    Postgres's word for it: select, insert, update, delete, merge, or that of another statement, such as create_table.
    """

    text: str
    kind: str
    tree: exp.Expr | None
    partial: str | None


def read_statements(text: str, *, marks: bool = True) -> list[Reading]:
    """Each statement of a text. `marks` says that parameters are written %s, as functions write them, or else $1.

    Raises BadQuery with the line and column where Postgres's parser stops.
    """
    numbered = numbered_marks(text) if marks else text
    try:
        parts = postgast.split(numbered, method="parser")
    except postgast.PgQueryError as error:
        raise _unreadable(numbered, error) from error
    return [_read(part) for part in parts]


@lru_cache(maxsize=512)
def _read(text: str) -> Reading:
    kind = statement_kind(text)
    try:
        trees = [tree for tree in sqlglot.parse(text, read="postgres") if tree is not None]
    except SqlglotError as error:
        return Reading(text, kind, None, f"sqlglot cannot read it: {str(error).partition(chr(10))[0][:120]}")
    if len(trees) != 1 or isinstance(trees[0], exp.Command) or trees[0].find(exp.Command):
        return Reading(text, kind, None, f"sqlglot does not read {kind.replace('_', ' ')} statements")
    return Reading(text, kind, trees[0], difference(text, print_tree(trees[0])))


def difference(original: str, printed: str) -> str | None:
    """Why two texts are not the same statement to Postgres; None where they are, up to spelling."""
    try:
        ours = _normal(printed)
    except postgast.PgQueryError as error:
        return f"Postgres cannot read what sqlglot prints: {error}"
    theirs = _normal(original)
    if ours == theirs:
        return None
    at = next((at for at, (one, other) in enumerate(zip(theirs, ours, strict=False)) if one != other), 0)
    start = max(theirs.rfind(" ", 0, max(at - 12, 0)) + 1, 0)
    return f"sqlglot reads {theirs[start : at + 24]!r} as {ours[start : at + 24]!r}"


def statement_kind(text: str) -> str:
    """Postgres's word for a statement, such as select or create_table. Raises BadQuery."""
    try:
        parsed = postgast.parse(text)
    except postgast.PgQueryError as error:
        raise _unreadable(text, error) from error
    except DecodeError as error:
        raise BadQuery("the statement is nested too deeply to be read") from error
    if not parsed.stmts:
        raise BadQuery("there is no statement in it")
    node = parsed.stmts[0].stmt.WhichOneof("node")
    return str(node).removesuffix("_stmt")


def numbered_marks(text: str) -> str:
    """A text with psycopg's marks as $1, $2 …, as Postgres's parser reads it."""
    numbers: dict[str, int] = {}
    count = 0

    def numbered(mark: re.Match[str]) -> str:
        nonlocal count
        if mark[0] == "%%":
            return "%"
        if mark[1] is None:
            count += 1
            return f"${count}"
        return f"${numbers.setdefault(mark[1], len(numbers) + 1)}"

    return _MARK.sub(numbered, text)


@lru_cache(maxsize=4096)
def needs_quotes(name: str) -> bool:
    """Whether a name must be quoted to be read as it is: by its letters, or because it is a word of SQL."""
    if not _PLAIN_WORD.fullmatch(name):
        return True
    token = postgast.scan(name).tokens[0]
    return bool(token.keyword_kind > 1)  # 1 is an unreserved keyword, 0 none at all


def print_tree(tree: exp.Expr, *, pretty: bool = False) -> str:
    """A tree as SQL; functions keep the case they were written in."""
    return tree.sql(dialect="postgres", normalize_functions=False, pretty=pretty)


@lru_cache(maxsize=512)
def _normal(text: str) -> str:
    """How Postgres would print the statement: the same for any two spellings of one parse tree."""
    return one_spelling(postgast.deparse(postgast.parse(text)))


def one_spelling(text: str) -> str:
    """A statement or plan as Postgres prints it, with one spelling for what means the same."""
    return _SPELLING.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    if found["now"]:
        return "now()"
    if found["type"]:
        return f"::{_TYPES[found['type'].lower()]}"
    return found["string"] if found["string"] else found[0].lower()


def _unreadable(text: str, error: postgast.PgQueryError) -> BadQuery:
    at = max(getattr(error, "cursorpos", 0) - 1, 0)
    before = text[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    return BadQuery(f"line {line}, column {column}: {error}")


def postgres_tree(text: str) -> Any:
    """One statement as the tree of Postgres's own parser, a protobuf ParseResult. Raises BadQuery."""
    try:
        tree = postgast.parse(text)
    except postgast.PgQueryError as error:
        raise _unreadable(text, error) from error
    except DecodeError as error:
        raise BadQuery("the statement is nested too deeply to be shown") from error
    if len(tree.stmts) != 1:
        raise BadQuery(f"this holds {len(tree.stmts)} statements, not one" if tree.stmts else "there is no statement")
    return tree


def postgres_text(tree: Any) -> str:
    """A tree of Postgres's parser as SQL on one line."""
    return str(postgast.deparse(tree))


def formatted(text: str) -> str:
    """A statement over lines for people; as it is where its layout would say something else."""
    names: list[str] = []

    def plain(found: re.Match[str]) -> str:  # the layout forgets the quotes of some names
        if found["name"] is None:
            return found[0]
        names.append(found[0])
        return f"flux_name_{len(names)}_"

    laid_out = postgast.format_sql(_QUOTED.sub(plain, postgast.deparse(postgast.parse(text)))).rstrip(";\n")
    laid_out = re.sub(r"\bflux_name_(\d+)_", lambda found: names[int(found[1]) - 1], laid_out, flags=re.IGNORECASE)
    return laid_out if _same(laid_out, text) else text


def _same(one: str, other: str) -> bool:
    """Whether two texts are one statement to Postgres; no, where one cannot be read."""
    try:
        return bool(postgast.deparse(postgast.parse(one)) == postgast.deparse(postgast.parse(other)))
    except postgast.PgQueryError:
        return False

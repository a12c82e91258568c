"""The marks of parameters as guests write them, `$1`, made into those that the engine sends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from flux.errors import GuestProtocol

#: What may hold a `$1` that is none, as Postgres reads it (4.1 Lexical Structure), and the marks themselves. Comments
#: that lie inside each other are found by `_comment_end`.
_PARTS = re.compile(
    r"""(?P<other> --[^\n]* | \b[eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$ | [^\W\d][\w$]* )
      | (?P<comment>/\*)
      | \$(?P<number>\d+)
      | (?P<percent>%)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")


def placed(statement: str, parameters: Sequence[Any]) -> tuple[str, list[Any]]:
    """The statement with `%s` for every `$n`, and a parameter for each; as it is where there are no parameters.

    A `$n` in a literal, a comment or a name in quotes is text, and so is every `%`. Raises GuestProtocol for a mark
    without a parameter and a parameter without a mark.
    """
    if not parameters:
        return statement, []
    text, numbers = _placed(statement)
    known = set(range(1, len(parameters) + 1))
    if set(numbers) != known:
        lacking = sorted(set(numbers) - known)
        unused = sorted(known - set(numbers))
        reason = f"${lacking[0]} has no parameter" if lacking else f"its parameter {unused[0]} has no ${unused[0]}"
        count = f"{len(parameters)} parameter{'' if len(parameters) == 1 else 's'}"
        raise GuestProtocol(
            f"the statement has {count}, and {reason}: {statement.strip()[:60]}",
            hint="Write $1, $2 … for the parameters in their order.",
        )
    return text, [parameters[number - 1] for number in numbers]


@lru_cache(maxsize=2048)
def _placed(statement: str) -> tuple[str, tuple[int, ...]]:
    parts: list[str] = []
    numbers: list[int] = []
    at = 0
    while found := _PARTS.search(statement, at):
        parts.append(statement[at : found.start()])
        end = found.end()
        if found["comment"]:
            end = _comment_end(statement, end)
        if found["number"]:
            numbers.append(int(found["number"]))
            parts.append("%s")
        else:
            parts.append(statement[found.start() : end].replace("%", "%%"))
        at = end
    parts.append(statement[at:])
    return "".join(parts), tuple(numbers)


def _comment_end(statement: str, at: int) -> int:
    depth = 1
    while depth and (found := _COMMENT.search(statement, at)):
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at if not depth else len(statement)

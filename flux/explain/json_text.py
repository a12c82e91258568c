"""JSON that people write: read with line and column of what is wrong, and without keys that are silently lost."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from flux.errors import BadQuery


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises BadQuery with line and column."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadQuery(
            f"line {error.lineno}, column {error.colno}: not JSON: {error.msg[0].lower()}{error.msg[1:]}"
        ) from error
    except UnicodeDecodeError as error:
        raise BadQuery(f"byte {error.start + 1}: not UTF-8") from error
    except RecursionError as error:
        raise BadQuery("the JSON is nested too deeply to be read") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadQuery(f"the key {twice!r} is there twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise BadQuery(f"{name} is not JSON")

"""Whose fault a structured query is that cannot be compiled: the caller's, whose request brought it, or the function's.

It is the caller's where the value at the place of the error, or an object or list around it, stands in the request's
input. The record's copies of both are compared: what a function made of its arguments since cannot change these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from flux.errors import BadQuery, ColumnRefused, HTTPError
from flux.record import Record


def as_input_fault(error: BaseException, record: Record, input_bytes: int) -> HTTPError | None:
    """What a caller is told whose own query cannot be compiled: 422 with the place in it, but not the hint.

    403 for a column that its role may not use. None for other errors, and for queries that the function made; also for
    jobs, whose failures are not answered. An input of more than `input_bytes` is not in the record to be looked at.
    """
    if not isinstance(error, BadQuery) or error.document is None or record.context.job is not None:
        return None
    document = orjson.loads(orjson.dumps(record.json(error.document, input_bytes)))
    given = orjson.loads(orjson.dumps(record.input)) if record.input is not None else None
    sent = list(_inside(given))
    if not any(_same(part, one) for part in _around(document, error.path) for one in sent):
        return None
    if isinstance(error, ColumnRefused):
        return HTTPError(403, "the caller may not do this")
    message = error.message.removeprefix(f"{error.path}: ")
    return HTTPError(422, error.message, errors=[{"field": error.path, "message": message}] if error.path else [])


def _inside(value: Any) -> Iterator[Any]:
    """A request's input, which are its arguments by name, and every value in it."""
    yield value
    waiting = [value]
    while waiting:
        one = waiting.pop()
        parts = [part for _, part in _parts(one)]
        yield from parts
        waiting += parts


def _around(value: Any, path: str) -> Iterator[Any]:
    """The values on the way to a place such as `filters[1].op`, the whole document first; as far as there are any."""
    waiting = [(value, path)]
    while waiting:
        one, place = waiting.pop()
        yield one
        waiting += [
            (part, place[len(key) :].removeprefix("."))
            for key, part in _parts(one)
            if key and place.startswith(key) and place[len(key) : len(key) + 1] in ("", ".", "[")
        ]


def _parts(value: Any) -> list[tuple[str, Any]]:
    """What is in an object or a list, with what it is called in a place."""
    if isinstance(value, dict):
        return list(value.items())
    return [(f"[{number}]", part) for number, part in enumerate(value)] if isinstance(value, list) else []


def _same(part: Any, sent: Any) -> bool:
    """Whether a part of a query is what was sent; numbers may have been sent as text. Truth values and what is empty
    say nothing of where they come from.
    """
    if isinstance(part, bool) or part is None or part in ("", [], {}):
        return False
    if isinstance(part, int | float) and isinstance(sent, str):
        return str(part) == sent
    return bool(part == sent)

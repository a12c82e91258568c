"""Recorded errors as exceptions: a replay raises what a tool call raised, of its own class where that can be found.

Frames that lay inside the call go with the exception, so that its failure has the location and stack it had then.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flux.runtime.values import find_class

#: Where an exception's class is that is recorded without its module.
_HOMES = ("flux.errors", "psycopg.errors", "psycopg", "flux.runtime.deadline")

#: Bytes of an exception's arguments and attributes that are kept.
MOST_BYTES = 4_000

FRAMES = "_flux_frames"


def made_of(error: BaseException) -> dict[str, Any] | None:
    """What an exception was made of, where its message does not tell: its arguments and plain attributes."""
    told: dict[str, Any] = {}
    if error.args != (str(error),) and all(_is_plain(item) for item in error.args):
        told["args"] = list(error.args)
    state = {name: value for name, value in vars(error).items() if _is_plain(value) and not name.startswith("_")}
    if state:
        told["state"] = state
    return told if told and len(str(told)) <= MOST_BYTES else None


def has_class(error: Mapping[str, Any]) -> bool:
    """Whether the class of a recorded error is there."""
    return _class(str(error.get("type"))) is not None


def exception_of(error: Mapping[str, Any], made: Mapping[str, Any] | None) -> BaseException:
    """The exception of a recorded error, of its own class where that is there."""
    name, message = str(error.get("type", "Exception")), str(error.get("message", ""))
    raised = _make(_class(name) or _stand_in(name), message, made or {})
    with suppress(AttributeError):
        setattr(raised, FRAMES, tuple(error.get("stack", ())))
    return raised


def was_waiting(error: Mapping[str, Any]) -> bool:
    """Whether a recorded error came while http.client waited for an answer, and not while it asked."""
    return any(frame.get("function") == "HTTPConnection.getresponse" for frame in error.get("stack", ()))


def _make(kind: type[BaseException], message: str, made: Mapping[str, Any]) -> BaseException:
    arguments = [tuple(made["args"])] if "args" in made else []
    for given in (*arguments, (message,), ()):
        with suppress(Exception):  # the user's own __init__ and __str__
            raised = _with_state(kind(*given), made)
            if str(raised) == message or (not str(raised) and message == kind.__name__):
                return raised
    with suppress(Exception):  # whose __init__ takes something else
        raised = _with_state(kind.__new__(kind, message), made)
        raised.args = tuple(made.get("args", (message,)))
        if str(raised) == message:
            return raised
    # its message is made of what is not known: the class, with a message of its own
    named = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__str__": lambda _: message}
    return _with_state(BaseException.__new__(type(kind.__name__, (kind,), named), message), made)


def _with_state(raised: BaseException, made: Mapping[str, Any]) -> BaseException:
    raised.__dict__.update(made.get("state", {}))
    return raised


def _class(name: str) -> type[BaseException] | None:
    if "." in name:
        found: Any = find_class(name)
    else:
        found = getattr(builtins, name, None)
        for home in _HOMES:
            found = found or getattr(sys.modules.get(home), name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _stand_in(name: str) -> type[BaseException]:
    """A class of this name, for one that is not there any more."""
    module, _, own = name.rpartition(".")
    return type(own, (Exception,), {"__module__": module or "builtins"})


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | None)

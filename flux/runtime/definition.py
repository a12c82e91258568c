"""The options that every function has in common, in whatever language, checked where it is defined.

Each check raises BadDefinition with the function's place (file:line).
"""

from __future__ import annotations

import re

from flux.config import duration_seconds
from flux.engine.transaction import ISOLATION_LEVELS
from flux.errors import BadDefinition
from flux.runtime.arguments import Arguments

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

#: Names of functions that come with Flux begin so.
OWN_PREFIX = "flux."

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def path_parameters(route: str) -> tuple[str, ...]:
    """The names in a route's path: `("id",)` for `/signup/{id}`."""
    return tuple(_PARAMETER.findall(route))


def checked_name(name: object, place: str) -> str:
    """The name of a function."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadDefinition(
            f"{place}: {name!r} cannot be the name of a function",
            hint="A name begins with a letter and has letters, digits, '_', '-' and '.' only.",
        )
    if name.startswith(OWN_PREFIX):
        raise BadDefinition(f"{place}: {name} begins like a function of Flux's own", hint="Choose another name.")
    return name


def checked_route(route: object, name: str, place: str) -> tuple[str | None, str | None]:
    """Method and path of `"POST /signup/{id}"`."""
    if route is None:
        return None, None
    wrong = BadDefinition(
        f"{place}: the route of {name} is {route!r}",
        hint='Write a method and a path: "POST /signup".',
    )
    if not isinstance(route, str):
        raise wrong
    method, _, path = route.strip().partition(" ")
    method, path = method.upper(), path.strip()
    if method not in METHODS or not path.startswith("/") or re.search(r"[\s?#]", path):
        raise wrong
    for segment in path[1:].split("/"):
        if ("{" in segment or "}" in segment) and not _PARAMETER.fullmatch(segment):
            raise BadDefinition(
                f"{place}: the route of {name} has {segment!r} between two slashes",
                hint="A path parameter is a whole segment: /orders/{id}.",
            )
    return method, path


def check_path(path: str | None, arguments: Arguments, name: str, place: str) -> None:
    """Every parameter of a path stands there once, and is an argument."""
    names = path_parameters(path or "")
    for parameter in names:
        if names.count(parameter) > 1:
            raise BadDefinition(f"{place}: the route of {name} has {{{parameter}}} twice")
        if not arguments.takes(parameter):
            raise BadDefinition(
                f"{place}: the route of {name} has {{{parameter}}}, which is not a parameter of it",
                hint=f"Add `{parameter}: str` to its parameters.",
            )


def checked_timeout(timeout: object, name: str, place: str) -> float | None:
    """Seconds of a number, or of text such as "30s"."""
    if timeout is None:
        return None
    try:
        return duration_seconds(timeout)  # type: ignore[arg-type]  # whatever it is, it says so by ValueError
    except ValueError:
        raise BadDefinition(
            f"{place}: the timeout of {name} is {timeout!r}",
            hint='Write seconds, or text such as "30s".',
        ) from None


def checked_attempts(attempts: object, name: str, place: str) -> int | None:
    """How often it may run, the first time counted."""
    if attempts is None or (isinstance(attempts, int) and not isinstance(attempts, bool) and attempts > 0):
        return attempts
    raise BadDefinition(f"{place}: the attempts of {name} are {attempts!r}", hint="Write a number from 1.")


def checked_isolation(isolation: object, name: str, place: str) -> str | None:
    """One of ISOLATION_LEVELS."""
    if isolation is None:
        return None
    level = isolation.lower().replace("_", " ").strip() if isinstance(isolation, str) else isolation
    if level in ISOLATION_LEVELS:
        return level
    raise BadDefinition(
        f"{place}: the isolation of {name} is {isolation!r}",
        hint=f"It is one of {', '.join(ISOLATION_LEVELS)}.",
    )

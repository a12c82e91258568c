"""What a function is: the decorator users write, and the value the runtime and the gateway work
with.

A definition that cannot work is refused where it stands, with its file and line, and not at its
first request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar, overload

from flux.errors import BadDefinition
from flux.runtime.arguments import Arguments, Bound
from flux.runtime.database_role import database_role
from flux.runtime.definition import (
    check_path,
    checked_attempts,
    checked_isolation,
    checked_name,
    checked_route,
    checked_timeout,
)
from flux.runtime.handoffs import HandoffReader, Handoffs, taken
from flux.runtime.hints import signature

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMELESS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
_CTX_NAMES = frozenset({"ctx", "_ctx", "_", "context"})

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Function:
    """A user's function. Calling it calls the plain Python function, as tests do.

    `method` and `route` are None for one that HTTP does not reach; `timeout` (seconds) and
    `attempts` are None for the project's defaults, `isolation` None for the database's. `db_role` is "service",
    "caller", or a role of db/policies.toml. `file` is absolute, `line` that of the decorator. `language` is what it is
    written in; `runtime` is what runs it where that is not Python, such as "deno".
    """

    name: str
    method: str | None
    route: str | None
    handler: Callable[..., Any]
    timeout: float | None
    attempts: int | None
    isolation: str | None
    file: str
    line: int
    arguments: Arguments
    handoffs: Handoffs
    db_role: str = "service"
    language: str = "python"
    runtime: str | None = None

    def __post_init__(self) -> None:
        # what functools.wraps would set: inspect.signature(), help() and pytest see the user's function
        for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
            vars(self)[attribute] = getattr(self.handler, attribute, None)
        vars(self)["__wrapped__"] = self.handler

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain Python function."""
        return self.handler(*args, **kwargs)

    def bind(
        self,
        path: Mapping[str, str],
        query: Mapping[str, Sequence[str]],
        body: object | None = None,
    ) -> Bound:
        """Arguments by name from a request; raises InvalidInput. See Arguments.bind."""
        return self.arguments.bind(path, query, body)

    def bind_input(self, given: Mapping[str, object]) -> Bound:
        """Arguments by name from JSON, as `flux invoke` and jobs have them; raises InvalidInput."""
        return self.arguments.bind_input(given)

    def bind_handoff(self, kind: str, given: Mapping[str, object]) -> Bound:
        """Arguments from the input of a job of this kind; raises InvalidInput. See flux.runtime.handoffs.GIVEN."""
        return self.arguments.bind_input(taken(kind, self.arguments, given))


@dataclass(slots=True)
class Declarations:
    """The functions that modules declare while they are imported. `root` is the project they belong to."""

    root: Path
    functions: list[Function]


_declarations: ContextVar[Declarations | None] = ContextVar("flux_declarations", default=None)


@contextmanager
def declarations(root: Path) -> Iterator[Declarations]:
    """Collect what is declared inside, also a function whose name a later one takes."""
    collected = Declarations(root, [])
    token = _declarations.set(collected)
    try:
        yield collected
    finally:
        _declarations.reset(token)


@overload
def function(handler: _Handler, /) -> Function: ...


@overload
def function(
    *,
    route: str | None = None,
    name: str | None = None,
    timeout: float | str | None = None,
    attempts: int | None = None,
    isolation: str | None = None,
    db_role: str = "service",
    queue: str | None = None,
    max_attempts: int | None = None,
    cron: str | None = None,
    timezone: str | None = None,
    missed: str | None = None,
    on: str | Sequence[str] | None = None,
    after: str | None = None,
    table: str | None = None,
    when: str | None = None,
) -> Callable[[_Handler], Function]: ...


def function(
    handler: Callable[..., Any] | None = None,
    /,
    *,
    route: str | None = None,
    name: str | None = None,
    timeout: float | str | None = None,
    attempts: int | None = None,
    isolation: str | None = None,
    db_role: str = "service",
    **handoffs: Any,
) -> Function | Callable[[Callable[..., Any]], Function]:
    """Make a Python function one of the project's functions; its first parameter is ctx.

    `route` is a method and a path such as `"POST /signup/{id}"`; without one the function is called
    by name only. `timeout` is in seconds or text such as `"30s"`. `attempts` counts the first run:
    how often it may run when Postgres reports a serialization failure or a deadlock. `isolation` is
    "read committed", "repeatable read" or "serializable". `db_role` says as whom its SQL runs: "service" sees every
    row, "caller" what db/policies.toml gives the role that the caller's claims name, and the name of a role there what
    it gives that one. `handoffs` are the options that flux.runtime.handoffs reads. Raises BadDefinition, with file and
    line.
    """

    def define(handler: Callable[..., Any]) -> Function:
        if not inspect.isfunction(handler):
            raise BadDefinition(f"@function stands on {handler!r}, which is not a function")
        place = _place(handler)
        known = checked_name(name if name is not None else handler.__name__, place)
        _check_signature(handler, known, place)
        method, path = checked_route(route, known, place)
        arguments = Arguments(handler, known, place)
        check_path(path, arguments, known, place)
        defined = Function(
            name=known,
            method=method,
            route=path,
            handler=handler,
            timeout=checked_timeout(timeout, known, place),
            attempts=checked_attempts(attempts, known, place),
            isolation=checked_isolation(isolation, known, place),
            file=_code(handler).co_filename,
            line=_code(handler).co_firstlineno,
            arguments=arguments,
            handoffs=HandoffReader(known, place, arguments).read(handoffs),
            db_role=database_role(db_role, known, place),
        )
        collected = _declarations.get()
        if collected is not None:
            collected.functions.append(defined)
        return defined

    return define if handler is None else define(handler)


def _code(handler: Callable[..., Any]) -> CodeType:
    """The user's code, below decorators that keep to functools.wraps."""
    code: CodeType = inspect.unwrap(handler).__code__
    return code


def _place(handler: Callable[..., Any]) -> str:
    code = _code(handler)
    collected = _declarations.get()
    file = code.co_filename
    if collected is not None:
        file = file.removeprefix(f"{collected.root}/")
    return f"{file}:{code.co_firstlineno}"


def _check_signature(handler: Callable[..., Any], name: str, place: str) -> None:
    if inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler):
        raise BadDefinition(
            f"{place}: {name} is async, and functions run in threads of their own",
            hint="Write `def`; `asyncio.run(…)` inside it runs what has to be async.",
        )
    if inspect.isgeneratorfunction(handler):
        raise BadDefinition(
            f"{place}: {name} is a generator, which has no one value to return",
            hint="Return a list.",
        )
    parameters = list(signature(handler).parameters.values())
    names = [parameter.name for parameter in parameters if parameter.kind in _POSITIONAL]
    if not names or names[0] not in _CTX_NAMES:
        first = f", not {names[0]}" if names else ""
        raise BadDefinition(
            f"{place}: the first parameter of {name} must be ctx{first}",
            hint=f"Write `def {handler.__name__}({', '.join(('ctx', *names))}):`.",
        )
    if any(parameter.kind in _NAMELESS for parameter in parameters[1:]):
        raise BadDefinition(f"{place}: the arguments of {name} are given by name, so all must have one")

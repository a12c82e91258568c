"""A function of another language made into a Function like any other, whose handler hands its arguments to a guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flux.errors import BadDefinition, OutsideRequest
from flux.runtime.ctx import Ctx
from flux.runtime.database_role import SERVICE, database_role
from flux.runtime.deadline import stops_itself
from flux.runtime.definition import (
    check_path,
    checked_attempts,
    checked_isolation,
    checked_name,
    checked_route,
    checked_timeout,
)
from flux.runtime.execution import current_execution
from flux.runtime.functions import Function
from flux.runtime.guests.arguments import SchemaArguments
from flux.runtime.guests.guest import Guest
from flux.runtime.guests.host import Host
from flux.runtime.guests.wire import RESPONSE, response_of
from flux.runtime.handoffs import OPTIONS, HandoffReader

#: The options of every function beside those that hand work to it.
OWN_OPTIONS = ("name", "route", "timeout", "attempts", "isolation", "db_role")


def make_guest_function(
    guest: Guest,
    options: Mapping[str, Any],
    *,
    schema: Mapping[str, Any] | None,
    file: Path,
    line: int,
    root: Path,
    language: str,
    runtime: str,
    exact_integers: bool = True,
) -> Function:
    """The Function of these options (OWN_OPTIONS and handoffs.OPTIONS; None where one is not said).

    `schema` is the JSON Schema of its arguments, None where it takes any. `runtime` is "deno" or "wasmtime".
    `exact_integers` is False for languages whose only number is a double: integers that it cannot hold are given to
    them as text. Raises BadDefinition, with file and line.
    """
    place = f"{str(file).removeprefix(f'{root}/')}:{line}"
    name = checked_name(options.get("name"), place)
    for option in options:
        if option not in OWN_OPTIONS and option not in OPTIONS:
            raise BadDefinition(
                f"{place}: {name} has no option {option}", hint=f"It is one of {', '.join((*OWN_OPTIONS, *OPTIONS))}."
            )
    arguments = SchemaArguments(schema, name, place)
    method, path = checked_route(options.get("route"), name, place)
    check_path(path, arguments, name, place)
    handoffs = {option: options[option] for option in OPTIONS if options.get(option) is not None}
    return Function(
        name=name,
        method=method,
        route=path,
        handler=_handler(guest, name, file.parent, language, runtime, exact_integers),
        timeout=checked_timeout(options.get("timeout"), name, place),
        attempts=checked_attempts(options.get("attempts"), name, place),
        isolation=checked_isolation(options.get("isolation"), name, place),
        file=str(file),
        line=line,
        arguments=arguments,
        handoffs=HandoffReader(name, place, arguments).read(handoffs),
        db_role=database_role(options.get("db_role") or SERVICE, name, place),
        language=language,
        runtime=runtime,
    )


def _handler(
    guest: Guest, name: str, folder: Path, language: str, runtime: str, exact_integers: bool
) -> Callable[..., Any]:
    def handler(ctx: Ctx, /, **arguments: Any) -> Any:
        execution = current_execution()
        if execution is None:
            raise OutsideRequest(
                f"{name} is written in {language}, and can be called only inside a request",
                hint=f"Run it with `flux invoke {name}`.",
            )
        span = execution.record.current
        if span is not None:
            span.attributes["flux.runtime"] = runtime
        host = Host(ctx, execution, name, folder, exact_integers=exact_integers)
        try:
            with stops_itself(execution):
                value = guest.invoke(name, host, arguments)
        finally:
            host.close()
        return response_of(value[RESPONSE], name) if isinstance(value, dict) and set(value) == {RESPONSE} else value

    handler.__name__ = handler.__qualname__ = name
    return handler

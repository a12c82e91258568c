"""Tool calls: calls that leave the system, recorded with what went in and came out, so that a replay can answer them.

A tool call answers for everything that happens inside it: HTTP made by an SDK within is part of it and has no span of
its own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, cast

from flux.record import Failure, Record, Span, real_time_ns
from flux.runtime.execution import Execution, current_execution
from flux.runtime.failures import failure_of
from flux.runtime.raised import made_of
from flux.runtime.values import kinds_of

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# The execution whose tool call is under way in this context. Not a flag of the execution: two coroutines of one request
# are inside or outside each for itself. Not a plain flag: one left set by an interrupt would silence later requests.
_inside: ContextVar[Execution | None] = ContextVar("flux_inside_tool", default=None)


def tool(name: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Record each call of something that leaves the system: `charge = tool("stripe.charge")(stripe.Charge.create)`.

    Works as a decorator too, and on coroutine functions. Outside a request the call is simply made.
    """

    def wrap(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        if inspect.iscoroutinefunction(call):

            @functools.wraps(call)
            async def recorded_coroutine(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
                return await _call_coroutine(name, call, args, kwargs)

            return cast("Callable[Parameters, Result]", recorded_coroutine)

        @functools.wraps(call)
        def recorded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            return call_tool(name, call, args, kwargs)

        return recorded

    return wrap


def call_tool(name: str, call: Callable[..., Result], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Result:
    """Make a call and record it as a tool call of this name; what it raises is recorded and raised."""
    execution = current_execution()
    if execution is None:
        return call(*args, **kwargs)
    record = execution.record
    span = record.open("tool", name)
    execution.tool_calls += 1
    span.input = record.json({"args": list(args), "kwargs": dict(kwargs)})
    try:
        if execution.recalled is not None:
            result: Result = execution.recalled.value(record, span)
        else:
            with silenced(execution):
                result = call(*args, **kwargs)
    except BaseException as error:
        _keep_error(record, span, error)
        record.close(span, failure_of(error, record))
        raise
    _keep(execution, span, result)
    record.close(span)
    return result


async def _call_coroutine(name: str, call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    execution = current_execution()
    if execution is None:
        return await call(*args, **kwargs)
    record = execution.record
    span = open_leaf(execution, name)
    span.input = record.json({"args": list(args), "kwargs": dict(kwargs)})
    try:
        if execution.recalled is not None:
            result = execution.recalled.value(record, span)
        else:
            with silenced(execution):
                result = await call(*args, **kwargs)
    except BaseException as error:
        _keep_error(record, span, error)
        close_leaf(span, failure_of(error, record))
        raise
    _keep(execution, span, result)
    close_leaf(span)
    return result


def _keep(execution: Execution, span: Span, result: Any) -> None:
    """Record what a tool returned, with the types that its JSON does not tell."""
    span.output = execution.record.json(result)
    if execution.recalled is None:
        kinds = kinds_of(result)
        if kinds is not None:
            span.attributes["flux.tool.type"] = kinds


def _keep_error(record: Record, span: Span, error: BaseException) -> None:
    """Record what an exception was made of, so that a replay can raise its like."""
    made = made_of(error)
    if made is not None:
        span.attributes["flux.raised"] = record.json(made)


def recorded_execution() -> Execution | None:
    """The execution that an outbound call belongs to; None outside a request and inside a tool call."""
    execution = current_execution()
    return None if execution is None or _inside.get() is execution else execution


@contextmanager
def silenced(execution: Execution) -> Iterator[None]:
    """Outbound calls made inside are part of the call around them."""
    token = _inside.set(execution)
    try:
        yield
    finally:
        _inside.reset(token)


def open_leaf(execution: Execution, name: str) -> Span:
    """A tool span that nothing is nested in, so that calls under way side by side are siblings."""
    record = execution.record
    around = record.current
    span = record.open("tool", name)
    record.current = around
    execution.tool_calls += 1
    return span


def close_leaf(span: Span, failure: Failure | None = None) -> None:
    """End a span of open_leaf; ending it again changes nothing."""
    if span.duration_us is None:
        span.duration_us = (real_time_ns() - span.started_ns) // 1_000
        span.error = failure

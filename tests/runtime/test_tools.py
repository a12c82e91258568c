"""tool: what leaves the system, on the record."""

from __future__ import annotations

import asyncio
import inspect
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flux import tool
from flux.runtime.tools import call_tool

if TYPE_CHECKING:
    from tests.runtime.conftest import UnderWay


def test_call_is_recorded_with_arguments_and_answer(under_way: UnderWay) -> None:
    """The record must hold both, or a replay could neither find the call nor answer it."""
    charge = tool("stripe.charge")(lambda amount, *, currency: {"id": "ch_1", "amount": amount})

    assert charge(Decimal("12.50"), currency="eur") == {"id": "ch_1", "amount": Decimal("12.50")}
    span = under_way.only
    assert (span.kind, span.name) == ("tool", "stripe.charge")
    assert under_way.sent() == {"args": ["12.50"], "kwargs": {"currency": "eur"}}
    assert under_way.got() == {"id": "ch_1", "amount": "12.50"}
    assert span.duration_us is not None
    assert under_way.execution.tool_calls == 1


def test_input_is_recorded_as_it_was_before_the_call(under_way: UnderWay) -> None:
    """A callable may change what it is given; the record says what went in."""
    tool("queue.drain")(list.clear)([1, 2])

    assert under_way.sent()["args"] == [[1, 2]]


def test_failure_is_recorded_and_raised(under_way: UnderWay) -> None:
    """The user's own error handling goes on as before."""

    def decline() -> None:
        raise ValueError("card declined")

    with pytest.raises(ValueError, match="card declined"):
        tool("stripe.charge")(decline)()

    assert under_way.only.error is not None
    assert (under_way.only.error.type, under_way.only.error.message) == ("ValueError", "card declined")
    assert under_way.only.duration_us is not None
    assert under_way.record.current is under_way.record.spans[0]


def test_failure_has_the_users_line_that_made_the_call(under_way: UnderWay) -> None:
    """What fails is mostly deep in an SDK; the user looks for their own line."""
    under_way.record.root = Path(__file__).parent
    with pytest.raises(ValueError, match="invalid literal"):
        tool("parse")(int)("x")
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]

    assert under_way.only.error is not None
    assert under_way.only.error.location == f"test_tools.py:{line}"


def test_outside_a_request_the_call_is_simply_made() -> None:
    """Unit tests of user code, and scripts, need no request."""
    assert tool("add")(lambda a, b: a + b)(1, b=2) == 3


def test_decorated_function_keeps_its_name_and_text() -> None:
    """Users read help() and tracebacks of their own names."""

    @tool("mail.send")
    def send(to: str) -> str:
        """Send a mail."""
        return to

    assert (send.__name__, send.__doc__) == ("send", "Send a mail.")


def test_steps_inside_a_tool_are_its_children(under_way: UnderWay) -> None:
    """The tree shows what happened where; the next step is beside the tool again."""
    inner_call = tool("inner")(lambda: 1)
    tool("outer")(inner_call)()
    call_tool("after", lambda: 2, (), {})

    first, inner, after = under_way.spans()
    assert inner.parent_id == first.span_id
    assert after.parent_id == first.parent_id == under_way.record.spans[0].span_id


def test_coroutines_are_recorded_when_they_are_awaited(under_way: UnderWay) -> None:
    """A coroutine function returns before it has run; the record waits for its value, also for many side by side."""

    @tool("geo.lookup")
    async def lookup(number: int) -> int:
        await asyncio.sleep(0.01 * (3 - number))
        if number == 2:
            raise ValueError("lost")
        return number

    async def all_three() -> list[Any]:
        return await asyncio.gather(*(lookup(number) for number in range(3)), return_exceptions=True)

    asyncio.run(all_three())

    assert [under_way.got(span) for span in under_way.spans()] == [0, 1, None]
    assert [span.error and span.error.message for span in under_way.spans()] == [None, None, "lost"]
    assert {span.parent_id for span in under_way.spans()} == {under_way.record.spans[0].span_id}


@pytest.mark.parametrize("under_way", [("password",)], indirect=True)
def test_listed_fields_are_redacted(under_way: UnderWay) -> None:
    """What the project lists is hidden wherever it goes."""
    tool("vault.put")(lambda **given: given)(name="a", password="hunter2222")

    assert "hunter2222" not in under_way.stored()


def test_values_without_a_json_form_do_not_fail_the_call(under_way: UnderWay) -> None:
    """SDK objects are returned as they are; the record names them."""
    made = tool("sdk.client")(object)()

    assert type(made) is object
    assert under_way.got()["$repr"].startswith("<object object")

"""What --expect says of a run: each comparison by its meaning, and whatever is not understood by name."""

from __future__ import annotations

import pytest

from flux.errors import UsageError
from flux.replay.expectation import parse, value_at
from flux.replay.recorded import RecordedRequest

REQUEST = {
    "request_id": "550e8400-0000-4000-8000-000000000004", "status": 200, "outcome": "ok", "function": "checkout",
    "duration_us": 81_000, "error_type": None, "output": {"total": 58, "items": [{"price": 29, "name": "Tee and milk"}]}
}  # fmt: skip
SPANS = (
    {"kind": "gateway"}, {"kind": "function"}, {"kind": "tool"},
    *({"kind": "db", "attributes": {"db.response.returned_rows": 2}} for _ in range(3)),
)  # fmt: skip
MUTATIONS = (
    {"table_name": "public.orders", "rolled_back": False, "new_values": {"id": "1", "total": "58.00"}},
    {"table_name": "billing.invoices", "rolled_back": False, "new_values": {"id": "9"}},
    {"table_name": "public.orders", "rolled_back": True, "new_values": {"id": "2", "total": "1"}},
)
RUN = RecordedRequest(REQUEST, SPANS, MUTATIONS)
FAILED = RecordedRequest(
    {**REQUEST, "status": 500, "output": None, "error_type": "KeyError", "error_message": "'plan'"}, (), ()
)


@pytest.mark.parametrize(
    "text",
    [
        "status<500", "status = 200", "status==200", "outcome=ok", "outcome != error", "error=null", "duration<100ms",
        "duration < 100", "output.total=58", "output.total >= 58", "output.items[0].price = 29",
        'output.items[0].name = "Tee and milk"', "output.items[0].name = 'Tee and milk'", "output.items[0].name ~ milk",
        "db=3", "db<=3 and tool=1", "db<=3, tool=1", "log=0", "rows=6", "writes=2", "writes.orders=1", "writes.users=0",
        "written.orders[0].total = 58", "written.orders[1] = null", "output.gone = null", "output.gone != 5",
    ],
)  # fmt: skip
def test_what_holds_is_fulfilled(text):
    """Numbers by value, also where rows keep them as text; missing values as null."""
    assert [comparison.fails(RUN) for comparison in parse(text)] == [None] * len(parse(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("status>=500", "status is 200, not >= 500"),
        ("output.total = 59", "output.total is 58, not 59"),
        ("output.total.deeper = 59", "output.total.deeper is not there, not 59"),
        ("output.gone < 5", "output.gone is not there, not < 5"),
        ("outcome < 5", 'outcome is "ok", not < 5'),
        ("tool<1", "tool is 1, not < 1"),
        ('written."billing.invoices"[0].id = 1', 'written."billing.invoices"[0].id is "9", not 1'),
        ("duration<80ms", "duration is 81000, not < 80000"),
    ],
)
def test_what_does_not_hold_says_what_is_there(text, reason):
    """The reason stands in the answer of bisect."""
    assert parse(text)[0].fails(RUN) == reason


def test_an_error_is_a_value():
    """Also bare, so that `error=null` says that there is none."""
    assert parse("error.type = KeyError")[0].fails(FAILED) is None
    assert parse("error=null")[0].fails(FAILED)
    assert parse("error.message ~ plan")[0].fails(FAILED) is None


def test_tables_of_other_schemas_are_quoted():
    """A dot inside a name is not one of the path."""
    assert value_at(RUN, 'writes."billing.invoices"') == 1
    assert value_at(RUN, "writes.billing.invoices") == 0
    assert value_at(RUN, "writes.orders") == 1


@pytest.mark.parametrize(
    "text",
    ["", "status", "status<", "<500", "status<<500", "status=<500", "status<500 or db=1", "status<500 and", "total=5",
     "Status=200", "duration<soon", "output[x]=1", "import os"],
)  # fmt: skip
def test_what_is_not_understood_is_an_error(text):
    """A condition that means nothing would make every commit bad."""
    with pytest.raises(UsageError) as caught:
        parse(text)

    assert "--expect" in caught.value.message
    assert caught.value.hint

"""Arguments: a request's values fitted to type hints, and every misfit named."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flux import function
from flux.errors import BadDefinition, InvalidInput
from flux.runtime.arguments import Form

if TYPE_CHECKING:
    from nowhere import Ctx


class Plan(enum.Enum):
    FREE = "free"
    PRO = "pro"


@dataclass
class Line:
    sku: str
    price: Decimal
    count: int = 1


@dataclass
class Address:
    street: str
    zip: int
    lines: list[Line] = field(default_factory=list)


class Card(TypedDict):
    number: str
    year: NotRequired[int]


class Node(msgspec.Struct):
    name: str
    children: list[Node] = []


@function(route="POST /{id}")
def everything(
    ctx: Ctx,
    id: int,
    text: str = "",
    ratio: float = 0.0,
    yes: bool = False,
    price: Decimal | None = None,
    at: datetime | None = None,
    day: date | None = None,
    key: uuid.UUID | None = None,
    plan: Plan = Plan.FREE,
    level: Literal["low", "high"] = "low",
    tags: list[str] | None = None,
    counts: dict[str, int] | None = None,
    address: Address | None = None,
    card: Card | None = None,
    tree: Node | None = None,
    late: Late | None = None,
    anything: Any = None,
) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Late:
    """Defined after the function that names it."""

    x: int


def problems(call: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.status == 422
    assert caught.value.members["errors"] == caught.value.problems
    return {problem["field"]: problem["message"] for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("text", "x", "x"),
        ("ratio", 1, 1.0),
        ("yes", True, True),
        ("price", "12.50", Decimal("12.50")),
        ("price", 12.5, Decimal("12.5")),
        ("price", None, None),
        ("at", "2026-03-10T12:00:00Z", datetime(2026, 3, 10, 12, tzinfo=UTC)),
        ("day", "2026-03-10", date(2026, 3, 10)),
        ("key", "00000000-0000-0000-0000-000000000001", uuid.UUID(int=1)),
        ("plan", "pro", Plan.PRO),
        ("level", "high", "high"),
        ("tags", ["a", "b"], ["a", "b"]),
        ("counts", {"a": 1}, {"a": 1}),
        ("card", {"number": "42"}, {"number": "42"}),
        ("tree", {"name": "a", "children": [{"name": "b"}]}, Node("a", [Node("b")])),
        ("late", {"x": 1}, Late(1)),
        ("anything", {"x": [1, None]}, {"x": [1, None]}),
        (
            "address",
            {"street": "s", "zip": 1, "lines": [{"sku": "a", "price": "1.0"}]},
            Address("s", 1, [Line("a", Decimal("1.0"))]),
        ),
    ],
)
def test_json_is_made_into_what_the_hints_say(name: str, sent: Any, value: Any) -> None:
    """User code gets its own types and checks nothing itself."""
    bound = everything.bind({"id": "7"}, {}, {name: sent})

    assert bound == {"id": 7, name: value}
    assert bound.given == {name: sent, "id": "7"}


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("ratio", "1.5", 1.5),
        ("yes", "true", True),
        ("yes", "0", False),
        ("price", "12.50", Decimal("12.50")),
        ("day", "2026-03-10", date(2026, 3, 10)),
        ("plan", "pro", Plan.PRO),
        ("tags", ["a"], ["a"]),
        ("tags", ["a", "b"], ["a", "b"]),
        ("anything", "5", "5"),
    ],
)
@pytest.mark.parametrize("form", [False, True])
def test_text_is_coerced(name: str, sent: Any, value: Any, form: bool) -> None:
    """Paths, queries and forms know no types but text."""
    values = {name: sent if isinstance(sent, list) else [sent]}
    bound = everything.bind({"id": "7"}, {} if form else values, Form(values) if form else None)

    assert bound == {"id": 7, name: value}


@pytest.mark.parametrize(
    ("name", "sent", "message"),
    [
        ("ratio", "1.5", "expected `float`, got `str`"),
        ("yes", "true", "expected `bool`, got `str`"),
        ("text", 5, "expected `str`, got `int`"),
    ],
)
def test_json_is_not_coerced(name: str, sent: Any, message: str) -> None:
    """A caller that sends "42" for 42 has a fault that should be found."""
    assert problems(lambda: everything.bind({"id": "7"}, {}, {name: sent})) == {name: message}


def test_path_goes_before_query_before_body() -> None:
    """A caller cannot change whose record it is by a member of the body."""
    bound = everything.bind({"id": "1"}, {"id": ["2"], "text": ["query"]}, {"id": "x", "text": 3, "ratio": 4})

    assert bound == {"id": 1, "text": "query", "ratio": 4.0}


def test_every_bad_field_is_named() -> None:
    """A form with five mistakes takes one round, not five."""
    found = problems(
        lambda: everything.bind(
            {"id": "x"},
            {"day": ["soon"], "text": ["a", "b"]},
            {
                "plan": "gold",
                "level": "mid",
                "counts": {"a": 1, "b": "2"},
                "tags": ["a", 5, None],
                "address": {"zip": "1", "lines": [{"sku": "a", "price": "1"}, {"price": "much", "count": None}]},
                "card": {"year": "x"},
                "key": "zz",
                "unknown": 1,
            },
        )
    )

    assert found == {
        "unknown": "not an argument of everything",
        "text": "expected one value, got 2",
        "id": "expected `int`, got `str`",
        "day": "invalid RFC3339 encoded date",
        "plan": "expected one of 'free', 'pro', got 'gold'",
        "level": "expected one of 'low', 'high', got 'mid'",
        "counts.b": "expected `int`, got `str`",
        "tags[1]": "expected `str`, got `int`",
        "tags[2]": "expected `str`, got `null`",
        "address.street": "required, but missing",
        "address.zip": "expected `int`, got `str`",
        "address.lines[1].sku": "required, but missing",
        "address.lines[1].price": "invalid decimal string",
        "address.lines[1].count": "expected `int`, got `null`",
        "card.number": "required, but missing",
        "card.year": "expected `int`, got `str`",
        "key": "invalid UUID",
    }


def test_missing_arguments_are_named() -> None:
    """What has no default must be sent."""

    @function
    def two(ctx: Any, a: int, b: str, c: int = 1) -> None: ...

    assert problems(lambda: two.bind({}, {})) == {"a": "required, but missing", "b": "required, but missing"}
    assert problems(lambda: two.bind({}, {}, [1])) == {
        "body": "expected `object`, got `array`",
        "a": "required, but missing",
        "b": "required, but missing",
    }


def test_defaults_are_left_to_python() -> None:
    """The record shows what was sent, and a default may be anything."""
    marker = object()

    @function
    def one(ctx: Any, a: int = marker, b: str = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013
        return a, b

    assert one.bind({}, {}) == {}
    assert one(None, **one.bind({}, {})) == (marker, None)
    assert one.bind({}, {}, {"b": None}) == {"b": None}


def test_other_members_go_where_they_are_asked_for() -> None:
    """**kwargs takes what has no name, of its own type."""

    @function
    def webhook(ctx: Any, kind: str, **data: int) -> None: ...

    assert webhook.bind({}, {"a": ["1"]}, {"kind": "x", "b": 2}) == {"kind": "x", "a": 1, "b": 2}
    assert problems(lambda: webhook.bind({}, {}, {"kind": "x", "b": "two"})) == {"b": "expected `int`, got `str`"}


def test_unknown_query_parameters_are_let_pass() -> None:
    """Trackers and caches add their own to any link."""
    bound = everything.bind({"id": "7"}, {"utm_source": ["x"]})

    assert bound == {"id": 7}
    assert bound.given == {"id": "7"}


def test_raw_body_is_passed_as_it_came() -> None:
    """A signature is made over bytes, and JSON is written in many ways."""

    @function(route="POST /{id}")
    def hook(ctx: Any, id: int, payload: bytes, dry: bool = False) -> None: ...

    assert hook.arguments.raw_body == "payload"
    assert hook.bind({"id": "1"}, {"dry": ["1"]}, b'{"a": 1}') == {"id": 1, "dry": True, "payload": b'{"a": 1}'}
    assert problems(lambda: hook.bind({"id": "1"}, {})) == {"payload": "required, but missing"}
    assert hook.bind_input({"id": 1, "payload": "text"})["payload"] == b"text"
    assert hook.bind_input({"id": 1, "payload": "\\x00ff"})["payload"] == b"\x00\xff"


def test_input_by_name_is_json() -> None:
    """`flux invoke` and jobs give what a request would have given, already typed."""
    assert everything.bind_input({"id": 7, "plan": "pro"}) == {"id": 7, "plan": Plan.PRO}
    assert problems(lambda: everything.bind_input({"id": "7", "x": 1})) == {
        "x": "not an argument of everything",
        "id": "expected `int`, got `str`",
    }


def test_refused_input_can_still_be_recorded() -> None:
    """A request that is refused leaves a record with what was sent."""
    arguments = everything.arguments

    assert arguments.given({"id": "x"}, {"t": ["1", "2"]}, {"id": 1, "a": 2}) == {"id": "x", "t": ["1", "2"], "a": 2}
    assert arguments.given({"id": "x"}, {}, Form({"a": ["1"]})) == {"id": "x", "a": "1"}
    assert arguments.given({"id": "x"}, {}, [1]) == {"id": "x", "body": [1]}


def test_limits_of_a_type_are_checked() -> None:
    """msgspec's Meta is there for those who want more than a type."""

    @function
    def page(ctx: Any, limit: Annotated[int, msgspec.Meta(le=100)] = 10) -> None: ...

    assert problems(lambda: page.bind({}, {"limit": ["500"]})) == {"limit": "expected `int` <= 100"}


def test_type_that_json_cannot_fill_is_refused_at_its_place() -> None:
    """Found when the project is loaded, and not by the first request."""

    class Session:
        pass

    def plain(ctx: Any, session: Any) -> None: ...

    plain.__annotations__["session"] = list[Session]
    defined = function(plain)
    with pytest.raises(BadDefinition, match=r"test_arguments\.py:\d+: no JSON value can be a .*Session.* of session"):
        defined.arguments.compile()


def test_type_that_is_not_there_is_refused_at_its_place() -> None:
    """A name that only the type checker knows cannot be checked at run time."""

    @function
    def plain(ctx: Any, user: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(BadDefinition, match="the type of user in plain cannot be read: name 'Nowhere' is not defined"):
        plain.arguments.compile()


def test_two_raw_bodies_are_refused() -> None:
    """There is one body."""

    @function
    def plain(ctx: Any, a: bytes, b: bytes | None = None) -> None: ...

    with pytest.raises(BadDefinition, match="a and b of plain would both be the body"):
        plain.arguments.compile()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # CI machines are busy
names = st.sampled_from([*everything.arguments.names, "unknown"])


@patient
@given(st.dictionaries(names, json_values, max_size=6))
def test_any_json_is_taken_or_refused_with_fields(body: dict[str, Any]) -> None:
    """No input makes anything but arguments or a 422 that names a field that was sent or is missing."""
    try:
        bound = everything.bind({"id": "1"}, {}, body)
    except InvalidInput as error:
        assert error.problems
        for problem in error.problems:
            assert problem["message"]
            assert any(problem["field"].startswith(name) for name in body)
    else:
        assert set(bound) == {*body, "id"}


@patient
@given(st.dictionaries(names, st.lists(st.text(max_size=6), min_size=1, max_size=2), max_size=6))
def test_any_text_is_taken_or_refused_with_fields(query: dict[str, list[str]]) -> None:
    """The same for what comes in as text."""
    try:
        everything.bind({"id": "1"}, query)
    except InvalidInput as error:
        assert {problem["field"].partition("[")[0].partition(".")[0] for problem in error.problems} <= set(query)

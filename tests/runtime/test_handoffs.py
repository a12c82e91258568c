"""The options of @function that say what starts it besides HTTP, and what it is then given."""

from __future__ import annotations

from typing import Any

import pytest

from flux import function
from flux.errors import BadDefinition, InvalidInput
from flux.runtime.handoffs import Hook
from flux.runtime.schedule import Schedule


@function(
    queue="mail",
    max_attempts=5,
    cron=" 30  2 * * MON-FRI ",
    timezone="Europe/Berlin",
    missed="skip",
    on=["order.*", "order.paid", "order.*"],
    after="DELETE, insert",
    table=" app.orders ",
    when="old.id > 1",
)
def everything(ctx: Any, type: str = "", new: dict[str, Any] | None = None, tick: str = "") -> None: ...


def test_options_are_read_as_they_are_meant() -> None:
    """The database and the workers go by these values and by nothing else."""
    handoffs = everything.handoffs

    assert (handoffs.queue, handoffs.max_attempts) == ("mail", 5)
    assert handoffs.schedule == Schedule("30 2 * * MON-FRI", "Europe/Berlin", "skip")
    assert handoffs.on == ("order.*", "order.paid")
    assert handoffs.hook == Hook("app.orders", ("insert", "delete"), "old.id > 1")


def test_nothing_starts_a_function_that_does_not_say_so() -> None:
    """A plain function is called by its route or its name."""

    @function
    def plain(ctx: Any) -> None: ...

    handoffs = plain.handoffs
    assert (handoffs.queue, handoffs.max_attempts, handoffs.schedule, handoffs.on, handoffs.hook) == (
        None,
        None,
        None,
        (),
        None,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue": "no way"}, "the queue of f is 'no way'"),
        ({"max_attempts": 0}, "the max_attempts of f are 0"),
        ({"max_attempts": True}, "the max_attempts of f are True"),
        ({"cron": "0 0 30 2 *"}, "the schedule of f is '0 0 30 2 *', and it never fires: no such day"),
        ({"cron": "99 * * * *"}, "the schedule of f is '99 * * * *', and cannot read its minute"),
        ({"cron": 5}, "the cron of f is 5"),
        ({"cron": "* * * * *", "timezone": "Mars"}, "'Mars' is not a time zone"),
        ({"cron": "* * * * *", "missed": "all"}, "the missed of f is 'all'"),
        ({"timezone": "UTC"}, "f has a timezone and no cron"),
        ({"on": "no way"}, "f is on 'no way', which is no pattern of event types"),
        ({"on": []}, "f is on [], which is no pattern"),
        ({"on": 5}, "f is on 5, which is no pattern"),
        ({"on": ["a", "a..b"]}, "f is on 'a..b', which is no pattern"),
        ({"after": "upsert", "table": "t"}, "f runs after 'upsert'"),
        ({"after": "", "table": "t"}, "f runs after ''"),
        ({"after": "insert"}, "f runs after 'insert' of no table"),
        ({"after": "insert", "table": "t", "when": " "}, "the when of f is ' '"),
        ({"table": "orders"}, "f has a table and no after"),
        ({"when": "true"}, "f has a when and no after"),
        ({"corn": "* * * * *"}, "@function of f has no option corn"),
    ],
)
def test_what_cannot_work_is_refused_where_it_stands(options: dict[str, Any], message: str) -> None:
    """With file and line when it is loaded: nobody notices at once that a nightly function never runs."""
    with pytest.raises(BadDefinition) as caught:

        @function(**options)
        def f(ctx: Any) -> None: ...

    assert caught.value.message.startswith(f"{__file__}:")
    assert message in caught.value.message


def test_a_near_miss_is_named() -> None:
    """corn is cron."""
    with pytest.raises(BadDefinition) as caught:

        @function(corn="* * * * *")  # type: ignore[call-overload]
        def f(ctx: Any) -> None: ...

    assert caught.value.hint == "Did you mean cron?"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cron": "* * * * *"}, "f needs order, which a schedule does not give"),
        ({"on": "a"}, "f needs order, which an event does not give"),
        ({"after": "insert", "table": "t"}, "f needs order, which a hook does not give"),
    ],
)
def test_a_parameter_that_nobody_fills_is_refused(options: dict[str, Any], message: str) -> None:
    """Every single run of it would fail."""
    with pytest.raises(BadDefinition) as caught:

        @function(**options)
        def f(ctx: Any, order: dict[str, Any]) -> None: ...

    assert message in caught.value.message


def test_names_of_fluxs_own_functions_are_taken() -> None:
    """A delivery to a webhook must not run somebody's function."""
    with pytest.raises(BadDefinition, match=r"flux\.webhook begins like a function of Flux's own"):

        @function(name="flux.webhook")
        def f(ctx: Any) -> None: ...


def test_a_function_takes_of_a_hand_off_what_it_has_parameters_for() -> None:
    """An event has seven members, and most functions want one; what is not taken is no mistake."""

    @function(on="a")
    def f(ctx: Any, data: dict[str, int], subject: str | None) -> None: ...

    event = {"id": "1", "type": "a", "data": {"n": 1}, "subject": None}
    assert f.bind_handoff("event", event) == {"data": {"n": 1}, "subject": None}
    assert f.bind_handoff("event", event).given == {"data": {"n": 1}, "subject": None}


def test_a_job_is_taken_whole() -> None:
    """What was pushed for this very function, and has no parameter, is a mistake."""

    @function
    def f(ctx: Any, n: int) -> None: ...

    assert f.bind_handoff("job", {"n": 1}) == {"n": 1}
    with pytest.raises(InvalidInput):
        f.bind_handoff("job", {"n": 1, "m": 2})

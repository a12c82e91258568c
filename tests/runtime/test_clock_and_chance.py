"""Clock and chance inside a request: recorded in order, given back in order, and outside as Python has them."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from flux import tool
from flux.context import RequestContext
from flux.record import Record
from flux.redaction import Redactor
from flux.runtime.chance import record_chance
from flux.runtime.clock import record_clock
from flux.runtime.execution import Execution, reset_current, set_current
from flux.runtime.recalled import Recalled
from flux.runtime.tape import MOST_ENTRIES, RecordedTape

record_clock()
record_chance()

REQUEST = {
    "request_id": "4f9a3b2c-0000-4000-8000-000000000000",
    "kind": "http",
    "outcome": "ok",
    "started_at": "2026-03-01T12:00:00+00:00",
}


@contextmanager
def request(tape: list[Any] | None = None, **attributes: Any) -> Iterator[Execution]:
    """A request under way; with a tape, the replay of one that has it."""
    record = Record(RequestContext(), Redactor(), 64 * 1024, Path("/nowhere"))
    row = {**REQUEST, "attributes": {"tape": tape, **attributes}}
    recalled = None if tape is None else Recalled(row, [])
    execution = Execution(record, timeout=30, deadline=time.monotonic() + 30, recalled=recalled)
    token = set_current(execution)
    try:
        yield execution
    finally:
        reset_current(token)


def tape_of(execution: Execution) -> list[Any]:
    found: list[Any] = execution.record.attributes.get("tape", [])
    return found


CLOCKS = {
    "time.time": time.time,
    "time.time_ns": time.time_ns,
    "time.localtime": time.localtime,
    "time.gmtime": time.gmtime,
    "time.ctime": time.ctime,
    "time.asctime": time.asctime,
    "time.strftime": lambda: time.strftime("%Y-%m-%d %H:%M:%S"),
    "datetime.now": datetime.now,
    "datetime.now(UTC)": lambda: datetime.now(UTC),
    "datetime.now(tz=)": lambda: datetime.now(tz=timezone(timedelta(hours=5))),
    "datetime.today": datetime.today,
    "date.today": date.today,
}

CHANCES = {
    "random": random.random,
    "randint": lambda: random.randint(0, 10**9),
    "choice": lambda: random.choice(range(10**9)),
    "shuffle": lambda: random.sample(range(1000), 5),
    "Random": lambda: random.Random().random(),
    "uuid1": uuid.uuid1,
    "uuid4": uuid.uuid4,
    "urandom": lambda: os.urandom(16),
}


@pytest.mark.parametrize("name", [*CLOCKS, *CHANCES])
def test_what_a_request_was_told_is_told_again(name: str) -> None:
    """A replay an hour later must see the same moment and draw the same numbers."""
    ask = {**CLOCKS, **CHANCES}[name]
    with request() as then:
        first = [ask(), ask()]
    if name in CLOCKS:  # far from now, to tell it from a clock that was not held
        then.record.attributes["tape"] = [[kind, value - 10**18] for kind, value in tape_of(then)]
        with request(tape_of(then)):
            first = [ask(), ask()]

    with request(tape_of(then)) as now:
        again = [ask(), ask()]

    assert again == first
    assert tape_of(now) == tape_of(then) != []
    assert now.recalled is not None
    assert now.recalled.tape.beyond() == []


@pytest.mark.parametrize("name", [*CLOCKS, *CHANCES])
def test_outside_a_request_and_inside_a_tool_it_is_real(name: str) -> None:
    """Tests, scripts and what an SDK does inside are none of the tape's business."""
    ask = {**CLOCKS, **CHANCES}[name]
    ask()
    with request() as then:
        tool("sdk")(lambda: str([ask(), ask()]))()
        other = threading.Thread(target=ask)
        other.start()
        other.join()

    assert "tape" not in then.record.attributes


def test_types_stay_plain() -> None:
    """Code that asks for the type, pickles or compares must not meet a class of ours."""
    with request():
        assert type(datetime.now()) is datetime
        assert type(date.today()) is date
        assert type(uuid.uuid4()) is uuid.UUID
        assert isinstance(random.Random(), random.Random)

    class Moment(datetime):
        pass

    assert type(Moment.now()) is Moment
    with request():
        assert type(Moment.now(UTC)) is Moment
    assert abs(datetime.now(UTC) - datetime.fromtimestamp(time.time(), UTC)) < timedelta(seconds=1)
    with pytest.raises(TypeError):
        datetime.now("UTC")  # type: ignore[arg-type]


def test_time_goes_on_where_the_tape_ends() -> None:
    """A loop that waits for a moment must not wait for ever, nor jump to today."""
    told = 1_700_000_000_000_000_000
    with request([["time", told]]) as now:
        assert time.time_ns() == told
        time.sleep(0.02)
        later = time.time_ns()

    assert told + 20_000_000 <= later < told + 5_000_000_000
    assert now.recalled is not None
    assert now.recalled.tape.beyond() == ["time was asked for 1 more time than recorded"]


def test_without_a_tape_time_begins_when_the_request_did() -> None:
    """Code that did not look at the clock then, and does now, is told a moment that fits the rest."""
    with request([]):
        assert 0 <= (datetime.now(UTC) - datetime.fromisoformat(REQUEST["started_at"])).total_seconds() < 5


def test_chance_beyond_the_tape_is_the_same_each_time() -> None:
    """Two replays of one request must not differ by themselves, or every verdict would be flaky."""
    drawn = []
    for _ in range(2):
        with request([]):
            drawn.append([uuid.uuid4(), random.random(), os.urandom(9), random.Random().random()])

    assert drawn[0] == drawn[1]
    assert drawn[0][0].version == 4


def test_kinds_do_not_disturb_each_other() -> None:
    """A new call of uuid4 in between must not shift what the clock says."""
    with request() as then:
        first = [time.time(), random.random(), time.time()]
    with request(tape_of(then)):
        again = [time.time(), uuid.uuid4() and random.random(), time.time()]

    assert again == first


def test_a_tape_is_capped_and_says_so() -> None:
    """A loop that polls the clock must not fill the record."""
    with request() as then:
        for _ in range(MOST_ENTRIES + 7):
            time.time()

    assert len(tape_of(then)) == MOST_ENTRIES
    assert then.record.attributes["tape_omitted"] == 7


def test_another_attempt_begins_a_new_tape() -> None:
    """What counts is what the attempt was told that gave the answer."""
    with request() as then:
        time.time()
        random.random()
        then.tape.restart()
        assert "tape" not in then.record.attributes
        last = [time.time(), random.random()]
    with request(tape_of(then)) as now:
        assert [time.time(), random.random()] == last
        now.tape.restart()
        assert [time.time(), random.random()] == last


def test_secrets_and_long_chance_are_not_recorded() -> None:
    """Tokens are made of them; who reads the record must not be able to use one."""
    with request() as then:
        token = secrets.token_hex(16)
        secrets.choice(range(1000))
        random.SystemRandom().random()
        assert tape_of(then) == []
        long = os.urandom(10_000)

    assert tape_of(then) == [["urandom", None]]
    assert token not in str(then.record.attributes)
    assert len(long) == 10_000


def test_coroutines_of_a_request_are_told_too() -> None:
    """An event loop inside a function belongs to its request."""

    async def both() -> list[float]:
        return list(await asyncio.gather(asyncio.sleep(0, time.time()), asyncio.sleep(0, time.time())))

    with request() as then:
        first = asyncio.run(both())
    with request(tape_of(then)):
        assert asyncio.run(both()) == first


def test_seeding_in_a_request_is_its_own() -> None:
    """random.seed(1) in one request made all others draw the same before; now it is nobody else's."""
    with request():
        random.seed(1)
        first = random.random()
    with request():
        assert random.random() != first
    with request():
        random.seed(1)
        assert random.random() == first


def test_tapes_of_before_are_understood() -> None:
    """Requests recorded by ctx.now, ctx.uuid and ctx.random alone can be replayed as well."""
    tape = RecordedTape([["now", "2026-03-01T12:00:00.123457+00:00"], ["uuid", "x"], "odd", ["a"]], "1", 0)

    assert tape.time_ns("now") == 1772366400123457000

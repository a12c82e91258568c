"""Log lines as spans: ctx.log and Python's logging, without getting in the way of the user's own set-up of it."""

from __future__ import annotations

import inspect
import logging
import logging.config
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from flux.runtime.logs import Log, record_logs

if TYPE_CHECKING:
    from tests.runtime.conftest import UnderWay

logger = logging.getLogger("shop.billing")


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    record_logs()
    record_logs()  # twice, to see that it counts once
    root.setLevel(logging.INFO)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def line_here() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_line_is_a_span_with_its_fields_and_place(under_way: UnderWay) -> None:
    """A line is found where it happened, between the steps around it."""
    under_way.record.root = under_way.record.root.__class__(__file__).parent.parent
    Log().info("charged", amount=12, currency="eur")
    line = line_here() - 1

    (span,) = under_way.spans("log")
    assert span.name == "charged"
    assert under_way.sent(span) == {"amount": 12, "currency": "eur"}
    assert span.attributes == {"level": "info", "logger": __name__, "location": f"runtime/test_logs.py:{line}"}
    assert span.parent_id == under_way.record.spans[0].span_id
    assert span.duration_us is None
    assert under_way.record.current is under_way.record.spans[0]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_every_level_is_recorded(level: str, under_way: UnderWay) -> None:
    """ctx.log has no threshold: the user wrote the line to find it again."""
    getattr(Log(), level)("line")

    assert [span.attributes["level"] for span in under_way.spans("log")] == [level]


def test_exception_is_kept_with_its_line(under_way: UnderWay) -> None:
    """An error that was handled is still an answer to a question asked later."""
    try:
        raise ValueError("card declined")
    except ValueError:
        Log().exception("charge failed", attempt=2)
        logger.exception("charge failed")

    for span in under_way.spans("log"):
        assert span.error is not None
        assert (span.error.type, span.error.message) == ("ValueError", "card declined")
        assert span.attributes["level"] == "error"


def test_logging_records_itself(under_way: UnderWay) -> None:
    """Lines of any library and of code written before Flux are there too, with what `extra` carried."""
    logger.warning("charge %s failed", 7, extra={"amount": 12})
    line = line_here() - 1

    (span,) = under_way.spans("log")
    assert span.name == "charge 7 failed"
    assert under_way.sent(span) == {"amount": 12}
    assert span.attributes == {"level": "warning", "logger": "shop.billing", "location": f"{__file__}:{line}"}


def test_lines_outside_a_request_are_nobodys(under_way: UnderWay) -> None:
    """Nothing is lost or kept where no request is."""
    import contextvars

    contextvars.Context().run(lambda: (Log().info("x"), logger.info("x")))

    assert under_way.spans("log") == []


def test_lines_below_the_loggers_level_are_not_made(under_way: UnderWay) -> None:
    """The user's thresholds count."""
    logger.debug("noise")

    assert under_way.spans("log") == []


def test_libraries_whose_calls_are_recorded_are_not_heard_twice(under_way: UnderWay) -> None:
    """httpx says of each call what its tool span says."""
    logging.getLogger("httpx").info("HTTP Request: GET …")
    logging.getLogger("httpx._client").info("HTTP Request: GET …")

    assert under_way.spans("log") == []


def test_users_set_up_of_logging_works_and_changes_nothing(
    under_way: UnderWay, capsys: pytest.CaptureFixture[str]
) -> None:
    """basicConfig does nothing when the root has a handler, dictConfig throws handlers out: ours is neither."""
    root = logging.getLogger()
    root.handlers[:] = []
    logging.basicConfig(format="mine: %(message)s", level=logging.INFO)
    logger.info("one")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO"}})
    logger.info("two")

    assert "mine: one" in capsys.readouterr().err
    assert [span.name for span in under_way.spans("log")] == ["one", "two"]


def test_python_still_prints_warnings_of_an_unconfigured_program(
    under_way: UnderWay, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recording a line must not take it from the terminal, nor put others there."""
    logging.getLogger().handlers[:] = []
    logger.warning("seen")
    logger.info("unseen")

    assert capsys.readouterr().err == "seen\n"


def test_arguments_that_do_not_fit_do_not_fail_the_function(
    under_way: UnderWay, capsys: pytest.CaptureFixture[str]
) -> None:
    """logging never raises for a bad line; nor do we."""
    logging.getLogger().handlers[:] = []  # pytest's own do raise
    logger.info("charge %d", "seven")

    assert [span.name for span in under_way.spans("log")] == ["charge %d"]


@pytest.mark.parametrize("under_way", [("password",)], indirect=True)
def test_secrets_known_of_the_request_are_hidden_in_lines(under_way: UnderWay) -> None:
    """A secret that came in as a field is not written out by a line."""
    under_way.record.json({"password": "hunter2222"})
    Log().info("login with hunter2222", password="other-secret")

    assert "hunter2222" not in under_way.stored()
    assert "other-secret" not in under_way.stored()


def test_long_lines_are_whole(under_way: UnderWay) -> None:
    """A span's name is short; the line is not lost."""
    Log().info("x" * 2_000, a=1)

    (span,) = under_way.spans("log")
    assert len(span.name) == 500
    assert under_way.sent(span) == {"message": "x" * 2_000, "a": 1}

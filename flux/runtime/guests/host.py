"""The host of one invocation of a guest: every operation that a function in another language has, by name and JSON.

`docs/guests/protocol.md` describes it for those who write guests. What an operation does is `ctx`'s own, so spans,
mutations and answers are recorded as those of Python are.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from flux.errors import GuestProtocol
from flux.record import Failure, Span
from flux.runtime.chance import real_urandom
from flux.runtime.deadline import Interrupted
from flux.runtime.execution import Execution
from flux.runtime.guests import operations, refusal
from flux.runtime.guests.wire import encoded
from flux.runtime.tape import Slot
from flux.runtime.tools import close_leaf

if TYPE_CHECKING:
    from flux.runtime.ctx import Ctx

#: Errors given to a guest that are remembered, to be raised as they were when the guest hands one on.
MOST_GIVEN = 16


class Host:
    """What one invocation of `function` may ask. `folder` is where its sources lie.

    Used by the thread of the request; only what `start` gives may run on another. `ended` is what must end the request
    whatever the guest makes of it, such as Interrupted.
    """

    def __init__(
        self, ctx: Ctx, execution: Execution, function: str, folder: Path, *, exact_integers: bool = True
    ) -> None:
        self.ctx = ctx
        self.execution = execution
        self.record = execution.record
        self.function = function
        self.ended: BaseException | None = None
        self.tools: dict[int, Span] = {}
        self.folder = folder
        self._exact_integers = exact_integers
        self._given: list[tuple[dict[str, Any], BaseException]] = []

    def answer(self, request: bytes | bytearray | memoryview) -> bytes:
        """The reply to a request, both as JSON bytes; never raises, whatever was asked."""
        try:
            asked = orjson.loads(request)
            if not isinstance(asked, dict):
                raise GuestProtocol(f"{self.function} sent a request that is not an object")
        except (orjson.JSONDecodeError, GuestProtocol) as error:
            return self._refused(
                error if isinstance(error, GuestProtocol) else GuestProtocol(f"{self.function} sent no JSON: {error}")
            )
        return self.call(asked.get("op"), asked.get("args"))

    def call(self, op: object, args: object) -> bytes:
        """The reply to an operation, as JSON bytes; never raises."""
        try:
            return self._replied(operations.perform(self, op, args))
        except BaseException as error:  # noqa: BLE001  # an edge: no exception may pass through a foreign machine
            return self._refused(error)

    def start(self, op: object, args: object) -> Callable[[], bytes] | None:
        """An operation begun here, to be waited for on whatever thread; None for those that `call` has to do."""
        try:
            begun = operations.begin(self, op, args)
        except BaseException as error:  # noqa: BLE001  # as in call
            refused = self._refused(error)
            return lambda: refused
        if begun is None:
            return None
        context = contextvars.copy_context()

        def finish() -> bytes:
            try:
                return self._replied(context.run(begun))
            except BaseException as error:  # noqa: BLE001  # as in call
                return self._refused(error)

        return finish

    def remaining(self) -> float:
        """Seconds until the function must end; never negative."""
        return self.execution.remaining()

    def error_of(self, error: object) -> BaseException:
        """The exception to raise for the error that a guest answered with; one that it was given is that one again."""
        if not isinstance(error, Mapping):
            return GuestProtocol(f"{self.function} answered with an error that is not an object")
        exception: BaseException
        for given, exception in reversed(self._given):
            if all(given.get(name) == error.get(name) for name in ("type", "message")):
                refusal.locate(exception, error, self.record.root, self.folder)
                exception.__traceback__ = None
                return exception
        return refusal.raised(error, self.record.root, self.folder)

    def seed(self, kind: str) -> str:
        """32 hex digits of chance, recorded and given back under this name."""
        return self.execution.tape.seed(kind, real_urandom)

    def time_ns(self) -> int:
        """The clock in nanoseconds since the epoch, recorded and given back."""
        return self.execution.tape.time_ns()

    def tape(self, kind: str) -> Slot:
        """A place in the record for what the guest's machinery was told; in a replay it holds what that was then."""
        return self.execution.tape.slot(kind, self.function)

    def log(self, level: str, message: str, fields: Mapping[str, Any] | None = None, place: str | None = None) -> None:
        """A log line of the guest's, such as what it wrote to stdout; `place` is file:line."""
        operations.log(self, level, message, fields or {}, place)

    def close(self) -> None:
        """End what the guest left open. Raises `ended`, if there is any."""
        for span in self.tools.values():
            close_leaf(span, Failure(type="GuestProtocol", message=f"{self.function} ended before {span.name} did"))
        self.tools.clear()
        if self.ended is not None:
            raise self.ended

    def _replied(self, value: Any) -> bytes:
        return b'{"ok":%b}' % encoded(value, exact_integers=self._exact_integers)

    def _refused(self, error: BaseException) -> bytes:
        if not isinstance(error, Exception) and (self.ended is None or not isinstance(error, Interrupted)):
            self.ended = error
        known = refusal.told(error)
        self._given = [*self._given[-MOST_GIVEN + 1 :], (known, error)]
        return b'{"error":%b}' % encoded(known, exact_integers=self._exact_integers)

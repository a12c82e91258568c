"""Runs recorded requests again in a process that has loaded the functions of one tree: this side of it.

A process of its own, because code of another commit must not meet modules of this one, and because a replayed function
may hang, exit or crash. `python -P -m flux.replay.runner` is the child; its work is in flux.replay.rerun.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import orjson

from flux.encoding import to_json
from flux.engine.pool import Database
from flux.engine.recording import Written, write_records
from flux.errors import CannotLoad, DatabaseUnavailable
from flux.replay.process import Child, Silent
from flux.runtime.leftovers import leftovers
from flux.runtime.recalled import Call

if TYPE_CHECKING:
    from flux.replay.recorded import RecordedRequest
    from flux.runtime.keys import Generated

__all__ = ["Call", "Order", "Ran", "Runner"]

#: Seconds after a function's own timeout in which its process stops it; then the process is killed.
MARGIN = 10.0

_TIMED_OUT, _DIED = "the replay ran longer than its time limit", "the process of the replay died"


@dataclass(frozen=True, slots=True)
class Order:
    """A request to be run again, under which id, and what is known that its record does not say.

    `stubs` are answers by the name of a call, for calls that the record does not hold; `generated` are the sandbox's
    generated columns; `in_place` leaves sequences as they are, because they belong to others too.
    """

    recorded: RecordedRequest
    replay_id: UUID
    stubs: Mapping[str, Any] = field(default_factory=dict)
    generated: Sequence[Generated] = ()
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended. `inexact` says in words what could not be given back as it was recorded.

    `denied_tables` are tables that a statement had no right to, also where the function caught the error.
    """

    request_id: UUID
    status: int | None
    outcome: str
    calls: tuple[Call, ...] = ()
    denied_tables: tuple[str, ...] = ()
    stderr_tail: str = ""
    inexact: tuple[str, ...] = ()


class Runner:
    """One process that has loaded the functions at `root`, with a database to run them on.

    `python` is the interpreter's command line, which must know Flux. After `with`, `broken` names the modules that do
    not load; raises CannotLoad when nothing can be loaded at all. Used by one thread at a time.
    """

    def __init__(
        self,
        root: Path,
        database_url: str,
        *,
        code_sha: str,
        python: Sequence[str] | None = None,
        load_timeout: float = 60,
    ) -> None:
        self.broken: tuple[str, ...] = ()
        self._root = root.resolve()
        self._database_url = database_url
        self._code_sha = code_sha
        self._python = tuple(python or (sys.executable,))
        self._load_timeout = load_timeout
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="flux-runner-"))
        try:
            self._started()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, order: Order, timeout: float | None = None) -> Ran:
        """Run a request again. A hang or death of its process is an outcome, `timeout` or `crashed`, and no error.

        `timeout` is in seconds; without one it is the function's own and a margin.
        """
        child = self._started()
        child.forget_output()
        try:
            child.say(_line(order))
            began = child.hear(self._load_timeout)["began"]
            answer = child.hear(timeout if timeout is not None else began + MARGIN)
        except Silent as silent:
            child.kill()
            self._child = None
            self._store_leftovers(silent.outcome)
            status = 504 if silent.outcome == "timeout" else 500
            reason = _TIMED_OUT if silent.outcome == "timeout" else f"{_DIED}: {child.how_it_ended}"
            return Ran(order.replay_id, status, silent.outcome, stderr_tail=child.output(), inexact=(reason,))
        ran = answer["ran"]
        return Ran(
            order.replay_id,
            ran["status"],
            ran["outcome"],
            tuple(Call(**call) for call in ran["calls"]),
            tuple(ran["denied"]),
            child.output(),
            tuple(ran["inexact"]),
        )

    def _started(self) -> Child:
        if self._child is None:
            child = self._child = Child(self._python, self._root, self._database_url)
            told = {
                "root": str(self._root),
                "database_url": self._database_url,
                "code_sha": self._code_sha,
                "inflight": str(self._folder),
            }
            try:
                child.say(orjson.dumps(told))
                answer = child.hear(self._load_timeout)
            except Silent as silent:
                child.kill()
                self._child = None
                late = f"{self._root} was not loaded within {self._load_timeout:g} s"
                last = (child.output().strip().splitlines() or [child.how_it_ended])[-1]
                raise CannotLoad(late if silent.outcome == "timeout" else f"{self._root}: {last}") from None
            if "failed" in answer:
                raise CannotLoad(answer["failed"], hint=answer["hint"])
            self.broken = tuple(answer["broken"])
        return self._child

    def _store_leftovers(self, outcome: str) -> None:
        """The record of a request whose process is gone, made of what it left in its in-flight table."""
        for left in leftovers(self._folder):
            database = Database(self._database_url, 1, name="flux replay")
            database.open()
            try:
                with database.connection() as connection:
                    write_records(connection, [_ended(record, outcome) for record in left.records])
            except DatabaseUnavailable:
                pass  # whoever wants to read it will say so
            finally:
                database.close()
                left.discard()


def _line(order: Order) -> bytes:
    recorded = order.recorded
    return to_json(
        {
            "request": recorded.request,
            "spans": recorded.spans,
            "mutations": recorded.mutations,
            "replay_id": order.replay_id,
            "stubs": order.stubs,
            "generated": [
                {"table": column.table, "column": column.column, "sequence": column.sequence}
                for column in order.generated
            ],
            "in_place": order.in_place,
        }
    )


def _ended(record: Written, outcome: str) -> Written:
    """A record of a process that is gone, with what its parent knows of its end."""
    if outcome != "timeout":
        return record
    request = orjson.loads(record.request)
    if request["outcome"] == "crashed":
        request |= {"outcome": "timeout", "status": 504, "error_type": "FunctionTimeout", "error_code": "XF203"}
        request["error_message"] = _TIMED_OUT
    return Written(orjson.dumps(request), record.spans)


def main() -> None:
    """The child."""
    from flux.replay.rerun import serve

    reading, writing = (int(word) for word in sys.argv[1:3])
    for pipe in (reading, writing):
        os.set_inheritable(pipe, False)
    with open(reading, "rb") as orders, open(writing, "wb") as answers:  # noqa: PTH123  # pipes have no path
        serve(orders, answers)


if __name__ == "__main__":
    main()

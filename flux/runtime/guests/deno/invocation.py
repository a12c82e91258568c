"""One invocation: the thread of the request runs it, answers what it asks, and holds the transaction it asks in.

What an isolate asked and was answered is kept until the invocation ends. When its process ends before, and the fault
may be another's that ran in it too, the invocation goes on in another: it is run again from its start, is told by its
tape what it was told before, gets the answers it got before without anything being done again, and then goes on as if
nothing had happened, in the same transaction. Where it may have been the one that had its process stuck, it goes on in
a process of its own: only what ends that is to blame.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import orjson

from flux.errors import GuestDied, GuestLimit, GuestProtocol
from flux.runtime.deadline import Interrupted
from flux.runtime.guests.deno.connection import Connection, Gone
from flux.runtime.guests.deno.fleet import Fleet
from flux.runtime.guests.deno.frames import CALL, ERROR, INVOKE, LOG, MOST_BYTES, REPLY, RESULT, Frame
from flux.runtime.guests.deno.process import Isolate
from flux.runtime.guests.host import Host

#: Bytes of answers kept of one invocation; one that got more does not outlive its process.
MOST_KEPT = 8 * 1024**2

#: Processes in which an invocation may have been; the last is its own.
LIVES = 3

#: Seconds that a process may take to be gone after its connection broke.
_END_PATIENCE = 5.0

_TOO_LARGE = b'{"error":{"type":"GuestLimit","message":"the answer is larger than %d MiB"}}' % (MOST_BYTES // 1024**2)

_calls = ThreadPoolExecutor(max_workers=64, thread_name_prefix="flux-deno-call")


@dataclass(slots=True)
class Call:
    """What an isolate asked, and the answer to it: `reply`, or what `waiting` will give."""

    request: bytes
    reply: bytes | None = None
    waiting: Future[bytes] | None = None


class Invocation:
    """A run of a function on the calling thread; `key` is what the isolates know it by."""

    def __init__(self, fleet: Fleet, host: Host, key: str, input: Mapping[str, Any]) -> None:
        self._fleet = fleet
        self._host = host
        self._key = key
        self._input = input
        self._slot = host.tape("deno")
        self._tape: dict[str, Any] = {}
        self._calls: list[Call] = []
        self._kept = 0
        self._deliveries = 0
        self._logs = 0
        self._answered = False
        self._connection: Connection | None = None
        self._sending = threading.Lock()

    def run(self) -> Any:
        """Its result; raises what `Guest.invoke` says."""
        try:
            return self._run()
        finally:
            with self._sending:
                self._connection = None
            self._wait_for_calls()
            self._keep_tape()

    def _run(self, lives: int = LIVES, alone: bool = False) -> Any:
        isolate = self._fleet.take(alone)
        connection: Connection | None = None
        try:
            connection = isolate.connect()
            self._begin(connection, again=lives < LIVES)
            return self._serve(connection)
        except Gone:
            isolate.ended.wait(_END_PATIENCE)
            if alone or self._kept > MOST_KEPT or self._is_to_blame(isolate):
                raise self._death(isolate) from None
        except TimeoutError:
            self._fleet.overdue(isolate)
            raise Interrupted from None
        finally:
            if connection is not None:
                (isolate.put_back if self._answered else isolate.hang_up)(connection)
            self._fleet.give_back(isolate)
        if not self._host.remaining():
            raise Interrupted
        innocent = connection is None or connection.waited
        return self._run(lives - 1, alone=not innocent or lives == 2)

    def _begin(self, connection: Connection, again: bool) -> None:
        recalled = self._host.execution.recalled
        asked: dict[str, Any] = {"key": self._key, "input": self._input, "kind": "live"}
        if again and recalled is None:
            asked |= {"kind": "resume", "tape": self._tape, "until": self._deliveries}
        elif recalled is not None:
            asked |= {"kind": "replay", "tape": self._slot.recorded or {}, "fallback": recalled.request_id.hex}
        if again:
            self._tape = {}
        connection.send(INVOKE, 0, orjson.dumps(asked))
        with self._sending:
            self._connection = connection

    def _serve(self, connection: Connection) -> Any:
        """Answer what is asked until the result comes."""
        asked = lines = 0
        while True:
            frame = connection.receive(self._host.remaining())
            self._note(frame)
            if frame.type == CALL:
                asked += 1
                connection.serves = True
                self._asked(asked, frame)
                connection.serves = False
            elif frame.type == LOG:
                lines = self._log(lines, orjson.loads(frame.text))
            else:
                self._answered = True
                with self._sending:
                    self._connection = None
                return self._ended(frame)
            if self._host.ended is not None:
                raise self._host.ended

    def _ended(self, frame: Frame) -> Any:
        try:
            told = orjson.loads(frame.text)
        except orjson.JSONDecodeError as error:
            raise GuestProtocol(f"the result of {self._host.function} is not JSON: {error}") from None
        if frame.type == RESULT:
            return told
        if frame.type == ERROR:
            raise self._host.error_of(told)
        raise GuestProtocol(f"{self._host.function} answered with a frame of type {frame.type}")

    def _note(self, frame: Frame) -> None:
        """How far it has come, and what it was told on the way."""
        self._deliveries = max(self._deliveries, frame.deliveries)
        if not frame.tape:
            return
        for name, value in orjson.loads(frame.tape).items():
            if isinstance(value, list):
                self._tape.setdefault(name, []).extend(value)
            else:
                self._tape[name] = value
                if name == "diverged":
                    self._diverged(value)

    def _keep_tape(self) -> None:
        """Have the record hold it; a replay that went as recorded was told what is recorded."""
        diverged = self._tape.pop("diverged", None)
        told = self._slot.recorded if diverged is None and self._slot.recorded else self._tape
        if told:
            self._slot.keep(told)

    def _diverged(self, how: str) -> None:
        recalled = self._host.execution.recalled
        if recalled is not None:
            recalled.inexact[f"{self._host.function} went another way than recorded: {how}"] = None

    # What it asks

    def _asked(self, number: int, frame: Frame) -> None:
        """A call: the same as before it was resumed, or a new one."""
        if number <= len(self._calls):
            call = self._calls[number - 1]
            if call.request != frame.text:
                raise GuestDied(f"{self._host.function} could not go on: it did not do again what it had done")
        else:
            call = Call(frame.text)
            self._calls.append(call)
            self._answer(call)
        if call.waiting is not None:
            call.waiting.add_done_callback(lambda reply: self._reply(frame.call, reply.result()))
        else:
            self._reply(frame.call, call.reply or b"null")
        if self._kept > MOST_KEPT:  # it is not going to be run again
            call.request, call.reply = b"", None

    def _answer(self, call: Call) -> None:
        """Have it answered, here or where it can wait."""
        try:
            asked = orjson.loads(call.request)
        except orjson.JSONDecodeError:  # the host says so
            call.reply = self._kept_of(call, self._host.answer(call.request))
            return
        op, args = asked.get("op"), asked.get("args")
        finish = self._host.start(op, args) if op == "fetch" else None
        if finish is not None:
            call.waiting = _calls.submit(lambda: self._kept_of(call, finish()))
        else:
            call.reply = self._kept_of(call, self._host.call(op, args))

    def _kept_of(self, call: Call, reply: bytes) -> bytes:
        self._kept += len(reply) + len(call.request)
        return reply if len(reply) <= MOST_BYTES else _TOO_LARGE

    def _reply(self, call: int, reply: bytes) -> None:
        """Send a reply, unless the one who asked is there no more."""
        with self._sending:
            if self._connection is not None:
                try:
                    self._connection.send(REPLY, call, reply)
                except (Gone, TimeoutError):
                    self._connection = None  # the thread of the request sees it too

    def _wait_for_calls(self) -> None:
        """A request is not over before its calls are: the record says how they ended."""
        pending = [call.waiting for call in self._calls if call.waiting is not None and not call.waiting.done()]
        if pending:
            wait(pending, timeout=self._host.remaining() + 1)

    def _log(self, before: int, lines: list[list[Any]]) -> int:
        """Record lines, but for those that were before it was resumed; how many there have been now."""
        for level, message, place, fields in lines:
            before += 1
            if before > self._logs:
                self._logs = before
                self._host.log(level, message, fields, place.removeprefix(f"{self._host.record.root}/") or None)
        return before

    # How it may end

    def _is_to_blame(self, isolate: Isolate) -> bool:
        return isolate.reason == "closed" or (isolate.crowd <= 1 and isolate.reason in ("memory", "stuck"))

    def _death(self, isolate: Isolate) -> GuestLimit | GuestDied:
        name = self._host.function
        if isolate.reason == "memory":
            return GuestLimit(f"{name} was stopped: it used more than {self._fleet.memory // 1024**2} MiB of memory")
        reasons = {"stuck": "it was stuck in a loop", "closed": "it was closed"}
        why = reasons.get(isolate.reason) or isolate.said()[-500:] or "it was killed"
        return GuestDied(f"the process that ran {name} ended: {why}")


_spent: Future[bytes] = Future()
_spent.set_result(b"")

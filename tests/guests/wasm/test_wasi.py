"""What a guest sees of the world through WASI: a clock and chance that are on the tape, streams that are logs."""

from __future__ import annotations

import os
import signal
import struct
import threading
import time

import pytest
from wat import DRIVERS, Told, guest, ran

from flux.runtime.guests.wasm import wasi

#: Replies with the 16 bytes at 512, as they are.
GIVE = "(i64.const 0x0000020000000010)"

BOTH = pytest.mark.parametrize("driver", DRIVERS)


def looks(clock: int = 0, between: str = "") -> bytes:
    """A guest that looks at a clock twice, and gives what it saw."""
    look = f"(drop (call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const %d)))"
    return guest(look % 512 + between + look % 520 + GIVE, wasi=["clock_time_get"])


@BOTH
def test_the_clock_is_that_of_the_tape(driver: str) -> None:
    """Otherwise a replay would be at another time."""
    tape = Told()

    first, second = struct.unpack("<QQ", ran(looks(), driver=driver, tape=tape).reply)

    assert first == tape.moment
    assert second == first + 1_000
    assert tape.looks == 1


@BOTH
def test_the_clock_is_looked_at_again_after_the_host_was_asked(driver: str) -> None:
    """The host's time is what a guest measures."""
    tape = Told()

    def slow(request: bytes) -> bytes:
        tape.moment += 5_000_000
        return b"{}"

    asks = "(drop (call $call (i32.const 0) (i32.const 2)))"
    first, second = struct.unpack("<QQ", ran(looks(1, asks), driver=driver, tape=tape, answer=slow).reply)

    assert second - first == 5_000_000


def test_the_clock_never_goes_back() -> None:
    """What measures would see less than nothing."""
    tape = Told()

    def earlier(request: bytes) -> bytes:
        tape.moment -= 1_000_000_000
        return b"{}"

    asks = "(drop (call $call (i32.const 0) (i32.const 2)))"
    first, second = struct.unpack("<QQ", ran(looks(0, asks), tape=tape, answer=earlier).reply)

    assert second > first


@BOTH
def test_chance_is_that_of_the_seed(driver: str) -> None:
    """The same seed has to give the same, or a replay differs."""
    draws = guest("(drop (call $random_get (i32.const 512) (i32.const 16)))" + GIVE, wasi=["random_get"])

    once, again = (ran(draws, driver=driver).reply for _ in range(2))
    other = ran(draws, driver=driver, tape=Told(byte=b"\x02")).reply

    assert once == again
    assert once != other
    assert len(set(once)) > 4


def test_a_guest_that_asks_for_neither_leaves_no_tape() -> None:
    """Two entries a request would be a cost for nothing."""
    tape = Told()

    assert ran(guest(GIVE), tape=tape).reply

    assert tape.looks == 0


SLEEPS = guest(
    # one subscription: the monotonic clock, 200 ms from now
    "(i32.store8 (i32.const 72) (i32.const 0)) (i32.store (i32.const 80) (i32.const 1))"
    "(i64.store (i32.const 88) (i64.const 200000000))"
    "(drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 512)))"
    "(drop (call $poll_oneoff (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 300)))"
    "(drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 520)))" + GIVE,
    wasi=["clock_time_get", "poll_oneoff"],
)


@pytest.mark.parametrize(("is_replay", "least", "most"), [(False, 0.19, 5), (True, 0, 0.15)])
def test_sleeping_takes_no_time_in_a_replay(is_replay: bool, least: float, most: float) -> None:
    """A guest that waits a minute is replayed at once, and sees the same."""
    began = time.monotonic()

    first, second = struct.unpack("<QQ", ran(SLEEPS, tape=Told(is_replay=is_replay)).reply)

    assert 200_000_000 <= second - first < 201_000_000
    assert least <= time.monotonic() - began < most


def writes(text: str, stream: int = 1, times: int = 1) -> bytes:
    """A guest that writes this, as often as said."""
    data = "".join(f"\\{byte:02x}" for byte in text.encode())
    return guest(
        f"(local $left i32) (local.set $left (i32.const {times}))"
        f"(i32.store (i32.const 32) (i32.const 4096)) (i32.store (i32.const 36) (i32.const {len(text.encode())}))"
        f"(loop $more (drop (call $fd_write (i32.const {stream}) (i32.const 32) (i32.const 1) (i32.const 40)))"
        "(br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) (i64.const 0)",
        f'(data (i32.const 4096) "{data}")',
        wasi=["fd_write"],
    )


@BOTH
def test_what_is_written_becomes_log_lines(driver: str) -> None:
    """print is how people look for faults."""
    assert ran(writes("one\ntwo"), driver=driver).lines == [("info", "one"), ("info", "two")]
    assert ran(writes("ä\n", stream=2), driver=driver).lines == [("error", "ä")]


def test_a_flood_of_output_is_cut_and_said_to_be() -> None:
    """A request must not fill the memory of its worker, nor its record."""
    outcome = ran(writes("x" * 99 + "\n", times=10_000))

    assert len(outcome.lines) < 700
    assert outcome.lines[-1] == ("warning", f"{1_000_000 - wasi.MOST_OUTPUT} more bytes of output are not recorded")


@BOTH
def test_one_call_writes_no_more_than_the_host_can_do_at_once(driver: str) -> None:
    """A thousand times the whole memory would take half a minute that nothing could interrupt."""
    many = guest(
        """(local $i i32)
        (loop $next
          (i32.store offset=4 (i32.shl (local.get $i) (i32.const 3)) (i32.const 4000000))
          (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
        (drop (memory.grow (i32.const 80)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 60000)))
        (i64.const 0x0000ea6000000004)""",
        wasi=["fd_write"],
    )

    outcome = ran(many, driver=driver)

    assert int.from_bytes(outcome.reply, "little") == 1024**2


@BOTH
@pytest.mark.parametrize("name", sorted(wasi.FUNCTIONS))
def test_no_function_reads_or_writes_outside_of_the_guest(name: str, driver: str) -> None:
    """Addresses come from the guest; beyond its memory lies that of the host."""
    types, _ = wasi.FUNCTIONS[name]
    wild = " ".join(f"({'i64' if kind == 'I' else 'i32'}.const -4)" for kind in types)
    stream = wild.replace("-4", "1", 1) if name.startswith("fd_") else wild
    result = "" if name == "proc_exit" else "drop"

    outcome = ran(guest(f"(call ${name} {stream}) {result} (i64.const 0)", wasi=[name]), driver=driver)

    assert outcome.error is None or name == "proc_exit"


def test_there_are_no_files() -> None:
    """A guest reaches the outside through the host only, where it is recorded."""
    opens = guest(
        "(i32.store (i32.const 512) (call $path_open (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 11)"
        "(i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 600)))"
        "(i32.store (i32.const 516) (call $fd_prestat_get (i32.const 3) (i32.const 600)))" + GIVE,
        '(data (i32.const 4096) "/etc/passwd")',
        wasi=["path_open", "fd_prestat_get"],
    )

    opened, preopened, *_ = struct.unpack("<IIII", ran(opens).reply)

    assert (opened, preopened) == (wasi.NO_ENTRY, wasi.BAD_FILE)


@BOTH
def test_ctrl_c_ends_a_guest_and_not_the_process(driver: str) -> None:
    """Raised in the middle of a callback, it would be lost, and garbage be taken for an answer."""
    forever = guest(
        "(loop $again (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 512))) (br $again))"
        "unreachable",
        wasi=["clock_time_get"],
    )
    before = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    began = time.monotonic()
    timer.start()

    outcome = ran(forever, driver=driver, seconds=20)

    assert isinstance(outcome.error, KeyboardInterrupt)
    assert time.monotonic() - began < 10
    assert signal.getsignal(signal.SIGINT) is before


@BOTH
def test_ctrl_c_is_not_raised_in_the_middle_of_a_callback(driver: str) -> None:
    """Its first step is outside of any try."""

    class Interrupting(Told):
        went_on = False

        def time_ns(self) -> int:
            signal.raise_signal(signal.SIGINT)
            self.went_on = True
            return super().time_ns()

    tape = Interrupting()

    outcome = ran(looks(), driver=driver, tape=tape)

    assert tape.went_on
    assert isinstance(outcome.error, KeyboardInterrupt)

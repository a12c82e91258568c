"""What runs functions of another language: the one interface behind which Deno and Wasmtime look the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from flux.runtime.broken import Broken

if TYPE_CHECKING:
    from flux.runtime.functions import Function
    from flux.runtime.guests.host import Host


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a guest found: functions that can be called, and what cannot be used."""

    functions: tuple[Function, ...] = ()
    broken: tuple[Broken, ...] = ()


class Guest(Protocol):
    """One generation of a project's functions that one machinery runs.

    Made by the loader after the fork, from the files of one tree; used by many threads at once.
    """

    def load(self) -> Loaded:
        """Read what the files declare, make functions of it by `making.make_guest_function`, and get ready to run them.

        Never raises for what the user's files hold: that is Broken.
        """

    def invoke(self, name: str, host: Host, input: Mapping[str, Any]) -> Any:
        """Run a function on the calling thread, and give its result as JSON values.

        `input` is validated. Requests of the guest are given to `host` on this thread. At `host.remaining()` == 0 the
        guest is stopped and Interrupted is raised: nothing else stops it. Raises `host.error_of(reply)` for an error
        that the guest answered with, GuestLimit, GuestTrap, GuestDied and GuestProtocol.
        """

    def close(self) -> None:
        """Let go of processes, sockets and memory. Called once, when no invocation is under way any more."""


@runtime_checkable
class Slow(Protocol):
    """A guest whose first requests would wait for something that can be done before."""

    def prepare(self) -> None:
        """Do it; called on a thread of its own by what serves many requests. Raises nothing for the user's files."""

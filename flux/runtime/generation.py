"""The guests of one load of a project, which live until another took its place and their last request ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flux.runtime.guests.guest import Guest

#: Seconds that guests live on beside their successors: a request may have found its function and not yet begun.
LINGER = 10.0


class Generation:
    """Guests, and how many requests are under way among those that may call them."""

    def __init__(self, guests: Sequence[Guest] = ()) -> None:
        self.guests = tuple(guests)
        self._running = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A request of this generation runs inside."""
        if not self.guests:
            yield
            return
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def prepare(self) -> None:
        """Have guests do in the background what their first requests would wait for; comes back at once."""
        from flux.runtime.guests.guest import Slow

        for guest in self.guests:
            if isinstance(guest, Slow):
                threading.Thread(target=guest.prepare, name="flux-prepare", daemon=True).start()

    def retire(self) -> None:
        """Close the guests once nobody needs them any more; comes back at once."""
        if self.guests and not self._closed:
            threading.Thread(target=self._end, name="flux-retire", daemon=True).start()

    def close(self) -> None:
        """Close the guests now."""
        with self._changed:
            closed, self._closed = self._closed, True
        if not closed:
            for guest in self.guests:
                guest.close()

    def _end(self) -> None:
        time.sleep(LINGER)
        with self._changed:
            self._changed.wait_for(lambda: not self._running)
        self.close()

"""Ids of requests: fresh ones, and those that callers choose."""

from __future__ import annotations

import os
import threading
from uuid import UUID

#: Random bytes are fetched for this many ids at once: each fetch lets another thread run first, which can cost 0.1 ms.
BLOCK = 256

#: Ids of callers that are remembered.
RECENT = 1_000


class RequestIds:
    """The ids of one process, made after the fork: two processes must not share random bytes."""

    def __init__(self) -> None:
        self._random: list[bytes] = []
        self._recent: dict[UUID, None] = {}
        self._lock = threading.Lock()

    def fresh(self) -> UUID:
        """A random UUID (version 4), as flux.context.new_request_id makes them."""
        while True:
            try:
                return UUID(bytes=self._random.pop(), version=4)
            except IndexError:
                block = os.urandom(16 * BLOCK)
                self._random.extend(block[at : at + 16] for at in range(0, len(block), 16))

    def take(self, wanted: UUID) -> bool:
        """Whether a caller's id is new here; from now on it is not.

        A record is written after its reply, so the database alone cannot tell.
        """
        with self._lock:
            if wanted in self._recent:
                return False
            self._recent[wanted] = None
            if len(self._recent) > RECENT:
                del self._recent[next(iter(self._recent))]
        return True

"""Following the record live, by asking again and again: what has ended and was not yet told, whenever it committed.

A request's row appears when its transaction commits, which is later than any time inside it. So each question covers
the last seconds again (flux.requests_finished says which), and what was told already is left out by its id. Nothing is
sent from the request's own transaction for this.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from flux.engine.questions import Questions

#: Seconds between two questions; with the time one takes, well within a quarter of a second.
INTERVAL = 0.15

#: Seconds for which ids are kept: several times what a question looks back.
MEMORY = 90.0


class Follower:
    """What one reader was told so far. Survives a lost connection: questions may come from another one each time."""

    def __init__(self, since: datetime | None, wanted: Mapping[str, Any]) -> None:
        self._since = since
        self._wanted = dict(wanted)
        self._told: dict[UUID, float] = {}
        self._begun = since is not None

    def news(self, questions: Questions) -> list[dict[str, Any]]:
        """Requests that ended since the last call, in the order in which they ended; the first call sets the start."""
        now = time.monotonic()
        self._told = {told: until for told, until in self._told.items() if until > now}
        rows = questions.ask("requests_finished", since=self._since, seen=list(self._told), **self._wanted)
        self._since = None
        for row in rows:
            # The dead are looked for a day back, so they are remembered for longer than one.
            self._told[row["request_id"]] = now + (100_000.0 if row["outcome"] == "crashed" else MEMORY)
        begun, self._begun = self._begun, True
        return rows if begun else []

"""What the loaded functions declare, told to the database: queue options, schedules, subscriptions, hooks.

Every process that loads functions tells it. The one that loaded last is right; who says nothing new changes nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from flux.config import Project, Webhook
from flux.engine.handoffs import declare_handoffs
from flux.engine.pool import Database
from flux.errors import FluxError
from flux.runtime.loader import Registry

#: Seconds until a database that was away is told again, and until a hook that cannot fire is tried again.
PAUSE = 1.0
PERIOD = 15.0

log = logging.getLogger("flux.jobs")


def declared(registry: Registry, webhooks: Sequence[Webhook]) -> dict[str, Any]:
    """The declarations as flux.declare_handoffs takes them."""
    return {
        "functions": [
            {
                "function": function.name,
                "queue": function.handoffs.queue,
                "max_attempts": function.handoffs.max_attempts,
                "schedule": asdict(function.handoffs.schedule) if function.handoffs.schedule else None,
                "on": function.handoffs.on,
                "hook": _hook(function.handoffs.hook),
            }
            for function in registry.functions.values()
        ],
        "broken": sorted({name for broken in registry.broken for name in broken.names} - set(registry.functions)),
        "webhooks": [{"name": webhook.name, "events": webhook.events} for webhook in webhooks],
    }


def declare(url: str, project: Project, registry: Registry) -> Mapping[str, str]:
    """Tell the database once; gives the hooks that cannot fire, each with the reason. Raises DatabaseUnavailable."""
    database = Database(url, 1, name="flux-declare")
    database.open()
    try:
        return declare_handoffs(database, orjson.dumps(declared(registry, project.webhooks)).decode())
    finally:
        database.close()


class Declarer(threading.Thread):
    """Tells the database, and tells it again while something of it did not take: no database, a table that is busy.

    `on_change` is called when the schedules may be others. A hook that cannot fire is warned of once for each reason.
    """

    def __init__(self, database: Database, on_change: Callable[[], None]) -> None:
        super().__init__(name="flux-declarer", daemon=True)
        self._database = database
        self._on_change = on_change
        self._untold: str | None = None
        self._text = ""
        self._faults: Mapping[str, str] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def declare(self, project: Project, registry: Registry) -> None:
        """These are the functions and webhooks from now on: told before this returns, or later if it cannot be now."""
        with self._lock:
            self._text = self._untold = orjson.dumps(declared(registry, project.webhooks)).decode()
            self._tell()

    def run(self) -> None:
        """Try again what did not take, until stopped."""
        while not self._stopping.wait(PAUSE if self._untold else PERIOD):
            if self._untold or self._faults:
                with self._lock:
                    self._tell()

    def stop(self) -> None:
        """Try no more."""
        self._stopping.set()

    def _tell(self) -> None:
        try:
            faults = declare_handoffs(self._database, self._text)
        except FluxError as error:
            log.debug("hand-offs could not be declared: %s", error)
            return
        self._untold = None
        for function, fault in faults.items():
            if self._faults.get(function) != fault:
                log.warning("%s does not run after writes: %s", function, fault)
        self._faults = faults
        self._on_change()


def _hook(hook: Any) -> dict[str, Any] | None:
    if hook is None:
        return None
    return {"table_name": hook.table, "operations": hook.operations, "condition": hook.when}

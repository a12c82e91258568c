"""A process that runs jobs and nothing else: what a server's worker has, without HTTP."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from flux.config import Project
from flux.deploy.identity import code_sha
from flux.engine.server import revive
from flux.gateway.crashes import Undertaker
from flux.gateway.upkeep import Upkeep
from flux.jobs.service import JobService
from flux.record import Record
from flux.runtime.inflight import InflightTable, inflight_folder
from flux.runtime.loader import Registry, load
from flux.runtime.runtime import Runtime

log = logging.getLogger("flux.jobs")

#: Connections beside those of the jobs: for the writer, and for who looks after the dead.
MORE_CONNECTIONS = 2


def work(
    project: Project,
    database_url: str,
    *,
    queues: Sequence[str] | None,
    concurrency: int,
    on_record: Callable[[Record], None] | None = None,
    on_load: Callable[[Registry], None] = lambda registry: None,
) -> None:
    """Run jobs in this process until SIGTERM or SIGINT; a second one does not wait for those that run."""
    stopping = _stopped_by_signals()
    folder = inflight_folder(project.state)
    registry = load(project)
    on_load(registry)
    inflight = InflightTable(folder, slots=max(64, 2 * concurrency))
    runtime = Runtime(
        project,
        database_url,
        registry,
        inflight=inflight,
        code_sha=code_sha(project.root),
        pool_size=concurrency + MORE_CONNECTIONS,
        on_stuck=lambda: service.replace_thread(),  # noqa: PLW0108  # it is made later
    )
    runtime.open()
    service = JobService(runtime, concurrency=concurrency, queues=queues, on_record=on_record)
    undertaker = Undertaker(runtime.database, folder, lambda: revive(project))
    upkeep = Upkeep(runtime.database, project.recording.keep_days)
    for part in (service, undertaker, upkeep):
        part.start()
    stopping.wait()
    for part in (service, undertaker, upkeep):
        part.stop()
    runtime.close()
    inflight.close()


def _stopped_by_signals() -> threading.Event:
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(128 + number)  # what it ran is found by who looks after the dead
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping

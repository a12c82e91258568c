"""A process that runs jobs and nothing else: what a server's worker has, without HTTP."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from flux.config import Project
from flux.engine.server import revive
from flux.errors import FluxError
from flux.gateway.app import Deployment
from flux.gateway.crashes import Undertaker
from flux.gateway.follow import Deployed, Follower, Source
from flux.gateway.upkeep import Upkeep
from flux.jobs.service import JobService
from flux.record import Record
from flux.runtime.inflight import InflightTable, inflight_folder
from flux.runtime.loader import Registry
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
    source: Source,
    on_load: Callable[[Registry], None] = lambda registry: None,
    on_switch: Callable[[Deployment, int | None], None] = lambda now, before: None,
    on_error: Callable[[FluxError], None] = lambda error: None,
) -> None:
    """Run jobs in this process until SIGTERM or SIGINT; a second one does not wait for those that run.

    The code comes from `source`, and is followed where that is what is deployed in the database.
    """
    stopping = _stopped_by_signals()
    folder = inflight_folder(source.state)
    first = source.first()
    on_load(first.registry)
    inflight = InflightTable(folder, slots=max(64, 2 * concurrency))
    runtime = Runtime(
        first.project,
        database_url,
        first.registry,
        inflight=inflight,
        code_sha=first.code_sha,
        pool_size=concurrency + MORE_CONNECTIONS,
        on_stuck=lambda: service.replace_thread(),  # noqa: PLW0108  # it is made later
    )
    runtime.open()
    first.registry.generation.prepare()
    service = JobService(runtime, concurrency=concurrency, queues=queues, on_record=on_record)
    undertaker = Undertaker(runtime.database, folder, lambda: revive(project))
    upkeep = Upkeep(runtime.database, lambda: runtime.project.recording.keep_days)
    parts: list[JobService | Undertaker | Upkeep | Follower] = [service, undertaker, upkeep]
    if isinstance(source, Deployed):
        parts.append(Follower(source, _Jobs(runtime, service, first), on_switch=on_switch, on_error=on_error))
    for part in parts:
        part.start()
    stopping.wait()
    for part in parts:
        part.stop()
    runtime.close()
    inflight.close()


class _Jobs:
    """The jobs of this process, which take other code when another deployment is active."""

    def __init__(self, runtime: Runtime, service: JobService, deployment: Deployment) -> None:
        self.deployment = deployment
        self._runtime = runtime
        self._service = service

    def deploy(self, deployment: Deployment) -> None:
        """Run jobs by this one from the next on."""
        self._runtime.reload(deployment.project, deployment.registry, deployment.code_sha)
        self._service.declare()
        self.deployment = deployment


def _stopped_by_signals() -> threading.Event:
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(128 + number)  # what it ran is found by who looks after the dead
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping

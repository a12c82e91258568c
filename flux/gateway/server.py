"""gunicorn as Flux runs it: worker processes with threads, each with a runtime of its own.

Everything that opens a connection or a thread is made in the worker, after the fork. A worker ends by `os._exit`: it
must not run the clean-up of the process it was forked from, which owns the database and the terminal, nor wait for a
thread that is stuck.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from flux.config import Project
from flux.engine.pool import Database
from flux.engine.server import revive
from flux.errors import DatabaseUnavailable, FluxError
from flux.gateway.app import Deployment, Gateway
from flux.gateway.crashes import Undertaker, record_leftovers
from flux.gateway.follow import Deployed, Follower, Source, Tree
from flux.gateway.listening import Listener
from flux.gateway.reload import Reloader
from flux.gateway.upkeep import Upkeep
from flux.jobs.service import JobService
from flux.record import Record
from flux.runtime.inflight import InflightTable, inflight_folder
from flux.runtime.runtime import Runtime

#: Seconds a worker may take, beyond a function's timeout, to finish what it runs when it is told to stop.
GRACE = 5

#: Seconds without a sign of life of a worker's main thread after which it is killed: foreign code holds its lock.
HEARTBEAT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Who is told what happens in a worker. `migrate` is set where changed files are put to work.

    `on_switch` gets the deployment that is served from then on, and the version before it.
    """

    on_record: Callable[[Record], None] | None = None
    on_deploy: Callable[[Deployment], None] = lambda deployment: None
    on_switch: Callable[[Deployment, int | None], None] = lambda deployment, before: None
    on_error: Callable[[FluxError], None] = lambda error: None
    migrate: Callable[[], None] | None = None


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The server in the foreground; run() comes back when it was told to stop and every request has ended.

    `project` owns the database and the state folder; the code comes from `source`, which is its tree unless named.
    `workers` of 0 is one a core; `jobs` are the threads for jobs of each, 0 for none. `stops_on_hangup`: a closed
    terminal ends it; otherwise SIGHUP starts fresh workers.
    """

    def __init__(
        self,
        project: Project,
        database_url: str,
        listener: Listener,
        *,
        workers: int,
        threads: int,
        jobs: int,
        events: Events,
        stops_on_hangup: bool = False,
        source: Source | None = None,
    ) -> None:
        self.project = project
        self.source = source or Tree(project)
        self.database_url = database_url
        self.listener = listener
        self.workers = workers or os.cpu_count() or 1
        self.threads = threads
        self.jobs = jobs
        self.events = events
        self.stops_on_hangup = stops_on_hangup
        self.folder = inflight_folder(self.source.state)
        self.serving: _Serving | None = None
        self.announces = True
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's settings; none come from its own files or environment."""
        settings = {
            "bind": [self.listener.bind],
            "workers": self.workers,
            "threads": self.threads,
            "worker_class": Worker,
            "timeout": HEARTBEAT,
            "graceful_timeout": int(self.source.project.functions.timeout) + GRACE,
            "keepalive": 15,
            "limit_request_line": 8190,
            "loglevel": "warning",
            "proc_name": "flux",
            "worker_exit": lambda arbiter, worker: self.close(),
            "on_exit": lambda arbiter: self.bury(),
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """The application of one worker."""
        self.serving = _Serving(self)
        return self.serving.gateway

    def run(self) -> None:
        """Serve until told to stop."""
        with suppress(SystemExit):
            _Arbiter(self).run()

    def close(self) -> None:
        """End what load() began; nothing to do in the process that only watches over the workers."""
        if self.serving is not None:
            self.serving.close()

    def bury(self) -> None:
        """Record what workers left that had to be killed at the end; without a database the next start does."""
        database = Database(self.database_url, 1, name="flux-exit")
        database.open()
        with suppress(DatabaseUnavailable):
            record_leftovers(database, self.folder)
        database.close()


class _Serving:
    """What one worker process has open."""

    def __init__(self, server: Server) -> None:
        project = server.project
        self.events = events = server.events
        self.inflight = InflightTable(server.folder, slots=max(64, 2 * (server.threads + server.jobs)))
        deployment = server.source.first()
        self.on_stuck: Callable[[], None] = lambda: None
        self.runtime = Runtime(
            deployment.project,
            server.database_url,
            deployment.registry,
            inflight=self.inflight,
            code_sha=deployment.code_sha,
            pool_size=server.threads + server.jobs + 1,
            on_stuck=lambda: self.on_stuck(),  # noqa: PLW0108  # it is set later
        )
        self.runtime.open()
        deployment.registry.generation.prepare()
        self.gateway = Gateway(self.runtime, deployment, events.on_record)
        self.undertaker = Undertaker(self.runtime.database, server.folder, lambda: revive(project))
        self.undertaker.start()
        self.upkeep = Upkeep(self.runtime.database, lambda: self.gateway.deployment.project.recording.keep_days)
        self.upkeep.start()
        self.jobs = JobService(self.runtime, concurrency=server.jobs, on_record=events.on_record)
        self.jobs.start()
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again and again
        on_error = events.on_error
        self.reloader: Reloader | Follower | None = None
        if isinstance(server.source, Deployed):
            self.reloader = Follower(server.source, self.gateway, on_switch=self._switched, on_error=on_error)
        elif events.migrate is not None:
            self.reloader = Reloader(
                project,
                self.gateway,
                migrate=events.migrate,
                declare=self.jobs.declare,
                on_deploy=events.on_deploy,
                on_error=on_error,
            )
        if self.reloader is not None:
            self.reloader.start()
        if server.announces:
            events.on_deploy(deployment)

    def _switched(self, now: Deployment, before: int | None) -> None:
        self.jobs.declare()
        self.events.on_switch(now, before)

    def close(self) -> None:
        if self.reloader is not None:
            self.reloader.stop()
        self.undertaker.stop()
        self.upkeep.stop()
        self.jobs.stop()
        self.runtime.close()
        self.inflight.close()


class Worker(ThreadWorker):  # type: ignore[misc]
    """A worker that leaves a terminal's signals to the process above it, and makes way when a function is stuck."""

    def init_signals(self) -> None:
        """Ctrl-C and hang-up go to every process of a terminal; only the one above the workers acts on them."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def load_wsgi(self) -> None:
        """Also say what to do about a function that cannot be stopped; the first worker tells what it loaded."""
        self.app.announces = self.age == 1
        super().load_wsgi()
        self.app.serving.on_stuck = lambda: self.method_queue.defer(self._make_way)

    def set_accept_enabled(self, enabled: bool) -> None:
        """A worker that stops answers who has come so far and closes the door, so that others are sent elsewhere."""
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        self.app.serving.jobs.end_soon()
        for listener in self.sockets:
            if listener.sock is not None:
                connections = -1
                while connections != self.nr_conns:
                    connections = self.nr_conns
                    self.accept(listener)
                listener.close()

    def _make_way(self) -> None:
        """Take no more requests, finish the others, end; another worker takes over."""
        self.nr_conns -= 1  # the stuck one is not waited for
        self.alive = False


class _Arbiter(Arbiter):  # type: ignore[misc]
    """Starts and watches the workers."""

    def init_signals(self) -> None:
        """As gunicorn does, but `nohup` is respected."""
        hangup = signal.getsignal(signal.SIGHUP)
        super().init_signals()
        if hangup is signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def handle_int(self) -> None:
        """Ctrl-C lets requests finish, as SIGTERM does; a second one does not."""
        raise StopIteration

    def handle_hup(self) -> None:
        """A closed terminal ends a server of a terminal; for others SIGHUP means fresh workers."""
        if self.app.stops_on_hangup:
            raise StopIteration
        super().handle_hup()

    def spawn_worker(self) -> int:
        """Fork; the child never comes back from here."""
        parent = os.getpid()
        try:
            return int(super().spawn_worker())
        except SystemExit as ended:
            if os.getpid() == parent:
                raise
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            if os.getpid() == parent:
                raise
            sys.excepthook(*sys.exc_info())
            code = 1
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code & 0xFF)

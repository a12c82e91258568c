"""Where the code of a server comes from: the project's tree, or the deployment that is active in the database.

A worker that serves deployments follows them: it hears of a switch on a connection of its own, loads the other code
while it goes on answering, and swaps it in whole. Code that this machine cannot load is refused, loudly, and what ran
before goes on.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import msgspec

from flux.config import Project
from flux.deploy.identity import code_sha, short_code
from flux.deploy.unpacked import unpacked
from flux.engine.deployments import Deployments, Stored, deployments_in
from flux.errors import DatabaseUnavailable, DeploymentUnusable, FluxError, NotDeployed
from flux.gateway.app import Deployment
from flux.runtime.loader import load

#: Seconds after which a deployment that could not be loaded is tried again, for a package may have been installed;
#: twice as many after each further try, up to the second number.
AGAIN = (15.0, 960.0)

#: Seconds between two tries to reach a database that is away.
AWAY = 1.0


class Source(Protocol):
    """What a worker serves. `project` has the settings, `state` is the folder for what the server keeps."""

    project: Project
    state: Path

    def first(self) -> Deployment:
        """What a worker that starts now is to serve."""


class Tree:
    """The files of a project as they are when a worker starts."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.state = project.state

    def first(self) -> Deployment:
        """What the files declare."""
        return Deployment.of(self.project, load(self.project), code_sha(self.project.root))


class Deployed:
    """The deployment that is active in a database; its settings are those of its own flux.toml.

    Raises NotDeployed when nothing is, and what fetching and unpacking it raises.
    """

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self.state = state
        self._last = state / "deployments" / "served"
        with deployments_in(url) as deployments:
            active = deployments.active()
            if active is None:
                raise NotDeployed(hint="Run `flux deploy` in the project, or serve its files with `flux serve`.")
            self.stored = active
            self.project = self._project(deployments, active)

    def first(self) -> Deployment:
        """The active deployment; the one served last where the database is away or this one cannot be loaded."""
        try:
            with deployments_in(self.url) as deployments:
                active = deployments.active() or self.stored
                deployment = self.load(deployments, active)
        except DatabaseUnavailable:
            here = self._served_last() or self.stored
            return self._loaded(self._project(None, here), here)
        last = self._served_last()
        if deployment.registry.broken and last is not None and last.version != active.version:
            with suppress(FluxError):
                going_back = self._loaded(self._project(None, last), last)
                deployment.registry.close()
                return going_back
        self.serves(active)
        return deployment

    def load(self, deployments: Deployments, stored: Stored) -> Deployment:
        """A deployment with its functions; what of it cannot be loaded is in its registry."""
        return self._loaded(self._project(deployments, stored), stored)

    def anew(self, deployment: Deployment) -> Deployment:
        """The same one loaded once more, so that its modules are the newest for those who look them up by name."""
        project = deployment.project
        return Deployment.of(project, load(project), deployment.code_sha, deployment.version)

    def serves(self, stored: Stored) -> None:
        """Remember what works here, for a worker that starts while the database is away."""
        part = self._last.with_name(f".served-{os.getpid()}")
        with suppress(OSError):  # the temporary folder holds the bundles then, and the database will be asked
            part.write_bytes(msgspec.json.encode(stored))
            part.rename(self._last)

    def _project(self, deployments: Deployments | None, stored: Stored) -> Project:
        """Where a deployment lies on this machine, with its settings; without a database, only if it is there."""

        def fetch() -> bytes:
            if deployments is None:
                raise DatabaseUnavailable(f"v{stored.version} is not on this machine, and the database is away")
            return deployments.bundle(stored.version)

        return replace(Project.load(unpacked(self.state, stored.content_sha, fetch)), database_url=self.url)

    def _loaded(self, project: Project, stored: Stored) -> Deployment:
        return Deployment.of(project, load(project), stored.code_sha, stored.version)

    def _served_last(self) -> Stored | None:
        try:
            return msgspec.json.decode(self._last.read_bytes(), type=Stored)
        except (OSError, msgspec.DecodeError):
            return None


class Serving(Protocol):
    """What works with a deployment, and can take another in its place: a gateway, or a process that only runs jobs."""

    deployment: Deployment

    def deploy(self, deployment: Deployment) -> None:
        """Work with this one from now on."""


class Follower(threading.Thread):
    """A worker's thread that puts the active deployment to work, and tells the database what its worker serves."""

    def __init__(
        self,
        source: Deployed,
        serving: Serving,
        *,
        on_switch: Callable[[Deployment, int | None], None],
        on_error: Callable[[FluxError], None],
    ) -> None:
        super().__init__(name="flux-follower", daemon=True)
        self._source = source
        self._serves = serving
        self._on_switch = on_switch
        self._on_error = on_error
        self._stopping = threading.Event()
        self._refused: int | None = None
        self._pause = 0.0
        self._again_at = 0.0
        self._said = ""

    def run(self) -> None:
        """Follow until stopped, also while the database comes and goes."""
        while not self._stopping.is_set():
            try:
                with deployments_in(self._source.url) as deployments:
                    deployments.listen()
                    while not self._stopping.is_set():
                        active = deployments.active()
                        if active is not None:
                            self._follow(deployments, active)
                            deployments.say(self._serving, active.version)
                        deployments.wait()
            except DatabaseUnavailable:
                pass
            except FluxError as error:
                self._complain(error)
            except Exception as error:  # noqa: BLE001  # the edge: a worker that follows no more would stay behind
                self._complain(FluxError(f"deployments cannot be followed: {type(error).__name__}: {error}"))
            self._stopping.wait(AWAY)

    def stop(self) -> None:
        """Follow no more."""
        self._stopping.set()

    @property
    def _serving(self) -> int:
        return self._serves.deployment.version or 0

    def _follow(self, deployments: Deployments, active: Stored) -> None:
        """Serve this deployment, unless it is served already or was found wanting a moment ago."""
        current = self._serves.deployment
        if active.version == current.version and not current.registry.broken:
            self._refused = None
            return
        if active.version == self._refused and time.monotonic() < self._again_at:
            return
        self._pause = min(self._pause * 2, AGAIN[1]) if active.version == self._refused else AGAIN[0]
        self._again_at = time.monotonic() + self._pause
        self._refused = active.version
        try:
            deployment = self._source.load(deployments, active)
        except DatabaseUnavailable:
            raise
        except FluxError as error:
            self._complain(_unusable(active, current, error.message, error.hint))
            return
        except Exception as error:  # noqa: BLE001  # the edge: whatever it was, the next switch must be followed
            self._complain(_unusable(active, current, f"{type(error).__name__}: {error}", None))
            return
        broken = deployment.registry.broken
        if broken:
            deployment.registry.close()
            self._serves.deploy(self._source.anew(current))
            places = "".join(f"\n  {one}" for one in broken)
            self._complain(_unusable(active, current, f"not all of it can be loaded here{places}", broken[0].hint))
            return
        self._serves.deploy(deployment)
        self._source.serves(active)
        self._refused, self._said = None, ""
        if deployment.version != current.version:
            self._on_switch(deployment, current.version)

    def _complain(self, error: FluxError) -> None:
        """Once for each thing there is to say."""
        if error.message != self._said:
            self._said = error.message
            self._on_error(error)


def _unusable(active: Stored, current: Deployment, reason: str, hint: str | None) -> DeploymentUnusable:
    served = f"v{current.version} ({short_code(current.code_sha)})"
    return DeploymentUnusable(
        f"worker {os.getpid()} goes on with {served}: v{active.version} ({short_code(active.code_sha)}) is active, but "
        f"{reason}",
        hint=hint or "Install here what it needs, or go back with `flux rollback`; it is tried again by itself.",
    )

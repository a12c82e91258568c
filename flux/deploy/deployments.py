"""Deploying: what a project needs to become the code that every gateway runs, step by step, and the way back."""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from flux.config import FILE_NAME, Project
from flux.deploy.bundle import Bundle, pack, unpack
from flux.deploy.identity import code_sha
from flux.deploy.trial import try_loading
from flux.deploy.unpacked import link_packages
from flux.engine.deployments import NewBundle, Stored, Switched, database_identity, deployments_in
from flux.engine.installer import Installed, install, status
from flux.engine.pool import Database
from flux.engine.retention import keep_days
from flux.engine.server import prepare_state
from flux.errors import CannotWrite, DeployRefused, InstallFailed, NotAProject
from flux.runtime.guests.deno.check import type_faults
from flux.runtime.guests.found import sources

#: Seconds for which servers are waited for after a switch; they need well under one.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A bundle that can be loaded. `project` is its unpacked copy, with the migrations that belong to it."""

    project: Project
    bundle: Bundle
    code_sha: str
    functions: tuple[str, ...]


@contextmanager
def prepared(project: Project) -> Iterator[Prepared]:
    """Pack a project, and load its functions from an unpacked copy, which is there as long as the block runs.

    Raises DeployRefused, naming file and line of everything that cannot be loaded, and ConfigError.
    """
    sha = code_sha(project.root)
    bundle = pack(project.root)
    if code_sha(project.root) != sha:
        raise DeployRefused("files changed while they were packed", hint="Run `flux deploy` again.")
    with tempfile.TemporaryDirectory(prefix="flux-deploy-") as folder:
        copy = Path(folder).resolve() / "tree"
        unpack(bundle.packed, bundle.content_sha, copy)
        link_packages(copy, project.root)
        unpacked = replace(Project.load(copy), database_url=project.database_url)
        trial = try_loading(copy)
        if trial.faults:
            found = "".join(f"\n  {fault.where}" for fault in trial.faults)
            count = len(trial.faults)
            hint = next((fault.hint for fault in trial.faults if fault.hint), None)
            raise DeployRefused(
                f"{count} {'place' if count == 1 else 'places'} in the bundle cannot be loaded{found}",
                hint=hint or "Files that git ignores are not packed; packages must be installed here as in production.",
            )
        wrong = type_faults(copy)
        if wrong:
            found = "".join(f"\n  {fault}" for fault in wrong)
            raise DeployRefused(
                f"{len(wrong)} type error{'' if len(wrong) == 1 else 's'} in the bundle{found}",
                hint="`deno check functions` shows them in their lines.",
            )
        unusable = _module_faults(unpacked)
        if unusable:
            found = "".join(f"\n  {fault}" for fault in unusable)
            modules = "a WebAssembly module" if len(unusable) == 1 else f"{len(unusable)} WebAssembly modules"
            raise DeployRefused(
                f"{modules} in the bundle cannot run{found}",
                hint="`flux build` makes them anew.",
            )
        if not trial.functions:
            raise DeployRefused(
                "the bundle holds no function", hint="Look whether .gitignore leaves out functions/ or files in it."
            )
        yield Prepared(unpacked, bundle, sha, trial.functions)


def _module_faults(project: Project) -> list[str]:
    """What is wrong with modules as only their compilation tells; those that `flux build` made here are compiled."""
    folders = sources(project.root).wasm
    if not folders:
        return []
    from flux.runtime.guests.wasm.guest import WasmGuest

    guest = WasmGuest(project, folders)
    guest.load()
    return guest.faults()


def switch(url: str, ready: Prepared, note: str | None) -> Switched:
    """Store what was prepared and make it active: one transaction, which every server hears of."""
    bundle = ready.bundle
    with deployments_in(url) as deployments:
        return deployments.deploy(
            NewBundle(
                ready.code_sha,
                bundle.content_sha,
                bundle.packed,
                ready.project.name,
                len(bundle.files),
                ready.functions,
            ),
            who(),
            note,
        )


def roll_back(url: str, given: str | None, note: str | None) -> Switched:
    """Make an earlier version active; raises NotDeployed, NotFound, Ambiguous."""
    with deployments_in(url) as deployments:
        return deployments.roll_back(given, who(), note)


def bring_up_to_date(url: str, project: Project, say: Callable[[str], None] = lambda _said: None) -> Installed:
    """Flux's own part of the database, for a server of a newer Flux than the one that deployed; and today's partitions.

    Migrations of the project run when it is deployed: code that was rolled back to knows fewer of them.

    Raises InstallFailed.
    """
    pending = [label for label in status(url, project).pending if label.startswith("flux/")]
    if pending:
        try:
            return install(url, project, say)
        except InstallFailed as error:
            raise InstallFailed(
                f"this database needs {pending[0]} of this Flux: {error.message}",
                hint="Run `flux db migrate` in the project with this version of Flux.",
            ) from error
    database = Database(url, 1, name="flux-start")
    database.open()
    try:
        keep_days(database, project.recording.keep_days)
    finally:
        database.close()
    return Installed()


def active_in(url: str) -> Stored | None:
    """What is deployed, if anything is."""
    with deployments_in(url) as deployments:
        return deployments.active()


def following(url: str, version: int, patience: float = PATIENCE) -> tuple[int, int]:
    """How many workers serve this version, and how many still serve another when patience ends."""
    end = time.monotonic() + patience
    with deployments_in(url) as deployments:
        while True:
            workers = deployments.workers()
            serving = workers.pop(version, 0)
            behind = sum(workers.values())
            if not behind or time.monotonic() > end:
                return serving, behind
            time.sleep(0.1)


def home() -> Project:
    """The project of this folder or, where there is none, the one whose deployments DATABASE_URL leads to.

    Raises NotAProject, ConfigError.
    """
    try:
        return Project.find()
    except NotAProject as error:
        url = os.environ.get("DATABASE_URL")
        if not url:
            raise NotAProject(
                error.message, hint="Set DATABASE_URL to the database that holds the deployments, or go to the project."
            ) from None
        return Project(root=Path.cwd(), name="", database_url=url)


def state_of(project: Project) -> Path:
    """The state folder of a project; without a flux.toml, one for each database that is served from this folder."""
    if project.database_url is None or (project.root / FILE_NAME).is_file():
        return project.state
    with suppress(CannotWrite):
        prepare_state(project.state)
    return project.state / f"database-{sha256(database_identity(project.database_url).encode()).hexdigest()[:12]}"


def who() -> str:
    """Who does this: user@machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"

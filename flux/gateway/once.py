"""One execution in a process of its own: what a server does for many requests, done for one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flux.config import Project
from flux.context import RequestContext
from flux.deploy.identity import code_sha
from flux.errors import DatabaseUnavailable, InvalidInput
from flux.gateway.crashes import record_leftovers
from flux.runtime.inflight import InflightTable, inflight_folder
from flux.runtime.loader import load
from flux.runtime.runtime import Reply, Runtime


def run_once(
    project: Project, database_url: str, name: str, given: Mapping[str, Any], claims: Mapping[str, Any] | None = None
) -> Reply:
    """Run a function with arguments by name, for a caller of whom these claims are true, recorded as kind invoke.

    Raises FunctionNotFound and FunctionBroken, which leave no record, and InvalidInput, which does.
    """
    registry = load(project)
    function = registry.find(name)
    sha = code_sha(project.root)
    folder = inflight_folder(project.state)
    inflight = InflightTable(folder, slots=8)
    runtime = Runtime(project, database_url, registry, inflight=inflight, code_sha=sha, pool_size=2)
    runtime.open()
    try:
        with suppress(DatabaseUnavailable):
            record_leftovers(runtime.database, folder)
        subject = (claims or {}).get("sub")
        actor = None if subject is None else str(subject)
        context = RequestContext(kind="invoke", code_sha=sha, claims=claims, actor=actor)
        try:
            bound = function.bind_input(given)
        except InvalidInput as error:
            runtime.refuse(context, error.status, error.message, function=name, given=given)
            raise
        return runtime.execute(context, function, bound)
    finally:
        runtime.close()
        inflight.close()

"""One attempt at a job: the request it becomes, and the function that runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flux.context import RequestContext
from flux.engine.jobs import Claimed
from flux.errors import DatabaseUnavailable, FunctionBroken, FunctionNotFound, InvalidInput
from flux.record import Record
from flux.runtime.runtime import Runtime

log = logging.getLogger("flux.jobs")

#: What an attempt has beyond its function's timeout to be stopped and recorded, in seconds.
GRACE = 10.0


class Attempts:
    """Runs jobs by the functions of a runtime. `on_record` is told each record when its attempt has ended."""

    def __init__(self, runtime: Runtime, on_record: Callable[[Record], None] | None = None) -> None:
        self._runtime = runtime
        self._on_record = on_record

    def run(self, claimed: Claimed, begins: Callable[[Claimed, float], None]) -> None:
        """Run a job to its stored record; `begins` is told for how many seconds it may run.

        Never raises: what a job does must not end the thread that runs it. Without a database its lease runs out.
        """
        try:
            record = self._run(claimed, begins)
        except DatabaseUnavailable as error:
            self._runtime.writer.database_is_away()
            log.warning("job:%d is left for later: %s", claimed.job.job_id, error.message)
            return
        except Exception:  # the edge: the next job must run
            log.exception("job:%d could not be run", claimed.job.job_id)
            return
        if self._on_record is not None:
            self._on_record(record)

    def _run(self, claimed: Claimed, begins: Callable[[Claimed, float], None]) -> Record:
        runtime, registry = self._runtime, self._runtime.registry
        context = RequestContext(
            request_id=claimed.request_id,
            kind=claimed.kind,
            trace_id=claimed.trace_id or claimed.request_id.hex,
            code_sha=runtime.code_sha,
            parent_request_id=claimed.parent_request_id,
            parent_span_id=claimed.parent_span_id,
            job=claimed.job,
        )
        try:
            function = registry.find(claimed.function)
            bound = function.bind_handoff(claimed.kind, claimed.input)
        except InvalidInput as error:
            return runtime.refuse_job(context, claimed.function, claimed.input, error, error.status)
        except (FunctionNotFound, FunctionBroken) as error:  # a deployment under way may bring it
            return runtime.refuse_job(context, claimed.function, claimed.input, error, 500)
        begins(claimed, (function.timeout or runtime.project.functions.timeout) + GRACE)
        return runtime.execute(context, function, bound, registry=registry).record

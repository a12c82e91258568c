"""What is known of a request before its function runs: a plain, frozen value that travels down the rooms."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


def new_request_id() -> UUID:
    """A random UUID (version 4): its first 8 hex digits must tell requests apart, which a time-ordered one cannot."""
    return UUID(bytes=os.urandom(16), version=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The job that a request is an attempt at.

    `depth` is how many hooks led to it, one by the work of another; `awaited` that other jobs may wait for its end, for
    their turn or for room in their queue.
    """

    job_id: int
    queue: str
    attempt: int
    max_attempts: int
    depth: int
    pushed_at: datetime
    run_at: datetime
    awaited: bool = False

    def as_attribute(self) -> dict[str, Any]:
        """What the record says of it, in the words of flux.job_attributes."""
        return {
            "id": self.job_id,
            "queue": self.queue,
            "pushed_at": self.pushed_at,
            "run_at": self.run_at,
            "max_attempts": self.max_attempts,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """One execution, whatever started it.

    `started_ns` is nanoseconds since the epoch; `headers` have lower-case names and no credentials, which are in
    `credentials` and never stored; `trace_id` and `trace_parent_id` are the W3C ids of the caller's trace in hex.
    """

    request_id: UUID = field(default_factory=new_request_id)
    kind: str = "http"
    started_ns: int = field(default_factory=time.time_ns)
    method: str | None = None
    path: str | None = None
    query: str | None = None
    route: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict)
    caller_request_id: str | None = None
    trace_id: str | None = None
    trace_parent_id: str | None = None
    actor: str | None = None
    claims: Mapping[str, Any] | None = None
    code_sha: str | None = None
    parent_request_id: UUID | None = None
    parent_span_id: int | None = None
    replay_of: UUID | None = None
    job: Job | None = None


def short_id(request_id: UUID | str) -> str:
    """The form people see: `req:4f9a3b2c`."""
    return f"req:{str(request_id)[:8]}"

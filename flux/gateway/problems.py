"""What a caller is told when a request has no answer of its own: RFC 9457 problem details, with the request's id."""

from __future__ import annotations

import linecache
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

from flux.encoding import to_json
from flux.record import Failure
from flux.runtime.broken import Broken
from flux.runtime.failures import signature

CONTENT_TYPE = "application/problem+json"

#: Seconds after which a caller may try again while the database is away.
RETRY_AFTER = 2

_TITLES = {status.value: status.phrase for status in HTTPStatus}


class Refused(Exception):
    """Ends a request before any function runs. `headers` go with the reply, `members` into the problem."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.members = dict(members or {})


def problem(status: int, message: str, request_id: UUID, members: Mapping[str, object] | None = None) -> bytes:
    """The body of a problem; members may give `type` and `title` of their own, never another status."""
    return to_json(
        {
            "type": "about:blank",
            "title": _TITLES.get(status, "Error"),
            **(members or {}),
            "status": status,
            "detail": message,
            "instance": f"urn:uuid:{request_id}",
            "request_id": str(request_id),
        }
    )


def retry_headers(status: int) -> dict[str, str]:
    """What a reply of this status tells about trying again."""
    return {"retry-after": str(RETRY_AFTER)} if status == 503 else {}


def failure_of_broken(root: Path, broken: Broken, function: str | None, message: str) -> Failure:
    """The failure of a request whose module cannot be loaded, at the line that is to be mended."""
    source = linecache.getline(str(root / broken.file), broken.line).strip()
    frame = {"file": broken.file, "line": broken.line, "function": "<module>", "source": source, "own": True}
    return Failure(
        type="FunctionBroken",
        message=message,
        code="XF205",
        location=f"{broken.file}:{broken.line}",
        stack=(frame,),
        signature=signature(function, "FunctionBroken", "XF205", frame, message),
        hint=broken.hint,
    )

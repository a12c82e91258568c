"""`fetch`: an outbound HTTP call without a library of its own, recorded once however many redirects it follows."""

from __future__ import annotations

import functools
import http
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson
import urllib3

from flux.errors import FetchFailed, FetchTimeout
from flux.runtime.hops import Hop, begin, within_deadline
from flux.runtime.response import JSON_TYPE, encode_json
from flux.runtime.tools import silenced

#: Seconds a call outside a request may take when it says nothing else.
DEFAULT_TIMEOUT = 30.0

#: Redirects that are followed. Nothing else is done again: a retry might do something twice.
_ONCE = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)

_TIMEOUTS = (TimeoutError, urllib3.exceptions.TimeoutError)
_PIECE = 64 * 1024
_HEAD = 200

Values = Mapping[str, Any] | Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """An answer. Header names are lower-case; `body` is decoded where the answer said it was compressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    method: str = "GET"
    url: str = ""
    _hop: Hop | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def text(self) -> str:
        """The body as text, in the charset it names, else UTF-8."""
        kind = self.headers.get("content-type", "")
        charset = kind.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
        try:
            return self.body.decode(charset or "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; raises FetchFailed when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise FetchFailed(f"{self._what} answered {self.status} with what is no JSON: {error}") from error

    def raise_for_status(self) -> FetchResponse:
        """The answer itself when it is `ok`; raises FetchFailed, which says what was answered."""
        if self.ok:
            return self
        message = f"answered {self._status_line}"
        if self.body:
            message += f": {self.text[:_HEAD]}"
        if self._hop is not None:
            self._hop.span.error = self._hop.refusal(message)
        raise FetchFailed(f"{self._what} {message}", status=self.status)

    @property
    def _what(self) -> str:
        return self._hop.span.name if self._hop else f"{self.method} {self.url.partition('?')[0]}"

    @property
    def _status_line(self) -> str:
        try:
            return f"{self.status} {http.HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


def fetch(
    url: str,
    *,
    method: str = "GET",
    params: Values | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    data: bytes | str | Values | None = None,
    timeout: float | None = None,
) -> FetchResponse:
    """Make an HTTP call and record it. Follows redirects; tries once.

    `params` are added to the URL's query, `json` or `data` (a mapping is sent as a form) is the body, `timeout` is in
    seconds for the whole call and never longer than the function has left. Any status is an answer; raises FetchTimeout
    and FetchFailed where none came.
    """
    return begin_fetch(url, method=method, params=params, headers=headers, json=json, data=data, timeout=timeout)()


def begin_fetch(
    url: str,
    *,
    method: str = "GET",
    params: Values | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    data: bytes | str | Values | None = None,
    timeout: float | None = None,
) -> Callable[[], FetchResponse]:
    """Begin what fetch does, on the thread of the request; what it gives makes the call, on any thread, once."""
    url = _with_query(url, params)
    sent, body = _encode(dict(headers or {}), json, data)
    hop = begin(method, url)
    if hop is None:
        return lambda: _send(method, url, sent, body, within_deadline(timeout) or DEFAULT_TIMEOUT, None)
    hop.asked(sent.items(), body)
    given = hop.recall()
    if given is not None:
        hop.close(given.body)
        answer = FetchResponse(given.status, given.headers, given.body or b"", method.upper(), url, hop)
        return lambda: answer
    if "traceparent" not in {name.lower() for name in sent}:
        sent["traceparent"] = hop.traceparent
    return functools.partial(_send_recorded, hop, method, url, sent, body, timeout)


def _send_recorded(
    hop: Hop, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float | None
) -> FetchResponse:
    try:
        with silenced(hop.execution):
            answer = _send(method, url, headers, body, within_deadline(timeout) or DEFAULT_TIMEOUT, hop)
    except BaseException as error:
        hop.failed(error)
        raise
    hop.close(answer.body)
    return answer


def _send(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float, hop: Hop | None
) -> FetchResponse:
    deadline = time.monotonic() + timeout
    what = hop.name if hop else f"{method.upper()} {url.partition('?')[0]}"
    try:
        answer = _pool().request(
            method.upper(),
            url,
            body=body,
            headers=dict(headers),
            timeout=urllib3.Timeout(total=timeout),
            retries=_ONCE,
            preload_content=False,
        )
        try:
            if hop is not None:
                hop.answered(answer.status, answer.headers.items())
            content = b"".join(_pieces(answer, deadline))
        except BaseException:
            answer.close()  # half read, so of no use to another call
            raise
        answer.release_conn()
    except (TimeoutError, urllib3.exceptions.HTTPError) as error:
        cause = getattr(error, "reason", None) or error
        if isinstance(cause, _TIMEOUTS) and not isinstance(cause, urllib3.exceptions.NewConnectionError):
            raise FetchTimeout(f"{what} was not answered within {timeout:.3g} s") from error
        raise FetchFailed(f"{what} got no answer: {_reason(cause)}") from error
    known: dict[str, str] = {}
    for spelled, value in answer.headers.items():
        name = spelled.lower()
        known[name] = f"{known[name]}, {value}" if name in known else value
    return FetchResponse(answer.status, known, content, method.upper(), url, hop)


def _pieces(answer: urllib3.BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    """The body as it comes, with each wait bounded by the time left: a socket's timeout starts anew with every byte."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        socket = getattr(answer.connection, "sock", None)
        if socket is not None:
            socket.settimeout(left)
        piece = answer.read1(_PIECE)
        if not piece:
            return
        yield piece


def _encode(
    headers: dict[str, str], json: Any, data: bytes | str | Values | None
) -> tuple[dict[str, str], bytes | None]:
    """Headers and body as they go out."""
    if json is not None and data is not None:
        raise TypeError("fetch() takes json or data, not both")
    names = {name.lower() for name in headers}
    if json is not None:
        kind, body = JSON_TYPE, encode_json(json, "the json to send")
    elif data is None:
        return headers, None
    elif isinstance(data, bytes):
        return headers, data
    elif isinstance(data, str):
        kind, body = "text/plain; charset=utf-8", data.encode()
    else:
        kind, body = "application/x-www-form-urlencoded", urlencode(data, doseq=True).encode()
    if "content-type" not in names:
        headers["content-type"] = kind
    return headers, body


def _with_query(url: str, params: Values | None) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed(f"{url.partition('?')[0]!r} is not an http or https URL")
    if not params:
        return url
    query = "&".join(filter(None, (parts.query, urlencode(params, doseq=True))))
    return urlunsplit(parts._replace(query=query))


def _reason(cause: BaseException) -> str:
    """The cause in few words: urllib3 wraps it in the address of an object."""
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        cause = cause.__cause__ or cause.__context__ or cause
    text = getattr(cause, "strerror", None) or str(cause)
    return text or type(cause).__name__


_manager: urllib3.PoolManager | None = None


def _pool() -> urllib3.PoolManager:
    """One pool of connections a process."""
    global _manager  # noqa: PLW0603  # shared by all threads, and made anew in a forked process
    if _manager is None:
        _manager = urllib3.PoolManager(num_pools=32, maxsize=16)
    return _manager


def _forget_pool() -> None:
    global _manager  # noqa: PLW0603
    _manager = None


os.register_at_fork(after_in_child=_forget_pool)

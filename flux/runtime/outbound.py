"""Outbound HTTP recorded with no code of the user's: httpx, requests, urllib3 and what is built on http.client.

Each library is listened to where one request goes out and one answer comes in, below its redirects, and only once it
has been imported. What is made inside a tool call or a fetch is part of that, and what lies below a library that is
listened to is part of the library's call, so that every hop is recorded once. Timeouts are bounded by the time the
function has left. Streaming stays streaming.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from functools import partial
from typing import Any

import wrapt

from flux.runtime.answers import HttpxStream, Kept, recorded_answer
from flux.runtime.execution import current_execution
from flux.runtime.given import http_client_answer, httpx_answer, requests_answer, urllib3_answer
from flux.runtime.hops import STREAMED, Hop, begin, within_deadline
from flux.runtime.raised import was_waiting
from flux.runtime.recalled import Answer
from flux.runtime.tools import silenced

_wrapped = False
_httpx_stream: type[HttpxStream] = HttpxStream


def record_outbound() -> None:
    """Make outbound HTTP record itself inside requests, in this process; calling it again changes nothing."""
    global _wrapped  # noqa: PLW0603  # what it guards is one a process too
    if _wrapped:
        return
    _wrapped = True
    wrapt.wrap_function_wrapper(http.client.HTTPConnection, "request", _http_client_request)
    wrapt.wrap_function_wrapper(http.client.HTTPConnection, "getresponse", _http_client_answer)
    wrapt.register_post_import_hook(_listen_to_urllib3, "urllib3.connectionpool")
    wrapt.register_post_import_hook(_listen_to_requests, "requests.adapters")
    wrapt.register_post_import_hook(_listen_to_httpx, "httpx")


# http.client, and with it urllib.request


def _http_client_request(call: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    return _ask_http_client(call, connection, *args, **kwargs)


def _ask_http_client(
    call: Any,
    connection: Any,
    method: str,
    url: str,
    body: Any = None,
    headers: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    if current_execution() is None:
        return call(method, url, body, headers or {}, **options)
    wanted = connection.timeout
    seconds = within_deadline(wanted if isinstance(wanted, int | float) else None)
    if connection.sock is None:
        connection.timeout = seconds
    else:
        connection.sock.settimeout(seconds)
    try:
        return _record_http_client(call, connection, method, url, body, dict(headers or {}), options)
    finally:
        connection.timeout = wanted


def _record_http_client(
    call: Any, connection: Any, method: str, url: str, body: Any, given: dict[str, Any], options: dict[str, Any]
) -> Any:
    hop = begin(method, _http_client_url(connection, url))
    if hop is None:
        return call(method, url, body, given, **options)
    hop.asked(((name, _text(value)) for name, value in given.items()), _bytes_or_stream(body))
    found = hop.find()
    if found is not None:
        connection._flux_recall = partial(_recall_http_client, hop, found)
        if found.error is not None and not was_waiting(found.error):
            hop.give(found)
        return None
    if "traceparent" not in {name.lower() for name in given}:
        given["traceparent"] = hop.traceparent
    try:
        with silenced(hop.execution):
            result = call(method, url, body, given, **options)
    except BaseException as error:
        hop.failed(error)
        raise
    connection._flux_hop = hop
    return result


def _http_client_answer(call: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    recall = vars(connection).pop("_flux_recall", None)
    if recall is not None:
        return recall()
    hop: Hop | None = vars(connection).pop("_flux_hop", None)
    if hop is None:
        return call(*args, **kwargs)
    try:
        answer = call(*args, **kwargs)
    except BaseException as error:
        hop.failed(error)
        raise
    hop.answered(answer.status, answer.getheaders())
    return recorded_answer(answer, hop)


def _recall_http_client(hop: Hop, found: Answer) -> Any:
    return recorded_answer(http_client_answer(hop.give(found), hop.method), hop)


def _http_client_url(connection: Any, url: str) -> str:
    if "://" in url:  # through a proxy
        return url
    scheme = "https" if isinstance(connection, http.client.HTTPSConnection) else "http"
    host = connection._tunnel_host or connection.host
    port = connection._tunnel_port or connection.port
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{url}"


# urllib3, for those that use it without requests


def _listen_to_urllib3(module: Any) -> None:
    wrapt.wrap_function_wrapper(module.HTTPConnectionPool, "urlopen", _urllib3_urlopen)


def _urllib3_urlopen(call: Any, pool: Any, args: Any, kwargs: Any) -> Any:
    return _ask_urllib3(call, pool, *args, **kwargs)


def _ask_urllib3(
    call: Any, pool: Any, method: str, url: str, body: Any = None, headers: Any = None, *args: Any, **options: Any
) -> Any:
    if current_execution() is not None and len(args) < 4:  # each of its retries comes by here
        options["timeout"] = _urllib3_timeout(options.get("timeout"), pool.timeout)
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    whole = url if "://" in url else f"{pool.scheme}://{host}:{pool.port or ''}{url}"
    hop = begin(method, whole)
    if hop is None:
        return call(method, url, body, headers, *args, **options)
    given = dict(pool.headers if headers is None else headers)
    hop.asked(given.items(), _bytes_or_stream(body))
    recalled = hop.recall()
    preload = bool(options.get("preload_content", True))
    if "traceparent" not in {name.lower() for name in given}:
        given["traceparent"] = hop.traceparent
    try:
        with silenced(hop.execution):
            if recalled is not None:
                answer = urllib3_answer(recalled, method, url, preload=preload)
            else:
                answer = call(method, url, body, given, *args, **options)
                hop.answered(answer.status, answer.headers.items())
    except BaseException as error:
        hop.failed(error)
        raise
    if preload:
        hop.close(answer.data)
    else:
        _keep_stream(answer, hop)
    return answer


def _keep_stream(answer: Any, hop: Hop) -> None:
    """What is read of a urllib3 answer is kept where http.client does the reading; chunks it reads by itself."""
    below = getattr(answer, "_fp", None)
    if isinstance(below, http.client.HTTPResponse) and not below.chunked:
        recorded_answer(below, hop)
    else:
        hop.close(STREAMED)


def _urllib3_timeout(wanted: Any, usual: Any) -> Any:
    if isinstance(wanted, int | float):
        return within_deadline(wanted)
    bounded = (wanted if hasattr(wanted, "total") else usual).clone()
    bounded.total = within_deadline(bounded.total if isinstance(bounded.total, int | float) else None)
    return bounded


# requests, whose timeouts are those of urllib3 below it


def _listen_to_requests(module: Any) -> None:
    wrapt.wrap_function_wrapper(module.HTTPAdapter, "send", _requests_send)


def _requests_send(call: Any, adapter: Any, args: Any, kwargs: Any) -> Any:
    return _ask_requests(call, adapter, *args, **kwargs)


def _ask_requests(call: Any, adapter: Any, request: Any, stream: bool = False, *args: Any, **options: Any) -> Any:
    hop = begin(request.method, request.url)
    if hop is None:
        return call(request, stream, *args, **options)
    hop.asked(((name, _text(value)) for name, value in request.headers.items()), _bytes_or_stream(request.body))
    recalled = hop.recall()
    request.headers.setdefault("traceparent", hop.traceparent)
    try:
        with silenced(hop.execution):
            if recalled is not None:
                answer = requests_answer(recalled, adapter, request)
            else:
                answer = call(request, stream, *args, **options)
                hop.answered(answer.status_code, answer.headers.items())
            body = None if stream else answer.content
    except BaseException as error:
        hop.failed(error)
        raise
    if stream:
        _keep_stream(answer.raw, hop)
    else:
        hop.close(body)
    return answer


# httpx


def _listen_to_httpx(module: Any) -> None:
    global _httpx_stream  # noqa: PLW0603  # httpx takes streams of its own classes only, and they come with it
    _httpx_stream = type("_HttpxStream", (HttpxStream, module.SyncByteStream, module.AsyncByteStream), {})
    wrapt.wrap_function_wrapper(module.HTTPTransport, "handle_request", _httpx_request)
    wrapt.wrap_function_wrapper(module.AsyncHTTPTransport, "handle_async_request", _httpx_async_request)


def _httpx_request(call: Any, transport: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs["request"]
    hop = _begin_httpx(request)
    if hop is None:
        return call(request)
    recalled = hop.recall()
    request.headers.setdefault("traceparent", hop.traceparent)
    try:
        with silenced(hop.execution):
            answer = call(request) if recalled is None else httpx_answer(recalled, request)
    except BaseException as error:
        hop.failed(error)
        raise
    if recalled is None:
        hop.answered(answer.status_code, answer.headers.multi_items())
    answer.stream = _httpx_stream(answer.stream, Kept(hop, answer.headers.get("content-encoding")))
    return answer


async def _httpx_async_request(call: Any, transport: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs["request"]
    hop = _begin_httpx(request)
    if hop is None:
        return await call(request)
    recalled = hop.recall()
    request.headers.setdefault("traceparent", hop.traceparent)
    try:
        with silenced(hop.execution):
            answer = await call(request) if recalled is None else httpx_answer(recalled, request)
    except BaseException as error:
        hop.failed(error)
        raise
    if recalled is None:
        hop.answered(answer.status_code, answer.headers.multi_items())
    answer.stream = _httpx_stream(answer.stream, Kept(hop, answer.headers.get("content-encoding")))
    return answer


def _begin_httpx(request: Any) -> Hop | None:
    if current_execution() is None:
        return None
    wanted = request.extensions.get("timeout", {})
    bounded = {phase: within_deadline(wanted.get(phase)) for phase in ("connect", "read", "write", "pool")}
    request.extensions = {**request.extensions, "timeout": bounded}
    hop = begin(request.method, str(request.url))
    if hop is None:
        return None
    import httpx

    try:
        body: object = request.content
    except httpx.RequestNotRead:
        body = STREAMED
    hop.asked(request.headers.multi_items(), body)
    return hop


def _bytes_or_stream(body: object) -> object:
    """A body that can be looked at without using it up."""
    if isinstance(body, str):
        return body.encode()
    return body if body is None or isinstance(body, bytes | bytearray) else STREAMED


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)

"""Recorded HTTP answers given back as the objects of the library that was asked."""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flux.encoding import to_json
from flux.errors import ToolNotRecorded
from flux.runtime.recalled import Answer

#: Headers that describe how a body was sent; it is given back whole and decoded.
_OF_THE_WIRE = frozenset({"connection", "content-encoding", "content-length", "transfer-encoding"})

_ENCODE: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "x-gzip": lambda body: gzip.compress(body, mtime=0),
    "deflate": zlib.compress,
}


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An HTTP answer to give back; `body` is decoded, and None when it is not known."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def reason(self) -> str:
        """The phrase of the status."""
        return http.client.responses.get(self.status, "")

    @property
    def own_headers(self) -> dict[str, str]:
        """The headers of a body that is whole and decoded."""
        return {name: value for name, value in self.headers.items() if name not in _OF_THE_WIRE}


def given_answer(answer: Answer) -> GivenAnswer:
    """The recorded or stubbed output of an HTTP call as an answer; a stub may leave out status and headers."""
    output = answer.output if isinstance(answer.output, dict) else {"body": answer.output}
    headers = {str(name).lower(): str(value) for name, value in (output.get("headers") or {}).items()}
    body = output.get("body")
    if answer.outcome == "stub" and isinstance(body, dict | list):
        headers.setdefault("content-type", "application/json")
    text = answer.attributes.get("flux.body")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    content = text.encode() if text is not None else _bytes(body, kind)
    return GivenAnswer(int(output.get("status", 200)), headers, content)


def _bytes(body: Any, kind: str) -> bytes | None:
    if isinstance(body, dict) and len(body) == 1:
        ((name, value),) = body.items()
        if name in _STAND_INS:
            return _STAND_INS[name](value, kind)
    if body is None or (isinstance(body, str) and not kind.endswith("json")):
        return (body or "").encode()
    if isinstance(body, dict) and kind == "application/x-www-form-urlencoded":
        return urlencode(body, doseq=True).encode()
    return to_json(body)


#: What is recorded in place of a body, and the bytes it stands for.
_STAND_INS: Mapping[str, Callable[[Any, str], bytes | None]] = {
    "$base64": lambda value, _: base64.b64decode(value),
    "$partial": _bytes,
    "$streamed": lambda *_: None,
}


class _NotKept(io.RawIOBase):
    """A body that was passed on piece by piece, or never read: reading it raises ToolNotRecorded."""

    def readable(self) -> bool:
        """Yes, until it is tried."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raise ToolNotRecorded."""
        raise ToolNotRecorded("the body of this answer was not kept")


def http_client_answer(given: GivenAnswer, method: str, *, encoded: bool = True) -> http.client.HTTPResponse:
    """As http.client has it, which leaves decoding to its user; `encoded` is False where that is urllib3."""
    body, headers = given.body, given.own_headers
    coding = given.headers.get("content-encoding", "")
    if encoded and body and coding in _ENCODE:
        body, headers["content-encoding"] = _ENCODE[coding](body), coding
    lines = [f"HTTP/1.1 {given.status} {given.reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    head = io.BytesIO("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
    file = _Joined(head, _NotKept() if body is None else io.BytesIO(body))
    answer = http.client.HTTPResponse(_Socket(file), method=method)  # type: ignore[arg-type]
    answer.begin()
    return answer


class _Socket:
    """What http.client reads an answer from."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BufferedReader:
        """The whole answer as it would come."""
        return io.BufferedReader(self._file)


class _Joined(io.RawIOBase):
    """One file after another."""

    def __init__(self, *files: Any) -> None:
        self._files = list(files)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read from the first that has something left."""
        while self._files:
            count: int = self._files[0].readinto(buffer)
            if count:
                return count
            self._files.pop(0)
        return 0


def urllib3_answer(given: GivenAnswer, method: str, url: str, *, preload: bool) -> Any:
    """As urllib3 has it."""
    import urllib3

    below = http_client_answer(given, method, encoded=False)
    return urllib3.HTTPResponse(
        body=below,
        original_response=below,
        headers=given.own_headers,
        status=given.status,
        version=11,
        reason=given.reason,
        preload_content=preload,
        request_method=method,
        request_url=url,
    )


def requests_answer(given: GivenAnswer, adapter: Any, request: Any) -> Any:
    """As requests has it."""
    answer = adapter.build_response(request, urllib3_answer(given, request.method, request.url, preload=False))
    answer.headers.update(given.headers)
    return answer


def httpx_answer(given: GivenAnswer, request: Any) -> Any:
    """As httpx has it."""
    import httpx

    stream = httpx.ByteStream(given.body) if given.body is not None else _httpx_not_kept(httpx)
    return httpx.Response(
        given.status,
        headers=given.own_headers,
        stream=stream,
        request=request,
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": given.reason.encode()},
    )


def _httpx_not_kept(httpx: Any) -> Any:
    class NotKept(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Any:
            yield _NotKept().read(1)

        async def __aiter__(self) -> Any:
            yield _NotKept().read(1)

    return NotKept()

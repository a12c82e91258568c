"""What tests of the runtime share: a request under way, and a system outside it that answers over real HTTP."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from flux.context import RequestContext
from flux.record import Record, Span
from flux.redaction import Redactor
from flux.runtime.execution import Execution, reset_current, set_current


@dataclass
class Outside:
    """A system outside: where it is, and what it was asked.

    /chunks sends one piece and then waits until `go_on` is set, as it is unless a test clears it; `waited_in_vain` says
    that this took it 5 s.
    """

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    waited_in_vain: bool = False

    def __post_init__(self) -> None:
        self.go_on.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    outside: Outside

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.outside.asked.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
        getattr(self, "answer_" + urlsplit(self.path).path.strip("/").replace("/", "_"), self.answer_echo)()

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def answer_echo(self) -> None:
        self.send(200, json.dumps({"path": self.path, "method": self.command}).encode(), "application/json")

    def answer_declined(self) -> None:
        self.send(402, b'{"error": "card_declined"}', "application/json")

    def answer_broken(self) -> None:
        self.send(503, b"try later", "text/plain")

    def answer_cookie(self) -> None:
        self.send(200, b"{}", "application/json", {"set-cookie": "session=abcdefgh", "x-note": "kept"})

    def answer_gzip(self) -> None:
        self.send(200, gzip.compress(b'{"packed": true}'), "application/json", {"content-encoding": "gzip"})

    def answer_binary(self) -> None:
        self.send(200, b"\x00\xff\x01", "application/octet-stream")

    def answer_large(self) -> None:
        self.send(200, b"x" * 500_000, "text/plain")

    def answer_redirect(self) -> None:
        self.send(302, b"", "text/plain", {"location": "/v1/landed"})

    def answer_empty(self) -> None:
        self.send_response(204)
        self.end_headers()

    def answer_slow(self) -> None:
        time.sleep(1.5)
        self.send(200, b"late", "text/plain")

    def answer_drip(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100")
        self.end_headers()
        for _ in range(20):
            self.wfile.write(b".....")
            self.wfile.flush()
            time.sleep(0.1)

    def answer_drip_close(self) -> None:
        self.send_response(200)
        self.send_header("connection", "close")
        self.end_headers()
        for _ in range(20):
            self.wfile.write(b".")
            time.sleep(0.1)

    def answer_stall(self) -> None:
        time.sleep(0.3)
        self.send_response(200)
        self.send_header("content-length", "100")
        self.end_headers()
        time.sleep(1.5)

    def answer_chunks(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in (b"one\n", b"two\n", b"three\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(0.02)
            self.outside.waited_in_vain |= not self.outside.go_on.wait(5)
        self.wfile.write(b"0\r\n\r\n")

    def send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a caller that went away is part of some tests


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A system outside, for one test."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        handler.outside = Outside(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler.outside
        server.shutdown()
        thread.join()


def _plain(fragment: orjson.Fragment | None) -> Any:
    return None if fragment is None else orjson.loads(orjson.dumps(fragment))


class UnderWay:
    """A request under way, and its record in a form to compare."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.record = execution.record

    def spans(self, kind: str = "tool") -> list[Span]:
        return [span for span in self.record.spans if span.kind == kind]

    @property
    def only(self) -> Span:
        (span,) = self.spans()
        return span

    def sent(self, span: Span | None = None) -> Any:
        """The input of a span (the only tool call) as it is stored."""
        return _plain((span or self.only).input)

    def got(self, span: Span | None = None) -> Any:
        """The output of a span (the only tool call) as it is stored."""
        return _plain((span or self.only).output)

    def stored(self) -> str:
        """Everything that would be written."""
        return (self.record.request_json() + self.record.spans_json()).decode()


@pytest.fixture
def under_way(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[UnderWay]:
    """A request under way on this thread, with 30 s left; parametrise indirectly with patterns to redact."""
    patterns = getattr(request, "param", ())
    record = Record(RequestContext(method="POST", path="/signup"), Redactor(patterns), 64 * 1024, tmp_path)
    record.open("function", "signup")
    execution = Execution(record, timeout=30, deadline=time.monotonic() + 30)
    token = set_current(execution)
    yield UnderWay(execution)
    reset_current(token)

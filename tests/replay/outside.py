"""A system outside that answers over real HTTP and counts what it is asked."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Outside:
    """Where it is, and what it was asked; connections count even when nothing is asked."""

    url: str
    asked: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    outside: Outside

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.outside.asked.append(f"{self.command} {self.path}")
        path = urlsplit(self.path).path
        if path == "/declined":
            self.send(402, b'{"error": "card_declined"}', "application/json")
        elif path == "/broken":
            self.send(503, b"try later", "text/plain")
        elif path == "/gzip":
            self.send(200, gzip.compress(b'{"packed": true}'), "application/json", {"content-encoding": "gzip"})
        elif path == "/binary":
            self.send(200, b"\x00\xff\x01", "application/octet-stream")
        elif path == "/large":
            self.send(200, b"x" * 200_000, "text/plain")
        elif path == "/string":
            self.send(200, b'"a string"', "application/json")
        elif path == "/oops":
            self.send(200, b"not json", "application/json")
        elif path == "/redirect":
            self.send(302, b"", "text/plain", {"location": "/landed"})
        elif path == "/empty":
            self.send_response(204)
            self.end_headers()
        elif path == "/slow":
            time.sleep(0.6)
            self.send(200, b"late", "text/plain")
        elif path == "/hangup":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            told = {"path": self.path, "method": self.command, "body": body.decode("latin-1")}
            told["count"] = len(self.outside.asked)
            self.send(200, json.dumps(told).encode(), "application/json", {"x-note": "kept"})

    do_GET = do_POST = do_PUT = answer

    def send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def process_request(self, request: object, client_address: object) -> None:
        self.RequestHandlerClass.outside.connections += 1  # type: ignore[attr-defined]
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def answering() -> Iterator[Outside]:
    """The system runs inside."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        handler.outside = Outside(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler.outside
        server.shutdown()
        thread.join()

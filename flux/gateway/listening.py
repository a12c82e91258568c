"""The port of a server, taken before anything is started, so that a server that cannot have it starts nothing."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from gunicorn.util import parse_address

from flux.errors import PortInUse, UsageError

BACKLOG = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where the server listens: `bind` as gunicorn takes it, `url` as people do."""

    bind: str
    url: str


def listen(bind: str) -> Listener:
    """Take a port before anything is started: `host:port`, `:port`, `[::1]:port` or `unix:path`.

    Raises PortInUse, UsageError.
    """
    try:
        address = parse_address(bind, 4000)
    except RuntimeError as error:
        raise UsageError(f"cannot listen on {bind}: {error}") from error
    if not isinstance(address, tuple):
        return Listener(bind=bind, url=bind)
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} of {host} is in use",
                hint=f"Stop what listens there, or choose another port, such as {port + 1}.",
            ) from error
        raise UsageError(f"cannot listen on {bind}: {error}") from error
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return Listener(bind=f"fd://{listener.detach()}", url=f"http://{shown}:{port}")

"""Keeps a replay inside: this process makes no connection and starts no program, in whatever thread, from now on.

Python tells its audit hooks of every connection, look-up of a name and program before it happens, below all libraries.
What is refused is told to the replay under way, so that it shows even where user code catches the error. Connections
that are made in C without Python are not seen here; the drivers of databases that do so are refused by name. Postgres's
own client library is one of them, and so the sandbox's connections go on working.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import wrapt

from flux.runtime.recalled import Recalled

#: Functions that open connections in C, by module: what they are given is a database that is not the sandbox.
_IN_C = {
    "psycopg": ("connect", "Connection.connect", "AsyncConnection.connect"),
    "psycopg2": ("connect",),
    "MySQLdb": ("connect",),
    "pyodbc": ("connect",),
    "oracledb": ("connect",),
    "pycurl": ("Curl",),
    "grpc": ("secure_channel", "insecure_channel"),
}

_PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"})
_FORKS = frozenset({"os.fork", "os.forkpty"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


_allowed = threading.local()


@contextmanager
def machinery() -> Iterator[None]:
    """What runs guests reaches its own processes and sockets inside, on this thread, also in a replay.

    Never around code of the user's.
    """
    before = getattr(_allowed, "machinery", False)
    _allowed.machinery = True
    try:
        yield
    finally:
        _allowed.machinery = before


class Guard:
    """The one of this process. `recalled` is the replay under way, None while the project is loaded."""

    def __init__(self, database_url: str) -> None:
        self.recalled: Recalled | None = None
        self._database_url = database_url

    def arm(self) -> None:
        """Refuse from now on; this cannot be taken back."""
        sys.addaudithook(self._hear)
        with suppress(ImportError):  # what multiprocessing starts its processes with, unheard by audit hooks
            import _posixsubprocess

            wrapt.wrap_function_wrapper(_posixsubprocess, "fork_exec", self._refuse_program)
        for module, names in _IN_C.items():
            wrapt.register_post_import_hook(self._listener(names), module)

    def refuse(self, name: str, arguments: Any = None) -> None:
        """Raise the error for a call that is not made; while modules are loaded it is a PermissionError."""
        if getattr(_allowed, "machinery", False):
            return
        if self.recalled is None:
            raise PermissionError(f"{name} was refused: a replay does not reach outside")
        raise self.recalled.refused(name, arguments)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _SENDS:
            self.refuse(f"connect {_address(arguments[1])}")
        elif event in _LOOKUPS:
            host, port = (*arguments, None)[:2]
            self.refuse(f"look up {_text(host)}" if port is None else f"connect {_text(host)}:{_text(port)}")
        elif event in _FORKS:
            self.refuse("start a process")
        elif event in _PROGRAMS:
            self.refuse(f"run {_program(event, arguments)}", [_text(argument) for argument in _words(arguments)])

    def _refuse_program(self, call: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        self.refuse(f"run {' '.join(map(_text, args[0]))}"[:200])
        return call(*args, **kwargs)

    def _listener(self, names: tuple[str, ...]) -> Callable[[Any], None]:
        def listen(module: Any) -> None:
            for name in names:
                with suppress(AttributeError):
                    wrapt.wrap_function_wrapper(module, name, self._connect)

        return listen

    def _connect(self, call: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Only the sandbox is connected to, as the runtime's pool does."""
        if (args and args[0] == self._database_url) or kwargs.get("conninfo") == self._database_url:
            return call(*args, **kwargs)
        self.refuse(f"connect by {call.__module__}.{call.__qualname__}")
        return None


def _address(address: Any) -> str:
    if isinstance(address, tuple):
        return ":".join(map(_text, address[:2]))
    return _text(address)


def _program(event: str, arguments: tuple[Any, ...]) -> str:
    words = _words(arguments)
    return " ".join(map(_text, words))[:200] if words else event


def _words(arguments: tuple[Any, ...]) -> list[Any]:
    """The command line among what an audit event tells."""
    for argument in arguments[1:2] if len(arguments) > 1 else arguments[:1]:
        if isinstance(argument, list | tuple):
            return list(argument)
        if argument is not None:
            return [argument]
    return [argument for argument in arguments[:1] if argument is not None]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

"""The clock as user code reads it: what `time` and `datetime` say inside a request is on the request's tape.

The functions of `time` are replaced by ones that look whether a request is under way, once and before any user module
is imported, so that `from time import time` finds them too. `datetime.now` belongs to a type made in C, and its users
must keep that very type, so the two class methods are replaced in the type's own dictionary; `date.today` and
`datetime.today` ask `time.time`. Outside a request, inside a tool call and on threads of the user's own all is as
Python has it. time.monotonic and time.perf_counter measure, and are left alone.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, SupportsIndex

import wrapt

from flux.runtime.tools import recorded_execution

_real_time, _real_time_ns = time.time, time.time_ns
_real_localtime, _real_gmtime = time.localtime, time.gmtime
_real_ctime, _real_asctime, _real_strftime = time.ctime, time.asctime, time.strftime
_real_now: Any = vars(datetime.datetime)["now"]
_real_utcnow: Any = vars(datetime.datetime)["utcnow"]

_recorded = False


def record_clock() -> None:
    """Make the clock record itself inside requests, in this process; calling it again changes nothing."""
    global _recorded  # noqa: PLW0603  # what it guards is one a process too
    if _recorded:
        return
    _recorded = True
    _spare()
    time.time, time.time_ns = _time, _time_ns
    time.localtime, time.gmtime = _localtime, _gmtime
    time.ctime, time.asctime, time.strftime = _ctime, _asctime, _strftime
    (methods,) = gc.get_referents(vars(datetime.datetime))
    methods["now"], methods["utcnow"] = classmethod(_now), classmethod(_utcnow)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))


def _spare() -> None:
    """Leave the real clock to modules that read it as often as the machine's settings or a server's cookies want it.

    What they read goes nowhere that is recorded, and would put all later readings out of order.
    """
    real = ModuleType("time", time.__doc__)
    vars(real).update(vars(time))
    for name in ("logging", "http.cookiejar"):
        wrapt.register_post_import_hook(lambda module: setattr(module, "time", real), name)
    wrapt.register_post_import_hook(lambda module: setattr(module, "preferred_clock", _real_time), "requests.sessions")


def _told_ns() -> int | None:
    """The time that the request under way is told, in nanoseconds since the epoch; None where it is the real one."""
    execution = recorded_execution()
    return None if execution is None else execution.tape.time_ns()


def _time() -> float:
    """Seconds since the epoch, as time.time."""
    told = _told_ns()
    return _real_time() if told is None else told / 1_000_000_000


def _time_ns() -> int:
    """Nanoseconds since the epoch, as time.time_ns."""
    told = _told_ns()
    return _real_time_ns() if told is None else told


def _localtime(seconds: float | SupportsIndex | None = None, /) -> time.struct_time:
    """The local time, as time.localtime."""
    return _real_localtime(_time() if seconds is None else seconds)


def _gmtime(seconds: float | SupportsIndex | None = None, /) -> time.struct_time:
    """The time in UTC, as time.gmtime."""
    return _real_gmtime(_time() if seconds is None else seconds)


def _ctime(seconds: float | SupportsIndex | None = None, /) -> str:
    """The local time as text, as time.ctime."""
    return _real_ctime(_time() if seconds is None else seconds)


def _asctime(*moment: Any) -> str:
    """The local time as text, as time.asctime."""
    return _real_asctime(*(moment or (_localtime(),)))


def _strftime(format: str, *moment: Any) -> str:
    """The local time in a format, as time.strftime."""
    return _real_strftime(format, *(moment or (_localtime(),)))


def _now(cls: type[datetime.datetime], tz: datetime.tzinfo | None = None) -> datetime.datetime:
    """The time in a zone, or the local time without one, as datetime.now."""
    told = _told_ns()
    if told is None:
        real: Callable[..., datetime.datetime] = _real_now.__get__(None, cls)
        return real(tz)
    return cls.fromtimestamp(told / 1_000_000_000, tz)


def _utcnow(cls: type[datetime.datetime]) -> datetime.datetime:
    """The time in UTC without a zone, as datetime.utcnow."""
    told = _told_ns()
    if told is None:
        real: Callable[..., datetime.datetime] = _real_utcnow.__get__(None, cls)
        return real()
    return cls.fromtimestamp(told / 1_000_000_000, datetime.UTC).replace(tzinfo=None)

"""Chance as user code meets it: what `random`, `uuid` and `os.urandom` give inside a request is on the request's tape.

Inside a request the functions of `random` are those of a generator of the request's own, whose seed is recorded, and a
`random.Random()` without a seed gets a recorded one. `secrets`, `random.SystemRandom` and what libraries draw in C are
neither recorded nor given back: they are where secrets come from.
"""

from __future__ import annotations

import functools
import os
import random
import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

from flux.runtime.tools import recorded_execution, silenced

real_urandom = os.urandom

_FUNCTIONS = (
    "betavariate binomialvariate choice choices expovariate gammavariate gauss getrandbits getstate lognormvariate "
    "normalvariate paretovariate randbytes randint random randrange sample seed setstate shuffle triangular uniform "
    "vonmisesvariate weibullvariate"
).split()

#: Versions 3, 5 and 8 are made of what they are given.
_UUIDS = ("uuid1", "uuid4", "uuid6", "uuid7")

_real_seed = random.Random.seed

_recorded = False


def record_chance() -> None:
    """Make chance record itself inside requests, in this process; calling it again changes nothing."""
    global _recorded  # noqa: PLW0603  # what it guards is one a process too
    if _recorded:
        return
    _recorded = True
    for name in _FUNCTIONS:
        if hasattr(random, name):
            setattr(random, name, _of_request(name, getattr(random, name)))
    for name in _UUIDS:
        if hasattr(uuid, name):
            setattr(uuid, name, _recorded_uuid(name, getattr(uuid, name)))
    random.Random.seed = _seed  # type: ignore[method-assign,assignment]  # the seam that every unseeded generator goes through
    os.urandom = _urandom


def new_uuid() -> UUID:
    """A random UUID (version 4) that is on nobody's tape."""
    return UUID(bytes=real_urandom(16), version=4)


def _of_request(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """A function of module random that draws from the request's generator."""

    @functools.wraps(real)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        execution = recorded_execution()
        if execution is None:
            return real(*args, **kwargs)
        return getattr(execution.tape.random(real_urandom), name)(*args, **kwargs)

    return drawn


def _recorded_uuid(name: str, real: Callable[..., UUID]) -> Callable[..., UUID]:
    """A function of module uuid whose results are recorded."""

    @functools.wraps(real)
    def made(*args: Any, **kwargs: Any) -> UUID:
        execution = recorded_execution()
        if execution is None:
            return real(*args, **kwargs)
        with silenced(execution):  # what it is made of need not be on the tape as well
            return execution.tape.uuid(name, lambda: real(*args, **kwargs))

    return made


def _seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
    """Seed a generator, as random.Random.seed."""
    if a is None:
        execution = recorded_execution()
        if execution is not None:
            a = execution.tape.seed("Random", real_urandom)
    _real_seed(generator, a, version)


def _urandom(size: int, /) -> bytes:
    """Random bytes, as os.urandom."""
    execution = recorded_execution()
    if execution is None:
        return real_urandom(size)
    return execution.tape.random_bytes("urandom", size, real_urandom)

"""Flux, a backend runtime on Postgres that records every execution: what user code imports.

Names are loaded when first used, so that a command line which needs none of them starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flux.errors import Discard, HTTPError, Retry
    from flux.runtime.functions import function
    from flux.runtime.response import Response
    from flux.runtime.tools import tool

__all__ = ["Discard", "HTTPError", "Response", "Retry", "function", "tool"]

_HOMES = {
    "Discard": "flux.errors",
    "HTTPError": "flux.errors",
    "Response": "flux.runtime.response",
    "Retry": "flux.errors",
    "function": "flux.runtime.functions",
    "tool": "flux.runtime.tools",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flux' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

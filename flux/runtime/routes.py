"""The table of routes: which function answers a method and a path. Built once a deployment, then only read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from flux.runtime.broken import Broken
from flux.runtime.functions import Function
from flux.runtime.loader import Registry


@dataclass(frozen=True, slots=True)
class Match:
    """The function (or the reason why there is none) that a request asks for, and what the path says."""

    target: Function | Broken
    route: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No function answers; `allow` are the methods that would have one at this path."""

    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    target: Function | Broken
    route: str
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """One segment of the paths that go through it; a segment spelled out comes before a parameter."""

    segments: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    entries: dict[str, _Entry] = field(default_factory=dict)

    def child(self, segment: str) -> _Node:
        if _is_parameter(segment):
            if self.parameter is None:
                self.parameter = _Node()
            return self.parameter
        return self.segments.setdefault(segment, _Node())

    def find(self, segments: list[str], at: int) -> Iterator[tuple[_Node, tuple[str, ...]]]:
        """Every way these segments can be read, with the values of the parameters on it, the best first."""
        if at == len(segments):
            if self.entries:
                yield self, ()
            return
        segment = segments[at]
        spelled = self.segments.get(segment)
        if spelled is not None:
            yield from spelled.find(segments, at + 1)
        if self.parameter is not None and segment:
            for node, values in self.parameter.find(segments, at + 1):
                yield node, (segment, *values)


class RouteTable:
    """Routes of one registry. A route without parameters is found by one dictionary look-up."""

    def __init__(self, registry: Registry) -> None:
        self._root = _Node()
        self._plain: dict[str, dict[str, Match]] = {}
        for function in registry.functions.values():
            if function.method is not None and function.route is not None:
                self._add(function.method, function.route, function)
        for broken in registry.broken:
            for method, route in broken.routes:
                self._add(method, route, broken)

    def _add(self, method: str, route: str, target: Function | Broken) -> None:
        segments = route[1:].split("/")
        names = tuple(segment[1:-1] for segment in segments if _is_parameter(segment))
        node = self._root
        for segment in segments:
            node = node.child(segment)
        if method in node.entries:
            return
        node.entries[method] = _Entry(target, route, names)
        if not names:
            self._plain.setdefault(route, {})[method] = Match(target, route, {})

    def match(self, method: str, path: str) -> Match | NoMatch:
        """Find the function for a path as it was sent, percent-encoded; raises UnicodeDecodeError.

        An encoded slash is part of its segment. HEAD is answered by GET where there is no HEAD.
        """
        plain = self._plain.get(path)
        if plain is not None and method in plain:
            return plain[method]
        segments = path[1:].split("/")
        if "%" in path or not path.isascii():
            segments = [unquote_to_bytes(segment.encode("latin-1")).decode() for segment in segments]
        allow: dict[str, None] = {}
        for wanted in (method, "GET") if method == "HEAD" else (method,):
            for node, values in self._root.find(segments, 0):
                entry = node.entries.get(wanted)
                if entry is not None:
                    return Match(entry.target, entry.route, dict(zip(entry.names, values, strict=True)))
                allow.update(dict.fromkeys(node.entries))
        return NoMatch(_with_implied(allow))


def _with_implied(methods: dict[str, None]) -> tuple[str, ...]:
    if not methods:
        return ()
    implied = ["HEAD"] if "GET" in methods else []
    return tuple(sorted({*methods, *implied, "OPTIONS"}))


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")

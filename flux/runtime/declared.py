"""What a module would have declared, read from its text when it cannot be imported."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

#: For a file that is no Python at all: good enough to answer on its routes with the reason.
_ROUTE_TEXT = re.compile(r"""@(?:flux\.)?function\([^)]*?route\s*=\s*["']\s*([A-Za-z]+\s+/[^"'\s]*)\s*["']""")
_FUNCTION_TEXT = re.compile(r"@(?:flux\.)?function\b((?:(?!\n@).)*?)\ndef\s+(\w+)", re.DOTALL)
_NAME_TEXT = re.compile(r"""\bname\s*=\s*["']([^"']+)["']""")


class Declared(NamedTuple):
    """Names of functions, and (method, path) of routes."""

    names: tuple[str, ...]
    routes: tuple[tuple[str, str], ...]


def declared_in(text: str) -> Declared:
    """The functions and routes that a module's text declares, as far as they are written out."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        found = [(_NAME_TEXT.search(options), name) for options, name in _FUNCTION_TEXT.findall(text)]
        known = tuple(option[1] if option else name for option, name in found)
        return Declared(known, _pairs(_ROUTE_TEXT.findall(text)))
    names, routes = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                options = _options(decorator)
                if options is not None:
                    names.append(options.get("name", node.name))
                    routes += [options["route"]] if "route" in options else []
    return Declared(tuple(names), _pairs(routes))


def _options(decorator: ast.expr) -> dict[str, str] | None:
    """The keywords with constant text of a @function decorator; None for any other decorator."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
    if name != "function":
        return None
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    return {
        keyword.arg: keyword.value.value
        for keyword in keywords
        if keyword.arg and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    }


def _pairs(routes: list[str]) -> tuple[tuple[str, str], ...]:
    split = [route.split(None, 1) for route in routes]
    return tuple((pair[0].upper(), pair[1].strip()) for pair in split if len(pair) == 2)

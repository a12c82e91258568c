"""The table of routes: every path finds the function that its author meant."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.runtime.broken import Broken
from flux.runtime.functions import Function, function
from flux.runtime.loader import Registry
from flux.runtime.routes import Match, NoMatch, RouteTable


def table(*routes: str, broken: tuple[Broken, ...] = ()) -> RouteTable:
    """A table of functions that are named after their routes."""
    functions: dict[str, Function] = {}
    for route in routes:

        def handler(ctx, **arguments):
            return arguments

        functions[route] = function(route=route, name=f"f{len(functions)}")(handler)
    return RouteTable(Registry(functions, broken, None))


def matched(routes: RouteTable, method: str, path: str) -> tuple[str, dict[str, str]]:
    """Method and route of the function found, and the parameters."""
    found = routes.match(method, path)
    assert isinstance(found, Match)
    assert isinstance(found.target, Function)
    return f"{found.target.method} {found.route}", found.parameters


def test_a_segment_spelled_out_comes_before_a_parameter():
    """/users/me must not be taken for the user named me."""
    routes = table("GET /users/{id}", "GET /users/me", "GET /{kind}/me/{part}")

    assert matched(routes, "GET", "/users/me") == ("GET /users/me", {})
    assert matched(routes, "GET", "/users/42") == ("GET /users/{id}", {"id": "42"})
    assert matched(routes, "GET", "/users/me/x") == ("GET /{kind}/me/{part}", {"kind": "users", "part": "x"})


def test_another_method_of_the_same_path_is_found_behind_a_better_match():
    """POST /users/me belongs to POST /users/{id} where only GET has a route of its own."""
    routes = table("GET /users/me", "POST /users/{id}")

    assert matched(routes, "POST", "/users/me") == ("POST /users/{id}", {"id": "me"})


def test_an_encoded_slash_stays_inside_its_segment():
    """A file name with a slash must neither miss its route nor reach another one."""
    routes = table("GET /files/{name}", "GET /files/{folder}/{name}", "GET /a/b")

    assert matched(routes, "GET", "/files/a%2Fb") == ("GET /files/{name}", {"name": "a/b"})
    assert routes.match("GET", "/a%2Fb") == NoMatch()


def test_a_path_is_decoded_as_utf_8_however_it_is_sent():
    """Browsers encode what is not ASCII, other clients send it as it is."""
    routes = table("GET /städte/{name}")

    expected = ("GET /städte/{name}", {"name": "Köln"})
    assert matched(routes, "GET", quote("/städte/Köln")) == expected
    assert matched(routes, "GET", "/städte/Köln".encode().decode("latin-1")) == expected
    with pytest.raises(UnicodeDecodeError):
        routes.match("GET", "/st%e4dte/x")


def test_head_is_answered_by_get():
    """RFC 9110: HEAD is GET without the body, so nobody should have to write it twice."""
    routes = table("GET /hello", "GET /own", "HEAD /own")

    assert matched(routes, "HEAD", "/hello") == ("GET /hello", {})
    assert matched(routes, "HEAD", "/own") == ("HEAD /own", {})


@pytest.mark.parametrize("path", ["/", "/hello/", "/Hello", "/hello/x", "//hello", ""])
def test_a_path_that_is_no_route_finds_nothing(path):
    """What is nearly a route is none."""
    assert table("GET /hello", "GET /users/{id}").match("GET", path) == NoMatch()


def test_a_parameter_is_never_empty():
    """/users/ is not the user without a name."""
    assert table("GET /users/{id}").match("GET", "/users/") == NoMatch()


def test_a_wrong_method_says_which_are_right():
    """405 without Allow leaves the caller guessing."""
    routes = table("GET /users/{id}", "DELETE /users/{id}", "POST /users/me")

    assert routes.match("PUT", "/users/42") == NoMatch(("DELETE", "GET", "HEAD", "OPTIONS"))
    assert routes.match("PUT", "/users/me") == NoMatch(("DELETE", "GET", "HEAD", "OPTIONS", "POST"))


def test_routes_of_a_broken_module_lead_to_the_reason():
    """A caller of a broken function must not be told that it does not exist."""
    broken = Broken("functions/bad.py", 3, "SyntaxError", routes=(("GET", "/bad/{id}"),), names=("bad",))

    found = table("GET /good", broken=(broken,)).match("GET", "/bad/1")

    assert isinstance(found, Match)
    assert found.target is broken


@given(st.lists(st.text(min_size=1, max_size=5).filter(lambda text: text.isprintable()), min_size=1, max_size=4))
def test_parameters_come_out_as_they_went_in(values):
    """Whatever text a caller puts into a path, the function gets exactly that."""
    routes = table(*(f"GET /{'/'.join(f'{{p{number}}}' for number in range(size))}" for size in range(1, 5)))

    _, parameters = matched(routes, "GET", "/" + "/".join(quote(value, safe="") for value in values))

    assert list(parameters.values()) == values

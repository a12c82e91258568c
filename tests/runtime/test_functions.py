"""The @function decorator: what it takes, and what it refuses where it stands."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from flux import HTTPError, function
from flux.errors import BadDefinition
from flux.runtime.functions import Function


@function(route="POST /signup/{id}", timeout="1m30s", attempts=5, isolation="serializable")
def signup(ctx: Any, id: int, plan: str = "free") -> dict[str, Any]:
    """Sign a user up."""
    return {"id": id, "plan": plan, "ctx": ctx}


def test_definition_is_read_from_decorator_and_function() -> None:
    """Gateway and runtime work with these values and with nothing else."""
    assert (signup.name, signup.method, signup.route) == ("signup", "POST", "/signup/{id}")
    assert (signup.timeout, signup.attempts, signup.isolation) == (90.0, 5, "serializable")
    assert signup.file == __file__
    assert inspect.getsource(signup).startswith("@function")
    assert signup.line == inspect.getsourcelines(signup)[1]
    assert signup.arguments.names == ("id", "plan")


def test_function_is_still_callable_as_the_plain_one() -> None:
    """Users test their functions by calling them."""
    assert signup("ctx", 1) == {"id": 1, "plan": "free", "ctx": "ctx"}
    assert (signup.__name__, signup.__doc__, signup.__module__) == ("signup", "Sign a user up.", __name__)
    assert list(inspect.signature(signup).parameters) == ["ctx", "id", "plan"]


def test_options_may_all_be_left_out() -> None:
    """A function without a route is called by its name, by a job or by another function."""

    @function
    def nightly(ctx: Any) -> None: ...

    @function(name="nightly.report")
    def other(ctx: Any) -> None: ...

    assert (nightly.name, nightly.route, nightly.timeout, nightly.attempts) == ("nightly", None, None, None)
    assert other.name == "nightly.report"


def test_decorators_below_keep_the_users_place_and_arguments() -> None:
    """A wrapper made with functools.wraps is not what the user looks for."""

    def wrapped(handler: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(handler)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return handler(*args, **kwargs)

        return wrapper

    @function(route="GET /{id}")
    @wrapped
    def read(ctx: Any, id: int) -> int:
        return id

    assert read.bind({"id": "7"}, {}) == {"id": 7}
    assert read.line == inspect.getsourcelines(inspect.unwrap(read.handler))[1]


def no_ctx(email: str) -> None: ...
def nothing() -> None: ...
def many(ctx: Any, *emails: str) -> None: ...
def nameless(ctx: Any, email: str, /) -> None: ...
async def asynchronous(ctx: Any) -> None: ...
def fine(ctx: Any, id: int = 0) -> None: ...
def generator(ctx: Any) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("handler", "options", "message"),
    [
        (no_ctx, {}, "the first parameter of no_ctx must be ctx, not email"),
        (nothing, {}, "the first parameter of nothing must be ctx"),
        (many, {}, "the arguments of many are given by name"),
        (nameless, {}, "the arguments of nameless are given by name"),
        (asynchronous, {}, "asynchronous is async"),
        (generator, {}, "generator is a generator"),
        (fine, {"route": "/x"}, "the route of fine is '/x'"),
        (fine, {"route": "FETCH /x"}, "the route of fine is 'FETCH /x'"),
        (fine, {"route": "GET x"}, "the route of fine is 'GET x'"),
        (fine, {"route": "GET /x?y=1"}, "the route of fine is"),
        (fine, {"route": 7}, "the route of fine is 7"),
        (fine, {"route": "GET /a{id}"}, "the route of fine has 'a{id}' between two slashes"),
        (fine, {"route": "GET /{id}/{id}"}, "the route of fine has {id} twice"),
        (fine, {"route": "GET /{user}"}, "the route of fine has {user}, which is not a parameter"),
        (fine, {"timeout": "soon"}, "the timeout of fine is 'soon'"),
        (fine, {"timeout": 0}, "the timeout of fine is 0"),
        (fine, {"attempts": 0}, "the attempts of fine are 0"),
        (fine, {"isolation": "snapshot"}, "the isolation of fine is 'snapshot'"),
        (fine, {"name": "a b"}, "'a b' cannot be the name of a function"),
    ],
)
def test_bad_definition_is_refused_with_its_place(
    handler: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    """A slip is found when the module is imported, and not by the first user of the route."""
    with pytest.raises(BadDefinition) as caught:
        function(**options)(handler)

    assert message in caught.value.message
    assert caught.value.message.startswith(f"{__file__}:{handler.__code__.co_firstlineno}: ")


def test_hint_says_what_to_write() -> None:
    """The reader of the error can paste the answer."""
    with pytest.raises(BadDefinition) as caught:
        function(no_ctx)

    assert caught.value.hint == "Write `def no_ctx(ctx, email):`."


def test_only_functions_are_functions() -> None:
    """A class or a partial has no line of its own to show."""
    with pytest.raises(BadDefinition, match="which is not a function"):
        function(route="GET /x")(functools.partial(fine))


@pytest.mark.parametrize("level", ["READ COMMITTED", "repeatable_read", "serializable"])
def test_isolation_is_written_any_usual_way(level: str) -> None:
    """SQL writes it in capitals, Python with underscores."""
    made = function(isolation=level)(fine)

    assert isinstance(made, Function)
    assert made.isolation in ("read committed", "repeatable read", "serializable")


def test_package_offers_what_user_code_imports() -> None:
    """`from flux import …` is the whole of what a user needs to know."""
    import flux

    assert sorted(dir(flux)) == ["Discard", "HTTPError", "Response", "Retry", "function", "tool"]
    assert HTTPError(404, "no such user", id=7).members == {"id": 7}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flux.nothing  # type: ignore[attr-defined]


def test_importing_flux_imports_nothing_heavy() -> None:
    """`flux --help` starts at once."""
    import subprocess
    import sys

    script = "import sys, flux; print([m for m in ('msgspec', 'urllib3', 'orjson', 'psycopg') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"

"""What only some languages have: a panic is an error with a place, PHP has its own ways to end."""

from __future__ import annotations

import hashlib
import math
import time
from typing import Any

import orjson
import pytest
from asking import Asking
from build_modules import module_bytes, module_file

from flux.errors import BuildFailed
from flux.runtime.guests.wasm.build import build
from flux.runtime.guests.wasm.modules import ready
from flux.runtime.guests.wasm.run import Limits, Run
from flux.runtime.guests.wasm.wasi import System

PHP_TOML = '[function]\n[wasm]\ninterpreter = "php"\nsource = "hello.php"\nmodule = "build/hello.wasm"\n'


class Standing:
    """A clock that stands, and chance that is known."""

    is_replay = False

    def time_ns(self) -> int:
        return 1_700_000_000_000_000_000

    def seed(self) -> bytes:
        return bytes(32)


class Ended(Exception):
    """The host does not return to a guest that raised."""


def answer(data: bytes, input: dict[str, Any]) -> tuple[Any, list[Any], list[str]]:
    """The reply of a module or the error that it raised, what it asked, and what it wrote."""
    asked: list[Any] = []
    lines: list[str] = []

    def dispatch(request: bytes) -> bytes:
        asked.append(orjson.loads(request))
        if asked[-1]["op"] == "raise":
            raise Ended
        return b'{"ok":null}'

    system = System(Standing(), lambda level, line: lines.append(line))
    run = Run(dispatch, system, Limits(), time.monotonic() + 5)
    try:
        reply = orjson.loads(ready(hashlib.sha256(data).hexdigest(), lambda: data).handle(orjson.dumps(input), run))
    except Ended:
        reply = {"error": asked.pop()["args"]}
    system.finish()
    return reply, asked, lines


def step(language: str, **members: Any) -> Any:
    """The error of one step in a language whose module is checked in."""
    module = module_file(language)
    assert module is not None
    return answer(module_bytes(module), {"steps": [members]})[0]["error"]


def test_a_panic_of_rust_is_an_error_with_its_place():
    """It cannot be unwound, and must still say where it was."""
    error = step("rust", do="panic", message="out of cheese")

    assert (error["type"], error["message"], error["file"]) == ("Panic", "out of cheese", "src/lib.rs")
    assert error["line"] > 1


def test_a_panic_of_go_is_an_error_with_its_place():
    """The line that panicked, not the one that recovered."""
    error = step("go", do="panic", message="out of cheese")

    assert (error["type"], error["message"]) == ("Panic", "out of cheese")
    assert error["frames"][-1]["file"] == "act.go"
    assert error["frames"][-1]["function"] == "main.take"


def test_an_error_of_gos_own_keeps_its_type_and_message():
    """Errors that know no place are errors too."""
    error = step("go", do="plain", message="plain")

    assert (error["type"], error["message"]) == ("errors.errorString", "plain")


def test_an_assertion_of_assemblyscript_is_an_error_with_its_place():
    """The language's own checks end a request as `throw` does."""
    error = step("assemblyscript", do="fail", message="thrown")

    assert (error["type"], error["message"], error["file"]) == ("Error", "thrown", "act.ts")


def test_java_has_the_mathematics_that_a_browser_would_give_it():
    """TeaVM leaves it to its host; a function without a square root is none."""
    x = 2.75
    module = module_file("java")
    assert module is not None

    found = answer(module_bytes(module), {"steps": [{"do": "math", "x": x}]})[0]["ok"]["results"][0]

    assert found == pytest.approx(
        {
            **{name: getattr(math, name)(x) for name in ("sqrt", "ceil", "sin", "cos", "tan", "exp", "log", "atan")},
            **{name: getattr(math, name)(1 / x) for name in ("asin", "acos")},
            **{"floor": -3, "rint": 2, "atan2": math.atan2(-x, -1), "turned": math.sin(x * 1e22)},
        },
        rel=1e-15,
    )


@pytest.fixture(scope="module")
def php(tmp_path_factory):
    """A function in PHP that evaluates its input, built."""
    root = tmp_path_factory.mktemp("php")
    folder = root / "functions" / "hello"
    folder.mkdir(parents=True)
    (folder / "flux.toml").write_text(PHP_TOML)
    (folder / "hello.php").write_text("<?php\nreturn fn ($ctx, string $code) => eval($code);\n")
    return build(folder, root).module.read_bytes()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return [mb_strtoupper('größe'), mb_strlen('größe'), mb_substr('漢字', 1)];", ["GRÖSSE", 5, "字"]),
        ("return [ctype_digit('12'), ctype_alpha('1')];", [True, False]),
        ("return PHP_INT_MAX;", 2**63 - 1),
        ("return bcadd('0.1', '0.2', 2);", "0.30"),
        ("return filter_var('ada@example.com', FILTER_VALIDATE_EMAIL);", "ada@example.com"),
        ("return preg_replace('/\\p{Lu}/u', '.', 'aÄb');", "a.b"),
        ("return date('Y-m-d', 951782400);", "2000-02-29"),
    ],
)
def test_php_has_the_functions_that_are_expected_of_it(php, code, value):
    """A PHP without mbstring or 64 bits is another language."""
    assert answer(php, {"code": code})[0] == {"ok": value}


def test_what_ends_php_without_being_thrown_is_an_error_too(php):
    """Fatal errors are the ones that matter."""
    reply, _, lines = answer(php, {"code": "class A implements Traversable {}"})

    assert reply["error"]["type"] == "FatalError"
    assert "Class A must implement interface Traversable" in reply["error"]["message"]
    assert any("Class A must implement" in line for line in lines)


def test_a_warning_of_php_is_a_log_line(php):
    """It does not end the request, and it must not be part of the answer."""
    reply, _, lines = answer(php, {"code": "return $undefined;"})

    assert reply == {"ok": None}
    assert any("Undefined variable $undefined" in line for line in lines)


def test_a_syntax_error_of_php_is_told_with_its_line_when_it_is_built(tmp_path):
    """Before it is deployed, not at its first request."""
    folder = tmp_path / "functions" / "hello"
    folder.mkdir(parents=True)
    (folder / "flux.toml").write_text(PHP_TOML)
    (folder / "hello.php").write_text("<?php\n\nreturn fn ($ctx) => ;\n")

    with pytest.raises(BuildFailed, match=r"functions/hello/hello\.php:3: syntax error"):
        build(folder, tmp_path)


def test_an_error_that_cannot_be_unwound_ends_the_request(database_url, tmp_path):
    """Rust and AssemblyScript cannot return from where they panic, so the host must not let them go on."""
    asking = Asking(tmp_path, database_url)
    wrong = {"type": "Panic", "message": "out of cheese", "file": "ask.x", "line": 2}

    reply = asking.run(requests=[{"op": "raise", "args": wrong}], result="went on")
    asking.close()

    assert reply.status == 500
    assert reply.record.failure.message == "out of cheese"

"""The loader: the user's modules, each load a generation of its own."""

from __future__ import annotations

import gc
import linecache
import sys
import threading
import traceback
import typing
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flux.config import Project
from flux.errors import FunctionBroken, FunctionNotFound
from flux.runtime.broken import Broken
from flux.runtime.loader import Registry, load

Write = Callable[[str, str], None]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "functions").mkdir()
    return Project(root=tmp_path, name="shop")


@pytest.fixture
def write(project: Project) -> Write:
    def write(file: str, text: str) -> None:
        path = project.root / "functions" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def made(name: str, route: str, body: str = "return 1") -> str:
    return f'from flux import function\n\n@function(route="{route}")\ndef {name}(ctx, id: int = 0):\n    {body}\n'


def only_broken(registry: Registry) -> Broken:
    (broken,) = registry.broken
    return broken


def test_functions_of_all_modules_and_packages_are_found(project: Project, write: Write) -> None:
    """A project is a folder of files, and folders of them."""
    write("signup.py", made("signup", "POST /signup"))
    write("admin/__init__.py", "")
    write("admin/users.py", made("users", "GET /users/{id}"))
    write("reports/daily.py", made("daily", "GET /daily"))
    write("create-user.py", made("create_user", "POST /users"))
    registry = load(project)

    assert registry.broken == ()
    assert set(registry.functions) == {"signup", "users", "daily", "create_user"}
    assert registry.find("users").file == str(project.root / "functions/admin/users.py")
    assert registry.find("users").handler(None) == 1


def test_project_without_functions_has_none(tmp_path: Path) -> None:
    """A new project is not an error."""
    registry = load(Project(root=tmp_path, name="empty"))

    assert (dict(registry.functions), registry.broken) == ({}, ())


def test_what_is_no_function_module_is_left_alone(project: Project, write: Write) -> None:
    """Tests import what production lacks; a folder with a flux.toml is another runtime's."""
    for file in ("test_signup.py", "signup_test.py", "conftest.py", "__main__.py", ".hidden/x.py", "resize/main.py"):
        write(file, "raise RuntimeError('imported')")
    write("resize/flux.toml", "")
    write("node_modules/gyp/x.py", "raise RuntimeError('imported')")
    write("notes.txt", "raise")

    [other] = load(project).broken
    assert (other.file, other.names) == ("functions/resize/flux.toml", ("resize",))


def test_folder_without_modules_hides_no_package(project: Project, write: Write) -> None:
    """functions/httpx/ may hold JavaScript; `import httpx` beside it still means what is installed."""
    write("httpx/index.js", "")
    write("httpx/node_modules/gyp/x.py", "raise RuntimeError('imported')")
    write("a.py", made("f", "GET /f", "import httpx; return httpx.Client.__module__"))
    registry = load(project)

    assert registry.broken == ()
    assert registry.find("f").handler(None) == "httpx"


def test_module_goes_before_a_folder_of_its_name(project: Project, write: Write) -> None:
    """As in Python: signup.py is the module, whatever signup/ holds; with an __init__.py it is the folder."""
    write("signup.py", made("file", "GET /file"))
    write("signup/notes.py", made("notes", "GET /notes"))
    assert set(load(project).functions) == {"file"}

    write("signup/__init__.py", "")
    assert set(load(project).functions) == {"notes"}


def test_modules_import_each_other(project: Project, write: Write) -> None:
    """functions/ is the root; absolute, relative and dotted imports all lead to the same module."""
    write("helpers.py", "made = []\ndef double(x): return 2 * x")
    write("billing/__init__.py", "from .rates import rate\nfrom helpers import double")
    write("billing/rates.py", "rate = 3")
    write(
        "orders.py",
        "import helpers, billing.rates\nimport billing.rates as rates\nfrom billing import double, rates as again\n"
        "from . import helpers as same\nfrom functions.helpers import made\nfrom billing.rates import *\n"
        "from flux import function\n"
        "@function\ndef order(ctx):\n"
        "    return (double(rate), billing.rates is rates is again, helpers is same, helpers.made is made)\n",
    )

    assert load(project).find("order").handler(None) == (6, True, True, True)


def test_submodules_come_with_the_names_that_are_asked_for(project: Project, write: Write) -> None:
    """`from package import module`, and the star of a package that lists its modules."""
    write("billing/__init__.py", "__all__ = ['rates']")
    write("billing/rates.py", "rate = 3")
    write("billing/taxes.py", "tax = 4")
    write(
        "a.py",
        "from billing import *\nfrom billing import taxes\n" + made("f", "GET /f", "return rates.rate, taxes.tax"),
    )

    assert load(project).find("f").handler(None) == (3, 4)


def test_modules_may_import_each_other_in_a_circle(project: Project, write: Write) -> None:
    """As Python lets them."""
    write("a.py", "import b\nx = 1\ndef f(): return b.y")
    write("b.py", "import a\ny = 2\ndef g(): return a.x\n" + made("circle", "GET /c", "return g() + a.f()"))

    assert load(project).find("circle").handler(None) == 3


def test_each_module_runs_once_a_load(project: Project, write: Write) -> None:
    """A module's state is one, whoever imported it first."""
    write("a.py", "import z")
    write(
        "z.py",
        made("f", "GET /f", "return runs") + "import sys\nruns = sys.__dict__.setdefault('_runs', [])\nruns += [1]",
    )
    try:
        assert len(load(project).find("f").handler(None)) == 1
        assert len(load(project).find("f").handler(None)) == 2
    finally:
        del sys._runs  # type: ignore[attr-defined]


def test_names_of_the_standard_library_and_of_packages_stay_theirs(project: Project, write: Write) -> None:
    """functions/email.py and functions/httpx.py are natural names; nothing else may notice them."""
    import email

    write("email.py", "from email.message import EmailMessage\n" + made("mail", "GET /m", "return EmailMessage"))
    write("httpx.py", "import httpx\n" + made("call", "GET /h", "return httpx.Client"))
    write("uses.py", "import email\n" + made("uses", "GET /u", "return email"))
    registry = load(project)

    assert registry.broken == ()
    assert registry.find("mail").handler(None).__module__ == "email.message"
    assert registry.find("call").handler(None).__module__ == "httpx"
    assert registry.find("uses").handler(None) is email is sys.modules["email"]


def test_nothing_else_sees_the_users_modules(project: Project, write: Write) -> None:
    """sys.path and the names in sys.modules are those of before, but for the newest generation's own."""
    write("helpers.py", "x = 1")
    path, names = list(sys.path), {name for name in sys.modules if not name.startswith("functions")}
    load(project)
    assert "functions.helpers" in sys.modules
    write("billing.py", "y = 1")
    (project.root / "functions/helpers.py").unlink()
    load(project)

    assert sys.path == path
    assert set(sys.modules) - names == {"functions", "functions.billing"}


def test_broken_module_takes_no_other_down(project: Project, write: Write) -> None:
    """Its routes can answer with the reason, and the reason has a place."""
    write("good.py", made("good", "GET /good"))
    write("bad.py", made("bad", "GET /bad/{id}") + made("worse", "post /bad") + "\nundefined_name\n")
    registry = load(project)
    broken = only_broken(registry)

    assert set(registry.functions) == {"good"}
    assert (broken.file, broken.line) == ("functions/bad.py", 12)
    assert broken.message == "NameError: name 'undefined_name' is not defined"
    assert broken.routes == (("GET", "/bad/{id}"), ("POST", "/bad"))
    assert broken.names == ("bad", "worse")
    assert "undefined_name" in broken.traceback
    assert "flux/runtime" not in broken.traceback
    assert str(broken) == "functions/bad.py:12: NameError: name 'undefined_name' is not defined"


def test_file_that_is_no_python_has_its_line_and_routes(project: Project, write: Write) -> None:
    """A half-typed line is the usual state of a file that was just saved."""
    write("bad.py", made("bad", "GET /bad") + "def half(:\n")
    broken = only_broken(load(project))

    assert (broken.file, broken.line, broken.message) == ("functions/bad.py", 6, "SyntaxError: invalid syntax")
    assert (broken.routes, broken.names) == ((("GET", "/bad"),), ("bad",))


@pytest.mark.parametrize("text", ["import sys; sys.exit(3)", "raise KeyError('x')", "import nowhere", "x = '\x00'"])
def test_no_module_can_stop_the_load(project: Project, write: Write, text: str) -> None:
    """User code may do anything when it is imported."""
    write("bad.py", text)
    write("good.py", made("good", "GET /good"))
    registry = load(project)

    assert set(registry.functions) == {"good"}
    assert only_broken(registry).file == "functions/bad.py"


def test_file_that_cannot_be_decoded_is_broken(project: Project) -> None:
    """Bytes that are no UTF-8 are the file's fault, not the server's."""
    (project.root / "functions/bad.py").write_bytes(b"x = '\xff'")

    assert only_broken(load(project)).file == "functions/bad.py"


def test_importer_of_a_broken_module_says_which(project: Project, write: Write) -> None:
    """One fault is reported once with its cause, and once for each module that needs it, at its import."""
    write("a_first.py", "import broken\n" + made("first", "GET /first"))
    write("broken.py", "import sys; sys._runs += 1\nraise ValueError('no rates')\n")
    sys._runs = 0  # type: ignore[attr-defined]
    write("last.py", "\nfrom broken import x\n")
    registry = load(project)

    assert sorted(map(str, registry.broken)) == [
        "functions/a_first.py:1: broken cannot be imported: ValueError: no rates",
        "functions/broken.py:2: ValueError: no rates",
        "functions/last.py:2: broken cannot be imported: ValueError: no rates",
    ]
    assert vars(sys).pop("_runs") == 1


def test_bad_definition_is_reported_at_its_line(project: Project, write: Write) -> None:
    """The message does not say its place twice, and the hint is kept."""
    write("bad.py", "from flux import function\n\n@function(route='GET /x')\ndef bad(id): ...\n")
    broken = only_broken(load(project))

    assert str(broken) == "functions/bad.py:3: the first parameter of bad must be ctx, not id"
    assert broken.hint == "Write `def bad(ctx, id):`."
    assert broken.routes == (("GET", "/x"),)


def test_bad_type_takes_only_its_function_down(project: Project, write: Write) -> None:
    """The module could be imported: its other functions work."""
    text = made("good", "GET /good") + "class Session: ...\n@function(route='GET /x')\ndef bad(ctx, s: Session): ...\n"
    write("both.py", text)
    registry = load(project)

    assert set(registry.functions) == {"good"}
    assert str(only_broken(registry)).startswith("functions/both.py:7: no JSON value can be a Session")
    assert only_broken(registry).routes == (("GET", "/x"),)


def test_name_taken_twice_is_broken(project: Project, write: Write) -> None:
    """Python lets the second silently replace the first; its route would be gone."""
    write("a.py", "import b\n" + made("save", "GET /a"))
    write("b.py", made("save", "GET /b"))
    registry = load(project)

    assert registry.find("save").route == "/a"
    assert "save is already the name of a function at functions/a.py:4" in str(only_broken(registry))
    assert only_broken(registry).routes == (("GET", "/b"),)


def test_route_taken_twice_is_broken(project: Project, write: Write) -> None:
    """Which of two functions answers must not hang on the order of files."""
    write("a.py", made("one", "GET /users/{id}"))
    write("b.py", made("two", "GET /users/{key}").replace("id:", "key:") + made("three", "POST /users/{id}"))
    registry = load(project)

    assert set(registry.functions) == {"one", "three"}
    assert "GET /users/{key} is already the route of one at functions/a.py:3" in str(only_broken(registry))
    assert only_broken(registry).routes == ()


def test_function_imported_by_another_module_is_one(project: Project, write: Write) -> None:
    """Modules share functions by import."""
    write("a.py", made("one", "GET /one"))
    write("b.py", "from a import one")

    assert load(project).broken == ()


def test_functions_of_an_installed_package_come_with_its_import(
    project: Project, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package is imported once a process; its functions must be there after each load."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/shared_health.py").write_text(made("health", "GET /health"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    write("a.py", "from shared_health import health")

    assert set(load(project).functions) == {"health"}
    assert set(load(project).functions) == {"health"}
    del sys.modules["shared_health"]


def test_reload_gives_new_code_and_requests_in_flight_keep_the_old(project: Project, write: Write) -> None:
    """Lazy imports included: a request never runs half of one version and half of another."""
    write("helpers.py", "version = 1")
    write("a.py", made("f", "GET /f", "import helpers; from helpers import version as v; return helpers.version, v"))
    old = load(project)
    write("helpers.py", "version = 2")
    new = load(project)
    seen: dict[str, Any] = {}

    def call(name: str, registry: Registry) -> None:
        seen[name] = registry.find("f").handler(None)

    threads = [threading.Thread(target=call, args=pair) for pair in (("old", old), ("new", new))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {"old": (1, 1), "new": (2, 2)}
    assert new.find("f") is not old.find("f")


def test_old_generation_is_let_go(project: Project, write: Write) -> None:
    """A day of saving files must not fill the memory."""
    write("a.py", "class Big: ...\n" + made("f", "GET /f"))
    old = load(project)
    big = weakref.ref(old.modules.load("functions.a").Big)
    load(project)
    del old
    gc.collect()

    assert big() is None


def test_traceback_shows_the_lines_that_ran(project: Project, write: Write) -> None:
    """A file edited under a running server must not put other lines into the record."""
    write("a.py", made("f", "GET /f", "return 1 / 0  # as it ran"))
    registry = load(project)
    write("a.py", "# another\n# file\n# by\n# now\n# altogether\n")
    with pytest.raises(ZeroDivisionError) as caught:
        registry.find("f").handler(None)
    linecache.checkcache()

    assert "return 1 / 0  # as it ran" in "".join(traceback.format_exception(caught.value))
    assert caught.traceback[-1].path == project.root / "functions/a.py"


def test_hints_written_as_text_find_their_classes(project: Project, write: Write) -> None:
    """dataclasses and typing look a class's module up by name."""
    write(
        "a.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom flux import function\n"
        "@function(route='POST /x')\ndef f(ctx, address: Address): return address\n"
        "@dataclass\nclass Address:\n    town: Town\n@dataclass\nclass Town:\n    name: str\n",
    )
    function = load(project).find("f")
    address = function.handler(None, **function.bind({}, {}, {"address": {"town": {"name": "Ulm"}}}))

    assert address.town.name == "Ulm"
    assert typing.get_type_hints(type(address))["town"] is type(address.town)
    assert type(address).__module__ == "functions.a"


def test_unknown_and_broken_functions_are_told_apart(project: Project, write: Write) -> None:
    """`flux invoke` says what is wrong, and what was perhaps meant."""
    write("a.py", made("signup", "GET /f"))
    write("b.py", made("login", "GET /l") + "boom\n")
    registry = load(project)

    with pytest.raises(FunctionBroken, match=r"login cannot run: functions/b.py:6: NameError"):
        registry.find("login")
    with pytest.raises(FunctionNotFound, match="there is no function sign_up") as caught:
        registry.find("sign_up")
    assert caught.value.hint == "Did you mean signup?"

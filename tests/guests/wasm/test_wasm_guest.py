"""A folder with a flux.toml is a function like any other: served, recorded, replayed, or told why not."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from past import Past, clone_of, make_past, unlike
from wat import ECHO, answering, guest

from flux.config import Project
from flux.deploy.deployments import prepared
from flux.errors import DeployRefused
from flux.runtime.guests.wasm import modules
from flux.runtime.loader import load

if TYPE_CHECKING:
    from tests.conftest import Postgres

_numbers = itertools.count()

#: Asks for what it drew of chance and time, as 16 letters.
SELECT = '{"op":"db.value","args":{"sql":"select $1::text","parameters":["----------------"]}}'
DRAWS = guest(
    f"""(drop (call $random_get (i32.const 512) (i32.const 8)))
    (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 520)))
    (local.set $at (i32.const 0))
    (loop $next
      (i32.store8 (i32.add (i32.const {2048 + SELECT.index("---")}) (local.get $at))
        (i32.add (i32.const 97) (i32.and (i32.load8_u (i32.add (i32.const 512) (local.get $at))) (i32.const 15))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 16))))
    (call $call (i32.const 2048) (i32.const {len(SELECT)}))""",
    answering(SELECT, at=2048)[1],
    wasi=["random_get", "clock_time_get"],
)

WRITES = guest(
    "(drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))"
    "(call $call (local.get $at) (local.get $size))",
    '(data (i32.const 32) "\\40\\00\\00\\00\\06\\00\\00\\00") (data (i32.const 64) "hello\\0a")',
    wasi=["fd_write"],
)


def place(root: Path, name: str, wasm: bytes, toml: str = "") -> Path:
    """A function's folder."""
    folder = root / "functions" / name
    (folder / "build").mkdir(parents=True)
    (folder / "build" / f"{name}.wasm").write_bytes(wasm)
    own = toml or f'[function]\nname = "{name}"\n[wasm]\nmodule = "build/{name}.wasm"\n'
    (folder / "flux.toml").write_text(textwrap.dedent(own))
    return folder


def trapping(kind: str) -> bytes:
    """A guest that inserts a row first."""
    return guest(f"(drop (call $call (local.get $at) (local.get $size))) {kind}")


#: Guests by hand, by the names of their functions.
GUESTS = {
    "echo": ECHO,
    "draws": DRAWS,
    "writes": WRITES,
    "traps": trapping("unreachable"),
    "loops": trapping("(loop $again (br $again)) unreachable"),
    "babbles": guest(*answering("no JSON")),
    "mumbles": guest(*answering('{"ok":1,"error":2}')),
    "wild": guest("(i64.const 0x7000000000000010)"),
    "invalid": ECHO.replace(b"\x20\x00\x20\x01\x10\x00", b"\x20\x00\x20\x09\x10\x00"),
}

SCHEMA = "[input]\nrequired = ['op']\n[input.properties]\nop = { type = 'string' }\nargs = {}\n"


@pytest.fixture(scope="module")
def past(postgres: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A project of them, served."""
    root = tmp_path_factory.mktemp("wasm")
    name = f"wasm_{next(_numbers)}"
    made = make_past(root, postgres.url(postgres.create(template)), lambda url: clone_of(postgres.url(), url, name), "")
    for name, wasm in GUESTS.items():
        own = {"loops": 'timeout = "300ms"\n', "echo": 'route = "POST /echo"\n'}.get(name, "")
        toml = f'[function]\nname = "{name}"\n{own}[wasm]\nmodule = "build/{name}.wasm"\n'
        place(root, name, wasm, toml + (SCHEMA if name == "echo" else ""))
    with made.serving():
        yield made
    made.close()


STATEMENT = "insert into users (email) values (gen_random_uuid() || '@b.c') returning right(email, 4)"
INSERT = {"op": "db.value", "args": {"sql": STATEMENT}}


def test_a_request_of_a_guest_is_served_and_recorded(past: Past) -> None:
    """As one of Python's is."""
    asked = past.ask("POST /echo", INSERT)

    assert asked.request["output"] == "@b.c"
    function, insert = asked.spans[1:]
    assert (function["kind"], function["name"]) == ("function", "echo")
    assert function["attributes"]["flux.runtime"] == "wasmtime"
    assert insert["kind"] == "db"
    assert [row["operation"] for row in asked.mutations] == ["INSERT"]


def test_input_is_validated_before_the_guest_runs(past: Past) -> None:
    """By the JSON Schema of its flux.toml."""
    asked = past.ask("POST /echo", {"other": 1})

    assert asked.request["status"] == 422
    assert [span["kind"] for span in asked.spans] == ["gateway"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("traps", "GuestTrap", "traps trapped: it stopped itself (unreachable)"),
        ("loops", "FunctionTimeout", "function loops ran longer than 0.3 s"),
        ("wild", "GuestProtocol", "wild broke the protocol: it gave 16 bytes at 1879048192"),
        ("babbles", "GuestProtocol", "the reply of babbles is not JSON"),
        ("mumbles", "GuestProtocol", "the reply of mumbles is neither"),
        ("invalid", "GuestUnusable", "invalid cannot run: it cannot be compiled: "),
    ],
)
def test_a_guest_that_goes_wrong_is_an_error_of_its_own(past: Past, name: str, kind: str, message: str) -> None:
    """Recorded by its name, its writes rolled back, and no other request is harmed."""
    asked = past.invoke(name, **INSERT)

    assert asked.request["error_type"] == kind
    assert message in asked.request["error_message"]
    if name in ("traps", "loops"):
        assert [row["rolled_back"] for row in asked.mutations] == [True]
    assert past.invoke("echo", **INSERT).request["status"] == 200


def test_input_may_be_nested_deeply(past: Past) -> None:
    """JSON sets no limit, and each encoder another one."""
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]

    assert past.invoke("echo", op="log", args={"message": "deep", "fields": {"deep": deep}}).request["status"] == 204


def test_the_frames_of_a_trap_are_recorded(past: Past) -> None:
    """With the module that they lie in."""
    (*_, frame) = past.invoke("traps", **INSERT).request["error_stack"]

    assert frame["file"] == "functions/traps/build/traps.wasm"
    assert frame["own"] is False


def test_what_a_guest_prints_is_in_its_record(past: Past) -> None:
    """In its place among the other steps."""
    asked = past.invoke("writes", **INSERT)

    assert [(span["kind"], span["name"]) for span in asked.spans[2:3]] == [("log", "hello")]


def test_clock_and_chance_are_the_same_in_a_replay(past: Past) -> None:
    """And others in each request."""
    first, second = past.invoke("draws"), past.invoke("draws")

    _, replay = past.replay(first)

    assert first.request["output"] != second.request["output"]
    assert replay.request["output"] == first.request["output"]
    assert unlike(first, replay) == []


def test_requests_of_many_threads_do_not_mix(past: Past) -> None:
    """Each has its own instance, transaction and record."""
    wrong: list[str] = []

    def ask(start: int) -> None:
        for number in range(start, start + 20):
            args = {"sql": "select $1::int", "parameters": [number]}
            asked = past.invoke("echo", op="db.value", args=args) if number % 4 else past.invoke("traps", op="now")
            if asked.request["output"] != (number if number % 4 else None):
                wrong.append(f"{number}: {asked.request['output']}")

    threads = [threading.Thread(target=ask, args=(1_000 * number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


#: What a flux.toml says, and what is wrong with it.
FAULTS = {
    "[function]\n[wasm]\n": ("2", "[wasm] names no module"),
    "[function]\nname = 'f'\n": ("1", "it has no [wasm]"),
    "[function]\n[wasm]\nmodul = 'f.wasm'\n": ("3", "[wasm] has no modul"),
    "[function]\nroutes = 'GET /f'\n[wasm]\nmodule = 'build/f.wasm'\n": ("1", "f has no option routes"),
    "[functions]\n": ("1", "[functions] is not a table of a function"),
    "[function\n": ("1", "Expected ']'"),
    "[function]\nroute = 'FETCH /f'\n[wasm]\nmodule = 'build/f.wasm'\n": ("1", "the route of f is 'FETCH /f'"),
    "[function]\n[wasm]\nmemory = 'much'\nmodule = 'build/f.wasm'\n": ("3", "[wasm] memory is 'much'"),
    "[function]\n[wasm]\nmemory = '2GiB'\nmodule = 'build/f.wasm'\n": ("3", "[wasm] memory is 2147483648 bytes"),
    "[function]\n[wasm]\ncompute = 'long'\nmodule = 'build/f.wasm'\n": ("3", "[wasm] compute is 'long'"),
    "[function]\n[wasm]\nsnapshot = 1\nmodule = 'build/f.wasm'\n": ("3", "[wasm] snapshot is 1, not true or false"),
    "[function]\n[wasm]\nmodule = '../f.wasm'\n": ("3", "module is ../f.wasm, which lies outside of its folder"),
    "[function]\n[wasm]\ninterpreter = 'php'\nmodule = 'build/f.wasm'\n": (
        "3",
        "[wasm] names an interpreter, and no source for it",
    ),
    "input = 'none.json'\n[function]\n[wasm]\nmodule = 'build/f.wasm'\n": (
        "1",
        "input is none.json, which cannot be read",
    ),
    "[function]\n[wasm]\nmodule = 'build/other.wasm'\n": ("1", "f has no module at functions/f/build/other.wasm"),
    "[function]\n[wasm]\nmodule = 'flux.toml'\n": ("1", "functions/f/flux.toml cannot be f: it is not WebAssembly"),
}


@pytest.mark.parametrize("toml", FAULTS)
def test_a_folder_that_cannot_be_used_says_why_and_where(project: Project, toml: str) -> None:
    """Its routes answer with the reason, and the other functions go on."""
    line, message = FAULTS[toml]
    place(project.root, "f", ECHO, toml)
    place(project.root, "g", ECHO)

    registry = load(project)

    (broken,) = registry.broken
    assert (broken.file, broken.names) == ("functions/f/flux.toml", ("f",))
    assert f"{broken.line}" == line
    assert message in broken.message
    assert set(registry.functions) == {"g"}


def test_a_module_that_cannot_be_compiled_is_not_deployed(project: Project) -> None:
    """What a component exports, and whether code is valid, only its compilation tells: not to the first request."""
    place(project.root, "f", GUESTS["invalid"])

    refused = pytest.raises(DeployRefused, match=r"functions/f/flux.toml:1: f cannot run: it cannot be compiled")
    with refused, prepared(project):
        pass


def test_a_function_that_was_not_built_keeps_its_route(project: Project) -> None:
    """So that it answers with what to do, and not with 404."""
    folder = place(
        project.root, "f", ECHO, "[function]\nroute = 'GET /f'\n[wasm]\nmodule = 'build/f.wasm'\nbuild = 'make'\n"
    )
    (folder / "build" / "f.wasm").unlink()

    (broken,) = load(project).broken

    assert broken.routes == (("GET", "/f"),)
    assert broken.hint == "`flux build f` makes it."


def test_of_two_folders_with_one_name_the_one_that_is_served_is_run(project: Project) -> None:
    """The other does not load; its module must not run under the name of the first."""
    for folder in ("f", "f2"):
        toml = f"[function]\nname = 'f'\n[wasm]\nmodule = 'build/{folder}.wasm'\n"
        place(project.root, folder, guest(*answering(f'{{"ok":"{folder}"}}')), toml)
    registry = load(project)
    folder = Path(registry.functions["f"].file).parent
    host: Any = SimpleNamespace(folder=folder, remaining=lambda: 5.0, log=print)

    assert registry.generation.guests[0].invoke("f", host, {}) == folder.name


def test_the_schema_may_be_a_file(project: Project) -> None:
    """A tool may have written it."""
    folder = place(project.root, "f", ECHO, "input = 'schema.json'\n[function]\n[wasm]\nmodule = 'build/f.wasm'\n")
    (folder / "schema.json").write_text(json.dumps({"required": ["name"], "properties": {"name": {"type": "string"}}}))

    function = load(project).functions["f"]

    assert function.arguments.takes("name")
    assert function.bind_input({"name": "Ada"}) == {"name": "Ada"}


def test_a_module_that_changed_after_the_load_is_not_run(project: Project) -> None:
    """A request runs the code that its record names."""
    folder = place(project.root, "f", guest("(i64.const 1)"))
    registry = load(project)
    (folder / "build" / "f.wasm").write_bytes(ECHO)
    (module,) = registry.generation.guests[0]._modules.values()  # type: ignore[attr-defined]

    with pytest.raises(Exception, match="has changed since it was loaded"):
        registry.generation.guests[0]._ready(module)  # type: ignore[attr-defined]


def test_the_folder_of_compiled_modules_follows_the_users_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And lies in a place of its own where the home cannot be written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert modules.cache_folder() == tmp_path / "flux" / "wasm"


@pytest.mark.parametrize("caches", ["/proc/version", "relative"])
def test_compiled_modules_go_elsewhere_where_there_is_no_place_for_caches(
    monkeypatch: pytest.MonkeyPatch, caches: str
) -> None:
    """A container may run as a user that nobody knows, with no home."""
    monkeypatch.setenv("XDG_CACHE_HOME", caches)
    elsewhere = modules.cache_folder()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 54321)

    assert modules.cache_folder() == elsewhere == Path(tempfile.gettempdir()) / f"flux-wasm-{os.geteuid()}"


def test_a_server_compiles_before_the_first_request(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Go takes seconds, which would be the first caller's. What cannot be compiled stops no other."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place(project.root, "bad", GUESTS["invalid"])
    place(project.root, "good", guest("(i64.const 77)"))
    registry = load(project)

    registry.generation.prepare()

    for thread in threading.enumerate():
        if thread.name == "flux-prepare":
            thread.join()
    assert len(list((tmp_path / "cache" / "flux" / "wasm").glob("*.cwasm"))) == 1

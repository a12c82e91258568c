"""Code in other languages is code: it is identified, packed, unpacked, watched and let go of like Python's."""

from __future__ import annotations

import subprocess
import threading
import time

import pytest

from flux.config import Project
from flux.deploy.bundle import pack, unpack
from flux.deploy.files import project_files
from flux.deploy.identity import code_sha
from flux.deploy.unpacked import link_packages
from flux.errors import NotAProject
from flux.gateway.reload import _Loaded
from flux.runtime import generation
from flux.runtime.generation import Generation
from flux.runtime.guests.found import Sources, sources

MODULE = b"\0asm\1\0\0\0"


@pytest.fixture
def project(tmp_path):
    """A function in TypeScript and one in Rust, whose module git does not have; all else is committed."""
    for name, text in {
        "flux.toml": '[project]\nname = "mixed"\n',
        ".gitignore": "build/\ntarget/\nnode_modules/\n.flux/\n",
        "deno.json": "{}",
        "functions/quote.ts": "export default 1",
        "functions/quote.test.ts": "",
        "functions/types.d.ts": "",
        "functions/billing/_shared.ts": "",
        "functions/billing/pay.ts": "",
        "functions/hello/flux.toml": '[function]\nname = "hello"\n[wasm]\nmodule = "build/hello.wasm"\n',
        "functions/hello/src/lib.rs": "fn main() {}",
        "functions/hello/src/help.ts": "",
        "functions/hello/target/junk.o": "junk",
        "node_modules/zod/index.js": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "functions/hello/build").mkdir()
    (tmp_path / "functions/hello/build/hello.wasm").write_bytes(MODULE)
    (tmp_path / "functions/hello/build/other.o").write_bytes(b"other")
    for line in ("init -q", "add .", "-c user.name=a -c user.email=a@b.c commit -qm first"):
        subprocess.run(["git", *line.split()], cwd=tmp_path, check=True)
    return tmp_path


def test_functions_of_other_languages_are_found(project):
    """Modules beside them, tests and types are none."""
    functions = project / "functions"

    assert sources(project) == Sources(
        typescript=(functions / "billing" / "pay.ts", functions / "quote.ts"), wasm=(functions / "hello",)
    )


def test_a_built_module_is_packed_though_git_ignores_it(project, tmp_path_factory):
    """A deployment without what it runs is none; a compiler's leftovers are not part of it."""
    bundle = pack(project)
    tree = tmp_path_factory.mktemp("unpacked") / "tree"
    unpack(bundle.packed, bundle.content_sha, tree)

    assert "functions/hello/build/hello.wasm" in bundle.files
    assert [name for name in bundle.files if "other.o" in name or "junk" in name or "zod" in name] == []
    assert (tree / "functions/hello/build/hello.wasm").read_bytes() == MODULE
    assert sources(tree).wasm == (tree / "functions" / "hello",)


def test_code_is_identified_by_its_modules_too(project):
    """The commit does not say what its module was built from; the module does."""
    before = code_sha(project)
    (project / "functions/hello/build/hello.wasm").write_bytes(MODULE + b"\0")
    changed = code_sha(project)
    (project / "functions/hello/build/hello.wasm").unlink()
    without = code_sha(project)

    assert before != changed
    assert [sha.partition("+")[1] for sha in (before, changed, without)] == ["+", "+", ""]


def test_a_module_that_git_has_needs_nothing_but_the_commit(project):
    """Some check their modules in; then the commit says all."""
    subprocess.run(["git", "add", "-f", "functions/hello/build/hello.wasm"], cwd=project, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "built"], cwd=project, check=True
    )

    assert "+" not in code_sha(project)


def test_a_module_outside_the_project_is_not_packed(project):
    """A bundle holds the project's files, whatever a flux.toml says."""
    (project / "functions/hello/flux.toml").write_text('[wasm]\nmodule = "../../../elsewhere.wasm"\n')
    (project.parent / "elsewhere.wasm").write_bytes(MODULE)

    assert [name for name in project_files(project) if name.endswith(".wasm")] == []


def test_npm_packages_are_those_of_this_machine(project, tmp_path):
    """As Python's packages are: a bundle holds what the project wrote."""
    tree = tmp_path / "tree"
    tree.mkdir()
    link_packages(tree, project)
    link_packages(tree, project)

    assert (tree / "node_modules" / "zod" / "index.js").exists()


def test_the_project_is_found_from_inside_a_function(project):
    """`flux build` is run where one works."""
    assert Project.find(project / "functions" / "hello" / "src").root == project
    with pytest.raises(NotAProject):
        (project / "flux.toml").unlink()
        Project.find(project / "functions" / "hello")


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("functions/quote.ts", True),
        ("functions/hello/flux.toml", True),
        ("functions/hello/build/hello.wasm", True),
        ("functions/hello/target/junk.o", False),
        ("functions/hello/src/lib.rs", False),
        ("functions/node_modules/zod/index.js", False),
        ("functions/billing/pay.py", True),
        ("db/migrations/0001_tables.sql", True),
        ("deno.json", True),
    ],
)
def test_only_what_is_loaded_is_watched(project, path, seen):
    """A compiler writes hundreds of files; a load for each would stop everything."""
    assert _Loaded(project / "functions")(1, str(project / path)) is seen


class _Guest:
    closed = 0

    def close(self):
        self.closed += 1


def test_guests_live_until_their_last_request_has_ended(monkeypatch):
    """A reload must harm nobody who is still at it, and nothing may be left behind."""
    monkeypatch.setattr(generation, "LINGER", 0.01)
    guest, go_on, inside = _Guest(), threading.Event(), threading.Event()
    made = Generation([guest])

    def request():
        with made.in_use():
            inside.set()
            go_on.wait(5)

    thread = threading.Thread(target=request)
    thread.start()
    inside.wait(5)
    made.retire()
    time.sleep(0.1)
    still = guest.closed
    go_on.set()
    thread.join()
    for _ in range(100):
        if guest.closed:
            break
        time.sleep(0.01)
    made.close()

    assert (still, guest.closed) == (0, 1)

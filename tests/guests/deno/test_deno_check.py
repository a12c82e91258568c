"""Types are checked where code is worked on and deployed, and never where it runs."""

from __future__ import annotations

import time

import pytest
from click.testing import CliRunner

from flux.cli import main
from flux.errors import GuestUnusable, TypesWrong
from flux.gateway.types import TypeChecker
from flux.runtime.guests.deno.check import type_faults

WRONG = """import { defineFunction } from "flux";

export default defineFunction({
  input: { type: "object", required: ["count"], properties: { count: { type: "integer" }, note: { type: "string" } } },
  handler: (ctx, { count, note }) => {
    const text: string = count;
    return text + note.length + ctx.db.won;
  },
});
"""


@pytest.fixture
def project(tmp_path):
    """A project whose types are wrong in three places; it loads."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "flux.toml").write_text('[project]\nname = "types"\n')
    (tmp_path / "functions" / "wrong.ts").write_text(WRONG)
    return tmp_path


def test_type_errors_are_told_by_line_and_column(project):
    """The input's types come from its schema: an integer is no text, and what is not required may be missing."""
    found = [(fault.file, fault.line, fault.column, fault.code) for fault in type_faults(project)]

    assert found == [
        ("functions/wrong.ts", 6, 11, "TS2322"),
        ("functions/wrong.ts", 7, 19, "TS18048"),
        ("functions/wrong.ts", 7, 40, "TS2339"),
    ]


def test_what_imports_from_node_is_checked_without_packages(project):
    """Deno brings the types of node: itself; a project without packages has no other ones."""
    (project / "functions" / "wrong.ts").write_text(
        'import crypto from "node:crypto";\nexport const sum: number = crypto;\n'
    )

    found = [(fault.file, fault.line, fault.column, fault.code) for fault in type_faults(project)]

    assert found == [("functions/wrong.ts", 2, 14, "TS2322")]


def test_what_imports_from_node_says_which_package_has_its_types(project):
    """With packages of its own, a project gets every type from them."""
    (project / "functions" / "wrong.ts").write_text('import "node:crypto";\n')
    (project / "node_modules").mkdir()

    with pytest.raises(GuestUnusable) as failed:
        type_faults(project)

    assert failed.value.hint == "Run `deno add npm:@types/node` in the project."


def test_type_errors_are_told_wherever_the_project_lies(project):
    """A folder may be called anything."""
    odd = project / "100% of #1, %41 ü"
    odd.mkdir()
    (project / "functions").rename(odd / "functions")

    assert {fault.file for fault in type_faults(odd)} == {"functions/wrong.ts"}


def test_a_deployment_with_type_errors_is_refused(project, monkeypatch):
    """Production is a bad type checker."""
    monkeypatch.chdir(project)

    refused = CliRunner().invoke(main, ["deploy", "--dry-run"])
    (project / "functions" / "wrong.ts").write_text(
        WRONG.replace("= count", '= ""').replace(" + note.length + ctx.db.won", "")
    )
    taken = CliRunner().invoke(main, ["deploy", "--dry-run"])

    assert refused.exit_code == 1
    assert "3 type errors in the bundle" in refused.stderr
    assert "functions/wrong.ts:6:11: Type 'number' is not assignable to type 'string'. (TS2322)" in refused.stderr
    assert taken.exit_code == 0, taken.stderr


def test_work_goes_on_with_type_errors_and_they_are_told(project):
    """Half a thought has to run, too."""
    told = []
    checker = TypeChecker(project, told.append)

    checker.start()
    deadline = time.monotonic() + 60
    while not told and time.monotonic() < deadline:
        time.sleep(0.05)
    checker.stop()

    [error] = told
    assert isinstance(error, TypesWrong)
    assert error.message.startswith(
        "3 type errors, with which the functions run all the same\n  functions/wrong.ts:6:11: "
    )

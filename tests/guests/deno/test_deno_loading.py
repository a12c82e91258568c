"""What cannot be loaded says where and why, and keeps nothing else from being served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flux.config import Project
from flux.errors import ToolMissing
from flux.runtime.guests.deno import guest as deno_guest
from flux.runtime.guests.guest import Loaded
from flux.runtime.loader import Registry, load

IMPORT = 'import { defineFunction } from "flux";\n'
GOOD = IMPORT + 'export default defineFunction({ route: "GET /good", handler: () => "good" });\n'

Loader = Callable[..., Registry]


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of the project; a test may say by its parameter what it is called."""
    if hasattr(request, "param"):
        tmp_path /= request.param
        tmp_path.mkdir()
    return tmp_path


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loader]:
    """Loads a project of these files below functions/, or anywhere."""
    registries = []

    def make(**files: str) -> Registry:
        (tmp_path / "flux.toml").write_text('[project]\nname = "loading"\n')
        for name, text in files.items():
            path = tmp_path / (name if "/" in name else f"functions/{name}.ts")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        registries.append(load(Project.load(tmp_path)))
        return registries[-1]

    yield make
    for registry in registries:
        registry.close()


def test_each_module_that_cannot_be_loaded_says_why_and_the_others_are_served(loaded, monkeypatch):
    """A mistake in one file is a mistake in one file."""
    monkeypatch.setattr(deno_guest, "IMPORT_PATIENCE", 1.0)

    registry = loaded(
        good=GOOD,
        syntax=IMPORT + 'export default defineFunction({ route: "POST /broken",\n  handler: () => { const = 1 } });\n',
        endless=IMPORT + "await new Promise(() => {});\nexport default defineFunction({ handler: () => 1 });\n",
        spinning="for (;;);\n",
        package='import { z } from "zod";\n' + GOOD.replace("/good", "/zod"),
        missing='import { x } from "./gone.ts";\n',
        thrown='\nconst limits: { most: number } = JSON.parse("null");\nexport const most = limits.most;\n',
        away='import "https://example.com/x.ts";\n',
        stranger='import { readFileSync } from "node:fs";\nreadFileSync("/etc/passwd");\n',
        route=IMPORT + '\nexport default defineFunction({ route: "FETCH /x" as "GET /x", handler: () => 1 });\n',
        option=IMPORT + "export default defineFunction({ handler: () => 1, retries: 3 } as never);\n",
        twice=IMPORT + 'export const one = defineFunction({ name: "good", handler: () => 1 });\n',
        zlast=GOOD.replace("/good", "/last"),
    )

    broken = {one.file.removeprefix("functions/"): one for one in registry.broken}
    said = {name: (one.line, one.message) for name, one in broken.items()}
    assert sorted(registry.functions) == ["good", "zlast"]
    assert said["syntax.ts"][0] == 3
    assert said["syntax.ts"][1].startswith("SyntaxError: ")
    assert broken["syntax.ts"].routes == (("POST", "/broken"),)
    assert said["endless.ts"] == (1, "its top level had not ended after 1 s")
    assert said["spinning.ts"] == (1, "its top level had not ended after 1 s")
    assert said["package.ts"][0] == 1
    assert '"zod"' in said["package.ts"][1]
    assert broken["package.ts"].hint == "Run `deno add npm:zod` in the project."
    assert "gone.ts" in said["missing.ts"][1]
    assert said["thrown.ts"] == (3, "TypeError: Cannot read properties of null (reading 'most')")
    assert "example.com" in said["away.ts"][1]
    assert "npm" in (broken["away.ts"].hint or "")
    assert said["stranger.ts"][0] == 2
    assert "Requires read access" in said["stranger.ts"][1]
    assert said["route.ts"] == (3, "the route of route is 'FETCH /x'")
    assert said["option.ts"] == (2, "option has no option retries")
    assert "already the name of a function" in said["twice.ts"][1]
    assert broken["twice.ts"].hint == 'Give one of them another name: defineFunction({ name: "…" }).'
    assert len(broken) == 11


def test_flux_is_known_to_a_project_without_a_deno_json(loaded):
    """The first function should need nothing but itself."""
    registry = loaded(good=GOOD)

    assert list(registry.functions) == ["good"]


def test_a_deno_json_without_flux_says_what_it_lacks(loaded):
    """The words of an import map help nobody who has never made one."""
    registry = loaded(good=GOOD, **{"./deno.json": "{}"})

    [broken] = registry.broken
    assert broken.hint == 'Add "flux" to the imports of deno.json: `flux init --template ts` shows how.'


def test_packages_of_npm_are_found_where_they_are_installed(loaded):
    """Without a network, without a lock, without writing anything: it is there or it is not."""
    registry = loaded(
        uses=IMPORT
        + 'import { pad } from "pad";\nimport { helper } from "./_own/helper.ts";\n'
        + "export default defineFunction({ name: pad(helper), handler: () => 1 });\n",
        **{
            "functions/_own/helper.ts": 'export const helper: string = "padded";\n',
            "./deno.json": '{"imports": {"flux": "./sdk/flux.ts", "pad": "npm:pad@^1"}, "nodeModulesDir": "auto"}',
            "./sdk/flux.ts": (Path(deno_guest.__file__).parents[3] / "sdk/typescript/flux.ts").read_text(),
            "node_modules/pad/package.json": '{"name": "pad", "version": "1.2.0", "main": "index.js"}',
            "node_modules/pad/index.js": "exports.pad = (text) => text + '_' + require('depth');\n",
            "node_modules/depth/package.json": '{"name": "depth", "version": "1.0.0", "main": "index.js"}',
            "node_modules/depth/index.js": "module.exports = 'x';\n",
        },
    )

    assert [*registry.functions, *registry.broken] == ["padded_x"]


def test_a_schema_of_zods_is_its_json_schema_and_its_own(loaded):
    """What JSON Schema cannot say, such as a transformation, is still the schema's to say."""
    registry = loaded(
        zod=IMPORT
        + """
const schema = {
  parse: (value: unknown) => value as { email: string },
  safeParse: (value: { email: string }) =>
    value.email.includes("@")
      ? { success: true, data: { email: value.email.toLowerCase() } }
      : { success: false, error: { issues: [{ path: ["email"], message: "no @ in it" }] } },
  toJSONSchema: () => ({ type: "object", properties: { email: { type: "string" } }, required: ["email"] }),
};
export default defineFunction({ input: schema, handler: (_, { email }) => email });
"""
    )

    assert registry.broken == ()
    assert registry.functions["zod"].arguments.names == ("email",)


def test_without_deno_each_function_says_how_to_get_it(tmp_path, monkeypatch):
    """Deno is an extra; Python's functions do without."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "flux.toml").write_text('[project]\nname = "none"\n')
    file = tmp_path / "functions" / "good.ts"
    file.write_text(GOOD)
    missing = ToolMissing("deno, which runs functions in TypeScript, is not installed", hint="Install it.")

    def find() -> str:
        raise missing

    monkeypatch.setattr(deno_guest, "find_deno", find)

    told: Loaded = deno_guest.DenoGuest(Project.load(tmp_path), [file]).load()

    [broken] = told.broken
    assert (broken.message, broken.hint, broken.routes) == (missing.message, missing.hint, (("GET", "/good"),))


@pytest.mark.parametrize("tmp_path", ["od d #1, %41 ü", "100%"], indirect=True)
def test_a_project_may_lie_anywhere(loaded):
    """Paths, addresses and arguments write spaces, commas and percent signs each in another way."""
    registry = loaded(
        **{"grüße #1": GOOD.replace("route:", 'name: "good", route:')},
        thrown="const none: any = null;\nnone.most();\n",
        syntax="const = 1;\n",
        twice=IMPORT + 'export default defineFunction({ name: "good", handler: () => 1 });\n',
    )

    assert registry.functions["good"].file == str(registry.root / "functions" / "grüße #1.ts")
    assert sorted((one.file, one.line) for one in registry.broken) == [
        ("functions/syntax.ts", 1),
        ("functions/thrown.ts", 2),
        ("functions/twice.ts", 2),
    ]

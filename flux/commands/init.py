"""flux init: a project that runs, from a template, beside whatever the folder holds already."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import click

from flux.commands.options import style_options
from flux.errors import CannotWrite
from flux.presenters.style import Style

TEMPLATES = Path(__file__).parent.parent / "templates"
SDK = Path(__file__).parent.parent / "sdk"

#: The template of what every project has, whatever its functions are written in.
EVERY = "every"

#: A template's list of what it takes of the SDKs: paths in the project, and where below SDK each comes from.
TAKEN = "sdk.toml"

#: What --template takes, and its folder; each is the same small function.
CHOICES = {
    "python": "python",
    "ts": "typescript",
    "rust": "rust",
    "go": "go",
    "java": "java",
    "python-wasm": "python-wasm",
    "php": "php",
    "assemblyscript": "assemblyscript",
}

#: What a folder may have of its own; it is left as it is.
KEPT = (".gitignore", "README.md")


@click.command
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option(
    "--template", type=click.Choice(list(CHOICES)), default="python", show_default=True, help="What to start from."
)
@style_options
def init(folder: Path, template: str, style: Style) -> None:
    """Make a project in DIR, which is this folder unless named: one function, one table, and what to do next.

    Nothing is overwritten: where one of its files is there already, it makes none and says which.
    """
    from flux.presenters.answer import present_json
    from flux.presenters.project import is_built, present_project

    root = folder.resolve()
    name = re.sub(r"[^\w.-]+", "-", root.name).strip("-") or "app"
    files = template_files(CHOICES[template])
    build = "flux build\n" if any(is_built(path) for path in files) else ""
    files = {path: text.replace("{project}", name).replace("{build}", build) for path, text in files.items()}
    there = [path for path in files if (root / path).exists() or (root / path).is_symlink()]
    in_the_way = [path for path in there if path not in KEPT]
    if in_the_way:
        raise CannotWrite(f"{root} already has {', '.join(in_the_way)}", hint="Name a new folder: `flux init DIR`.")
    made = [path for path in files if path not in there]
    write_files(root, {path: files[path] for path in made})
    if style.json:
        present_json({"name": name, "root": str(root), "made": made, "kept": there})
    else:
        present_project(folder, made, there, style)


def template_files(template: str) -> dict[str, str]:
    """The text of each file of a template by its path in the project, in the order to read them."""
    found: dict[str, Path] = {}
    for root in (TEMPLATES / EVERY, TEMPLATES / template):
        found |= {
            path.relative_to(root).as_posix().removesuffix(".template"): path for path in root.rglob("*.template")
        }
    taken = TEMPLATES / template / TAKEN
    if taken.exists():
        found |= {path: SDK / source for path, source in tomllib.loads(taken.read_text("utf-8")).items()}
    return {path: found[path].read_text("utf-8") for path in sorted(found, key=lambda path: (path.count("/"), path))}


def write_files(root: Path, files: dict[str, str]) -> None:
    """Write new files, all of them or none; raises CannotWrite."""
    written: list[Path] = []
    try:
        for name, text in files.items():
            path = root / name
            for folder in reversed(path.parents):
                if not folder.exists():
                    folder.mkdir()
                    written.append(folder)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in reversed(written):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        reason = (error.strerror or str(error)).lower()
        raise CannotWrite(
            f"cannot make a project in {root}: {reason}", hint="Name another folder: `flux init DIR`."
        ) from error

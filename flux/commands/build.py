"""flux build: the WebAssembly modules of this project's functions, from their sources."""

from __future__ import annotations

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.presenters.style import Style


@click.command
@click.argument("names", nargs=-1, metavar="[NAME]...")
@answer_options
@click.pass_obj
@click.pass_context
def build(context: click.Context, project: Project, names: tuple[str, ...], style: Style) -> None:
    """Build the WebAssembly modules of functions, of all where none is named.

    Runs the `build` of each function's flux.toml in its folder, sees that the module keeps to the ABI, makes its
    snapshot where it asks for one, and compiles it to the machine code that requests run. Exit code 1 when a module
    could not be built; the others are built all the same.
    """
    from flux.errors import FluxError
    from flux.presenters.builds import Report
    from flux.runtime.guests.wasm.build import build as make
    from flux.runtime.guests.wasm.build import folders

    report = Report(style, project.root)
    for name, folder in folders(project.root, names).items():
        report.begun(name)
        try:
            report.built(make(folder, project.root))
        except FluxError as error:
            report.failed(name, error.message, error.hint)
    report.ended()
    if report.failures:
        context.exit(1)

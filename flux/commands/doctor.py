"""flux doctor: is everything that should be recorded recorded, and if not, why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version

import click

from flux.commands.options import answer_options
from flux.config import Project
from flux.errors import FluxError, NotInstalled
from flux.presenters.doctor import Finding, doctor_lines
from flux.presenters.style import Style


@click.command
@answer_options
@click.pass_obj
def doctor(project: Project, style: Style) -> None:
    """What is well and what is not: database, installation, tables not recorded, functions that do not load.

    Exit code 1 when there is a problem, 3 when the database cannot be reached, 4 when Flux is not installed in it.
    """
    from flux.presenters.answer import present, present_json

    findings = [Finding("project", "ok", f"{project.name} in {project.root}")]
    code = 0
    try:
        for finding in _database(project):
            findings.append(finding)
    except FluxError as error:
        code = error.exit_code
        subject = "installed" if isinstance(error, NotInstalled) else "database"
        findings.append(Finding(subject, "problem", error.message, error.hint))
        findings.append(Finding("tracking", "unknown", "could not be looked at"))
    findings += _functions(project)
    if style.json:
        present_json([asdict(finding) for finding in findings])
    else:
        present(doctor_lines(findings, style.width), style)
    if code or any(finding.state == "problem" for finding in findings):
        raise click.exceptions.Exit(code or 1)


def _database(project: Project) -> Iterator[Finding]:
    from flux.engine.installer import status
    from flux.engine.questions import asking
    from flux.engine.server import database
    from flux.presenters.moments import local_zone

    with database(project) as url, asking(url, local_zone()) as questions:
        server = questions.server()
        where = "named by the project" if project.database_url else "embedded"
        yield Finding(
            "database", "ok", f"PostgreSQL {server['version']}, {where}, {server['name']} as {server['role']}"
        )
        installed = status(url, project)
        if not installed.installed:
            raise NotInstalled("Flux is not installed in this database", hint="Run `flux db migrate`.")
        for what, labels in (
            ("to be run", installed.pending),
            ("edited after it ran", installed.changed),
            ("changed by hand", installed.drifted),
            ("not known to this version", installed.unknown),
            ("setting not yet written", installed.settings),
            ("not as db/policies.toml made it", installed.policies),
        ):
            for label in labels:
                yield Finding(
                    "installed", "problem", f"{label}: {what}", "Run `flux db status`, then `flux db migrate`."
                )
        if installed.current:
            yield Finding("installed", "ok", "everything, as in the files")
        for row in questions.ask("doctor"):
            yield Finding(**row)


def _ran_by(language: str, runtime: str | None) -> str:
    """A language, and what runs it in which version where that is not Python itself."""
    return f"{language} on {runtime} {version(runtime)}" if runtime else language


def _wasmtime() -> Iterator[Finding]:
    from flux.runtime.guests.wasm.capi import WRITTEN_FOR, missing

    if missing:
        yield Finding(
            "wasmtime",
            "note",
            f"its slower interface is used: {', '.join(missing)}",
            f"Install the version that Flux is written for: `pip install wasmtime=={WRITTEN_FOR}`.",
        )


def _functions(project: Project) -> Iterator[Finding]:
    from flux.runtime.loader import load

    registry = load(project)
    registry.close()
    count = len(registry.functions)
    if count or not registry.broken:
        yield Finding("functions", "ok" if count else "note", f"{count} function{'' if count == 1 else 's'} loaded")
    kinds = Counter((function.language, function.runtime) for function in registry.functions.values())
    if any(runtime for _, runtime in kinds):
        counted = [f"{number} {_ran_by(*kind)}" for kind, number in sorted(kinds.items(), key=str)]
        yield Finding("languages", "ok", ", ".join(counted))
    if any(runtime == "wasmtime" for _, runtime in kinds):
        yield from _wasmtime()
    for broken in registry.broken:
        yield Finding("functions", "problem", str(broken), broken.hint)

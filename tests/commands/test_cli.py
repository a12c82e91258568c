"""The command line itself: finding commands, telling errors, exit codes, colours, and what a pipe may do to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flux.cli import COMMANDS, main
from flux.config import Project
from flux.errors import NotRecorded

FLUX = Path(sys.executable).with_name("flux")
HEAVY = {
    "falcon",
    "gunicorn",
    "psycopg",
    "sqlglot",
    "rich",
    "msgspec",
    "orjson",
    "watchfiles",
    "wasmtime",
    "urllib3",
    "textual",
}


@pytest.fixture
def flux(project, monkeypatch):
    """Runs a command line in the project's folder; its output goes into a pipe."""
    monkeypatch.chdir(project.root)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def raising(error):
    """Something that takes what it is given and raises."""

    def fail(*_):
        raise error

    return fail


def fresh(program):
    """What a new Python prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_help_loads_no_library_of_the_server():
    """The list of commands needs neither HTTP nor Postgres."""
    program = (
        "import sys, flux.cli\ntry: flux.cli.main(['--help'])\nexcept SystemExit: print(*sys.modules, file=sys.stdout)"
    )

    loaded = {module.partition(".")[0] for module in fresh(program).split()}

    assert "click" in loaded
    assert not loaded & HEAVY


def test_help_lists_every_command_with_a_whole_sentence(flux):
    """Half a sentence and dots would send people to another page."""
    help_ = flux("--help").stdout

    assert re.findall(r"^  (\w+)  ", help_.partition("Commands:")[2], re.MULTILINE) == list(COMMANDS)
    assert "..." not in help_.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_needs_no_project(command, tmp_path, monkeypatch):
    """Help is read before there is anything."""
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, [command, "--help"])

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {command} ")


def test_version_is_that_of_the_package(flux):
    """The first thing a report of a fault needs."""
    assert re.fullmatch(r"flux \d+\.\d+\.\d+\n", flux("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tarce"], "error: no such command 'tarce'"),
        (["trace", "--limit", "x"], "error: invalid value for '--limit': 'x' is not a valid integer range"),
        (["why"], "error: missing argument 'ID'"),
        (["--nope"], "error: no such option '--nope'"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_the_help(flux, arguments, said):
    """A script can tell a typo from an answer."""
    result = flux(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith(said)
    assert not first.endswith(".")
    assert re.fullmatch(r"hint: Run `main.* --help`\.", second)


def test_outside_a_project_the_way_in_is_named(tmp_path, monkeypatch):
    """The first error of a newcomer ends with the command that helps."""
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["trace"])

    assert result.exit_code == 2
    assert result.stderr == (
        f"error: no flux.toml in {tmp_path} or a folder above\nhint: Run `flux init` to make a project here.\n"
    )


def test_a_broken_flux_toml_is_named_with_its_line(flux, project):
    """Settings are edited by hand."""
    (project.root / "flux.toml").write_text('[project]\nname = "shop\n')

    result = flux("trace")

    assert result.exit_code == 2
    assert re.match(r"error: .*flux\.toml: .*line 2", result.stderr)


def test_no_database_exits_with_3(flux, monkeypatch):
    """Nobody may take an unreachable database for an empty one."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    result = flux("trace")

    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")


def test_a_database_without_flux_exits_with_4(flux, bare_url, monkeypatch):
    """Not installed is another thing than nothing recorded."""
    monkeypatch.setenv("DATABASE_URL", bare_url)

    result = flux("trace")

    assert result.exit_code == 4
    assert "flux db migrate" in result.stderr


def test_an_answer_of_no_exits_with_1(flux, database_url, monkeypatch):
    """What was not found is not an error of usage, and not success."""
    monkeypatch.setenv("DATABASE_URL", database_url)

    assert flux("why", "4f9a3b2c").exit_code == 1


def test_every_line_of_an_error_is_told_and_none_is_obeyed(flux, monkeypatch):
    """Errors list matches below each other, and may quote what a stranger sent."""
    error = NotRecorded("two match\n  first \x1b[2J\n  second", hint="Give more digits.")
    monkeypatch.setattr(Project, "find", raising(error))

    result = flux("trace")

    assert result.exit_code == 1
    assert result.stderr == "error: two match\n  first \\x1b[2J\n  second\nhint: Give more digits.\n"


def test_a_fault_in_flux_is_not_taken_for_an_answer(flux, monkeypatch):
    """Python would exit with 1 for it, which means no."""
    monkeypatch.setattr(Project, "find", raising(ValueError("boom")))

    result = flux("trace")

    assert result.exit_code == 70
    assert result.stderr.startswith("error: internal error: ValueError: boom\nhint: ")
    assert "Traceback" not in result.stderr


def test_a_fault_in_flux_shows_its_place_when_asked(flux, monkeypatch):
    """Who reports it needs the stack."""
    monkeypatch.setenv("FLUX_TRACEBACK", "1")
    monkeypatch.setattr(Project, "find", raising(ValueError("boom")))

    assert isinstance(flux("trace").exception, ValueError)


def test_an_interrupt_exits_with_130_and_no_stack(flux, monkeypatch):
    """Ctrl-C is not a failure to report."""
    monkeypatch.setattr(Project, "find", raising(KeyboardInterrupt()))

    result = flux("trace")

    assert result.exit_code == 130
    assert result.stderr.strip() == ""


@pytest.mark.parametrize(
    ("environment", "arguments", "coloured"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "1"}, ["--no-color"], False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"CLICOLOR_FORCE": "0"}, [], False),
    ],
)
def test_colours_go_where_they_are_wanted(flux, bare_url, monkeypatch, environment, arguments, coloured):
    """A pipe gets none, unless it is asked to; who wants none gets none."""
    for name, value in {**environment, "DATABASE_URL": bare_url}.items():
        monkeypatch.setenv(name, value)

    answered, failed = flux("db", "status", *arguments), flux("trace", *arguments)

    assert ("\x1b[" in answered.stdout) is coloured
    assert ("\x1b[31merror:" in failed.stderr) is coloured


@pytest.mark.parametrize("arguments", [["--help"], ["db", "url"]])
def test_a_reader_that_goes_away_gets_no_stack(project, arguments):
    """`flux … | head` closes the pipe early."""
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "DATABASE_URL": "postgresql://somewhere/else"}

    done = subprocess.run(
        [FLUX, *arguments], cwd=project.root, env=environment, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)

    assert done.returncode == 1
    assert done.stderr == b""


def test_a_terminal_without_unicode_still_gets_its_answer(database_url, project):
    """A tick that cannot be shown must not hide whether all is well."""
    environment = {**os.environ, "DATABASE_URL": database_url, "PYTHONIOENCODING": "latin-1"}

    done = subprocess.run(
        [sys.executable, "-c", "from flux.cli import main; main(['db', 'status'])"],
        cwd=project.root, env=environment, capture_output=True, check=False,
    )  # fmt: skip

    assert b"\\u2714 PostgreSQL 18" in done.stdout
    assert b"error" not in done.stderr

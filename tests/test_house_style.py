"""The house style, as far as a machine can check it: what ruff, mypy, sqlfluff and import-linter do not know."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click
import psycopg
import pytest
from click.testing import CliRunner
from story import UNIQUE, failed_columns, failing, handing_on, queueing, request, settle, told

from flux import errors
from flux.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "flux").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SPEAKING = [*MODULES, *PAGES, *sorted((ROOT / "db").rglob("*.sql")), *sorted((ROOT / "examples").rglob("*.py"))]

#: Modules that are one thought and longer than 300 lines; no others may become so.
LONG = {"flux/engine/transaction.py", "flux/errors.py", "flux/runtime/runtime.py"}

#: Commands that run until they are stopped; their own tests run them.
ENDLESS = {"dev", "serve", "tail", "worker"}

#: Its exit code is about the server, and that of the tests is not durable, for speed.
MAY_SAY_NO = {"doctor"}

#: A request that failed just now.
NOW = UUID("0e110000-0000-4000-8000-000000000006")

#: Where a command is tested whose test is not called like it.
TESTED_BY = {"serve": "test_processes.py"}


def name_of(path):
    """A file as the tests call it."""
    return path.relative_to(ROOT).as_posix()


def sql_files(*folders):
    """The files that each make one object."""
    return [
        pytest.param(path, id=name_of(path))
        for folder in folders
        for path in sorted((ROOT / "db" / folder).glob("*.sql"))
    ]


def every_command(command=main, path=()):
    """Each command with the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from every_command(command.get_command(context, name), (*path, name))


COMMAND_LINES = dict(every_command())


# The database


def test_every_object_has_its_comment(connection):
    """A comment is the help of the view and the manual of the table, also in psql."""
    silent = connection.execute("""
        select 'schema ' || nspname
        from pg_namespace
        where nspname = 'flux' and obj_description(oid, 'pg_namespace') is null
        union all
        select 'relation ' || relname
        from pg_class
        where relnamespace = 'flux'::regnamespace and relkind in ('r', 'p', 'v', 'm') and not relispartition
            and obj_description(oid, 'pg_class') is null
        union all
        select format('column %s.%s', relname, attname)
        from pg_class
        join pg_attribute on attrelid = pg_class.oid
        where relnamespace = 'flux'::regnamespace and relkind in ('r', 'p', 'v', 'm') and not relispartition
            and attnum > 0 and not attisdropped and col_description(attrelid, attnum) is null
        union all
        select 'function ' || oid::regprocedure
        from pg_proc
        where pronamespace = 'flux'::regnamespace and obj_description(oid, 'pg_proc') is null
    """).fetchall()

    assert silent == []


def test_every_definer_function_pins_its_search_path(connection):
    """Otherwise whoever calls it chooses which functions run with its owner's rights."""
    open_ = connection.execute("""
        select oid::regprocedure::text
        from pg_proc
        where pronamespace = 'flux'::regnamespace and prosecdef
            and not coalesce(proconfig @> array['search_path=""'], false)
    """).fetchall()

    assert open_ == []


@pytest.mark.parametrize("path", sql_files("functions", "triggers"))
def test_a_function_file_makes_the_function_of_its_name(path):
    """Who looks for a function opens the file; the installer relies on it too."""
    text = path.read_text()

    assert set(re.findall(r"^create (?:or replace )?(?:function|procedure) (\S+?)\(", text, re.MULTILINE)) == {
        f"flux.{path.stem}"
    }
    assert f"comment on function flux.{path.stem}(" in text
    assert not re.search(r"^create (or replace )?(view|table|index|type|role)\b", text, re.MULTILINE)


@pytest.mark.parametrize("path", sql_files("views"))
def test_a_view_file_makes_the_view_of_its_name(path):
    """File, view and question are one word."""
    text = path.read_text()

    assert re.findall(r"^create (\S.*?) as\b", text, re.MULTILINE) == [f"or replace view flux.{path.stem}"]
    assert f"comment on view flux.{path.stem} is" in text


def test_migrations_are_numbered_without_a_gap_and_make_no_function_or_view():
    """They run once, in this order; what can be made anew has a file of its own."""
    paths = sorted((ROOT / "db" / "migrations").glob("*"))

    assert [path.name[:5] for path in paths] == [f"{number:04}_" for number in range(1, len(paths) + 1)]
    for path in paths:
        assert not re.search(r"create (or replace )?(function|procedure|view)\b", path.read_text()), path.name


# Python


def test_modules_are_nouns_that_own_something():
    """A module called utils is where everything goes that nobody thought about."""
    assert not [
        name_of(path) for path in MODULES if path.stem in ("utils", "helpers", "common", "base", "manager", "misc")
    ]


def test_modules_can_be_read_at_one_sitting():
    """Under 300 lines; what is longer is known, and only becomes less."""
    assert {name_of(path) for path in MODULES if len(path.read_text().splitlines()) >= 300} <= LONG


def test_error_codes_are_unique_and_errors_speak_one_voice():
    """A code is an SQLSTATE and a name for a search engine; reused, it means nothing."""
    classes = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.FluxError)
    ]

    assert len({found.code for found in classes}) == len(classes)
    for found in classes:
        assert re.fullmatch(r"XF\d{3}", found.code)
        assert found.exit_code in (1, 2, 3, 4)
        message = (found.__doc__ or "").strip()
        assert message, found
        if not issubclass(found, errors.HTTPError | errors.FetchFailed) or found is errors.FetchTimeout:
            assert message[0].islower(), found
            assert not message.endswith("."), found


@pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in TESTS])
def test_every_test_says_why_it_matters(path):
    """A test that fails in a year is judged by this sentence."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), node.name


# The command line


@pytest.mark.parametrize("path", COMMAND_LINES, ids=" ".join)
def test_a_command_and_its_options_have_help(path):
    """What --help does not say is found by nobody."""
    command = COMMAND_LINES[path]

    assert command.help
    assert command.help.splitlines()[0][0].isupper()
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help.endswith("."), option.name


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_page_and_its_test(name):
    """The same word names the command, the page and the test."""
    page = (ROOT / "docs" / "commands" / f"{name}.md").read_text()

    assert page.startswith(f"# flux {name}\n")
    assert [path for path in TESTS if path.name == TESTED_BY.get(name, f"test_{name}.py")]
    for path, command in COMMAND_LINES.items():
        if path[0] == name:
            assert f"flux {' '.join(path)}" in page
            options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
            described = set(re.findall(r"(?<![\w-])--[a-z-]+", page))
            assert options - {"--json", "--no-color"} <= described


def test_every_page_of_a_command_has_its_command():
    """A page about what is no more misleads."""
    assert {path.stem for path in (ROOT / "docs" / "commands").glob("*.md")} == set(COMMANDS)


def spoken_lines():
    """Each `flux …` in backticks, in hints, comments and pages, with the files that say it."""
    said = {}
    for path in SPEAKING:
        for line in re.findall(r"`(flux [a-z][^`\n]*)`", path.read_text()):
            said.setdefault(line, []).append(name_of(path))
    return said


@pytest.mark.parametrize(
    ("line", "files"), list(spoken_lines().items()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_that_is_spoken_of_exists(line, files):
    """A hint that cannot be followed is worse than none."""
    words = re.sub(r"\{[^}]*\}|'[^']*'", "X", line).split()[1:]
    path = tuple(itertools.takewhile(re.compile(r"[a-z]+").fullmatch, words))

    found = next((path[:length] for length in (2, 1) if path[:length] in COMMAND_LINES), None)

    group = COMMANDS.get(path[0]) and isinstance(main.get_command(click.Context(main), path[0]), click.Group)
    assert found or (group and len(path) == 1), files
    if found and found != ("db", "shell"):
        known = {option for parameter in COMMAND_LINES[found].params for option in parameter.opts}
        assert not [
            word for word in words if word.startswith("--") and word.partition("=")[0] not in {*known, "--help"}
        ], files


def test_no_two_test_files_share_a_name():
    """Pytest would import one of them in place of the other, and only where both are run."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))

    assert [name for name, times in names.items() if times > 1] == []


def documented_lines():
    """Each `$ flux …` of a console block in a page."""
    for page in PAGES:
        for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in re.findall(r"^\$ (flux .*)$", block, re.MULTILINE):
                yield pytest.param(line, id=f"{page.stem}: {line}")


@pytest.fixture(scope="module")
def story(new_database, tmp_path_factory):
    """A project whose past is that of the pages and a failure of just now, with the function they call."""
    project = queueing(handing_on(told(new_database(), tmp_path_factory.mktemp("story"))))
    settle(project)
    now = datetime.now(UTC).isoformat()
    failed = failing(NOW, "insert users", "insert into users …", dict(UNIQUE))
    with psycopg.connect(project.database_url) as connection:
        request(connection, NOW, now, failed, **failed_columns(UNIQUE))
    (project.root / "functions" / "users.py").write_text(
        "from flux import function\n\n\n@function(route='POST /signup')\ndef create_user(ctx, email: str) -> dict:\n"
        "    return ctx.db.one('insert into users (id, email) values (1, %s) returning id', email + '.org')\n"
    )
    return project


@pytest.mark.parametrize("line", list(documented_lines()))
def test_every_documented_command_line_runs(story, monkeypatch, line):
    """What is copied from a page must work."""
    monkeypatch.chdir(story.root)
    words = shlex.split(line)[1:]
    if words[0] in ENDLESS:
        COMMAND_LINES[(words[0],)].make_context(words[0], words[1:])
        return
    if words[:2] == ["db", "shell"]:
        subprocess.run([Path(sys.executable).with_name("flux"), *words], check=True, capture_output=True)
        return

    result = CliRunner().invoke(main, words)

    assert result.exit_code == 0 or (result.exit_code == 1 and words[0] in MAY_SAY_NO), result.output
    assert result.stdout


def test_the_story_of_the_pages_is_there(story):
    """Without it, the pages' commands would run over nothing."""
    with psycopg.connect(story.database_url) as connection:
        assert connection.execute("select count(*) from flux.requests").fetchone()[0] >= 5

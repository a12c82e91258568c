"""flux db: bringing a database up to date, seeing how it differs, getting into it, choosing what is recorded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from flux.cli import main

FLUX = Path(sys.executable).with_name("flux")
NOTES = "create table notes (id bigint generated always as identity primary key, body text);"


@pytest.fixture
def project(project, monkeypatch):
    """A project with one migration, in whose folder the test stands."""
    (project.root / "db" / "migrations").mkdir(parents=True)
    (project.root / "db" / "migrations" / "0001_notes.sql").write_text(NOTES)
    monkeypatch.chdir(project.root)
    return project


@pytest.fixture
def flux(project, bare_url, monkeypatch):
    """Runs a command line in the project, whose database begins empty."""
    monkeypatch.setenv("DATABASE_URL", bare_url)

    def run(*arguments):
        return CliRunner().invoke(main, arguments)

    run.root, run.url = project.root, bare_url
    return run


def writes(flux):
    """Write a row from outside, and count what is recorded."""
    with psycopg.connect(flux.url) as connection:
        connection.execute("insert into notes (body) values ('x')")
        return connection.execute("select count(*) from flux.state_mutations").fetchone()[0]


def test_migrate_says_what_it_did_and_the_second_time_nothing(flux):
    """People run it to be sure."""
    first, second = flux("db", "migrate"), flux("db", "migrate")

    assert first.exit_code == second.exit_code == 0
    assert "✔ installed Flux: " in first.stdout
    assert "  ✔ ran db/migrations/0001_notes.sql\n  ✔ tracks public.notes\n" in first.stdout
    assert second.stdout == "  ✔ nothing to do: everything is as in the files\n"
    assert writes(flux) == 1


def test_migrate_in_json_has_stable_keys(flux):
    """A deployment script reads it."""
    answer = json.loads(flux("db", "migrate", "--json").stdout)

    assert set(answer) == {"migrations", "made", "dropped", "tables", "warnings", "policies", "hook_faults"}
    assert answer["migrations"][-1] == "db/migrations/0001_notes.sql"
    assert answer["tables"] == [{"table": "public.notes", "outcome": "tracked"}]


def test_migrate_names_the_tables_it_leaves_alone(flux):
    """What is not recorded must be known before it is missed."""
    (flux.root / "flux.toml").write_text('[project]\nname = "shop"\n[recording]\nexclude = ["notes"]\n')

    assert "– public.notes is not tracked: excluded\n" in flux("db", "migrate").stdout
    assert writes(flux) == 0


def test_a_migration_that_fails_changes_nothing_and_is_named(flux):
    """All or nothing, with the place of the mistake."""
    (flux.root / "db" / "migrations" / "0002_bad.sql").write_text("create table ok ();\n\nselect nonsense;\n")

    result = flux("db", "migrate")

    assert result.exit_code == 1
    assert result.stderr.startswith('error: db/migrations/0002_bad.sql:3: column "nonsense" does not exist')
    assert flux("db", "status").exit_code == 4


def test_status_follows_the_database_through_its_life(flux):
    """Not installed, up to date, behind, changed by hand: each has its words, and all but one exit with 4."""

    def status():
        result = flux("db", "status")
        return result.exit_code, result.stdout

    code, said = status()
    assert (code, "Flux is not installed in it" in said) == (4, True)

    flux("db", "migrate")
    code, said = status()
    assert (code, "everything is installed" in said) == (0, True)

    (flux.root / "db" / "migrations" / "0002_more.sql").write_text("create table more ();")
    code, said = status()
    assert code == 4
    assert "  ✗ to be run\n      db/migrations/0002_more.sql\n" in said
    flux("db", "migrate")

    with psycopg.connect(flux.url) as connection:
        connection.execute(
            "create or replace function flux.short_id(request uuid) returns text language sql as 'select null'"
        )
        connection.execute("drop view flux.slow_queries")
    code, said = status()
    assert code == 4
    assert "  ✗ changed by hand, made anew by the next migrate\n" in said
    assert "      flux.short_id\n      flux.slow_queries\n" in said
    flux("db", "migrate")
    assert status()[0] == 0

    (flux.root / "db" / "migrations" / "0001_notes.sql").write_text(NOTES + " -- edited")
    code, said = status()
    assert code == 4
    assert "edited after they ran" in said


def test_status_changes_nothing(flux):
    """A look must be free of consequences."""
    flux("db", "status")

    with psycopg.connect(flux.url) as connection:
        assert connection.execute("select to_regnamespace('flux')").fetchone() == (None,)


def test_status_in_json_says_whether_it_is_current(flux):
    """The one key a deployment waits for."""
    before, _, after = flux("db", "status", "--json"), flux("db", "migrate"), flux("db", "status", "--json")

    assert (json.loads(before.stdout)["current"], before.exit_code) == (False, 4)
    assert (json.loads(after.stdout)["current"], after.exit_code) == (True, 0)
    assert json.loads(after.stdout)["server"]["name"] == flux.url.partition("?")[0].rpartition("/")[2]


def test_url_is_all_that_stdout_gets(flux):
    """psql "$(flux db url)" takes it as it is."""
    result = flux("db", "url")

    assert result.stdout == f"{flux.url}\n"
    assert result.stderr == ""


@pytest.mark.slow
def test_url_of_a_database_that_will_stop_says_so(project):
    """A URL that leads nowhere a second later is worse than none."""
    done = subprocess.run([FLUX, "db", "url"], capture_output=True, text=True, check=False)

    assert done.stdout.startswith("postgresql://")
    assert "flux db shell" in done.stderr


def test_shell_runs_psql_and_passes_on_what_it_says(flux):
    """Scripts use it as they use psql: arguments, input, output, exit code."""

    def shell(*arguments, stdin=""):
        done = subprocess.run(
            [FLUX, "db", "shell", *arguments], input=stdin, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert shell("-Atc", "select current_database(), 1") == (0, f"{flux.url.partition('?')[0].rpartition('/')[2]}|1\n")
    assert shell("-At", stdin="select 2;\n") == (0, "2\n")
    assert shell("-v", "ON_ERROR_STOP=1", stdin="nonsense;\n")[0] == 3


def test_ctrl_c_is_left_to_psql(flux):
    """It cancels the statement, and psql alone decides whether the session goes on: a script ends, with psql's code."""
    process = subprocess.Popen(
        [FLUX, "db", "shell", "-At"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    process.stdin.write("select 'begun';\nselect pg_sleep(30);\n")
    process.stdin.flush()
    process.stdout.readline()
    time.sleep(0.3)

    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=10)

    assert "canceling statement due to user request" in said
    assert process.returncode in (0, 3)
    assert "Traceback" not in said


def test_untrack_stops_the_record_and_track_takes_it_up_again(flux):
    """A table of noise can be left out, and taken in again."""
    flux("db", "migrate")
    assert writes(flux) == 1

    assert flux("db", "untrack", "notes").stdout == ("  ✔ public.notes is not tracked from now on; its history stays\n")
    assert writes(flux) == 1
    flux("db", "migrate")
    assert writes(flux) == 1  # the choice outlives the next installation

    assert flux("db", "track", "notes").stdout == "  ✔ public.notes is tracked from now on\n"
    assert writes(flux) == 2
    assert flux("db", "track", "notes").stdout == "  ✔ public.notes is as it was\n"


def test_tracking_is_answered_in_json(flux):
    """The same, for a program."""
    flux("db", "migrate")

    assert json.loads(flux("db", "untrack", "notes", "--json").stdout) == {
        "table": "public.notes",
        "outcome": "untracked",
    }


def test_a_table_that_is_not_there_is_named_with_those_like_it(flux):
    """A typo must not look like success."""
    flux("db", "migrate")

    result = flux("db", "track", "note")

    assert result.exit_code == 1
    assert result.stderr == (
        'error: there is no table "note", and none by that name was ever recorded\nhint: Tables here: notes.\n'
    )


def test_a_dropped_table_cannot_be_tracked_but_its_history_is_named(flux):
    """Its name is known from the record, which must not be taken for the table."""
    flux("db", "migrate")
    writes(flux)
    with psycopg.connect(flux.url) as connection:
        connection.execute("drop table notes")

    result = flux("db", "track", "notes")

    assert result.exit_code == 1
    assert result.stderr.startswith('error: there is no table "notes" any more\nhint: ')


def test_tracking_before_flux_is_installed_exits_with_4(flux):
    """The hint is the command to run first."""
    result = flux("db", "track", "notes")

    assert result.exit_code == 4
    assert "flux db migrate" in result.stderr


def test_a_table_of_another_role_cannot_be_tracked_and_says_whose_it_is(flux, monkeypatch):
    """Who may do it is the next question."""
    flux("db", "migrate")
    with psycopg.connect(flux.url, autocommit=True) as connection:
        connection.execute("drop role if exists flux_test_db_other")
        connection.execute("create role flux_test_db_other login; grant flux_app, flux_reader to flux_test_db_other")
        connection.execute("grant usage on schema flux to flux_test_db_other")
        connection.execute("grant execute on all functions in schema flux to flux_test_db_other")
    monkeypatch.setenv("DATABASE_URL", flux.url.replace("postgres@", "flux_test_db_other@", 1))

    result = flux("db", "track", "notes")

    assert result.exit_code == 1
    assert result.stderr == (
        "error: cannot track public.notes: owned by postgres\n"
        "hint: Run this as the owner of the table, or as a superuser.\n"
    )

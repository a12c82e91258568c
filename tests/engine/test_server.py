"""The embedded Postgres: there when it is needed, gone when nobody needs it, and what was stored stays stored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from processes import User, data_of, wait_until, wait_until_stopped

from flux.config import Project
from flux.engine.keeper import server_pid
from flux.engine.server import database, database_name

Use = Callable[..., User]
pytestmark = [pytest.mark.usefixtures("postgres"), pytest.mark.slow]


def ask(url: str, query: str) -> object:
    """The single value of a query, on a connection of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone() if query.startswith(("select", "show")) else None
        if row is None:
            connection.execute(query)
        return row[0] if row else None


def processes_of(words: str) -> list[int]:
    """The processes whose command line has these words."""
    found = subprocess.run(["pgrep", "-f", words], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def keepers(project: Project) -> list[int]:
    """The processes that guard the project's server."""
    return processes_of(f"keeper.py {project.state}")


def kill_server(project: Project) -> None:
    """End the server's first process as the kernel does when memory runs out, and wait until it is gone."""
    os.kill(server_pid(data_of(project)) or 0, signal.SIGKILL)
    wait_until_stopped(project)


def test_a_project_has_a_database_as_long_as_it_is_used(fresh_project: Project, postgres) -> None:
    """The first thing a newcomer sees; nothing may be left running behind their back."""
    project = fresh_project
    with database(project) as url:
        version = ask(url, "select current_setting('server_version_num')::integer / 10000")
        name = ask(url, "select current_database()")

    assert (version, name) == (postgres.cluster.binaries.major, "shop")
    assert server_pid(data_of(project)) is None
    assert keepers(project) == []


def test_what_was_stored_is_there_after_a_stop(project: Project) -> None:
    """A development database is worth something too."""
    with database(project) as url:
        ask(url, "create table kept as select 42 as answer")

    with database(project) as url:
        assert ask(url, "select answer from kept") == 42


def test_settings_are_durable_and_local(project: Project) -> None:
    """Speed bought with data lost in a power cut is a trap; so is a server that listens to the network."""
    with database(project) as url:
        settings = [ask(url, f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")]
        address = ask(url, "show listen_addresses")

    assert settings == ["on", "on", "on"]
    assert address == ""


def test_nobody_else_may_enter(project: Project) -> None:
    """The server trusts who reaches its socket, so only one user may reach it."""
    with database(project):
        socket = next((project.state / "postgres").glob(".s.PGSQL.*"), None)
        folder = socket.parent if socket else next(Path("/tmp").glob("flux-*"))
        assert folder.stat().st_mode & 0o077 == 0
        assert (project.state / ".gitignore").read_text() == "*\n"


def test_the_server_has_no_rights_of_root(project: Project) -> None:
    """SQL must not be a way to become root."""
    with database(project):
        pid = server_pid(data_of(project))
        assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_another_process_uses_the_server_that_runs(project: Project, use: Use) -> None:
    """`flux trace` beside `flux dev`: it must neither start a second server nor stop the first."""
    with database(project) as url:
        pid = server_pid(data_of(project))
        other = use()
        other_sees = ask(other.url, "select 1")
        other.leave()

        assert (other.url, other_sees) == (url, 1)
        assert server_pid(data_of(project)) == pid
        assert ask(url, "select 1") == 1


def test_the_last_one_out_stops_it(project: Project, use: Use) -> None:
    """`flux dev` started while `flux tail` had the server running must not lose it when the tail ends."""
    first, second = use(), use()

    first.leave()
    still = ask(second.url, "select 1")
    second.leave()

    assert still == 1
    assert server_pid(data_of(project)) is None
    wait_until(lambda: keepers(project) == [])


def test_many_at_once_start_one_server(fresh_project: Project, use: Use) -> None:
    """A script that runs several commands in a fresh project."""
    users = [use(wait=False) for _ in range(4)]

    urls = {user.process.stdout.readline().strip() for user in users if user.process.stdout}

    assert len(urls) == 1
    assert ask(urls.pop(), "select 1") == 1


def test_a_killed_owner_leaves_no_server_behind(project: Project, use: Use) -> None:
    """kill -9 on `flux dev` must not leave a server that nobody knows of."""
    owner = use()
    ask(owner.url, "create table kept as select 42 as answer")

    owner.kill()

    wait_until_stopped(project)
    with database(project) as url:
        assert ask(url, "select answer from kept") == 42


def test_a_killed_owner_does_not_take_it_from_others(project: Project, use: Use) -> None:
    """Who starts the server is chance; its end must not hurt the others."""
    owner, other = use(), use()

    owner.kill()
    time.sleep(0.3)

    assert ask(other.url, "select 1") == 1
    other.leave()
    assert server_pid(data_of(project)) is None


def test_a_killed_server_is_recovered(project: Project, use: Use) -> None:
    """The kernel kills Postgres first when memory runs out; the next command has to bring it back, with its data."""
    owner = use()
    ask(owner.url, "create table kept as select 42 as answer")
    kill_server(project)

    with database(project) as url:
        assert ask(url, "select answer from kept") == 42
        owner.leave()
        assert ask(url, "select answer from kept") == 42

    assert server_pid(data_of(project)) is None


def test_a_power_cut_is_recovered(project: Project, use: Use) -> None:
    """When everything dies at once nobody cleans up, and what was committed must be there all the same."""
    owner = use()
    ask(owner.url, "create table kept as select 42 as answer")
    victims = [owner.process.pid, server_pid(data_of(project)) or 0, *keepers(project)]
    assert len(victims) == 3

    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    owner.process.communicate()
    wait_until_stopped(project)

    with database(project) as url:
        assert ask(url, "select answer from kept") == 42


def test_a_server_without_its_keeper_gets_a_new_one(project: Project, use: Use) -> None:
    """Else the next kill -9 would leave the server running for good."""
    owner = use()
    for pid in keepers(project):
        os.kill(pid, signal.SIGKILL)
    second = use()

    owner.kill()
    second.kill()

    wait_until_stopped(project)


def test_a_process_number_used_again_is_not_taken_for_the_server(project: Project, use: Use) -> None:
    """After a container's restart the number in postmaster.pid is somebody else's, and Postgres would not start."""
    owner = use()
    data = data_of(project)
    pid = server_pid(data)
    assert pid
    uid = Path(f"/proc/{pid}").stat().st_uid
    file = data / "postmaster.pid"
    text = file.read_text()
    owner.leave()
    somebody = subprocess.Popen(["sleep", "60"], **({"user": uid} if os.geteuid() == 0 else {}))
    file.write_text(text.replace(str(pid), str(somebody.pid), 1))
    os.chown(file, data.stat().st_uid, data.stat().st_gid)

    with database(project) as url:
        assert ask(url, "select 1") == 1

    somebody.kill()
    somebody.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="sessions of a dead server are found through /proc")
def test_sessions_that_outlive_a_killed_server_do_not_block_the_next(project: Project, use: Use) -> None:
    """A session busy computing does not notice that its server is gone, and holds its memory."""
    owner = use()
    busy = psycopg.connect(owner.url, autocommit=True)
    busy.pgconn.send_query(b"do $$ begin while clock_timestamp() < now() + interval '1 minute' loop end loop; end $$")
    time.sleep(0.2)
    kill_server(project)

    with database(project) as url:
        assert ask(url, "select 1") == 1

    busy.close()


def test_ctrl_c_of_a_terminal_does_not_reach_the_server(project: Project) -> None:
    """Ctrl-C goes to every process of the terminal, and `flux dev` still has requests to finish then."""
    script = """
    import os, signal, sys
    from pathlib import Path
    import psycopg
    from flux.config import Project
    from flux.engine.server import database

    with database(Project(root=Path(sys.argv[1]), name="shop")) as url:
        try:
            os.killpg(0, signal.SIGINT)
            signal.pause()
        except KeyboardInterrupt:
            with psycopg.connect(url) as connection:
                print(connection.execute("select 'finished'").fetchone()[0])
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(project.root)],
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )

    assert done.stdout == "finished\n", done.stderr
    assert server_pid(data_of(project)) is None


def test_a_forked_process_leaves_the_server_to_its_parent(project: Project) -> None:
    """A worker that ends must not pull the database away from the others."""
    script = """
    import os, sys
    from pathlib import Path
    import psycopg
    from flux.config import Project
    from flux.engine.server import database

    with database(Project(root=Path(sys.argv[1]), name="shop")) as url:
        if os.fork() == 0:
            sys.exit()
        os.wait()
        with psycopg.connect(url) as connection:
            print(connection.execute("select 'there'").fetchone()[0])
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(project.root)], capture_output=True, text=True, check=False
    )

    assert done.stdout == "there\n", done.stderr


@pytest.mark.parametrize("name", ["with space, comma and 'quote'", "ünïcode-日本", "x" * 120, "per%20cent&host=evil"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    """A socket's path may be 107 bytes long; a project's may not care."""
    root = tmp_path / name
    root.mkdir()

    with database(Project(root=root, name="shop")) as url:
        assert ask(url, "select 1") == 1
        socket = Path(psycopg.conninfo.conninfo_to_dict(url)["host"])

    assert socket == root / ".flux" / "postgres" or not socket.exists()


def test_variables_of_postgres_do_not_lead_astray(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """People who work with Postgres have these set for another server."""
    for name, value in {"PGHOST": "/nowhere", "PGPORT": "1", "PGUSER": "me", "PGDATABASE": "x", "PGDATA": "/x"}.items():
        monkeypatch.setenv(name, value)

    with database(project) as url:
        assert ask(url, "select current_user || '@' || current_database()") == "postgres@shop"


def test_a_renamed_project_keeps_its_data(project: Project) -> None:
    """A new name in flux.toml must not look like a lost database."""
    with database(project) as url:
        ask(url, "create table kept as select 42 as answer")

    with database(Project(root=project.root, name="Webshop 2")) as url:
        assert ask(url, "select answer from kept") == 42


def test_an_interrupted_first_start_is_begun_again(fresh_project: Project, use: Use) -> None:
    """Half a data folder must not be taken for a whole one."""
    project = fresh_project
    first = use(wait=False)
    wait_until(lambda: any((project.state / "postgres").glob("unfinished-*/PG_VERSION")))
    first.kill()

    with database(project) as url:
        assert ask(url, "select 1") == 1

    wait_until(lambda: not processes_of(f"{project.state}/postgres/unfinished"))
    with database(project):
        assert not list((project.state / "postgres").glob("unfinished-*"))


def test_a_database_of_ones_own_is_left_alone(fresh_project: Project) -> None:
    """A project that names its database needs no server of ours."""
    named = Project(root=fresh_project.root, name="shop", database_url="postgresql://db.example/shop")

    with database(named) as url:
        assert url == "postgresql://db.example/shop"

    assert not named.state.exists()


@pytest.mark.parametrize(
    ("project_name", "name"),
    [
        ("shop", "shop"),
        ("My Shop-2", "my_shop_2"),
        ("Ünï", "n"),
        ("日本", "flux_app"),
        ("template1", "template1_app"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_database_is_named_after_its_project(project_name: str, name: str) -> None:
    """A name to type in psql without quotes."""
    assert database_name(project_name) == name

"""Flux needs no superuser: a role that owns its database will do, and what it may not do is said as SQL to run."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from flux.config import Project
from flux.engine.installer import install, status
from flux.engine.server import embedded
from flux.errors import NotPermitted

pytestmark = pytest.mark.slow

Owner = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose database is given by the test."""
    migrations = tmp_path / "db" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "0001_users.sql").write_text("create table public.users (id int primary key, name text)")
    return Project(root=tmp_path, name="shop")


@pytest.fixture
def untouched(postgres, tmp_path: Path) -> Iterator[str]:
    """The URL of a superuser on a server where the roles of Flux were never made."""
    tmp_path.chmod(0o711)
    with embedded(tmp_path / "server", postgres.cluster.binaries, ("fsync=off",)) as cluster:
        yield cluster.url("postgres")


def owner(admin: str, name: str, options: str = "") -> str:
    """A new role without the rights of a superuser and a database of its own; the URL."""
    with psycopg.connect(admin, autocommit=True) as connection:
        role = sql.Identifier(name)
        connection.execute(sql.SQL("create role {} login " + options).format(role))  # type: ignore[arg-type]
        connection.execute(sql.SQL("create database {} owner {}").format(role, role))
        connection.execute(sql.SQL("revoke all on database {} from public").format(role))
    return make_conninfo(admin, user=name, dbname=name)


def use(url: str) -> list[Any]:
    """Write as a function does, and read what was recorded."""
    with psycopg.connect(url) as connection:
        connection.execute("set local role flux_app")
        connection.execute("insert into public.users values (1, 'Ada')")
        connection.execute("reset role")
        return connection.execute("select table_name, operation, row_key from flux.state_mutations").fetchall()


def test_a_role_that_may_make_roles_needs_nothing_else(untouched: str, project: Project) -> None:
    """What hosted databases give their users."""
    url = owner(untouched, "shop", "createrole")

    install(url, project)

    assert use(url) == [("public.users", "INSERT", {"id": 1})]
    assert not install(url, project).changed
    assert status(url, project).current


def test_a_second_project_of_the_same_server_shares_the_roles(untouched: str, project: Project) -> None:
    """Roles belong to the server, and the first project made them."""
    install(owner(untouched, "first", "createrole"), project)
    url = owner(untouched, "second", "createrole")

    try:
        install(url, project)
    except NotPermitted as error:  # from version 16 on, only who made a role may give it to others
        run_hint(untouched, error)
        install(url, project)

    assert use(url) == [("public.users", "INSERT", {"id": 1})]


def test_a_role_that_may_make_none_is_told_what_an_administrator_runs(untouched: str, project: Project) -> None:
    """A company's database belongs to somebody else; the message is what one sends to them."""
    url = owner(untouched, "my-shop")
    with pytest.raises(NotPermitted) as raised:
        install(url, project)

    run_hint(untouched, raised.value)
    install(url, project)

    assert raised.value.message == "the role my-shop may not make or take the roles flux_app and flux_reader"
    assert use(url) == [("public.users", "INSERT", {"id": 1})]


def test_a_role_that_may_not_create_in_the_database_is_told(untouched: str, project: Project) -> None:
    """The next thing that may be missing."""
    url = owner(untouched, "shop", "createrole")
    with psycopg.connect(untouched, autocommit=True) as connection:
        connection.execute("alter database shop owner to postgres")
        connection.execute("grant connect on database shop to shop")

    with pytest.raises(NotPermitted, match="permission denied for database shop") as raised:
        install(url, project)

    assert "owner of the database" in str(raised.value.hint)


def test_projects_that_start_at_once_on_one_server_share_the_roles(untouched: str, project: Project) -> None:
    """The roles are made by whoever comes first, and nobody fails for having come second."""
    with psycopg.connect(untouched, autocommit=True) as connection:
        for number in range(4):
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(f"shop{number}")))
    failed: list[Exception] = []

    def node(number: int) -> None:
        try:
            install(make_conninfo(untouched, dbname=f"shop{number}"), project)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
            failed.append(error)

    nodes = [threading.Thread(target=node, args=(number,)) for number in range(4)]
    for thread in nodes:
        thread.start()
    for thread in nodes:
        thread.join()

    assert failed == []


def run_hint(admin: str, error: NotPermitted) -> None:
    """Do as the message says, as an administrator."""
    commands = re.sub("^.*? run: ", "", str(error.hint))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(commands)  # type: ignore[arg-type]

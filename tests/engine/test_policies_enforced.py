"""db/policies.toml is enforced by Postgres itself: for queries of Flux, for raw SQL, and for whoever takes the role."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from flux.config import Project
from flux.engine.installer import install, status
from flux.errors import NotPermitted, PolicyError

TABLES = """
    create table teams (id int primary key, name text);
    create table people (
        id       int generated always as identity primary key,
        name     text not null,
        email    varchar(40),
        secret   text,
        owner    int not null,
        grade    serial
    );
    insert into teams values (1, 'one');
    insert into people (name, email, secret, owner) values
        ('Ada', 'ada@example.org', 's1', 1), ('Bob', 'bob@example.org', 's2', 2), ('Cid', null, 's3', 1);
"""
POLICIES = """
    [roles.anon]
    [roles.member]

    [tables.people.anon]
    select = { columns = ["id", "name"], rows = "owner = 2" }

    [tables.people.member]
    rows = "owner = claim('sub')::int -- their own"
    select = { columns = ["id", "name", "email", "owner"], mask = { email = "left(email, 2) || claim('dots')" } }
    insert = { columns = ["name", "email", "owner"] }
    update = { columns = ["name", "owner"] }
    delete = true
"""
CLAIMS = {"sub": 1, "dots": "…"}

Refused = psycopg.errors.InsufficientPrivilege


def project_in(root: Path, policies: str = POLICIES, tables: str = TABLES) -> Project:
    """A project with these tables and policies."""
    (root / "db" / "migrations").mkdir(parents=True, exist_ok=True)
    (root / "db" / "migrations" / "0001_people.sql").write_text(tables)
    return with_policies(Project(root=root, name="shop"), policies)


def with_policies(project: Project, policies: str) -> Project:
    """The same project with another db/policies.toml."""
    (project.root / "db" / "policies.toml").write_text(policies)
    return project


@pytest.fixture(scope="module")
def enforced(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Project]:
    """A database with the policies, for tests that leave it as it is."""
    url, project = new_database(), project_in(tmp_path_factory.mktemp("enforced"))
    install(url, project)
    return url, project


@pytest.fixture(scope="module")
def refusing(new_database: Callable[[], str]) -> str:
    """A database for installations that fail, and so leave it as it was."""
    return new_database()


@contextmanager
def as_role(url: str, role: str, claims: dict[str, Any] | None = None) -> Iterator[psycopg.Connection[Any]]:
    """One transaction as a function has it for a caller of this role; rolled back."""
    with psycopg.connect(url) as connection:
        connection.execute("select set_config('flux.claims', %s, true)", (json.dumps(claims or {}),))
        connection.execute(f"set local search_path = flux_role_anon, flux_role_member, public; set local role {role}")
        yield connection
        connection.rollback()


@pytest.fixture
def member(enforced: tuple[str, Project]) -> Iterator[psycopg.Connection[Any]]:
    """What Ada's functions see."""
    with as_role(enforced[0], "flux_role_member", CLAIMS) as connection:
        yield connection


def rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return connection.execute(query).fetchall()  # type: ignore[arg-type]


# What a role reads


def test_raw_sql_reads_only_the_rows_of_the_caller(member) -> None:
    """Whatever the statement looks like: Postgres adds the condition, not we."""
    assert rows(member, "select id from people order by id") == [(1,), (3,)]
    assert rows(member, "select count(*) from people where true or owner = 2") == [(2,)]
    assert rows(member, "with all_people as (table people) select max(id) from all_people") == [(3,)]


def test_raw_sql_reads_masked_values(member) -> None:
    """A mask that one more SQL function gets around is none; a condition over the column sees the mask as well."""
    assert rows(member, "select name, email from people order by id") == [("Ada", "ad…"), ("Cid", None)]
    assert rows(member, "select name from people where email like '%example%'") == []


@pytest.mark.parametrize(
    "query", ["select email from public.people", "select secret from public.people", "table teams"]
)
def test_what_is_not_in_the_policies_is_refused(member, query: str) -> None:
    """A table of which the file says nothing is closed to callers, and the table below a mask too."""
    with pytest.raises(Refused):
        member.execute(query)


def test_a_caller_without_claims_sees_no_rows_of_others(enforced) -> None:
    """A missing claim is null, which equals nothing."""
    with as_role(enforced[0], "flux_role_member") as connection:
        assert rows(connection, "select id from people") == []


def test_the_service_sees_everything_as_before(enforced) -> None:
    """Functions that run as the service are not bound by policies."""
    with as_role(enforced[0], "flux_app", CLAIMS) as connection:
        assert rows(connection, "select email from people order by id") == [
            ("ada@example.org",),
            ("bob@example.org",),
            (None,),
        ]


# What a role writes


def test_writes_meet_the_rows_of_the_caller_through_a_mask(member) -> None:
    """A table of which a column is masked can still be written by its bare name."""
    assert rows(member, "update people set name = 'Eve' where id in (1, 2) returning id, email") == [(1, "ad…")]
    assert rows(member, "delete from people where id in (2, 3) returning id") == [(3,)]
    assert rows(member, "insert into people (name, owner) values ('Dan', 1) returning name, owner") == [("Dan", 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into people (name, owner) values ('Dan', 2)",
        "update people set owner = 2 where id = 1",
        "update people set secret = 'x' where id = 1",
        "insert into people (name, owner, secret) values ('Dan', 1, 'x')",
        "truncate public.people",
        "create table public.mine (id int)",
    ],
)
def test_writes_that_break_a_check_or_a_column_are_refused(member, statement: str) -> None:
    """Neither a row for somebody else nor a column that is not the role's."""
    with pytest.raises((Refused, psycopg.errors.UndefinedColumn)):
        member.execute(statement)


def test_a_role_that_may_only_read_cannot_write(enforced) -> None:
    """What is not among the operations is refused."""
    for statement in ("delete from people", "update people set name = ''", "insert into people (name) values ('')"):
        with as_role(enforced[0], "flux_role_anon") as connection, pytest.raises(Refused):
            connection.execute(statement)


def test_writes_of_a_role_are_recorded_and_the_record_is_out_of_its_reach(member) -> None:
    """Recorders run as the owner; their tables stay closed to every caller."""
    member.execute("update people set name = 'Eve' where id = 1")
    with pytest.raises(Refused), member.transaction():
        member.execute("select * from flux.state_mutations")

    member.execute("reset role")

    written = rows(
        member,
        "select table_name, operation, new_values from flux.state_mutations where xact_id = pg_current_xact_id()",
    )
    assert written == [("public.people", "UPDATE", {"name": "Eve"})]


# What flux db migrate does


def test_a_second_migrate_changes_nothing(enforced) -> None:
    """Every start of a server migrates."""
    url, project = enforced

    assert not install(url, project).changed
    assert status(url, project).current


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("drop policy flux_member_select on people", "policy flux_member_select on public.people: is gone"),
        ("alter policy flux_anon_select on people using (true)", "policy flux_anon_select on public.people: changed"),
        ("create policy mine on people using (true)", "policy mine on public.people: was not made by Flux"),
        ("alter table people disable row level security", "row level security of public.people: changed"),
        ("grant select on people to flux_role_member", "rights of flux_role_member on table public.people: changed"),
        ("grant select on teams to flux_role_anon", "rights of flux_role_anon on table public.teams: was not made"),
        ("grant select (secret) on people to public", "rights of everybody on table public.people: was not made"),
        ("alter view flux_role_member.people reset (security_barrier)", "view flux_role_member.people: changed"),
        ("grant flux_app to flux_role_anon", "membership of flux_role_anon: was not made"),
    ],
)
def test_what_was_changed_by_hand_is_named(enforced, change: str, named: str) -> None:
    """Each of these opens or closes something that the file does not say."""
    from flux.engine.policies import drift
    from flux.policies import read_policies

    url, project = enforced
    with psycopg.connect(url) as connection:
        connection.execute(change)
        connection.execute("set local search_path = ''")
        found = drift(connection, read_policies(project.root))
        connection.rollback()

    assert [one for one in found if one.startswith(named)], found


def test_migrate_repairs_what_was_changed_by_hand(database_url: str, tmp_path: Path) -> None:
    """And says that it did."""
    project = project_in(tmp_path)
    install(database_url, project)
    with psycopg.connect(database_url) as connection:
        connection.execute("grant select on people, teams to flux_role_member; drop policy flux_anon_select on people")

    done = install(database_url, project)

    assert "policy flux_anon_select on public.people: is gone" in done.policies
    assert status(database_url, project).current
    with as_role(database_url, "flux_role_member", CLAIMS) as connection, pytest.raises(Refused):
        connection.execute("table teams")


def test_a_migration_may_change_what_policies_and_masks_use(database_url: str, tmp_path: Path) -> None:
    """Postgres refuses to change a column under a view or a policy; people should not have to know."""
    project = project_in(tmp_path)
    install(database_url, project)
    (tmp_path / "db" / "migrations" / "0002_wider.sql").write_text(
        "alter table people alter column email type text, alter column owner type bigint; alter table people drop grade"
    )

    install(database_url, project)

    with as_role(database_url, "flux_role_member", CLAIMS) as connection:
        assert rows(connection, "select email from people where id = 1") == [("ad…",)]


def test_policies_that_leave_the_file_leave_nothing_behind(database_url: str, tmp_path: Path) -> None:
    """Without policies the table is again as it was before, also for roles that Flux does not know."""
    project = project_in(tmp_path)
    install(database_url, project)

    done = install(database_url, with_policies(project, ""))

    assert done.policies
    with psycopg.connect(database_url) as connection:
        assert rows(connection, "select * from flux.policy_objects union all select role, '' from flux.policies") == []
        assert rows(connection, "select relrowsecurity from pg_class where oid = 'people'::regclass") == [(False,)]
        assert rows(connection, "select from pg_namespace where nspname like 'flux\\_role%'") == []
    assert status(database_url, project).current


def test_a_dropped_role_is_gone_unless_another_database_uses_it(database_url: str, tmp_path: Path) -> None:
    """Roles belong to the server; another project's may have the same name."""
    policies = "[roles.lonely]\n[roles.member]\n[tables.people.lonely]\nselect = true\n"
    project = project_in(tmp_path, policies)
    install(database_url, project)

    install(database_url, with_policies(project, "[roles.member]"))

    with psycopg.connect(database_url) as connection:
        assert rows(connection, "select to_regrole('flux_role_lonely') is null") == [(True,)]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("select = { rows = 'ownr = 1' }", r'people.member\] select: column "ownr" does not exist'),
        ("select = { rows = 'owner' }", r"select: argument of .* must be type boolean"),
        ("select = { rows = 'owner = (select 1)' }", r"select: a subquery in a policy is not supported"),
        ("update = { rows = 'count(*) > 1' }", r"update: aggregate functions are not allowed in policy"),
        ("select = { columns = ['nam'] }", r'select: column "nam" of relation "people" does not exist'),
        ("select = { mask = { owner = \"'***'\" } }", r"mask: invalid input syntax for type integer"),
        ("select = { mask = { owner = 'name' } }", r"mask: COALESCE types text and integer cannot be matched"),
        ("select = { mask = { name = 'max(name)' } }", r"mask: aggregate functions are not allowed"),
        ("insert = { check = 'true) with check (true' }", r"insert: syntax error"),
    ],
)
def test_what_cannot_be_enforced_is_named_with_its_place(refusing: str, tmp_path: Path, policy, message) -> None:
    """And nothing of the installation is kept."""
    project = project_in(tmp_path, f"[roles.member]\n[tables.people.member]\n{policy}\n")

    with pytest.raises(PolicyError, match=message):
        install(refusing, project)

    with psycopg.connect(refusing) as connection:
        assert rows(connection, "select to_regclass('people') is null") == [(True,)]


def test_an_unknown_table_is_named(refusing: str, tmp_path: Path) -> None:
    """A typo must not leave a table open."""
    project = project_in(tmp_path, "[roles.member]\n[tables.peple.member]\nselect = true\n")

    with pytest.raises(PolicyError, match="there is no table peple"):
        install(refusing, project)


def test_the_view_shows_what_postgres_has(enforced) -> None:
    """People look at it with psql, and flux policies shows the same."""
    with psycopg.connect(enforced[0]) as connection:
        found = {
            (role, operation): rest
            for role, operation, *rest in rows(
                connection,
                "select role, operation, columns, hidden, masks, row_condition, row_check from flux.policies",
            )
        }

    own = "(owner = (claim('sub'))::integer)"
    assert found == {
        ("anon", "select"): [["id", "name"], ["email", "secret", "owner", "grade"], None, "(owner = 2)", None],
        ("member", "select"): [
            ["id", "name", "email", "owner"],
            ["secret", "grade"],
            {"email": "left(email, 2) || claim('dots')"},
            own,
            None,
        ],
        ("member", "insert"): [["name", "email", "owner"], ["id", "secret", "grade"], None, None, own],
        ("member", "update"): [["name", "owner"], ["id", "email", "secret", "grade"], None, own, own],
        ("member", "delete"): [None, None, None, own, None],
    }


def test_the_doctor_names_roles_of_others_that_policies_shut_out(enforced) -> None:
    """Row level security also holds for a reporting tool, which finds an empty table and no error."""
    with psycopg.connect(enforced[0]) as connection:
        connection.execute("create role policy_reports; grant select on people, teams to policy_reports")
        found = rows(connection, "select state, finding from flux.doctor where subject = 'policies' order by state")
        connection.execute("create policy reports on people for select to policy_reports using (true)")
        after = rows(connection, "select state from flux.doctor where subject = 'policies'")
        connection.rollback()

    assert found == [
        (
            "note",
            "policy_reports has rights on people, which has policies, and none of its own: it meets no rows there",
        ),
        ("ok", "1 of 2 tables have policies, for anon, member"),
    ]
    assert after == [("ok",)]


def test_a_role_may_read_nothing_but_masks(database_url: str, tmp_path: Path) -> None:
    """Then it has no right on the table at all, and is listed all the same."""
    policies = "[roles.member]\n[tables.people.member]\nselect = { columns = ['email'], mask = { email = \"'*'\" } }\n"
    install(database_url, project_in(tmp_path, policies))

    with as_role(database_url, "flux_role_member") as connection:
        assert rows(connection, "select * from people") == [("*",)] * 3
        with pytest.raises(Refused):
            connection.execute("select count(*) from public.people")
    with psycopg.connect(database_url) as connection:
        assert rows(connection, "select operation, columns from flux.policies") == [("select", ["email"])]


def test_strange_names_and_claims_work(database_url: str, tmp_path: Path) -> None:
    """Names are exact, quoted where SQL needs it, and a claim's name may hold anything."""
    tables = 'create schema "A b"; create table "A b"."; drop table x" ("se""lect" int, "%s" text default \'v\')'
    policies = """
        [roles.member]
        [tables."A b.; drop table x".member]
        rows = "\\"se\\"\\"lect\\" = claim('it''s')::int"
        select = { columns = ['se"lect', "%s"], mask = { "%s" = "'%'" } }
        insert = { check = "true" }
    """
    install(database_url, project_in(tmp_path, policies, tables))

    with as_role(database_url, "flux_role_member", {"it's": 7}) as connection:
        connection.execute('insert into "A b"."; drop table x" values (7), (8)')
        assert rows(connection, 'select * from "; drop table x"') == [(7, "%")]


def test_no_superuser_is_needed(postgres, tmp_path: Path) -> None:
    """Hosted databases give a role that may make roles; where it may not, it is told what to ask for."""
    admin = postgres.url()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop role if exists flux_role_guest, flux_mask_guest")
        for name, options in (("policy_owner", "createrole"), ("policy_poor", "")):
            connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("create role {} login " + options).format(sql.Identifier(name)))  # type: ignore[arg-type]
            connection.execute(sql.SQL("grant flux_app, flux_reader to {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("create database {0} owner {0}").format(sql.Identifier(name)))
    project = project_in(tmp_path, POLICIES.replace("member", "guest").replace("[roles.anon]", "").split("[tables")[0])
    tables = POLICIES.replace("member", "guest")
    with_policies(project, "[roles.guest]\n[tables.people.guest]" + tables.split("[tables.people.guest]")[1])
    poor, able = (make_conninfo(admin, user=name, dbname=name) for name in ("policy_poor", "policy_owner"))

    with pytest.raises(NotPermitted) as raised:
        install(poor, project)
    install(able, project)

    hint = str(raised.value.hint)
    assert "create role flux_role_guest nologin; create role flux_mask_guest nologin; grant" in hint
    with as_role(able, "flux_role_guest", CLAIMS) as connection:
        connection.execute("set local search_path = flux_role_guest, public")
        assert rows(connection, "select email from people order by id") == [("ad…",), (None,)]
    run = re.sub("^.*? run: ", "", hint)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("grant flux_role_guest to flux_mask_guest")
        connection.execute(re.sub("create role [^;]*;", "", run))  # type: ignore[arg-type]
    install(poor, project)
    assert status(poor, replace(project, name="other")).current

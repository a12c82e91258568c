"""Every table is tracked without being asked for, and every one that is not is named with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Recorded = Callable[..., list[dict[str, Any]]]


def setting(connection: psycopg.Connection, name: str, *names: str) -> None:
    connection.execute(
        "insert into flux.settings values (%s, %s) on conflict (name) do update set value = excluded.value",
        (name, json.dumps(names)),
    )


def tables(connection: psycopg.Connection, query: str) -> dict[str, str]:
    return {table: text for table, text in connection.execute(query).fetchall()}


def untracked(connection: psycopg.Connection) -> dict[str, str]:
    return tables(connection, "select table_name, reason from flux.untracked_tables")


def track_all(connection: psycopg.Connection) -> dict[str, str]:
    return tables(connection, "select table_name, outcome from flux.track_all()")


@pytest.fixture
def unattended(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute("drop event trigger if exists flux_follow_ddl")
    return connection


def catalog(connection: psycopg.Connection) -> list[Any]:
    """Row versions of what tracking writes: they change when anything is written, be it the same."""
    return connection.execute(
        """
        select 'trigger', oid, xmin::text, ctid::text from pg_trigger
        union all select 'function', oid, xmin::text, ctid::text from pg_proc where pronamespace = 'flux'::regnamespace
        union all select 'class', oid, xmin::text, ctid::text from pg_class where relkind in ('r', 'p', 'S')
        union all select 'schema', oid, xmin::text, ctid::text from pg_namespace
        order by 1, 2
        """
    ).fetchall()


def test_every_table_is_tracked(unattended: psycopg.Connection) -> None:
    """Nobody should have to list tables; partitions are tracked by their root."""
    unattended.execute(
        """
        create schema app;
        create table public.a (id int);
        create unlogged table app.b (id int);
        create table app.c (id int) partition by range (id);
        create table app.c1 partition of app.c for values from (0) to (10);
        create temporary table t (id int);
        """
    )

    assert untracked(unattended) == {"app.b": "not tracked", "app.c": "not tracked", "public.a": "not tracked"}
    assert track_all(unattended) == {"app.b": "tracked", "app.c": "tracked", "public.a": "tracked"}
    assert untracked(unattended) == {}


def test_tracking_again_changes_nothing(connection: psycopg.Connection) -> None:
    """It runs at every start of every node, and must neither lock a table nor write the catalog."""
    connection.execute("create table public.a (id serial); create table public.b (id int) partition by range (id)")
    connection.execute("create table public.b1 partition of b for values from (0) to (10)")
    track_all(connection)
    before = catalog(connection)

    assert track_all(connection) == {"public.a": "unchanged", "public.b": "unchanged"}
    assert catalog(connection) == before


def test_new_tables_are_tracked_as_they_are_made(connection: psycopg.Connection, recorded: Recorded) -> None:
    """A table made at noon by psql is recorded at noon, where event triggers are allowed."""
    if not connection.execute("select from pg_event_trigger").fetchall():
        pytest.skip("the installing role may not create event triggers")

    connection.execute("create table public.a as select 1 as id; insert into a values (2)")
    connection.execute("select 1 as id into public.b; insert into b values (2)")

    assert [row["new_values"] for row in recorded("public.a") + recorded("public.b")] == [{"id": 2}] * 2


def test_ddl_never_fails_because_of_tracking(connection: psycopg.Connection) -> None:
    """H7: a migration that fails because something watches it is worse than one that is not watched."""
    connection.execute("drop function flux.track_changed_table(regclass)")

    connection.execute("create table public.a (id int)")

    assert untracked(connection) == {"public.a": "not tracked"}


def test_excluded_tables_and_other_schemas_are_left_alone(connection: psycopg.Connection) -> None:
    """With or without the schema, in any case of letters."""
    setting(connection, "exclude", "Noise", "public.spam")
    setting(connection, "schemas", "public", "App")

    connection.execute("create schema app; create schema other; create table public.noise (id int)")
    connection.execute("create table app.noise (id int); create table public.spam (id int)")
    connection.execute("create table app.spam (id int); create table other.a (id int)")

    assert untracked(connection) == {
        "app.noise": "excluded",
        "other.a": "its schema is not tracked",
        "public.noise": "excluded",
        "public.spam": "excluded",
    }


def test_a_table_excluded_later_is_no_longer_recorded(connection: psycopg.Connection, recorded: Recorded) -> None:
    """A setting that takes effect for new tables only would not be believed."""
    connection.execute("create table public.a (id int); insert into a values (1)")

    setting(connection, "exclude", "a")
    assert track_all(connection) == {"public.a": "excluded"}
    connection.execute("insert into a values (2)")

    assert len(recorded("public.a")) == 1


def test_what_was_chosen_by_hand_stays(connection: psycopg.Connection) -> None:
    """The next start must not undo what somebody decided."""
    setting(connection, "exclude", "a")
    connection.execute("create table public.a (id int); create table public.b (id int)")

    assert connection.execute("select flux.track('a'), flux.untrack('b'), flux.untrack('b')").fetchone() == (
        "tracked",
        True,
        False,
    )

    assert track_all(connection) == {"public.a": "unchanged", "public.b": "untracked by hand"}
    assert untracked(connection) == {"public.b": "untracked by hand"}
    assert connection.execute("select flux.track('b')").fetchone() == ("tracked",)
    assert untracked(connection) == {}


def test_a_disabled_recorder_is_named_and_enabled_at_the_next_start(connection: psycopg.Connection) -> None:
    """Bulk loads switch triggers off, and forget to switch them on."""
    connection.execute("create table public.a (id int)")

    connection.execute("alter table a disable trigger user")
    assert untracked(connection) == {"public.a": "recorder disabled"}

    assert track_all(connection) == {"public.a": "renewed"}
    assert untracked(connection) == {}


#: Gives all of Flux to a role without any rights of its own.
TO_A_PLAIN_OWNER = """
    create role flux_test_owner;
    create role flux_test_stranger;
    grant create on schema public to flux_test_owner, flux_test_stranger;
    do $$
    declare
        statement text;
    begin
        for statement in
            select format('alter routine %s owner to flux_test_owner', oid::regprocedure)
            from pg_proc where pronamespace = 'flux'::regnamespace
            union all
            select format('alter table %s owner to flux_test_owner', oid::regclass)
            from pg_class where relnamespace = 'flux'::regnamespace and relkind in ('r', 'p', 'v', 'S')
                and not exists (  -- the sequence of an identity column goes with its table
                    select from pg_depend
                    where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'i' and relkind = 'S'
                )
        loop
            execute statement;
        end loop;
    end $$;
    alter schema flux owner to flux_test_owner;
    """


def test_no_superuser_is_needed(unattended: psycopg.Connection, recorded: Recorded) -> None:
    """Promise 5: on hosted Postgres some tables belong to the host; ours are tracked, theirs are named."""
    unattended.execute(TO_A_PLAIN_OWNER)
    unattended.execute("create schema host; create table host.theirs (id int)")
    unattended.execute(
        "alter schema host owner to flux_test_stranger; alter table host.theirs owner to flux_test_stranger"
    )

    unattended.execute("set local role flux_test_owner")
    unattended.execute("create table public.ours (id serial primary key, v int)")
    outcome = track_all(unattended)
    unattended.execute("reset role; set local role flux_app")
    unattended.execute("insert into ours (v) values (1); update ours set v = 2")
    unattended.execute("reset role; set local role flux_test_owner")
    unattended.execute("truncate ours")

    assert outcome == {"host.theirs": "owned by flux_test_stranger", "public.ours": "tracked"}
    assert untracked(unattended) == {"host.theirs": "owned by flux_test_stranger"}
    assert [row["operation"] for row in recorded("public.ours")] == ["INSERT", "UPDATE", "TRUNCATE"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [("flux.settings", "a table of the system"), ("public.v", "not a table"), ("temporary", "temporary")],
)
def test_what_cannot_be_tracked_is_refused_with_the_reason(
    connection: psycopg.Connection, target: str, reason: str
) -> None:
    """Asked by name, silence would be taken for success."""
    connection.execute("create view public.v as select 1 as id; create temporary table temporary (id int)")

    with pytest.raises(psycopg.Error, match=f"cannot track .*: {reason}") as refused:
        connection.execute("select flux.track(%s::regclass)", (target,))

    assert refused.value.sqlstate == "XF305"


def test_functions_may_use_what_is_tracked(unattended: psycopg.Connection) -> None:
    """User code runs as flux_app; a table made a moment ago must work without a grant by hand."""
    unattended.execute("create schema app; create table app.users (id serial primary key, v int)")
    unattended.execute("create view app.everybody as select * from app.users; create sequence app.numbers")
    unattended.execute("select flux.track_all()")
    unattended.execute("create view app.nobody as select * from app.users where false; create sequence app.later")

    unattended.execute("set local role flux_app")
    unattended.execute("insert into app.users (v) values (1); update app.users set v = 2; delete from app.users")
    unattended.execute("select * from app.everybody, app.nobody; select nextval('app.numbers'), nextval('app.later')")


def test_the_recorder_goes_with_its_table(connection: psycopg.Connection) -> None:
    """Thousands of short-lived tables would leave thousands of functions."""
    connection.execute("create table public.a (id int); drop table a")

    track_all(connection)

    assert connection.execute(r"select from pg_proc where proname ~ '^record_\d+$'").fetchall() == []


def test_secret_columns_are_hidden_in_old_and_new_values(connection: psycopg.Connection, recorded: Recorded) -> None:
    """Promise 10: hidden in the new values and shown in the old ones is not hidden."""
    setting(connection, "redact", "password", "users.pin", "card.number")
    connection.execute(
        "create table public.users (id int primary key, password text, pin int[], card jsonb, notes json)"
    )
    connection.execute("create table public.pets (id int primary key, pin text)")

    connection.execute(
        """
        insert into users values (1, 'hunter2', '{1,2}', '{"number": 4242, "kind": "visa"}', '{"password":  "x"}');
        update users set password = 'hunter3', pin = null;
        delete from users;
        insert into pets values (1, 'open')
        """
    )

    inserted, updated, deleted = recorded("public.users")
    assert inserted["new_values"] == {
        "id": 1,
        "password": "[redacted]",
        "pin": "[redacted]",
        "card": {"number": "[redacted]", "kind": "visa"},
        "notes": '{"password": "[redacted]"}',
    }
    assert updated["old_values"] == {"password": "[redacted]", "pin": "[redacted]"}
    assert updated["new_values"] == {"password": "[redacted]", "pin": None}
    assert deleted["old_values"] == inserted["new_values"] | {"pin": None}
    assert recorded("public.pets")[0]["new_values"]["pin"] == "open"


def test_a_secret_key_is_not_a_key(connection: psycopg.Connection, recorded: Recorded) -> None:
    """A hidden key would make all rows one, a shown one would give it away."""
    setting(connection, "redact", "token")
    connection.execute("create table public.sessions (token text primary key, v int)")

    connection.execute("insert into sessions values ('secret', 1); truncate sessions")

    assert [row["row_key"] for row in recorded("public.sessions")] == [None, None]
    assert "secret" not in str(recorded("public.sessions"))


def test_redaction_set_later_renews_the_recorders(connection: psycopg.Connection, recorded: Recorded) -> None:
    """A secret must be hidden from the moment that flux.toml says so."""
    connection.execute("create table public.users (id int primary key, password text)")

    setting(connection, "redact", "password")
    assert track_all(connection) == {"public.users": "renewed"}
    connection.execute("insert into users values (1, 'hunter2')")

    assert recorded("public.users")[0]["new_values"]["password"] == "[redacted]"

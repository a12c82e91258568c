"""One mutation for each row written, with what was there before and after, whatever statement wrote it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import psycopg

Recorded = Callable[..., list[dict[str, Any]]]

USERS = "create table public.users (id integer primary key, email text, plan text default 'free')"


def shape(mutations: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Operation, key, old and new values."""
    return [(row["operation"], row["row_key"], row["old_values"], row["new_values"]) for row in mutations]


def test_a_row_is_recorded_from_insert_to_delete(connection: psycopg.Connection, recorded: Recorded) -> None:
    """The whole promise in one row: all of it when it comes and goes, and what changed in between."""
    connection.execute(USERS)

    connection.execute("insert into users values (42, 'a@b.com')")
    connection.execute("update users set plan = 'pro' where id = 42")
    connection.execute("delete from users where id = 42")

    assert shape(recorded("public.users")) == [
        ("INSERT", {"id": 42}, None, {"id": 42, "email": "a@b.com", "plan": "free"}),
        ("UPDATE", {"id": 42}, {"plan": "free"}, {"plan": "pro"}),
        ("DELETE", {"id": 42}, {"id": 42, "email": "a@b.com", "plan": "pro"}, None),
    ]


def test_an_update_that_changes_nothing_leaves_no_mutation(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H9: a history full of changes that are none hides those that are."""
    connection.execute(USERS)
    connection.execute("insert into users values (1, 'a@b.com'), (2, null)")

    connection.execute("update users set email = email, plan = plan")

    assert [row["operation"] for row in recorded("public.users")] == ["INSERT", "INSERT"]


def test_a_write_names_its_request_and_span(connection: psycopg.Connection, recorded: Recorded) -> None:
    """Without these no question about a request can be answered."""
    request_id = uuid.uuid4()
    connection.execute(USERS)

    connection.execute(f"set local flux.request_id = '{request_id}'; set local flux.span_id = '3'")
    connection.execute("insert into users values (1)")

    (row,) = recorded("public.users")
    assert (row["request_id"], row["span_id"], row["actor"]) == (request_id, 3, None)


def test_a_write_from_outside_names_user_and_application(database_url: str, recorded: Recorded) -> None:
    """A used session variable reads back as '', which is no request; who wrote by hand must still be known."""
    with psycopg.connect(database_url, application_name="psql", autocommit=True) as outside:
        outside.execute(USERS)
        with outside.transaction():
            outside.execute(f"set local flux.request_id = '{uuid.uuid4()}'; set local flux.span_id = '3'")
        outside.execute("insert into users values (1)")
        (row,) = recorded("public.users", of=outside)
        (user,) = outside.execute("select session_user").fetchone() or ("",)

    assert (row["request_id"], row["span_id"], row["actor"]) == (None, None, f"psql@{user}")


def test_functions_write_records_only_through_the_recorder(connection: psycopg.Connection, recorded: Recorded) -> None:
    """The role of user code writes its tables, and cannot write or change a record by itself."""
    connection.execute("create table public.users (id serial primary key, email text)")

    connection.execute("set local role flux_app")
    connection.execute("insert into users (email) values ('a@b.com')")
    refused = []
    for statement in (
        "insert into flux.state_mutations (table_name, operation) values ('public.users', 'DELETE')",
        "update flux.state_mutations set new_values = null",
        "delete from flux.state_mutations",
        "truncate flux.state_mutations",
        "select flux.untrack('users')",
        "select flux.keep_order('public.users', '{}', null::int2)",
    ):
        try:
            with connection.transaction():
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            refused.append(statement)
    connection.execute("reset role")

    assert len(refused) == 6
    assert len(recorded("public.users")) == 1


def test_a_composite_key_is_kept_in_full(connection: psycopg.Connection, recorded: Recorded) -> None:
    """Half a key names the wrong rows."""
    connection.execute("create table public.seats (room text, v int, number int, primary key (number, room))")

    connection.execute("insert into seats values ('a', 1, 7)")
    connection.execute("update seats set v = 2")

    assert [row["row_key"] for row in recorded("public.seats")] == [{"room": "a", "number": 7}] * 2


def test_a_key_change_names_both_keys_and_the_row_before(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H10: without the old key the history of the row would begin anew."""
    connection.execute(USERS)
    connection.execute("insert into users values (1, 'a@b.com')")

    connection.execute("update users set id = 2, plan = 'pro'")

    row = recorded("public.users")[-1]
    assert (row["previous_key"], row["row_key"]) == ({"id": 1}, {"id": 2})
    assert row["new_values"] == {"id": 2, "plan": "pro"}
    assert row["old_values"] == {"id": 1, "email": "a@b.com", "plan": "free"}


def test_a_table_without_a_key_keeps_whole_rows(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H12: only its content can tell which row it was."""
    connection.execute("create table public.notes (a int, b text)")

    connection.execute("insert into notes values (1, 'x')")
    connection.execute("update notes set b = 'y'")

    assert shape(recorded("public.notes"))[1] == ("UPDATE", None, {"a": 1, "b": "x"}, {"a": 1, "b": "y"})


def test_upserts_merges_and_copies_are_recorded_as_what_they_did(
    connection: psycopg.Connection, recorded: Recorded
) -> None:
    """The statement may say insert and do an update."""
    connection.execute(USERS)

    connection.execute("insert into users values (1, 'a')")
    connection.execute("insert into users values (1, 'b') on conflict (id) do update set email = excluded.email")
    connection.execute("insert into users values (1, 'c') on conflict do nothing")
    connection.execute(
        "merge into users using (values (1, 'm'), (2, 'n')) as given (id, email) on users.id = given.id "
        "when matched then update set email = given.email "
        "when not matched then insert values (given.id, given.email)"
    )
    with connection.cursor() as cursor, cursor.copy("copy users from stdin") as copy:
        copy.write_row((3, "x", "pro"))

    assert [(row["operation"], row["row_key"]["id"]) for row in recorded("public.users")] == [
        ("INSERT", 1),
        ("UPDATE", 1),
        ("UPDATE", 1),
        ("INSERT", 2),
        ("INSERT", 3),
    ]


def test_two_updates_of_a_row_in_one_statement_are_two_mutations(
    connection: psycopg.Connection, recorded: Recorded
) -> None:
    """H4: a value that was there for an instant may be the one that explains a bug."""
    connection.execute(USERS)
    connection.execute("insert into users values (1, 'a')")

    connection.execute("do $$ begin update users set email = 'b'; update users set email = 'c'; end $$")

    assert [row["new_values"]["email"] for row in recorded("public.users")] == ["a", "b", "c"]


def test_a_cascade_is_recorded_after_its_cause_and_with_its_request(
    connection: psycopg.Connection, recorded: Recorded
) -> None:
    """Rows that vanish by themselves are the ones people ask about."""
    request_id = uuid.uuid4()
    connection.execute(USERS)
    connection.execute("create table public.posts (id int primary key, author int references users on delete cascade)")
    connection.execute("insert into users values (1); insert into posts values (10, 1)")

    connection.execute(f"set local flux.request_id = '{request_id}'")
    connection.execute("delete from users")

    rows = connection.execute(
        "select table_name, operation from flux.state_mutations where request_id = %s order by id", (request_id,)
    ).fetchall()
    assert [tuple(row) for row in rows] == [("public.users", "DELETE"), ("public.posts", "DELETE")]


def test_the_row_is_recorded_as_before_triggers_left_it(connection: psycopg.Connection, recorded: Recorded) -> None:
    """What was sent is not what was stored."""
    connection.execute(USERS)
    connection.execute(
        "create function public.shout() returns trigger language plpgsql as "
        "$$ begin new.email := upper(new.email); return new; end $$; "
        "create trigger zzz before insert or update on users for each row execute function shout()"
    )

    connection.execute("insert into users values (1, 'a')")

    assert recorded("public.users")[0]["new_values"]["email"] == "A"


def test_what_a_trigger_writes_is_recorded_after_its_cause(connection: psycopg.Connection) -> None:
    """A history that shows the consequence first explains nothing."""
    connection.execute(USERS)
    connection.execute(
        """
        create table public.welcomes (id int primary key);
        create function public.welcome() returns trigger language plpgsql as
        $$ begin insert into public.welcomes values (new.id); return null; end $$;
        create trigger a_welcome after insert on users for each row execute function welcome()
        """
    )

    connection.execute("insert into users values (1)")

    rows = connection.execute("select table_name, trigger_depth from flux.state_mutations order by id").fetchall()
    assert [tuple(row) for row in rows] == [("public.users", None), ("public.welcomes", 2)]


def test_a_row_written_again_by_a_trigger_keeps_its_order(connection: psycopg.Connection, recorded: Recorded) -> None:
    """Postgres reports a statement's second row after the first row's triggers have changed it already."""
    connection.execute("create table public.steps (id int primary key, v text)")
    connection.execute(
        """
        create function public.touch_next() returns trigger language plpgsql as $$
        begin
            update public.steps set v = v || '!' where id = new.id + 1 and pg_trigger_depth() = 1;
            return null;
        end $$;
        create trigger "1_next" after update on steps for each row execute function touch_next()
        """
    )
    connection.execute("insert into steps values (1, 'a'), (2, 'b')")

    connection.execute("update steps set v = v || '?'")

    changes = [
        (row["old_values"]["v"], row["new_values"]["v"])
        for row in recorded("public.steps")
        if row["operation"] == "UPDATE" and row["row_key"] == {"id": 2}
    ]
    assert changes == [("b", "b?"), ("b?", "b?!")]


def test_deferred_constraints_do_not_lose_what_they_forbid(connection: psycopg.Connection, recorded: Recorded) -> None:
    """The recorder is not deferred with the constraint."""
    connection.execute("create table public.slots (id int primary key, place int unique deferrable initially deferred)")
    connection.execute("insert into slots values (1, 1), (2, 2)")

    connection.execute("update slots set place = 3 - place")
    connection.execute("set constraints all immediate")

    assert [row["operation"] for row in recorded("public.slots")] == ["INSERT"] * 2 + ["UPDATE"] * 2


def test_writes_of_a_replica_are_recorded(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H6: what replication and restores apply is data too."""
    connection.execute(USERS)

    connection.execute("set local session_replication_role = replica")
    connection.execute("insert into users values (1); truncate users")

    assert [row["operation"] for row in recorded("public.users")] == ["INSERT", "TRUNCATE"]


def test_what_a_savepoint_took_back_is_not_data(connection: psycopg.Connection, recorded: Recorded) -> None:
    """Promise 1: no record of data that is not there. Keeping attempts is the runtime's part."""
    connection.execute(USERS)

    connection.execute("savepoint one; insert into users values (1); rollback to one; insert into users values (2)")

    assert [row["row_key"] for row in recorded("public.users")] == [{"id": 2}]

"""flux.state_blame: who owns each value of a row, and what must be known besides."""

from __future__ import annotations

from uuid import uuid4

import story
from story import write


def blame(questions, key, table="public.users"):
    return {row["name"]: row for row in questions.ask("state_blame", target=table, row_key=key)}


def test_each_column_is_owned_by_its_last_writer(past, questions):
    """The product's promise: plan belongs to the upgrade, with the later attempt noted."""
    row = blame(questions, {"id": 42})

    assert {name: (column["value"], column["request_id"]) for name, column in row.items()} == {
        "id": (42, story.SIGNED_UP),
        "email": ("a@b.com", story.SIGNED_UP),
        "name": ("Alice Smith", story.RENAMED),
        "plan": ("pro", story.UPGRADED),
    }
    assert row["plan"]["note"] == "later attempt req:550e8400 rolled back"
    assert row["email"]["note"] is None


def test_an_attempt_before_the_last_write_is_no_news(past, questions):
    """Only what was tried after the value got there can explain a doubt about it."""
    write(past, "update users set plan = 'team' where id = 42", by=story.RENAMED)

    assert blame(questions, {"id": 42})["plan"]["note"] is None


def test_a_former_life_owns_nothing(blank, questions):
    """A row inserted again owes nothing to the one that was deleted."""
    first, second = uuid4(), uuid4()
    write(blank, "insert into users (id, email, plan) values (1, 'a', 'pro')", by=first)
    write(blank, "delete from users", by=first)
    write(blank, "insert into users (id, email) values (1, 'b')", by=second)

    row = blame(questions, {"id": 1})

    assert {column["request_id"] for column in row.values()} == {second}
    assert row["plan"]["value"] is None


def test_a_deleted_row_says_who_deleted_it(past, questions):
    """The answer to "where did it go" is a request."""
    deleter = uuid4()
    write(past, "delete from users where id = 42", by=deleter)

    row = blame(questions, {"id": 42})

    assert row["plan"]["row_state"] == f"deleted by req:{str(deleter)[:8]}"
    assert (row["plan"]["value"], row["plan"]["request_id"]) == ("pro", story.UPGRADED)


def test_a_moved_row_is_blamed_under_its_new_key_and_found_from_the_old(past, questions):
    """A key change hides neither the owners of the other columns nor the row."""
    mover = uuid4()
    write(past, "update users set id = 43 where id = 42", by=mover)

    assert blame(questions, {"id": 43})["plan"]["request_id"] == story.UPGRADED
    assert blame(questions, {"id": 43})["id"]["request_id"] == mover
    assert blame(questions, {"id": 42})["id"]["row_state"] == f"now id=43, changed by req:{str(mover)[:8]}"


def test_a_value_older_than_the_record_says_so(blank, questions):
    """Flux comes to databases that have a past: unknown is unknown."""
    blank.execute("select flux.untrack('public.users')")
    blank.execute("insert into users (id, email, plan) values (1, 'a', 'free')")
    blank.execute("select flux.track('public.users')")
    write(blank, "update users set plan = 'pro'", by=uuid4())

    row = blame(questions, {"id": 1})

    assert (row["email"]["value"], row["email"]["request_id"]) == ("a", None)
    assert row["email"]["note"] == "no write of it is recorded"
    assert row["plan"]["note"] is None


def test_a_change_that_no_recorder_saw_is_found_out(past, questions):
    """Blame compares the record with the table: a value changed behind its back must not be pinned on anyone."""
    past.execute("select flux.untrack('public.users')")
    past.execute("update users set plan = 'gold' where id = 42")

    assert "the table now says gold: changed unrecorded" in blame(questions, {"id": 42})["plan"]["note"]


def test_a_row_that_vanished_unrecorded_says_so(past, questions):
    """A record that ends with a living row, and no row, is a contradiction the reader must see."""
    past.execute("select flux.untrack('public.users')")
    past.execute("delete from users where id = 42")

    assert "no recorded write says why" in blame(questions, {"id": 42})["plan"]["row_state"]


def test_redacted_columns_stay_redacted(connection, questions):
    """Comparing with the table must not bring to light what the recorder was told to hide."""
    connection.execute(
        "insert into flux.settings values ('redact', '[\"plan\"]') "
        "on conflict (name) do update set value = excluded.value"
    )
    story.tables(connection)
    connection.execute("select flux.track('public.users')")
    write(connection, "insert into users (id, email, plan) values (1, 'a', 'secret')", by=uuid4())

    plan = blame(questions, {"id": 1})["plan"]

    assert plan["value"] == "[redacted]"
    assert plan["note"] is None


def test_every_type_is_compared_as_it_is_recorded(connection, questions):
    """A false "changed unrecorded" would cost all trust in the true ones."""
    connection.execute(
        """
        create table public.kinds (
            id uuid primary key default gen_random_uuid(), r real, d float8, n numeric, j json, b jsonb, a int[],
            t timestamptz, i interval, y bytea, g int4range, bl boolean, c char(5), m money, dt date
        )
        """
    )
    connection.execute("select flux.track('public.kinds')")
    connection.execute(
        "set local timezone = 'Asia/Kolkata'; set local datestyle = 'German'; set local bytea_output = 'escape'"
    )
    write(
        connection,
        r"""insert into kinds values (default, 0.1, '-0', 1.10, '{"a":  1}', 'null', '[2:3]={7,8}', now(), '1 day 2:03',
            '\x00ff', '[1,5)', true, 'ab', 3.5, '2026-01-02')""",
        by=uuid4(),
    )
    connection.execute("set local datestyle = 'ISO'; set local timezone = 'UTC'; set local bytea_output = 'hex'")
    key = story.one(connection, "select row_key from flux.state_mutations where table_name = 'public.kinds'")

    assert {
        name: column["note"] for name, column in blame(questions, key, "public.kinds").items() if column["note"]
    } == {}

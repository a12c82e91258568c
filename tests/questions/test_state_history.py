"""flux.state_history: every change of a row, whatever it was called and whoever made it."""

from __future__ import annotations

from uuid import uuid4

import pytest
import story
from story import rows, write

from flux.errors import NotFound, UsageError


def texts(connection, key, table="public.users"):
    from psycopg.types.json import Jsonb

    return [
        (row["operation"], row["change"], row["rolled_back"])
        for row in rows(connection, "state_history", table, Jsonb(key))
    ]


def test_history_is_the_whole_story_in_order(past):
    """The product's promise, word by word: insert, update, update, and the attempt that was rolled back."""
    assert texts(past, {"id": 42}) == [
        ("INSERT", "email=a@b.com, plan=free", False),
        ("UPDATE", "name: null → Alice Smith", False),
        ("UPDATE", "plan: free → pro", False),
        ("UPDATE", "plan: pro → null", True),
    ]


def test_each_change_names_its_request_and_code(past, questions):
    """A change without its cause is half an answer."""
    changes = questions.ask("state_history", target="public.users", row_key={"id": 42})

    assert [change["request_id"] for change in changes] == [
        story.SIGNED_UP,
        story.RENAMED,
        story.UPGRADED,
        story.FAILED,
    ]
    assert {change["code_sha"] for change in changes} == {"3f2a91c0ffee"}
    assert changes[1]["function"] == "rename"


def test_a_key_change_does_not_cut_the_history(blank):
    """A row that moved from 1 to 2 is one row: asked by either key, all of it is told."""
    write(blank, "insert into users (id, email) values (1, 'x@y')")
    write(blank, "update users set id = 2 where id = 1")
    write(blank, "update users set plan = 'pro' where id = 2")
    whole = [("INSERT", "email=x@y", False), ("UPDATE", "id: 1 → 2", False), ("UPDATE", "plan: null → pro", False)]

    assert texts(blank, {"id": 2}) == whole
    assert texts(blank, {"id": 1}) == whole


def test_another_row_that_had_the_key_before_stays_out(blank):
    """Keys are used again: what another row did under key 2 is no part of the row that came from key 1."""
    write(blank, "insert into users (id, email) values (1, 'other')")
    write(blank, "update users set id = 9 where id = 1")
    write(blank, "insert into users (id, email) values (1, 'mine')")
    write(blank, "update users set id = 2 where id = 1")

    assert texts(blank, {"id": 2}) == [("INSERT", "email=mine", False), ("UPDATE", "id: 1 → 2", False)]


def test_where_the_row_went_is_followed_only_while_it_lives(blank):
    """Row 1 became 2 and was deleted; a new row 2 is not its future."""
    write(blank, "insert into users (id, email) values (1, 'mine')")
    write(blank, "update users set id = 2 where id = 1")
    write(blank, "delete from users where id = 2")
    write(blank, "insert into users (id, email) values (2, 'other')")

    assert [operation for operation, _, _ in texts(blank, {"id": 1})] == ["INSERT", "UPDATE", "DELETE"]


def test_a_key_change_that_was_rolled_back_is_not_followed(blank):
    """An attempt to take a key is told, but the row did not get it."""
    write(blank, "insert into users (id, email) values (1, 'mine')")
    write(blank, "insert into users (id, email) values (3, 'other')")
    write(blank, "update users set id = 7 where id = 1", by=uuid4(), rolled_back=True)

    assert texts(blank, {"id": 7}) == [("UPDATE", "id: 1 → 7", True)]
    assert len(texts(blank, {"id": 1})) == 2


def test_a_swap_of_two_keys_ends(blank):
    """Two rows that trade keys lead back to each other; the question must still end."""
    write(blank, "insert into users (id, email) values (1, 'a'), (2, 'b')")
    write(blank, "update users set id = 3 where id = 1")
    write(blank, "update users set id = 1 where id = 2")
    write(blank, "update users set id = 2 where id = 3")

    assert [change for _, change, _ in texts(blank, {"id": 2})] == [
        "email=a",
        "email=b",
        "id: 1 → 3",
        "id: 2 → 1",
        "id: 3 → 2",
    ]


def test_delete_and_insert_again_is_one_history(blank):
    """The key is what was asked for: its former life belongs to the answer."""
    write(blank, "insert into users (id, email) values (1, 'a')")
    write(blank, "delete from users")
    write(blank, "insert into users (id, email) values (1, 'b')")

    assert [operation for operation, _, _ in texts(blank, {"id": 1})] == ["INSERT", "DELETE", "INSERT"]


def test_a_write_from_outside_says_who(blank, questions):
    """Somebody with psql is the answer often enough; user and application are what is known of them."""
    blank.execute("set local application_name = 'psql'")
    write(blank, "insert into users (id, email) values (1, 'a')")

    change = questions.ask("state_history", target="public.users", row_key={"id": 1})[0]

    assert change["request_id"] is None
    assert change["actor"].startswith("psql@")


def test_a_dropped_table_still_has_its_history(past, questions):
    """The record outlives the table; that is when it is needed."""
    past.execute("drop table public.users cascade")

    target, key = questions.row("users", "42")

    assert len(questions.ask("state_history", target=target, row_key=key)) == 4


def test_limit_keeps_the_latest_and_counts_all(past, questions):
    """A reader must know that there was more."""
    changes = questions.ask("state_history", target="public.users", row_key={"id": 42}, most=2)

    assert [change["rolled_back"] for change in changes] == [False, True]
    assert changes[0]["mutations"] == 4


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("team=red,member=7", {"team": "red", "member": 7}),
        ("member=7, team=red", {"team": "red", "member": 7}),
        ("red,7", {"team": "red", "member": 7}),
        ("team=a,b,member=7", {"team": "a,b", "member": 7}),
    ],
)
def test_composite_keys_are_written_by_name_or_in_order(blank, questions, given, key):
    """People write keys as they think of them."""
    assert questions.value("parse_key", target="public.memberships", given=given) == key


@pytest.mark.parametrize("given", ["42", "id=42", "id = 42", " 42"])
def test_a_single_key_needs_no_name(blank, questions, given):
    """The common case must be short, and typed as the recorder types it."""
    assert questions.value("parse_key", target="public.users", given=given) == {"id": 42}


@pytest.mark.parametrize(
    ("table", "given", "said"),
    [
        ("public.users", "abc", "abc"),
        ("public.memberships", "team=red", "does not say member"),
        ("public.memberships", "team=red,member=x", "member"),
    ],
)
def test_a_wrong_key_is_said_with_the_right_form(blank, questions, table, given, said):
    """A wrong key must not look like a row without history."""
    with pytest.raises(UsageError, match=said) as raised:
        questions.value("parse_key", target=table, given=given)

    assert raised.value.hint.startswith("Write --id ")


def test_an_unknown_table_is_said_with_those_like_it(blank, questions):
    """A typo is the usual reason."""
    with pytest.raises(NotFound, match='no table "usres"') as raised:
        questions.value("table_named", given="usres")

    assert raised.value.hint.startswith("Tables here: users")


@pytest.mark.parametrize("given", ['"We ird"."T"', "T", '"T"'])
def test_quoted_names_in_other_schemas_are_found(blank, questions, given):
    """Nobody should have to guess how Flux spells a name."""
    blank.execute('create schema "We ird"; create table "We ird"."T" (id int primary key)')

    assert questions.value("table_named", given=given) == '"We ird"."T"'

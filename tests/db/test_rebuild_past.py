"""Questions of the past whose answers are known: one for each way in which undoing can go wrong."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest


@pytest.fixture
def shop(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create table public.users (id int primary key, plan text, n numeric)")
        connection.execute("create table public.notes (id int, n numeric)")
        connection.execute("insert into users values (1, 'free', 1.10), (2, 'free', 2)")
        connection.execute("insert into notes values (1, 1.10), (1, 1.1)")
        yield connection


def now(connection: psycopg.Connection) -> Any:
    (moment,) = connection.execute("select clock_timestamp()").fetchone() or (None,)
    return moment


def request_begins(connection: psycopg.Connection) -> uuid.UUID:
    request_id = uuid.uuid4()
    connection.execute(
        "insert into flux.trace_requests (request_id, kind, outcome, started_at, snapshot) "
        "values (%s, 'http', 'ok', clock_timestamp(), pg_current_snapshot())",
        (request_id,),
    )
    return request_id


def users(connection: psycopg.Connection, moment: Any) -> list[tuple[Any, ...]]:
    """The rows as the table gives them, which must be the ones that are asked for one by one."""
    rows = connection.execute(
        "select row_past ->> 'id', row_past ->> 'plan' from flux.table_as_of('users', %s) as row_past order by 1",
        (moment,),
    ).fetchall()
    alone = connection.execute(
        "select id::text, row_past ->> 'plan' from generate_series(1, 9) as id, "
        "flux.row_as_of('users', jsonb_build_object('id', id), %s) as row_past where row_past is not null order by 1",
        (moment,),
    ).fetchall()
    assert rows == alone
    return rows


HISTORIES = {
    "changed twice": "update users set plan = 'a' where id = 1; update users set plan = 'b' where id = 1",
    "changed and deleted": "update users set plan = 'a' where id = 1; delete from users where id = 1",
    "deleted and there again": "delete from users where id = 1; insert into users values (1, 'new', 0)",
    "moved": "update users set id = 7, plan = 'a' where id = 1",
    "moved and changed": "update users set id = 7 where id = 1; update users set plan = 'a' where id = 7",
    "changed and moved": "update users set plan = 'a' where id = 1; update users set id = 7 where id = 1",
    "swapped": "update users set id = 9 where id = 1; update users set id = 1 where id = 2; "
    "update users set id = 2 where id = 9",
    "moved onto one deleted": "delete from users where id = 2; update users set id = 2 where id = 1",
    "added": "insert into users values (3, 'new', 0); update users set plan = 'a'",
    "truncated": "update users set plan = 'a'; truncate users; insert into users values (1, 'new', 0)",
}


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history_is_undone_to_where_it_began(shop: psycopg.Connection, history: str) -> None:
    """Each key has the state it had, whatever rows bore it since."""
    before = now(shop)

    shop.execute(HISTORIES[history])

    assert users(shop, before) == [("1", "free"), ("2", "free")]


def test_writes_that_were_rolled_back_are_not_undone(shop: psycopg.Connection) -> None:
    """An attempt is kept in the record and changed nothing."""
    before = now(shop)

    shop.execute(
        "insert into flux.state_mutations (table_name, operation, row_key, old_values, new_values, rolled_back) "
        """values ('public.users', 'UPDATE', '{"id": 1}', '{"plan": "x"}', '{"plan": "y"}', true)"""
    )

    assert users(shop, before) == [("1", "free"), ("2", "free")]


def test_a_transaction_is_shown_whole_or_not_at_all(shop: psycopg.Connection, database_url: str) -> None:
    """At a moment in its middle, half of it was written and none of it was committed."""
    with psycopg.connect(database_url) as writer:
        writer.execute("update users set plan = 'a' where id = 1")
        middle = now(shop)
        writer.execute("update users set plan = 'a' where id = 2")
        writer.commit()

    assert users(shop, middle) == [("1", "free"), ("2", "free")]


def test_a_transaction_that_was_under_way_is_not_shown(shop: psycopg.Connection, database_url: str) -> None:
    """It had written by then, and the next request still did not see it."""
    with psycopg.connect(database_url) as writer:
        writer.execute("update users set plan = 'a' where id = 1")
        moment = now(shop)
        request_id = request_begins(shop)
        writer.commit()

    assert users(shop, moment) == [("1", "free"), ("2", "free")]
    assert shop.execute("select flux.row_seen_by('users', '{\"id\": 1}', %s)", (request_id,)).fetchone() == (
        {"id": 1, "plan": "free", "n": 1.1},
    )


def test_a_write_is_shown_from_its_commit_on(shop: psycopg.Connection) -> None:
    """The request that wrote it is not the last to be asked."""
    request_begins(shop)
    shop.execute("update users set plan = 'pro' where id = 1")
    after = now(shop)
    shop.execute("update users set plan = 'max' where id = 1")

    assert users(shop, after) == [("1", "pro"), ("2", "free")]


def test_rows_without_a_key_are_counted_by_image(shop: psycopg.Connection) -> None:
    """1.10 and 1.1 are two rows, and one row twice is two rows too."""
    before = now(shop)

    shop.execute("update notes set n = 1.1; insert into notes values (2, 2); delete from notes where id = 1")

    rows = shop.execute(
        "select row_past ->> 'n' from flux.table_as_of('notes', %s) as row_past order by 1", (before,)
    ).fetchall()
    assert rows == [("1.1",), ("1.10",)]


def test_a_key_may_be_written_in_any_way(shop: psycopg.Connection) -> None:
    """People type what they see; the key in the record is of one form."""
    before = now(shop)
    shop.execute("update users set plan = 'pro' where id = 1")

    row = shop.execute("""select flux.row_as_of('users', '{"id": "01"}', %s) ->> 'plan'""", (before,)).fetchone()

    assert row == ("free",)


@pytest.mark.parametrize(
    ("question", "code", "message"),
    [
        ("row_as_of('users', '{\"name\": 1}', now())", "XF003", "the key of public.users is (id)"),
        ("row_as_of('users', '5', now())", "XF003", "the key of public.users is (id)"),
        ("row_as_of('notes', '{\"id\": 1}', now())", "XF803", "table public.notes has no primary key"),
        ("table_seen_by('users', '4f9a3b2c-4f9a-4f9a-8f9a-4f9a3b2c4f9a')", "XF801", "no request 4f9a3b2c"),
        ("row_as_of('hidden', '{\"id\": 1}', now())", "XF803", "the past of public.hidden is not recorded"),
        ("table_as_of('hidden', now())", "XF803", "the past of public.hidden is not recorded"),
    ],
)
def test_what_cannot_be_known_is_said(shop: psycopg.Connection, question: str, code: str, message: str) -> None:
    """Promise 9: no row and not recorded are different answers."""
    shop.execute("create table public.hidden (id int primary key); select flux.untrack('hidden')")

    with pytest.raises(psycopg.Error) as unknown:
        shop.execute(f"select flux.{question}")

    assert (unknown.value.sqlstate, message in str(unknown.value)) == (code, True)


def test_a_moment_before_the_days_that_are_kept_is_refused(shop: psycopg.Connection) -> None:
    """What happened since is forgotten in part, so any answer would be a guess."""
    shop.execute(
        "update flux.installed_files set installed_at = now() - interval '9 days'; "
        "select flux.make_partition('state_mutations', current_date - day) from generate_series(1, 9) as day; "
        "select flux.drop_partitions_before(current_date - 3)"
    )

    kept = shop.execute("select flux.recorded_moment((current_date - 3)::timestamptz) is not null").fetchone()
    with pytest.raises(psycopg.Error, match="is not recorded") as unknown:
        shop.execute("select flux.recorded_moment(now() - interval '5 days')")

    assert kept == (True,)
    assert unknown.value.sqlstate == "XF803"
    assert "keep_days" in str(unknown.value.diag.message_hint)


def test_a_request_without_sql_saw_nothing(shop: psycopg.Connection) -> None:
    """It has no snapshot, and none is made up for it."""
    request_id = uuid.uuid4()
    shop.execute(
        "insert into flux.trace_requests (request_id, kind, outcome, started_at) values (%s, 'http', 'ok', now())",
        (request_id,),
    )

    with pytest.raises(psycopg.Error, match="ran no SQL") as unknown:
        shop.execute("select flux.table_seen_by('users', %s)", (request_id,))

    assert unknown.value.sqlstate == "XF803"

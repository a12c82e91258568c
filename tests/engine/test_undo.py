"""Taking back what one request committed: all of it, only it, and only while nothing else stands on it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import tuple_row
from sandboxes import LATER, TABLES, connect, content, seen, written

from flux.engine.questions import asking
from flux.engine.undo import Undo, apply_undo, plan_undo
from flux.errors import CannotUndo, NotFound, NotRecorded


@pytest.fixture
def shop(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as connection:
        connection.execute(TABLES)
        connection.execute("select flux.track_all()")
        yield connection


def plan(url: str, request: UUID) -> Undo:
    with asking(url) as questions:
        return plan_undo(questions, str(request))


def test_everything_a_request_wrote_is_taken_back(shop: psycopg.Connection, database_url: str) -> None:
    """Inserts, updates, moved keys, deletes with what cascaded from them, and truncates, of tables of every kind."""
    before = content(shop)
    request = written(shop, LATER)
    assert content(shop) != before

    apply_undo(database_url, plan(database_url, request))

    assert content(shop) == before


def test_the_script_does_the_same_in_psql(shop: psycopg.Connection, database_url: str) -> None:
    """It is printed to be read first and run later, under whatever settings."""
    before = content(shop)
    request = written(shop, LATER, "insert into orders (total, made_at) values (1, '2026-03-10 12:00:00.123456+00')")
    again = written(shop, "delete from orders where total = 1 and user_id is null")

    shop.execute("set datestyle = 'German'; set timezone = 'Asia/Tokyo'")
    shop.execute(plan(database_url, again).script)
    shop.execute(plan(database_url, request).script)
    shop.execute("reset datestyle; reset timezone")

    assert content(shop) == before


def test_an_undo_is_recorded_under_its_own_name(shop: psycopg.Connection, database_url: str) -> None:
    """Whoever looks at the row later sees who took what back."""
    request = written(shop, "update users set plan = 'pro' where id = 1")

    apply_undo(database_url, plan(database_url, request))

    with shop.cursor(row_factory=tuple_row) as cursor:
        last = cursor.execute(
            "select request_id, actor, new_values from flux.state_mutations order by id desc limit 1"
        ).fetchone()
    assert last == (None, f"flux undo req:{str(request)[:8]}@postgres", {"plan": "free"})


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("update users set plan = 'pro' where id = 1", "update users set n = 3 where id = 1"),
        ("update users set plan = 'pro' where id = 1", "delete from users where id = 1"),
        ("update parted set id = 5 where id = 1", "insert into parted values (1, 'new')"),
        ("delete from parted where id = 1", "insert into parted values (1, 'new')"),
        ("insert into parted values (3, 'x')", "update parted set id = 4 where id = 3"),
    ],
)
def test_rows_that_were_changed_since_are_refused(
    shop: psycopg.Connection, database_url: str, first: str, later: str
) -> None:
    """With the request that changed them, and from outside Flux with whoever it was."""
    request, other = written(shop, first), written(shop, later)

    with pytest.raises(CannotUndo, match=f"req:{str(other)[:8]} signup") as refused:
        plan(database_url, request)
    assert f"`flux state undo req:{str(other)[:8]}`" in str(refused.value.hint)

    # Once that is taken back, the row is as the request left it.
    apply_undo(database_url, plan(database_url, other))
    apply_undo(database_url, plan(database_url, request))


def test_a_writer_outside_flux_is_named(shop: psycopg.Connection, database_url: str) -> None:
    """A row that psql changed is no less changed."""
    request = written(shop, "update users set plan = 'pro' where id = 1")
    shop.execute("set application_name = 'psql'; update users set plan = 'x' where id = 1")

    with pytest.raises(CannotUndo, match="users id=1  by psql@postgres"):
        plan(database_url, request)


def test_what_others_hung_on_a_row_is_not_taken_along(shop: psycopg.Connection, database_url: str) -> None:
    """Deleting the user would delete somebody else's order; nothing at all is changed then."""
    request = written(shop, "insert into users (email) values ('new')", "update users set plan = 'x' where id = 1")
    written(shop, "insert into orders (user_id, total) select id, 9 from users where email = 'new'")
    before = content(shop)

    with pytest.raises(CannotUndo, match=r"nothing was changed: public\.users id=6 is not as the request left it"):
        apply_undo(database_url, plan(database_url, request))

    assert content(shop) == before


def test_a_row_that_changed_unrecorded_is_found_out(shop: psycopg.Connection, database_url: str) -> None:
    """The values that the request left are looked for, not only the record."""
    request = written(shop, "update users set plan = 'pro', n = 5 where id = 1")
    shop.execute("alter table users disable trigger user; update users set plan = 'sly' where id = 1")

    with pytest.raises(CannotUndo, match="users id=1 is not as the request left it"):
        apply_undo(database_url, plan(database_url, request))


def test_what_the_record_does_not_hold_is_not_made_up(shop: psycopg.Connection, database_url: str) -> None:
    """A redacted value, a column that is no more, a table that is no more, a request that wrote nothing."""
    shop.execute("""insert into flux.settings values ('redact', '["users.plan"]'); select flux.track_all()""")
    redacted = written(shop, "update users set plan = 'pro' where id = 1")
    column = written(shop, "update notes set n = 5")
    table = written(shop, "delete from animals where id = 1")
    shop.execute("alter table notes drop column n; drop table animals cascade")

    for request, said in (
        (redacted, "public.users: what plan was before is redacted"),
        (column, "public.notes: the table has no column n any more"),
        (table, "public.animals: the table is no more"),
    ):
        with pytest.raises(CannotUndo, match=said):
            plan(database_url, request)
    with pytest.raises(NotRecorded, match="committed no writes"):
        plan(database_url, seen(shop))
    with pytest.raises(NotFound):
        plan(database_url, UUID("ffffffff-0000-4000-8000-000000000000"))


def test_a_deleted_tree_is_put_back_from_its_root(shop: psycopg.Connection, database_url: str) -> None:
    """Rows of one table that refer to each other come back together, and before those of other tables."""
    shop.execute(
        "create table public.nodes (id int primary key, parent int references nodes on delete cascade); "
        "create table public.leaves (id int primary key, node int not null references nodes on delete cascade); "
        "insert into nodes values (1, null), (2, 1), (3, 2); insert into leaves values (1, 3), (2, 1)"
    )
    before = content(shop, ["nodes", "leaves"])
    request = written(shop, "delete from nodes where id = 1")
    children_first = written(shop, "insert into nodes values (7, null); insert into leaves values (7, 7)")
    gone = written(shop, "delete from leaves where id = 7; delete from nodes where id = 7")

    for one in (gone, children_first, request):
        apply_undo(database_url, plan(database_url, one))

    assert content(shop, ["nodes", "leaves"]) == before

"""Tables of every form, and tables that change their form between two writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Recorded = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def unattended(connection: psycopg.Connection) -> psycopg.Connection:
    """A database where nobody tells Flux of DDL, as where event triggers are not allowed."""
    connection.execute("drop event trigger if exists flux_follow_ddl")
    return connection


def test_odd_names_are_kept(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H8: names with spaces, quotes, dots, percent signs and other alphabets are names."""
    connection.execute('create schema "My App"')
    connection.execute(
        'create table "My App"."We ird.T""x" '
        '("Käse %s" int primary key, "a.b" text, "new" int, "old_values" int, "$1" int)'
    )

    connection.execute('insert into "My App"."We ird.T""x" values (1, \'x\', 2, 3, 4)')
    connection.execute('update "My App"."We ird.T""x" set "a.b" = \'y\', "old_values" = 5')

    name = '"My App"."We ird.T""x"'
    assert recorded(name)[1]["new_values"] == {"a.b": "y", "old_values": 5}
    assert connection.execute("select %s::regclass is not null", (name,)).fetchone() == (True,)


def test_a_table_may_have_many_columns(connection: psycopg.Connection, recorded: Recorded) -> None:
    """A function takes 100 arguments at most, a table has up to 1,600 columns."""
    columns = ", ".join(f"c{number} int default {number}" for number in range(300))
    connection.execute(f"create table public.wide (id int primary key, {columns})")

    connection.execute("insert into wide values (1)")
    connection.execute("update wide set c299 = 0")

    inserted, updated = recorded("public.wide")
    assert inserted["new_values"] == {"id": 1, **{f"c{number}": number for number in range(300)}}
    assert updated["old_values"] == {"c299": 299}


def test_a_table_without_columns_is_recorded(connection: psycopg.Connection, recorded: Recorded) -> None:
    """It is of no use, but it is legal."""
    connection.execute("create table public.nothing ()")

    connection.execute("insert into nothing default values")

    assert recorded("public.nothing")[0]["new_values"] == {}


def test_generated_columns_are_kept_as_stored(connection: psycopg.Connection, recorded: Recorded) -> None:
    """A stored one is data; a virtual one is not, and must not be in the way."""
    virtual = ", later int generated always as (id + 1) virtual" if connection.info.server_version >= 180000 else ""
    connection.execute(
        "create table public.sums (id int generated always as identity primary key, a int, "
        f"twice int generated always as (a * 2) stored{virtual})"
    )

    connection.execute("insert into sums (a) values (2)")
    connection.execute("update sums set a = 3")

    inserted, updated = recorded("public.sums")
    assert inserted["new_values"] == {"id": 1, "a": 2, "twice": 4}
    assert updated["new_values"] == {"a": 3, "twice": 6}


DDL = {
    "added": ("add column extra text[] default '{x}'", {"a": 2, "b": "y", "c": 3}, {"extra": "{x}"}),
    "renamed": ("rename column b to beta", {"a": 2, "beta": "y", "c": 3}, {}),
    "swapped": (None, {"a": 2, "b": 3, "c": "y"}, {}),
    "retyped": ("alter column c type int[] using array[c]", {"a": 2, "b": "y", "c": "{3}"}, {}),
    "retyped to a type that is never equal": ("alter column c type point using point(c, -0.0)", None, {}),
    "dropped": ("drop column b", {"a": 2, "c": 3}, {}),
    "dropped and added": ("drop column c, add column c numeric default 1.10", {"a": 2, "b": "y"}, {"c": "1.1"}),
}


@pytest.mark.parametrize("change", DDL)
@pytest.mark.parametrize("cached", [True, False])
def test_a_write_after_ddl_that_nobody_told_of_is_recorded_right(
    unattended: psycopg.Connection, recorded: Recorded, change: str, cached: bool
) -> None:
    """H7: a recorder made for an older shape neither breaks the write nor keeps it wrong."""
    unattended.execute("create table public.t (id int primary key, a int, b text, c int)")
    unattended.execute("select flux.track('t')")
    if cached:
        unattended.execute("insert into t values (0, 0, '', 0); update t set a = 1; delete from t")

    if DDL[change][0] is None:
        for step in ("b to z", "c to b", "z to c"):
            unattended.execute(f"alter table t rename column {step}")
        unattended.execute("insert into t values (1, 1, 'y', 3)")
    else:
        unattended.execute("insert into t values (1, 1, 'y', 3)")
        unattended.execute(f"alter table t {DDL[change][0]}")
    unattended.execute("update t set a = 2, id = 5")
    unattended.execute("update t set a = 3")
    unattended.execute("delete from t")

    *_, moved, updated, deleted = recorded("public.t")
    assert (moved["previous_key"], moved["row_key"]) == ({"id": 1}, {"id": 5})
    assert {key: str(value) for key, value in moved["new_values"].items()} == {"id": "5", "a": "2"}
    assert {key: str(value) for key, value in updated["old_values"].items()} == {"a": "2"}
    row = flat(deleted["old_values"])
    if DDL[change][1] is not None:
        assert row == flat({"id": 5, **DDL[change][1], "a": 3, **DDL[change][2]})
    assert unattended.execute("select reason from flux.untracked_tables").fetchall() == [("recorder stale",)]


def flat(values: dict[str, Any]) -> dict[str, str]:
    """Values as ->> reads them."""
    return {key: str(value) for key, value in values.items()}


def test_a_column_committed_after_the_snapshot_is_recorded(database_url: str, recorded: Recorded) -> None:
    """H15: under REPEATABLE READ the catalog is that of the snapshot, the row is that of now."""
    with psycopg.connect(database_url) as writer, psycopg.connect(database_url, autocommit=True) as other:
        other.execute("drop event trigger if exists flux_follow_ddl")
        other.execute("create table public.t (id int primary key)")
        other.execute("select flux.track('t')")
        writer.execute("set transaction isolation level repeatable read")
        writer.execute("select 1")

        other.execute("alter table t add column late text default 'd'")
        writer.execute("insert into t values (1, 'x')")
        writer.execute("update t set late = 'y'")
        writer.commit()

        inserted, updated = recorded("public.t", of=other)
    assert flat(inserted["new_values"]) == {"id": "1", "late": "x"}
    assert updated["new_values"] == {"late": "y"}


def test_a_stale_recorder_of_many_columns_still_records(unattended: psycopg.Connection, recorded: Recorded) -> None:
    """The slow way has the same limits of Postgres to keep to."""
    columns = ", ".join(f"c{number} int default {number}" for number in range(120))
    unattended.execute(f"create table public.wide (id int primary key, {columns})")
    unattended.execute("select flux.track('wide')")

    unattended.execute("alter table wide add column late int default 7")
    unattended.execute("insert into wide values (1)")

    assert len(recorded("public.wide")[0]["new_values"]) == 122


def test_a_stale_recorder_still_hides_what_is_secret(unattended: psycopg.Connection, recorded: Recorded) -> None:
    """Promise 10 holds on the slow way too."""
    unattended.execute(
        """
        insert into flux.settings values ('redact', '["password"]')
        on conflict (name) do update set value = excluded.value
        """
    )
    unattended.execute("create table public.t (id int primary key, password text)")
    unattended.execute("select flux.track('t')")

    unattended.execute("alter table t add column extra int")
    unattended.execute("insert into t values (1, 'hunter2', 3)")

    assert recorded("public.t")[0]["new_values"]["password"] == "[redacted]"


@pytest.mark.parametrize(
    "ddl", ["rename to users2", "set schema other", "add column more int", "drop constraint users_pkey"]
)
def test_ddl_renews_the_recorder(connection: psycopg.Connection, ddl: str) -> None:
    """Where event triggers are allowed nothing has to be run by hand."""
    if not connection.execute("select from pg_event_trigger").fetchall():
        pytest.skip("the installing role may not create event triggers")
    connection.execute("create schema other; create table public.users (id int primary key, plan text)")

    connection.execute(f"alter table users {ddl}")

    assert connection.execute("select * from flux.untracked_tables").fetchall() == []


def test_a_renamed_schema_renews_the_recorders_in_it(connection: psycopg.Connection, recorded: Recorded) -> None:
    """The logical name must be one that can be cast to regclass."""
    connection.execute("create schema app; create table app.users (id int primary key)")

    connection.execute("alter schema app rename to shop")
    connection.execute("insert into shop.users values (1)")

    assert len(recorded("shop.users")) == 1


def test_rows_of_a_partition_are_rows_of_its_root(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H7: split by partition names, the history of a row that moved would be two."""
    connection.execute(
        """
        create table public.t (id int primary key, v text) partition by range (id);
        create table public.t_low partition of t for values from (0) to (10);
        create table public.t_high (v text, gone int, id int not null primary key);
        alter table t_high drop column gone;
        alter table t attach partition t_high for values from (10) to (20);
        """
    )

    connection.execute("insert into t values (1, 'x'); insert into t_high (id, v) values (11, 'y')")
    connection.execute("update t set v = 'z' where id = 11; update t set id = 12 where id = 1")

    assert [(row["operation"], row["row_key"]) for row in recorded("public.t")] == [
        ("INSERT", {"id": 1}),
        ("INSERT", {"id": 11}),
        ("UPDATE", {"id": 11}),
        ("DELETE", {"id": 1}),
        ("INSERT", {"id": 12}),
    ]
    assert recorded("public.t")[2]["new_values"] == {"v": "z"}


@pytest.mark.parametrize("attended", [True, False])
def test_a_partition_is_recorded_once_attached_and_detached(
    connection: psycopg.Connection, recorded: Recorded, attended: bool
) -> None:
    """H14: attached it would be recorded twice, by its own trigger and by the root's; detached, not at all."""
    if not attended:
        connection.execute("drop event trigger if exists flux_follow_ddl")
    connection.execute("create table public.t (id int primary key) partition by range (id)")
    connection.execute("create table public.part (id int primary key)")
    connection.execute("select flux.track_all()")

    connection.execute("alter table t attach partition part for values from (0) to (10)")
    connection.execute("insert into t values (1)")
    connection.execute("alter table t detach partition part")
    connection.execute("insert into part values (2)")

    assert [row["row_key"] for row in recorded("public.t")] == [{"id": 1}]
    assert [row["row_key"] for row in recorded("public.part")] == [{"id": 2}]


def test_a_partition_of_an_untracked_root_records_for_itself(
    connection: psycopg.Connection, recorded: Recorded
) -> None:
    """Its own recorder steps aside for the root's only where the root has one."""
    connection.execute("create table public.t (id int primary key) partition by range (id)")
    connection.execute("create table public.part (id int primary key)")
    connection.execute("select flux.untrack('t')")

    connection.execute("alter table t attach partition part for values from (0) to (10)")
    connection.execute("insert into t values (1)")

    assert [row["row_key"] for row in recorded("public.part")] == [{"id": 1}]


def test_a_detached_partition_that_nobody_tracks_is_named(connection: psycopg.Connection) -> None:
    """H14: detaching takes the root's trigger away in silence; the doctor must not say that all is well."""
    connection.execute("drop event trigger if exists flux_follow_ddl")
    connection.execute("create table public.t (id int primary key) partition by range (id)")
    connection.execute("create table public.part partition of t for values from (0) to (10)")
    connection.execute("select flux.track_all()")

    connection.execute("alter table t detach partition part")

    assert connection.execute("select table_name, reason from flux.untracked_tables").fetchall() == [
        ("public.part", "not tracked")
    ]


def test_a_child_by_inheritance_is_recorded_under_its_own_name(
    connection: psycopg.Connection, recorded: Recorded
) -> None:
    """H17: a parent's select shows its children's rows, and yet they are not its own."""
    connection.execute("create table public.parent (id int primary key)")
    connection.execute("create table public.child (extra text, primary key (id)) inherits (public.parent)")
    connection.execute("insert into parent values (1); insert into child values (2, 'x')")

    connection.execute("update parent set id = id + 10")

    assert [row["row_key"] for row in recorded("public.child")] == [{"id": 2}, {"id": 12}]
    assert connection.execute("select * from flux.table_as_of('parent', now() + interval '1 s')").fetchall() == [
        ({"id": 11},)
    ]


def test_a_default_added_later_is_not_taken_for_a_write(connection: psycopg.Connection, recorded: Recorded) -> None:
    """H16: a row deleted before a column came has no value for it; its leaf's default need not be its root's."""
    connection.execute("create table public.t (id int primary key)")
    connection.execute("insert into t values (1), (2)")
    connection.execute("delete from t where id = 1")

    connection.execute("alter table t add column v int default 7")
    connection.execute("delete from t where id = 2")

    assert [row["old_values"] for row in recorded("public.t") if row["operation"] == "DELETE"] == [
        {"id": 1},
        {"id": 2, "v": 7},
    ]

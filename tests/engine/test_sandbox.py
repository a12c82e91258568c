"""The sandbox holds what was there, takes another moment's state, and takes the writes of others."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from sandboxes import LATER, NAMES, TABLES, connect, content, mutations, seen

from flux.engine import past
from flux.engine.binaries import OVERRIDE, wheel_binaries
from flux.engine.sandbox import Moment, generated_columns, make_sandbox
from flux.errors import NotFound, NotRecorded


@pytest.fixture
def shop(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as connection:
        connection.execute(TABLES)
        connection.execute("select flux.track_all()")
        yield connection


@pytest.fixture(params=["whole", "by key"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small tables are copied whole when they change, large ones row by row: both on small ones."""
    if request.param == "by key":
        monkeypatch.setattr(past, "SMALL", -1)
    return str(request.param)


def test_the_sandbox_holds_what_the_request_saw(shop: psycopg.Connection, database_url: str) -> None:
    """Promise 7, for tables of every kind; the source is left as it is."""
    before, request = content(shop), seen(shop)
    shop.execute(LATER)
    after = content(shop)

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        assert content(inside) == before
        assert sandbox.notes == ()
        assert set(sandbox.tables) == {f"public.{name}" for name in NAMES}

    assert content(shop) == after


def test_pg_dump_of_18_reads_every_version(
    shop: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one that comes with Flux, and it speaks of settings that 15 does not know."""
    newest = wheel_binaries()
    assert newest is not None
    monkeypatch.setenv(OVERRIDE, str(newest.folder))

    with make_sandbox(database_url, Moment()) as sandbox, connect(sandbox.url) as inside:
        assert content(inside) == content(shop)
        assert sandbox.notes == ()


def test_state_at_a_time_and_now(shop: psycopg.Connection, database_url: str) -> None:
    """A time, a request without SQL, and no moment at all are moments too."""
    before = content(shop)
    (moment,) = shop.execute("select clock_timestamp()").fetchone() or (None,)
    without_sql = seen(shop, snapshot=False)
    shop.execute(LATER)

    for at, expected in (
        (Moment(at=moment), before),
        (Moment(seen_by=without_sql), before),
        (Moment(), content(shop)),
    ):
        with make_sandbox(database_url, at) as sandbox, connect(sandbox.url) as inside:
            assert content(inside) == expected


def test_rows_lie_as_they_were_written(shop: psycopg.Connection, database_url: str) -> None:
    """A query without an order gives rows as it did, as far as the record tells."""
    shop.execute("update users set plan = 'pro' where id = 2")
    order = shop.execute("select id from users").fetchall()
    request = seen(shop)
    shop.execute("update users set plan = 'x' where id in (1, 3); delete from users where id = 4")

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        assert order == [(1,), (3,), (4,), (5,), (2,)]
        assert inside.execute("select id from public.users").fetchall() == order


def test_generated_keys_go_on_where_they_were(shop: psycopg.Connection, database_url: str) -> None:
    """Also past numbers that an attempt took with it when it was rolled back."""
    request = seen(shop)
    with shop.transaction(force_rollback=True):
        shop.execute("insert into users (email) values ('attempt')")
        attempt = shop.execute(
            "select to_jsonb(written) from flux.state_mutations as written order by id desc"
        ).fetchone()
    shop.execute(
        "insert into flux.state_mutations "
        "select * from jsonb_populate_record(null::flux.state_mutations, %s::jsonb || '{\"rolled_back\": true}')",
        (json.dumps(attempt and attempt[0]),),
    )
    shop.execute("insert into users (email) values ('next'), ('after')")
    shop.execute("insert into orders (id, total) values (900, 1)")  # by hand, so it says nothing of the sequence

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        first = inside.execute("insert into public.users (email) values ('again') returning id").fetchone()
        other = inside.execute("insert into public.orders (total) values (1) returning id").fetchone()

    assert (first, other) == ((6,), (6,))


def test_generated_columns_are_known(shop: psycopg.Connection, database_url: str) -> None:
    """Who compares two runs must know what Postgres itself makes up."""
    shop.execute(
        "create table public.tokens (id uuid primary key default gen_random_uuid(), day date default current_date)"
    )

    found = {(one.table, one.column): (one.kind, one.sequence) for one in generated_columns(database_url)}

    assert found == {
        ("public.users", "id"): ("sequence", "public.users_id_seq"),
        ("public.orders", "id"): ("sequence", "public.orders_id_seq"),
        ("public.orders", "made_at"): ("time", None),
        ("public.tokens", "id"): ("random", None),
        ("public.tokens", "day"): ("time", None),
    }


def test_the_sandbox_records_what_runs_in_it(shop: psycopg.Connection, database_url: str) -> None:
    """A replay leaves its record there, and filling the sandbox leaves none."""
    request = uuid.uuid4()

    with make_sandbox(database_url, Moment()) as sandbox, connect(sandbox.url) as inside:
        assert inside.execute("select count(*) from flux.state_mutations").fetchone() == (0,)
        faults = inside.execute("select distinct flux.recorder_fault(t) from flux.recordable_tables() as t").fetchall()
        with inside.transaction():
            inside.execute("select set_config('flux.request_id', %s, true)", (str(request),))
            inside.execute("set local role flux_app; update public.users set plan = 'pro' where id = 1")
        inside.execute(
            "insert into flux.trace_requests (request_id, kind, outcome, started_at) "
            "values (%s, 'replay', 'ok', now())",
            (request,),
        )
        row = sandbox.read_record(request)

        with pytest.raises(NotFound):
            sandbox.read_record(uuid.uuid4())

    assert faults == [(None,)]
    assert json.loads(row.request)["kind"] == "replay"
    assert json.loads(row.spans) == []
    assert [one["new_values"] for one in json.loads(row.mutations)] == [{"plan": "pro"}]


def test_restore_gives_every_moment(shop: psycopg.Connection, database_url: str, ways: str) -> None:
    """Back and forth between moments, and over whatever was written in the sandbox."""
    moments = []
    for step in ("select 1", LATER, "delete from users; update notes set t = 'z'; truncate parted"):
        shop.execute(step)
        moments.append((Moment(seen_by=seen(shop)), content(shop)))

    with make_sandbox(database_url, moments[0][0]) as sandbox, connect(sandbox.url) as inside:
        inside.execute("set search_path = public")
        for number in (1, 2, 0, 0, 2, 1):
            moment, expected = moments[number]
            inside.execute("update users set plan = 'replayed'; delete from orders; insert into notes values ('r', 1)")
            inside.execute(
                'update "We ird" set "K y" = "K y" || \'!\'; truncate cats; insert into parted values (7, \'r\')'
            )
            sandbox.restore(moment)
            assert content(inside) == expected
        assert sandbox.notes == ()


def test_restoring_wakes_nobody(shop: psycopg.Connection, database_url: str, ways: str) -> None:
    """A trigger that ran again would write what the record holds already; its switch is as before."""
    shop.execute("""
        create function public.shout() returns trigger language plpgsql as $$
        begin insert into public.notes values ('trigger', 0); return new; end $$;
        create trigger loud after insert or update or delete on public.users
            for each row execute function public.shout();
        create trigger louder after insert on public.users for each row execute function public.shout();
        alter table public.users enable always trigger louder;
    """)
    before, request = content(shop), seen(shop)
    shop.execute("update users set plan = 'x'; delete from users where id = 3; insert into users (email) values ('n')")

    with make_sandbox(database_url, Moment()) as sandbox, connect(sandbox.url) as inside:
        sandbox.restore(Moment(seen_by=request))
        assert content(inside) == before
        assert inside.execute("select count(*) from flux.state_mutations").fetchone() == (0,)
        inside.execute("update public.users set plan = 'y' where id = 1")
        inside.execute("insert into public.users (email) values ('m')")
        assert inside.execute("select count(*) from public.notes where t = 'trigger'").fetchone() == (3,)


def test_writes_of_others_are_made_again(shop: psycopg.Connection, database_url: str) -> None:
    """Row by row, whatever the operation and the type; numbers keep their last digits."""
    request = seen(shop)
    shop.execute(LATER)
    shop.execute("update users set n = 3.10 where id = 3; insert into notes values ('z', 5.50)")

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        said = sandbox.apply(mutations(shop, request))

        assert said == ()
        assert content(inside) == content(shop)
        assert inside.execute("select count(*) from flux.state_mutations").fetchone() == (0,)
        sandbox.restore(Moment(seen_by=request))
        assert sandbox.apply(mutations(shop, request)) == ()
        assert content(inside) == content(shop)


def test_writes_that_no_longer_fit_are_said(shop: psycopg.Connection, database_url: str) -> None:
    """What the replayed code did otherwise meets what others did then."""
    request = seen(shop)
    shop.execute("update users set plan = 'pro' where id = 1; update users set plan = 'pro' where id = 2")
    shop.execute("delete from users where id = 3; insert into users (email) values ('new')")

    with make_sandbox(database_url, Moment(seen_by=request)) as sandbox, connect(sandbox.url) as inside:
        inside.execute(
            "update public.users set plan = 'gold' where id = 1; delete from public.users where id in (2, 3)"
        )
        inside.execute("insert into public.users (email) values ('new')")
        said = sandbox.apply(mutations(shop, request))
        plan = inside.execute("select plan from public.users where id = 1").fetchone()

    assert plan == ("pro",)
    assert [line.split(" by")[0] for line in said] == [
        "users id=1: plan was gold and not free when the update of postgres made it pro",
        "users id=2 is not there: the update of postgres is left out",
        "users id=3 is not there: the delete of postgres is left out",
        "orders id=3 is not there: the delete of postgres is left out",
        "users id=6 is there already, or its values are: the insert of postgres is left out",
    ]


def test_a_past_that_is_not_recorded_is_refused(shop: psycopg.Connection, database_url: str) -> None:
    """Nothing is made for a moment nobody knows."""
    with pytest.raises(NotFound), make_sandbox(database_url, Moment(seen_by=uuid.uuid4())):
        pass
    (before,) = shop.execute("select now() - interval '1 year'").fetchone() or (None,)
    with pytest.raises(NotRecorded), make_sandbox(database_url, Moment(at=before)):
        pass

    assert shop.execute("select from pg_database where shobj_description(oid, 'pg_database') like '%%' || %s || '%%'",
                        (shop.info.dbname + " at",)).fetchall() == []  # fmt: skip

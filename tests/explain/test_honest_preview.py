"""The honest preview: what explain shows, run by the owner, is what Postgres gives the role for the original."""

from __future__ import annotations

import json

import psycopg
import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from flux.engine.policies import enforce
from flux.explain.catalogue import read_catalogue
from flux.explain.policies import Policies
from flux.explain.preview import preview
from flux.policies import Operation, Policy, PolicyFile

TABLES = ("todos", "Odd Table", "select")
COLUMNS = ("id", "owner", "flag", "label", "note")
CONDITIONS = (
    "owner = claim('sub')::int",
    "flag",
    "label is not null or owner > 1",
    "claim('level') = 'high' or not flag",
    "(flag or owner = claim('sub')::int) -- both",
    "label <> 'a''b\\' and label = any (array['x', 'claim(''sub'')', 'a'])",
    "exists_for(owner)",
)
MASKS = (
    "left(label, 1) || '…'",
    "claim('sub')",
    "case when owner = claim('sub')::int then label end",
    "current_user::text",
)
SETUP = """
    create function public.exists_for(owner integer) returns boolean language sql immutable as 'select owner % 2 = 0';
    create table public.todos
        (id integer primary key, owner integer, flag boolean, label text, note text);
    create table public."Odd Table" (like public.todos including all);
    create table public."select" (like public.todos including all);
"""


@pytest.fixture(scope="module")
def owner(new_database):
    """The owner of a database with three tables and no policies."""
    with psycopg.connect(new_database()) as connection:
        connection.execute(SETUP)
        connection.commit()
        yield connection


def named(name):
    """A name in quotes."""
    return f'"{name}"'


some_columns = st.none() | st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True).map(tuple)
condition = st.none() | st.sampled_from(CONDITIONS)
row = st.tuples(
    st.integers(0, 3) | st.none(),
    st.booleans() | st.none(),
    st.sampled_from(["a", "x", "a'b\\", "claim('sub')", None]),
)


@st.composite
def policy(draw, table):
    """What a member may do with a table: always some reading, perhaps some writing."""
    columns = draw(some_columns)
    mask = {"label": draw(st.sampled_from(MASKS))} if columns is None or "label" in columns else {}
    operations = {"select": Operation(columns, draw(condition), None, mask if draw(st.booleans()) else {})}
    if draw(st.booleans()):
        operations["update"] = Operation(draw(some_columns), draw(condition), "true")
    if draw(st.booleans()):
        operations["delete"] = Operation(None, draw(condition))
    return Policy(table, "member", operations)


@st.composite
def predicate(draw, aliases, depth):
    """A condition over the tables of these aliases."""
    alias = draw(st.sampled_from(aliases))
    simple = [
        f"{alias}.owner > 1",
        f"{alias}.flag",
        f"{alias}.label like 'a%'",
        f"{alias}.label is null",
        f"{alias}.id in (1, 2, 3)",
        "id > 1" if len(aliases) == 1 else "true",
    ]
    kind = draw(st.integers(0, 9))
    if kind < 6 or depth > 1:
        return simple[kind % len(simple)]
    if kind == 6:
        inner = draw(query(depth + 1, outer=aliases))
        return f"exists ({inner})"
    if kind == 7:
        table = draw(st.sampled_from(TABLES))
        return f"{alias}.owner in (select id from {named(table)})"
    joined = " or " if kind == 8 else " and "
    return f"({draw(predicate(aliases, depth + 1))}{joined}{draw(predicate(aliases, depth + 1))})"


@st.composite
def item(draw, alias, depth):
    """Something to select from, under an alias."""
    table = draw(st.sampled_from(TABLES))
    kind = draw(st.integers(0, 9))
    if kind < 6 or depth > 1:
        return f"{named(table)} as {alias}"
    if kind == 6:
        return f"public.{named(table)} as {alias}"
    if kind == 7:
        return f"(select * from {named(table)} as {alias}_in where {draw(predicate([alias + '_in'], 2))}) as {alias}"
    if kind == 8:
        return f"only {named(table)} as {alias}"
    return f"(table {named(table)}) as {alias}"


@st.composite
def query(draw, depth=0, outer=()):
    """A select over one to three tables, joined, nested, united."""
    aliases = [f"t{depth}{number}" for number in range(draw(st.integers(1, 2 if depth else 3)))]
    source = draw(item(aliases[0], depth))
    for alias in aliases[1:]:
        join = draw(st.sampled_from(["join", "left join", "right join", "full join"]))
        source += (
            f" {join} {draw(item(alias, depth))} on {aliases[0]}.id = {alias}.{draw(st.sampled_from(['id', 'owner']))}"
        )
    every = [*aliases, *outer]
    columns = draw(
        st.sampled_from(
            [
                "*",
                f"{aliases[-1]}.*",
                "count(*)",
                f"{aliases[0]}.id, {aliases[-1]}.label",
                f"count({aliases[0]}.flag), max({aliases[-1]}.owner)",
                # Of an `exists`, Postgres drops the results, and with them the rights that such a one would need.
                f"{aliases[0]}.id, (select max(label) from {named(TABLES[0])} where id = {aliases[0]}.owner)",
            ][: 5 if depth else 6]
        )
    )
    where = f" where {draw(predicate(every, depth))}" if draw(st.booleans()) else ""
    text = f"select {columns} from {source}{where}"
    if depth == 0:
        kind = draw(st.integers(0, 7))
        if kind == 0:
            text = f"with todos as (select 7 as id, 1 as owner, true as flag, 'a' as label, 'n' as note) {text}"
        elif kind == 1 and "count" not in columns:
            text = f"{text} union all {text}"
        elif kind == 2 and len(aliases) == 1 and "(" not in source and "count" not in columns:
            text += " for update"
    return text


@st.composite
def write(draw):
    """An update or delete that returns something."""
    table = draw(st.sampled_from(TABLES))
    where = f" where {draw(predicate(['t'], 1))}" if draw(st.booleans()) else ""
    returning = draw(st.sampled_from(["", " returning *", " returning id, label", " returning t.note"]))
    if draw(st.booleans()):
        other = draw(st.sampled_from(["", f" using {named(draw(st.sampled_from(TABLES)))} as u"]))
        joined = f"{where or ' where true'} and u.id = t.id" if other else where
        return f"delete from {named(table)} as t{other}{joined}{returning if not other else ''}"
    return f"update {named(table)} as t set note = 'new'{where}{returning}"


@st.composite
def worlds(draw):
    """Rows and a policy for each table, claims, and queries over them."""
    return (
        {table: draw(st.lists(row, max_size=6)) for table in TABLES},
        PolicyFile({"member": ""}, tuple(draw(policy(table)) for table in TABLES)),
        draw(st.fixed_dictionaries({}, optional={"sub": st.sampled_from([1, "2"]), "level": st.just("high")})),
        draw(st.lists(query() | write(), min_size=1, max_size=8)),
    )


def outcome(connection, text, claims=None):
    """The rows of a statement in no order, and how many it met; or its error. Nothing of it stays."""
    try:
        with connection.transaction(force_rollback=True):
            if claims is not None:
                connection.execute(
                    "select set_config('flux.claims', %s, true),"
                    " set_config('search_path', 'flux_role_member, public', true)",
                    (json.dumps(claims),),
                )
                connection.execute("set local role flux_role_member")
            cursor = connection.execute(text)
            rows = cursor.fetchall() if cursor.description else []
            return cursor.rowcount, sorted(map(repr, rows))
    except psycopg.Error as error:
        return error


def compare(owner, world):
    """Each query of a world as the role and as its preview by the owner."""
    rows, file, claims, queries = world
    with owner.transaction(force_rollback=True):
        for table, values in rows.items():
            for number, value in enumerate(values, start=1):
                owner.execute(f'insert into public."{table}" values (%s, %s, %s, %s)', (number, *value))
        enforce(owner, file)
        owner.execute("set local search_path = public")
        catalogue = read_catalogue(owner, "flux_role_member")
        policies = Policies(file, catalogue)
        for text in queries:
            shown = preview(text, "member", claims, catalogue, policies)
            theirs = outcome(owner, text, claims)
            note(f"{text}\n  → {shown.compiled_sql}\n  refused {shown.refused}, partial {shown.partial}\n  {theirs}")
            if isinstance(theirs, psycopg.Error):
                event("refused")
                assert shown.refused or shown.partial or isinstance(outcome(owner, shown.compiled_sql), psycopg.Error)
                continue
            assert not shown.refused
            event("partial" if shown.partial else "shown")
            if not shown.partial:
                assert outcome(owner, shown.compiled_sql) == theirs


UNTIMED = {
    "deadline": None,
    "report_multiple_bugs": False,
    "suppress_health_check": list(HealthCheck),
    "database": None,
}


@settings(max_examples=25, derandomize=True, **UNTIMED)
@given(world=worlds())
def test_the_compiled_sql_gives_the_owner_exactly_the_rows_of_the_role(owner, world):
    """A preview that shows other rows than Postgres gives is worse than none."""
    compare(owner, world)


@pytest.mark.slow
@settings(max_examples=300, **UNTIMED)
@given(world=worlds())
def test_the_compiled_sql_is_honest_over_many_worlds(owner, world):
    """As above, at length and never the same."""
    compare(owner, world)

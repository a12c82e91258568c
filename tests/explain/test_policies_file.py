"""db/policies.toml is read exactly: what it does not say is not allowed, and what it misspells is an error."""

from __future__ import annotations

import pytest

from flux.errors import PolicyError, UnknownRole
from flux.explain.catalogue import Catalogue, Column, Table
from flux.explain.policies import Policies, bind_claims
from flux.policies import claims_of, read_policies


def read(tmp_path, text):
    """The policies of a project with this file."""
    (tmp_path / "db").mkdir(exist_ok=True)
    (tmp_path / "db" / "policies.toml").write_text(text)
    return read_policies(tmp_path)


MEMBER = "[roles.member]\n[tables.todos.member]\n"
TODOS = Table("public", "todos", columns={name: Column(name, "text") for name in ("id", "owner", "email")})
CATALOGUE = Catalogue({"public.todos": TODOS})


def test_no_file_means_no_policies(tmp_path):
    """Then everything is as it was before there were any."""
    assert read_policies(tmp_path).roles == ()


def test_conditions_of_the_table_hold_for_each_operation_unless_it_has_its_own(tmp_path):
    """Whoever writes `rows` once means it for reading and for writing."""
    (policy,) = read(
        tmp_path,
        MEMBER + 'rows = "a"\nselect = { rows = "b" }\ninsert = true\nupdate = { check = "c" }\ndelete = true\n',
    ).policies

    found = {name: (one.rows, one.check) for name, one in policy.operations.items()}
    assert found == {"select": ("b", None), "insert": (None, "a"), "update": ("a", "c"), "delete": ("a", None)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[role.member]", "role is not known here; did you mean roles"),
        ("[roles.Member]", r"\[roles.Member\]: a role is lower-case"),
        ("[roles.service]", "not caller or service"),
        (
            "[roles.member]\n[tables.todos.membr]",
            r"\[tables.todos.membr\]: there is no \[roles.membr\]; did you mean member",
        ),
        (MEMBER + "selct = true", "selct is not known here; did you mean select"),
        (MEMBER + "insert = { rows = 'a' }", r"insert: rows is not known here"),
        (MEMBER + "select = { columns = [] }", "columns must be a list of names"),
        (MEMBER + "select = { columns = ['a'], mask = { b = 'x' } }", "mask: b is not among the columns"),
        (MEMBER + "select = { rows = true }", "rows must be text, not True"),
        (MEMBER + "select = { rows = ' ' }", "rows is empty"),
        (MEMBER + "rows = 'owner = claim(name)'", r"claim\(\) takes the name of a claim"),
        (MEMBER + "select = 1", "this must be a table, not 1"),
        ("tables = 1", r"\[tables\]: this must be a table"),
        ("[roles", "db/policies.toml: "),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(tmp_path, text, message):
    """A rule that is silently ignored is an open door."""
    with pytest.raises(PolicyError, match=message):
        read(tmp_path, text)


def test_claims_are_found_where_they_are_code():
    """Not in strings, comments, quoted names or other functions."""
    expression = """claim('sub') || CLAIM ( 'it''s' ) || 'claim(''a'')' || "claim"('b') || my.claim('c')
        || disclaim('d') || $x$ claim('e') $x$ || E'\\'claim(\\'f\\')' -- claim('g')
        /* claim('h') */ || flux.claim('org')"""

    assert claims_of(expression) == ("sub", "it's", "org")


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("o'hara", "'o''hara'::text"),
        ("a\\", "E'a\\\\'::text"),
        (5, "'5'::text"),
        (True, "'true'::text"),
        (None, "null::text"),
        ({"a": [1]}, "'{\"a\": [1]}'::text"),
    ],
)
def test_values_of_claims_are_literals_as_flux_claim_gives_them(value, literal):
    """A claim comes from outside; it must not become SQL."""
    assert bind_claims("x = claim('sub')", {"sub": value}) == f"x = {literal}"


def test_a_policy_beside_the_catalogue_spells_out_its_columns(tmp_path):
    """What explain shows: every column, the cast that keeps a mask's type, and no rights for others."""
    file = read(
        tmp_path, MEMBER + "rows = 'owner = 1'\nselect = { mask = { email = \"'*'\" } }\nupdate = { columns = ['id'] }"
    )
    policies = Policies(file, CATALOGUE)

    found = policies.for_("member", TODOS)

    assert (found.readable, found.masks) == (("id", "owner", "email"), {"email": "('*')::text"})
    assert (found.operations, found.writable) == (("select", "update"), {"update": ("id",)})
    assert policies.for_("member", Table("public", "teams")).operations == ()
    with pytest.raises(UnknownRole):
        policies.for_("membr", TODOS)


def test_an_update_that_reads_meets_the_rows_of_select_too(tmp_path):
    """So does Postgres, and what is shown must be what it does."""
    file = read(tmp_path, MEMBER + "select = { rows = 'a' }\nupdate = { rows = 'b', check = 'c' }\ninsert = true")
    found = Policies(file, CATALOGUE).for_("member", TODOS)

    assert found.row_filter("update") == "(a) and (b)"
    assert found.row_filter("update", reads=False) == "b"
    assert found.new_row_check("update") == "(c) and (a)"
    assert found.new_row_check("insert", reads=False) is None


def test_a_policy_for_what_is_not_there_is_refused(tmp_path):
    """A preview of it would show what never happens."""
    for policy in ("[tables.teams.member]\nselect = true", "[tables.todos.member]\nselect = { columns = ['nam'] }"):
        with pytest.raises(PolicyError, match=r"no table teams|no column nam"):
            Policies(read(tmp_path, f"[roles.member]\n{policy}"), CATALOGUE)

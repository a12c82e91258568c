"""Each parameter is known by the column it is bound for, so that a secret one can be hidden."""

from __future__ import annotations

import pytest

from flux.explain.columns import parameter_columns

EMAIL, SECRET = ("users", "email"), ("users", "password_hash")


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ("insert into users (email, password_hash) values (%s, crypt(%s))", (EMAIL, SECRET)),
        ("insert into app.users (email, password_hash) values (%s, %s), (%s, %s)", (EMAIL, SECRET, EMAIL, SECRET)),
        ("insert into users (email, password_hash) select %s, %s", (EMAIL, SECRET)),
        (
            "update users set password_hash = %s, email = lower(%s::text) where id = %s",
            (SECRET, EMAIL, ("users", "id")),
        ),
        ("select * from users as u where u.password_hash = %s", (SECRET,)),
        ("select * from orders o join users u on u.id = o.id where u.password_hash = %s", (SECRET,)),
        ("select * from users where %s = password_hash or email in (%s, %s)", (SECRET, EMAIL, EMAIL)),
        ("delete from users where password_hash like %s", (SECRET,)),
        ('update "Users" set "Password_Hash" = %s', (SECRET,)),
        ("select '100%%', * from users where email = %s limit %s", (EMAIL, None)),
        ("insert into users values (%s, %s)", (("*",), ("*",))),
    ],
)
def test_parameters_are_known_by_their_columns(statement, columns):
    """A password is secret where it is written and where it is compared."""
    assert parameter_columns(statement, statement.replace("%%", "").count("%s")) == columns


@pytest.mark.parametrize("statement", ["this is not sql %s (", "call rotate(%s)", "do %s"])
def test_what_cannot_be_read_is_said(statement):
    """The caller then hides every parameter, rather than the wrong ones."""
    assert parameter_columns(statement, 1) is None

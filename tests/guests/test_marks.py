"""`$1` as guests write it, found where Postgres would find it and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flux.errors import GuestProtocol
from flux.runtime.guests.marks import placed


@pytest.mark.parametrize(
    ("statement", "placed_text", "numbers"),
    [
        ("select $1, $2", "select %s, %s", [1, 2]),
        ("select $2, $1, $2", "select %s, %s, %s", [2, 1, 2]),
        ("select '$2' || $1 || '100%'", "select '$2' || %s || '100%%'", [1]),
        ("select e'it\\'s $2', $1", "select e'it\\'s $2', %s", [1]),
        ("select 'it''s $2', $1", "select 'it''s $2', %s", [1]),
        ('select "$2" from t where a = $1', 'select "$2" from t where a = %s', [1]),
        ("select $tag$ $2 $tag$, $$ $3 $$, $1", "select $tag$ $2 $tag$, $$ $3 $$, %s", [1]),
        ("select $1 -- $2 50%\n", "select %s -- $2 50%%\n", [1]),
        ("select /* /* $2 */ $3 */ $1", "select /* /* $2 */ $3 */ %s", [1]),
        ("select a$2, $1 from t", "select a$2, %s from t", [1]),
        ("select 5 % $1", "select 5 %% %s", [1]),
        ("select $10, $1,$2,$3,$4,$5,$6,$7,$8,$9", "select %s, " + ",".join(["%s"] * 9), [10, *range(1, 10)]),
    ],
)
def test_marks_are_found_outside_of_text(statement, placed_text, numbers):
    """A literal with a dollar in it is data."""
    assert placed(statement, list(range(1, max(numbers) + 1))) == (placed_text, numbers)


def test_a_statement_without_parameters_is_left_alone():
    """It is sent as it is, percent signs and all."""
    assert placed("select '%', $$ $1 $$", []) == ("select '%', $$ $1 $$", [])


@pytest.mark.parametrize(
    ("statement", "parameters", "reason"),
    [
        ("select $2", [1], "$2 has no parameter"),
        ("select $1", [1, 2], "its parameter 2 has no $2"),
        ("select 1", [1], "$1"),
    ],
)
def test_a_mark_and_its_parameter_belong_together(statement, parameters, reason):
    """Found here, the message is about the user's statement and not about ours."""
    with pytest.raises(GuestProtocol, match=reason.replace("$", r"\$")):
        placed(statement, parameters)


_PIECES = st.lists(
    st.sampled_from(
        [
            "$1",
            "'$1'",
            "'a''$2'",
            '"$1"',
            "-- $1\n",
            "/* $1 /* $2 */ */",
            "$$ $1 $$",
            "$a$ $1 $b$ $a$",
            "%",
            "e'\\'$1'",
            "a$1",
        ]
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_PIECES)
def test_postgres_reads_the_same_marks(connection, pieces):
    """Whatever stands around a mark, the server finds as many parameters as were placed."""
    values = [piece for piece in pieces if piece not in ("%", '"$1"', "a$1") and not piece.startswith(("--", "/*"))]
    ignored = [piece for piece in pieces if piece.startswith(("--", "/*"))]
    statement = f"select {' '.join(ignored)} 1" + "".join(
        f", {piece}::text" if piece == "$1" else f", {piece}" for piece in values
    )
    wanted = ["p" for piece in values if piece == "$1"]

    text, parameters = placed(statement, ["p"] if wanted else [])
    row = connection.execute(text, parameters or None).fetchone()

    assert parameters == wanted
    assert len(row) == 1 + len(values)

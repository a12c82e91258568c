"""What is printed: safe whatever was recorded, as wide as the terminal, and coloured only where asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.presenters.text import cut, pad, paint, pieces, render, safe, width, wrap

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202egnp.exe"


def test_recorded_escape_sequences_never_reach_the_terminal():
    """Whoever can send a request must not drive the terminal of whoever reads about it."""
    for line in (EVIL, paint(EVIL, "red"), cut(EVIL, 60), *wrap(EVIL, 20), pad(EVIL, 80)):
        printed = render(line, color=False)

        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in printed)
        assert "\u202e" not in printed


def test_what_was_hidden_is_shown():
    """A control character may be the bug; it is made visible, not swallowed."""
    assert render("a\x00b\x1b[1m", color=False) == "a\\x00b\\x1b[1m"
    assert render("two\nlines", color=False) == "two⏎lines"


def test_colours_are_there_only_when_asked_for():
    """A pipe gets the same words without the colours."""
    line = paint("ok", "green") + " " + paint("no", "bold", "red")

    assert render(line, color=True) == "\x1b[32mok\x1b[0m \x1b[1m\x1b[31mno\x1b[0m"
    assert render(line, color=False) == "ok no"


def test_recorded_text_cannot_forge_colours():
    """The marks that stand for colours hold a secret, so that what was not cleaned can do no harm either."""
    assert render(paint("a\ue003b", "green"), color=True) == "\x1b[32ma\ue003b\x1b[0m"
    assert render("a\ue003b\ue000", color=True) == "a\ue003b\ue000"
    assert list(pieces("a\ue003b" + paint("c", "red", "bold") + "d")) == [
        ("a\ue003b", frozenset()), ("c", frozenset({"red", "bold"})), ("d", frozenset()),
    ]  # fmt: skip


def test_what_a_program_colours_itself_is_as_safe():
    """The full screen gets the same text."""
    text = "".join(piece for piece, _ in pieces(paint(EVIL, "red") + EVIL))

    assert text == render(paint(EVIL, "red") + EVIL, color=False)


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("hello", 5, "hello"),
        ("hello!", 5, "hell…"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("x", 0, ""),
        ("", 3, ""),
    ],
)
def test_text_is_cut_to_columns_not_to_characters(text, columns, shown):
    """Wide characters take two columns; a table must not break on a name from Tokyo."""
    assert cut(text, columns) == shown


def test_padding_counts_columns():
    """Columns line up under wide characters and around colours."""
    assert pad("日", 4) == "日  "
    assert width(pad(paint("ab", "red"), 4)) == 4
    assert pad("7", 3, right=True) == "  7"


@given(st.text(), st.integers(min_value=2, max_value=60))
def test_wrapping_loses_nothing_and_fits(text, columns):
    """Long messages go on below; not a character of them may be lost."""
    lines = wrap(text, columns)

    assert all(width(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(safe(text).split())

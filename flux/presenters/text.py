"""Text for a terminal: colours, widths, and the one place where what was recorded is made safe to print.

Colours are written as marks and become escape sequences only in render(), after every control character was taken out
of the line. A mark holds a secret of this process. So a recorded value can neither move the cursor, nor set the title
of the window, nor colour itself, whoever forgot to clean it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

#: What a mark begins with: private-use characters that nobody outside of this process can know.
_SECRET = "\ue000" + "".join(chr(0xE010 + byte) for byte in os.urandom(6))
_END = f"{_SECRET}\ue000"
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_MARKS = {colour: _SECRET + chr(0xE001 + place) for place, colour in enumerate(_CODES)}
_NAMES = {mark: colour for colour, mark in _MARKS.items()}
_MARK = re.compile(f"{_SECRET}[\ue000-\ue006]")
_SPLIT = re.compile(f"({_MARK.pattern})")

#: C0 and C1 controls, line separators, what changes the direction of text, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def safe(text: str) -> str:
    """Text on one line without control characters: a newline shows as ⏎, a tab as a space, others as \\x1b."""
    return _UNSAFE.sub(_shown, _MARK.sub("", text))


def _shown(matched: re.Match[str]) -> str:
    character = matched[0]
    if character in "\n\u2028\u2029":
        return "⏎"
    if character in "\r\t":
        return " " if character == "\t" else ""
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def paint(text: str, *colours: str) -> str:
    """Text that render() will show in these colours."""
    return "".join(_MARKS[colour] for colour in colours) + safe(text) + _END if text else ""


def render(line: str, color: bool) -> str:
    """A line as it may be printed: control characters shown, marks turned into colours or taken out."""
    cleaned = _UNSAFE.sub(_shown, line).rstrip()
    return _MARK.sub(
        lambda mark: f"\x1b[{_CODES[_NAMES[mark[0]]] if mark[0] in _NAMES else 0}m" if color else "", cleaned
    )


def pieces(line: str) -> Iterator[tuple[str, frozenset[str]]]:
    """A line as it may be shown by a program that colours by itself: safe text, and the names of its colours."""
    colours: frozenset[str] = frozenset()
    for piece in _SPLIT.split(_UNSAFE.sub(_shown, line)):
        if piece == _END:
            colours = frozenset()
        elif piece in _NAMES:
            colours |= {_NAMES[piece]}
        elif piece:
            yield piece, colours


def width(text: str) -> int:
    """Columns the text takes on a terminal; wide characters take two, marks none."""
    text = _MARK.sub("", text)
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, columns: int) -> str:
    """Unpainted text on one line that takes at most so many columns, with … where some is left out."""
    text = safe(text)
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += width(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + "…" if columns > 0 else ""


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Text filled up with spaces to so many columns; `right` sets it to the right."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def wrap(text: str, columns: int) -> list[str]:
    """Unpainted text broken at spaces into lines of at most so many columns; longer words are broken too."""
    lines: list[str] = []
    for word in safe(text).split(" "):
        first, *more = _broken(word, columns)
        if lines and width(lines[-1]) + 1 + width(first) <= columns:
            lines[-1] += f" {first}"
        else:
            lines.append(first)
        lines += more
    return lines


def _broken(word: str, columns: int) -> list[str]:
    if word.isascii():
        return [word[begin : begin + columns] for begin in range(0, len(word), columns)] or [""]
    pieces, used = [""], 0
    for character in word:
        wide = width(character)
        if used + wide > columns and pieces[-1]:
            pieces.append("")
            used = 0
        pieces[-1] += character
        used += wide
    return pieces


def indent(lines: Iterable[str], by: int = 2) -> Iterator[str]:
    """Lines moved to the right; empty ones stay empty."""
    for line in lines:
        yield " " * by + line if line else ""

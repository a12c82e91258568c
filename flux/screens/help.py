"""What the keys do, in the order in which people need them."""

from __future__ import annotations

from flux.presenters.text import pad, paint

_KEYS = (
    ("↓ ↑  j k", "the next step, the one before; lines on the right side"),
    ("PgDn PgUp Home End", "a screen on or back; the first step, the last"),
    ("← →  h l", "fold what is inside of a step, unfold it"),
    ("Tab  Enter", "to the values on the right; Tab comes back"),
    ("e", "expand: values a member a line, all of them"),
    ("/  n N", "search names, SQL, values, logs, writes; next, previous"),
    ("f", "the next step in which a failure began"),
    ("m", "only the steps that wrote, or all again"),
    ("s", "state: the rows written, as they were at this step"),
    ("w", "the request that last wrote the row under the cursor"),
    ("d", "diff with the last good run of the same function"),
    ("b  Esc", "back to where w or the list of failures was asked"),
    ("c", "copy the command that prints the same"),
    ("q", "quit"),
    ("", ""),
    ("", "In the tree: w wrote rows, ✗ failed, * was found."),
    ("", "The mouse works: click steps, lines and keys; scroll."),
)

HELP = ["", *(f"  {pad(paint(keys, 'bold'), 22)}{text}".rstrip() for keys, text in _KEYS)]

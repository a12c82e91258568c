"""docs/guests/languages.md, made of the behaviours and of what each language says it cannot do, which the suite proves.

`make languages` writes it.
"""

from __future__ import annotations

from pathlib import Path

from behaviours import BEHAVIOURS
from languages import languages

PAGE = Path(__file__).parents[3] / "docs" / "guests" / "languages.md"

_HEAD = """# What each language can do

Written by the conformance suite, `tests/guests/conformance/`: every ✔ is a test that passes, every other mark a test
that has to fail. Run `make languages` after a change.

"""


def page() -> str:
    """The page as it has to be."""
    known = languages()
    reasons: list[str] = []
    rows = [
        "| | " + " | ".join(language.name for language in known) + " |",
        "|---|" + "---|" * len(known),
    ]
    for behaviour in BEHAVIOURS:
        cells = []
        for language in known:
            reason = language.cannot.get(behaviour.__name__)
            if reason is None:
                cells.append("✔")
                continue
            said = f"{language.name}: {reason}"
            if said not in reasons:
                reasons.append(said)
            cells.append(f"– {reasons.index(said) + 1}")
        rows.append(f"| {behaviour.__name__.replace('_', ' ')} | " + " | ".join(cells) + " |")
    notes = "".join(f"{number}. {reason}\n" for number, reason in enumerate(reasons, start=1))
    return _HEAD + "\n".join(rows) + "\n" + (f"\n{notes}" if notes else "")


if __name__ == "__main__":
    PAGE.write_text(page())

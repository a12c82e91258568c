"""The answers of flux db: what an installation did, and how a database differs from the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flux.presenters.text import paint, wrap

_DONE = ("tracked", "renewed")


def installed_lines(
    migrations: Sequence[str],
    objects: int,
    tables: Sequence[tuple[str, str]],
    warnings: Sequence[str],
    columns: int,
    policies: Sequence[str] = (),
) -> Iterator[str]:
    """What was done, most important first; one line when there was nothing to do."""
    own = [label for label in migrations if not label.startswith("flux/")]
    tracked = [name for name, outcome in tables if outcome in _DONE]
    if len(own) < len(migrations) or objects:
        made = _many(objects, "function or view", "functions and views")
        yield f"  {paint('✔', 'green')} installed Flux: {_many(len(migrations) - len(own), 'migration')}, {made}"
    for label in own:
        yield f"  {paint('✔', 'green')} ran {label}"
    if policies:
        yield f"  {paint('✔', 'green')} enforced db/policies.toml"
    for line in wrap(f"tracks {', '.join(tracked)}", columns - 4) if tracked else []:
        yield f"  {paint('✔', 'green') if line.startswith('tracks ') else ' '} {line}"
    for name, outcome in tables:
        if outcome not in (*_DONE, "unchanged"):
            yield f"  {paint('–', 'yellow')} {name} is not tracked: {outcome}"
    for warning in warnings:
        yield f"  {paint('!', 'yellow')} {warning}"
    if not (migrations or objects or tracked or policies):
        yield f"  {paint('✔', 'green')} nothing to do: everything is as in the files"


def status_lines(
    where: str, installed: bool, differences: Sequence[tuple[str, Sequence[str]]], columns: int
) -> Iterator[str]:
    """Where the database is, and each kind of difference with what differs so."""
    yield f"  {paint('✔', 'green')} {where}"
    if not installed:
        yield f"  {paint('✗', 'red')} Flux is not installed in it"
        return
    for what, labels in differences:
        yield f"  {paint('✗', 'red')} {what}"
        for label in labels:
            for line in wrap(label, columns - 6):
                yield f"      {line}"
    if not differences:
        yield f"  {paint('✔', 'green')} everything is installed, as in the files"


def tracking_line(table: str, outcome: str) -> str:
    """What became of one table."""
    said = {
        "tracked": "is tracked from now on",
        "renewed": "was tracked already; its recorder is renewed",
        "untracked": "is not tracked from now on; its history stays",
    }
    return f"  {paint('✔', 'green')} {table} {said.get(outcome, 'is as it was')}"


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"

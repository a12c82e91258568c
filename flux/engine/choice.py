"""Which tables a sandbox holds: all where they are small, else those that were touched and what is bound to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from flux.engine.past import Table

#: A source with no more rows and bytes in all is copied whole.
ALL_ROWS = 200_000
ALL_BYTES = 256 * 1024**2

Links = Mapping[str, Collection[str]]


def choose(
    tables: Mapping[str, Table], asked: Sequence[str] | None, touched: Collection[str], links: Links
) -> tuple[tuple[str, ...], str]:
    """The names of the tables to copy, and a sentence that says which and why.

    `asked` are those that people named, or "all"; `links` are foreign keys, both ways.
    """
    if asked is not None:
        if list(asked) == ["all"]:
            return tuple(tables), f"{_all(len(tables))}, as asked"
        return tuple(dict.fromkeys(asked)), f"the {_count(len(set(asked)))} asked for, of {len(tables)}"
    rows = sum(table.rows for table in tables.values())
    size = sum(table.bytes for table in tables.values())
    if rows <= ALL_ROWS and size <= ALL_BYTES:
        return tuple(tables), f"{_all(len(tables))}, {_size(rows, size)}: few enough to copy them all"
    if not touched:
        return (), f"no table yet: all {_count(len(tables))} together are large, {_size(rows, size)}"
    chosen = with_links([name for name in touched if name in tables], links)
    rest = [tables[name] for name in tables if name not in chosen]
    left = _size(sum(table.rows for table in rest), sum(table.bytes for table in rest))
    return (
        tuple(name for name in tables if name in chosen),
        f"{len(chosen)} of {_count(len(tables))}: those touched and what foreign keys bind to them; "
        f"the others, {left}, are copied when they are needed",
    )


def with_links(names: Collection[str], links: Links) -> set[str]:
    """Tables with all that foreign keys bind to them, whichever way and however far."""
    found, waiting = set(names), list(names)
    while waiting:
        new = set(links.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def _count(tables: int) -> str:
    return f"{tables} table{'' if tables == 1 else 's'}"


def _all(tables: int) -> str:
    return "the only table" if tables == 1 else f"all {tables} tables"


def _size(rows: int, size: int) -> str:
    amount, unit = (size / 1024**2, "MB") if size >= 1024**2 else (size / 1024, "kB")
    return f"about {rows:,} rows in {amount:,.{0 if amount >= 10 else 1}f} {unit}"

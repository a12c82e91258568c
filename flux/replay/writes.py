"""Which write of one execution is which of the other, and what the database generated in them.

Order does not tell: a statement writes its rows in the order in which it finds them. Writes are matched statement by
statement and table by table, by key where the key means the same in both runs, else by what they hold. Generated values
of matched inserts are learned on the way, so that later writes to the same rows find each other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flux.replay.changes import Differences, canonical
from flux.replay.difference import MISSING, MutationPair, Row
from flux.replay.recorded import RecordedRequest
from flux.replay.variation import Variation, text_of

if TYPE_CHECKING:
    from flux.engine.generated import Generated

Key = Callable[[Row, bool], Hashable]

#: With more writes of one kind in a statement, those that are not equal are matched in order.
MOST_SEARCHED = 300


class Writes:
    """Aligns and compares the mutations of two requests. `partners` gives for each of A's steps that of B."""

    def __init__(
        self,
        a: RecordedRequest,
        b: RecordedRequest,
        generated: Iterable[Generated],
        partners: Mapping[int, int],
        variation: Variation,
    ) -> None:
        self._partners = partners
        self._variation = variation
        self._generated = {(column.table, column.column): column.kind for column in generated}
        self._made_in_a, self._made_in_b = _Answers(a), _Answers(b)
        self._left_a, self._left_b = list(a.mutations), list(b.mutations)
        self._pairs: list[tuple[Row, Row]] = []
        self._align()

    def compared(self) -> Iterator[tuple[MutationPair, Differences]]:
        """Each write beside its counterpart, in the order they were made; A's before B's where one is alone."""
        pairs: list[tuple[Row | None, Row | None]] = [*self._pairs, *((one, None) for one in self._left_a)]
        pairs.sort(key=lambda pair: _place(pair[0]))
        numbers = {id(other): number for number, (_, other) in enumerate(pairs) if other is not None}
        paired = sorted((other for _, other in self._pairs), key=_place)
        places = [_place(other) for other in paired]
        follows: dict[int, list[Row]] = {}
        for row in sorted(self._left_b, key=_place):
            at = bisect_left(places, _place(row))
            follows.setdefault(numbers[id(paired[at - 1])] if at else -1, []).append(row)
        waiting = follows.get(-1, [])
        for number, (one, other) in enumerate([*pairs, (None, None)]):
            if other is not None or one is None:
                yield from (self._compare(None, row) for row in waiting)
                waiting = []
            if one is not None:
                yield self._compare(one, other)
                waiting += follows.get(number, [])

    def _compare(self, a: Row | None, b: Row | None) -> tuple[MutationPair, Differences]:
        found = Differences(self._variation, f"write to {(b or a or {}).get('table_name')}: ")
        if a is None or b is None:
            return MutationPair(a, b), found
        found.members("", a, b, ["table_name", "operation", "rolled_back"])
        members = ["new_values", "old_values", "previous_key"]
        if a["operation"] == b["operation"] == "UPDATE":
            members.append("row_key")  # of a row that came or went, the values hold it
        for member in members:
            one, other = a.get(member) or {}, b.get(member) or {}
            for column in [*one, *(name for name in other if name not in one)]:
                found.member(
                    f"{member}.{column}",
                    one.get(column, MISSING),
                    other.get(column, MISSING),
                    lambda x, y, column=column: self._is_generated(a, b, column, x, y),  # type: ignore[misc]
                )
        pair = found.of(a, b)
        return MutationPair(a, b, pair.changes, pair.volatile), found

    def _is_generated(self, a: Row, b: Row, column: str, one: Any, other: Any) -> bool:
        """Whether the database made both values, the one where the other run made the other."""
        kind = self._generated.get((a["table_name"], column))
        if kind is None or a["table_name"] != b["table_name"] or text_of(one) is None or text_of(other) is None:
            return False
        if text_of(self._variation.counterpart(_maker(a["table_name"], column), one)) == text_of(other):
            return True
        if kind != "time" or a["operation"] != "INSERT":
            return False
        return not self._handed_in(a, b, one, other)

    def _handed_in(self, a: Row, b: Row, one: Any, other: Any) -> bool:
        """Whether a function gave the value itself, rather than leave it to the database."""
        return self._made_in_a.handed_in(a["span_id"], one) and self._made_in_b.handed_in(b["span_id"], other)

    # Alignment

    def _align(self) -> None:
        statements = dict.fromkeys(row["span_id"] for row in self._left_a if row["span_id"] in self._partners)
        by_a, by_b = _by_span(self._left_a), _by_span(self._left_b)
        for span_id in statements:
            partner = self._partners[span_id]
            ours, theirs = by_a.get(span_id, []), by_b.get(partner, [])
            for rows_a, rows_b in _by_table(ours, theirs):
                self._match(rows_a, rows_b, of_one_statement=True)
        self._forget_matched()
        for rows_a, rows_b in _by_table(self._left_a, self._left_b):
            self._match(rows_a, rows_b, of_one_statement=False)
        self._forget_matched()

    def _forget_matched(self) -> None:
        ours, theirs = {id(one) for one, _ in self._pairs}, {id(other) for _, other in self._pairs}
        self._left_a = [row for row in self._left_a if id(row) not in ours]
        self._left_b = [row for row in self._left_b if id(row) not in theirs]

    def _match(self, a: list[Row], b: list[Row], *, of_one_statement: bool) -> None:
        """Match writes of one table and operation, the surest first."""
        for key in (self._key_and_values, self._key, self._values):
            a, b = self._match_by(key, a, b)
        a, b = self._match_searching(a, b)
        sure = of_one_statement and len(a) == len(b)
        for one, other in zip(a, b, strict=False):
            if sure or self._resembles(one, other):
                self._take(one, other)

    def _match_by(self, key: Key, a: list[Row], b: list[Row]) -> tuple[list[Row], list[Row]]:
        waiting: dict[Hashable, list[Row]] = {}
        for row in reversed(b):
            waiting.setdefault(key(row, False), []).append(row)
        left = []
        for row in a:
            ours = key(row, True)
            if ours is not None and waiting.get(ours):
                self._take(row, waiting[ours].pop())
            else:
                left.append(row)
        kept = {id(row) for rows in waiting.values() for row in rows}
        return left, [row for row in b if id(row) in kept]

    def _match_searching(self, a: list[Row], b: list[Row]) -> tuple[list[Row], list[Row]]:
        """Match what differs in nothing that counts."""
        if len(a) * len(b) > MOST_SEARCHED**2:
            return a, b
        left = []
        for row in a:
            found = next((other for other in b if not self._compare_values(row, other)), None)
            if found is None:
                left.append(row)
            else:
                self._take(row, found)
                b = [other for other in b if other is not found]
        return left, b

    def _compare_values(self, a: Row, b: Row) -> bool:
        """Whether the values of two writes differ in more than what is generated."""
        found = Differences(self._variation)
        for member in ("new_values", "old_values"):
            found.member(member, self._without_generated(a, member), self._without_generated(b, member))
        return bool(found.changes)

    def _resembles(self, a: Row, b: Row) -> bool:
        """Whether two writes are of the same columns, or have half their values in common."""
        if a["operation"] == "UPDATE":
            return set(a.get("new_values") or {}) == set(b.get("new_values") or {}) or a["row_key"] == b["row_key"]
        member = "old_values" if a["operation"] == "DELETE" else "new_values"
        one, other = self._without_generated(a, member), self._without_generated(b, member)
        names = one.keys() | other.keys()
        same = sum(name in one and name in other and one[name] == other[name] for name in names)
        return bool(same * 2 >= len(names))

    def _take(self, a: Row, b: Row) -> None:
        self._pairs.append((a, b))
        if a["operation"] != "INSERT" or b["operation"] != "INSERT":
            return
        ours, theirs = a.get("new_values") or {}, b.get("new_values") or {}
        for column in ours.keys() & theirs.keys():
            made = (a["table_name"], column) in self._generated and a["table_name"] == b["table_name"]
            one, other = ours[column], theirs[column]
            if made and (one == other or not self._handed_in(a, b, one, other)):
                self._variation.learn(_maker(a["table_name"], column), one, other)

    def _key_and_values(self, row: Row, ours: bool) -> Hashable:
        return (self._key(row, ours), self._values(row, ours), row["rolled_back"])

    def _key(self, row: Row, ours: bool) -> Hashable:
        """The key in B's words; None for a new row whose key is generated, which may be any."""
        key, table = row.get("row_key"), row["table_name"]
        if not key:
            return None
        if row["operation"] == "INSERT" and any((table, column) in self._generated for column in key):
            return None
        if ours:
            key = {name: self._variation.counterpart(_maker(table, name), value) for name, value in key.items()}
        return canonical(key)

    def _values(self, row: Row, ours: bool) -> Hashable:
        return canonical([self._without_generated(row, member) for member in ("new_values", "old_values")])

    def _without_generated(self, row: Row, member: str) -> dict[str, Any]:
        values = row.get(member) or {}
        return {name: value for name, value in values.items() if (row["table_name"], name) not in self._generated}


class _Answers:
    """Tells values a function handed to a statement from those the database made."""

    def __init__(self, recorded: RecordedRequest) -> None:
        self._spans = {span["span_id"]: span for span in recorded.spans}
        self._inputs: dict[int, frozenset[str]] = {}
        self._first: dict[str, int] | None = None

    def handed_in(self, span_id: int | None, value: Any) -> bool:
        """Whether it was a parameter of this step, and no answer of an earlier statement."""
        text = text_of(value)
        if text is None or span_id is None or span_id not in self._spans:
            return False
        if span_id not in self._inputs:
            self._inputs[span_id] = frozenset(_texts(self._spans[span_id].get("input")))
        return text in self._inputs[span_id] and self._answered().get(text, span_id) >= span_id

    def _answered(self) -> dict[str, int]:
        """Which statement answered with a value first."""
        if self._first is None:
            self._first = {}
            for number, span in self._spans.items():
                for text in _texts(span.get("output")) if span["kind"] == "db" else ():
                    self._first[text] = min(number, self._first.get(text, number))
        return self._first


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif (text := text_of(value)) is not None:
        yield text


def _maker(table: str, column: str) -> str:
    return f"{table}.{column}"


def _place(row: Row | None) -> tuple[bool, int]:
    return (bool(row["rolled_back"]), row["id"]) if row else (True, 1 << 63)


def _by_span(rows: Sequence[Row]) -> dict[int | None, list[Row]]:
    grouped: dict[int | None, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["span_id"], []).append(row)
    return grouped


def _by_table(a: Sequence[Row], b: Sequence[Row]) -> Iterator[tuple[list[Row], list[Row]]]:
    """The writes of both sides by table and operation."""
    grouped: dict[tuple[str, str], tuple[list[Row], list[Row]]] = {}
    for side, rows in enumerate((a, b)):
        for row in sorted(rows, key=lambda row: row["id"]):
            grouped.setdefault((row["table_name"], row["operation"]), ([], []))[side].append(row)
    yield from grouped.values()

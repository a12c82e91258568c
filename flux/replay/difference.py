"""What a comparison of two executions found: plain values, and one line that says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Row = Mapping[str, Any]


class Missing(Enum):
    """The type of MISSING, for what one side does not have at all; None is a value like others."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is not the same: where (`output.user.id`, `input[1]`), and what it is in A and in B."""

    path: str
    a: Any
    b: Any

    def as_json(self) -> dict[str, Any]:
        """The path, and the side or sides that have a value."""
        sides = {"a": self.a, "b": self.b}
        return {"path": self.path, **{side: value for side, value in sides.items() if value is not MISSING}}


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing of A beside its counterpart in B; None where a side has none.

    `changes` count as differences; `volatile` values differ as they do between any two runs, and do not count.
    """

    a: Row | None
    b: Row | None
    changes: tuple[Change, ...] = ()
    volatile: tuple[Change, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything counts: a value, or that one side has it and the other has not."""
        return bool(self.changes) or self.a is None or self.b is None

    @property
    def either(self) -> Row:
        """The side that is there; B's where both are."""
        found = self.b if self.b is not None else self.a
        assert found is not None, "something is compared with something"  # noqa: S101
        return found


@dataclass(frozen=True, slots=True)
class SpanPair(Compared):
    """A step of A beside the same step of B; the depths are those in each side's own tree."""

    a_depth: int = 0
    b_depth: int = 0

    def as_json(self) -> dict[str, Any]:
        """Both steps in short, and what differs."""
        return {"a": _step(self.a), "b": _step(self.b), **_found(self)}


@dataclass(frozen=True, slots=True)
class MutationPair(Compared):
    """A write of A beside the same write of B."""

    def as_json(self) -> dict[str, Any]:
        """Both writes, and what differs."""
        return {"a": _write(self.a), "b": _write(self.b), **_found(self)}


@dataclass(frozen=True, slots=True)
class Repeated:
    """A statement or call that one step makes more often on one side: `a` times there, `b` times here."""

    kind: str
    name: str
    sql: str | None
    a: int
    b: int

    def as_json(self) -> dict[str, Any]:
        """Its members by name."""
        return {"kind": self.kind, "name": self.name, "sql": self.sql, "a": self.a, "b": self.b}


@dataclass(frozen=True, slots=True)
class Difference:
    """How execution B differs from A. `same` means: nothing differs, and everything is known.

    `request` holds what differs in what came in, what went out and how it ended; `spans` and `mutations` hold all of
    them in order, the equal ones too. `unknown` says in words what could not be compared, `notes` what was left out
    on purpose. `verdict` is one line.
    """

    same: bool
    verdict: str
    request: Compared
    spans: tuple[SpanPair, ...] = ()
    mutations: tuple[MutationPair, ...] = ()
    repeated: tuple[Repeated, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def differing_spans(self) -> tuple[SpanPair, ...]:
        """The steps that differ, in order."""
        return tuple(pair for pair in self.spans if pair.differs)

    @property
    def differing_mutations(self) -> tuple[MutationPair, ...]:
        """The writes that differ, in order."""
        return tuple(pair for pair in self.mutations if pair.differs)

    def about(self, member: str) -> Iterator[Change]:
        """What differs in one member of the request: status, output, input, error …"""
        for change in self.request.changes:
            if change.path == member or change.path.startswith((f"{member}.", f"{member}[")):
                yield change

    def as_json(self) -> dict[str, Any]:
        """The whole comparison with stable keys."""
        return {
            "same": self.same,
            "verdict": self.verdict,
            "request": {**_found(self.request)},
            "spans": [pair.as_json() for pair in self.spans],
            "mutations": [pair.as_json() for pair in self.mutations],
            "repeated": [repeated.as_json() for repeated in self.repeated],
            "unknown": list(self.unknown),
            "notes": list(self.notes),
        }


def _found(pair: Compared) -> dict[str, Any]:
    return {
        "differs": pair.differs,
        "changes": [change.as_json() for change in pair.changes],
        "volatile": [change.as_json() for change in pair.volatile],
    }


def _step(span: Row | None) -> dict[str, Any] | None:
    members = ("span_id", "parent_id", "kind", "name", "duration_us")
    return None if span is None else {member: span.get(member) for member in members}


def _write(mutation: Row | None) -> dict[str, Any] | None:
    members = ["id", "span_id", "table_name", "operation", "row_key", "previous_key", "rolled_back"]
    members += ["old_values", "new_values"]
    return None if mutation is None else {member: mutation.get(member) for member in members}

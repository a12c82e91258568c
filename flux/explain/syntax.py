"""The tree of Postgres's parser: making nodes of text, and reading what is asked of them again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flux.explain.parser import postgres_tree


@dataclass(frozen=True, slots=True)
class Locks:
    """Which tables of a select its `for update` locks; None for all."""

    names: frozenset[str] | None = frozenset()

    @classmethod
    def of(cls, statement: Any, *, outer: bool) -> Locks:
        """The locks of a select; those of one outside it, where that locks it as a whole."""
        if outer or any(not clause.locking_clause.locked_rels for clause in statement.locking_clause):
            return cls(None)
        return cls(
            frozenset(
                name.range_var.relname
                for clause in statement.locking_clause
                for name in clause.locking_clause.locked_rels
            )
        )

    def cover(self, alias: str) -> bool:
        """Whether the table of this alias is locked."""
        return self.names is None or alias in self.names


def statement_of(text: str) -> Any:
    """The node of a statement."""
    return postgres_tree(text).stmts[0].stmt


def expression_of(text: str) -> Any:
    """The node of an expression."""
    return statement_of(f"select {text}").select_stmt.target_list[0].res_target.val


def name_of(message: Any, enumeration: str) -> str:
    """The name of a message's enumerated value."""
    descriptor = message.DESCRIPTOR.fields_by_name[enumeration]
    return str(descriptor.enum_type.values_by_number[getattr(message, enumeration)].name)


def conjuncts(node: Any) -> list[Any]:
    """What an expression is an `and` of; itself where it is none."""
    is_and = node.WhichOneof("node") == "bool_expr" and name_of(node.bool_expr, "boolop") == "AND_EXPR"
    return list(node.bool_expr.args) if is_and else [node]


def bare_column(node: Any) -> str | None:
    """The name of a column that stands alone, without its table."""
    fields = node.column_ref.fields
    return str(fields[0].string.sval) if len(fields) == 1 and fields[0].WhichOneof("node") == "string" else None


def column_name(node: Any) -> str:
    """The name of a column, without its table; "" for anything else."""
    fields = node.column_ref.fields
    return str(fields[-1].string.sval) if fields else ""


def below(message: Any) -> Iterator[Any]:
    """A message and every one inside it, in the order of the text."""
    stack = [message]
    while stack:
        one = stack.pop()
        yield one
        for descriptor, value in reversed(one.ListFields()):
            if descriptor.message_type is not None:
                stack += [value] if hasattr(value, "ListFields") else reversed(list(value))


def quoted(name: str) -> str:
    """A name in quotes."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'

"""How much a query asks for, counted on its tree, against what the project allows.

The same count for structured queries and for SQL text: tables and nesting are what a query costs, columns are not.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from flux.config import Queries
from flux.errors import QueryRefused

#: What each part of a statement counts for, and one more for every statement that it is inside of. A cast is none.
WEIGHTS = (
    (exp.Cast, 0),
    (exp.Table, 5),
    (exp.SetOperation, 5),
    (exp.Window, 2),
    (exp.Predicate, 1),
    (exp.Func, 1),
    (exp.Ordered, 1),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit of flux.toml, the value it was compared with, and whether it holds. `allowed` None is no limit."""

    name: str
    value: float | None
    allowed: float | None
    holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was counted and which rules hold; `depth` 1 is a statement without another inside."""

    complexity: int
    depth: int
    rules: tuple[Rule, ...]

    @property
    def allowed(self) -> bool:
        """Whether every rule holds."""
        return all(rule.holds for rule in self.rules)

    @property
    def broken(self) -> Rule | None:
        """The first rule that does not hold."""
        return next((rule for rule in self.rules if not rule.holds), None)


def judge(tree: exp.Expr, limits: Queries, *, limit: int | None = None) -> Verdict:
    """A verdict on a statement's tree; `limit` is the most rows it returns, where that is known.

    The time is Postgres's to enforce: it is stated, never broken here.
    """
    depth, complexity = 0, 0
    for node, level in _levels(tree):
        depth = max(depth, level)
        complexity += next((weight and weight + level - 1 for kind, weight in WEIGHTS if isinstance(node, kind)), 0)
    rules = [
        Rule("max_complexity", complexity, limits.max_complexity, complexity <= limits.max_complexity),
        Rule("max_depth", depth, limits.max_depth, depth <= limits.max_depth),
        Rule("max_limit", limit, limits.max_limit, limit is None or limit <= limits.max_limit),
        Rule("timeout", None, limits.timeout, True),
    ]
    return Verdict(complexity, depth, tuple(rules))


def require(verdict: Verdict) -> None:
    """Raise QueryRefused with the rule and the numbers, where one does not hold."""
    broken = verdict.broken
    if broken:
        raise QueryRefused(
            f"{broken.name}: this query has {broken.value:g}, the project allows {broken.allowed:g}",
            hint=f"Ask for less, or raise {broken.name} under [queries] in flux.toml.",
        )


def _levels(tree: exp.Expr) -> list[tuple[exp.Expr, int]]:
    """Every node with the number of statements it is inside of, its own included.

    A select that only gives another one's rows another form is none by itself.
    """
    found: list[tuple[exp.Expr, int]] = []
    stack: list[tuple[exp.Expr, int]] = [(tree, 0)]
    while stack:
        node, level = stack.pop()
        inside = level + (isinstance(node, exp.Select | exp.DML | exp.Delete) and not _only_forms(node))
        found.append((node, max(inside, 1)))
        stack.extend((child, inside) for child in node.iter_expressions())
    return found


def _only_forms(node: exp.Expr) -> bool:
    source = node.args.get("from_")
    return source is not None and isinstance(source.this, exp.Subquery) and not node.args.get("joins")

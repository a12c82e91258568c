"""What a query is to a role: the same statement with the policies of the role written into it, for people to read.

Postgres enforces policies itself and always gets the original text. The preview is made on the tree of Postgres's own
parser, so that no other reading of SQL can slip in; what it cannot show, it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from flux.explain.catalogue import Catalogue
from flux.explain.parser import postgres_text, postgres_tree
from flux.explain.policies import Policies
from flux.explain.rewriting import Rewriter
from flux.explain.standing import Applied, Standing

#: What can be shown with its policies written in.
SHOWN = ("select", "insert", "update", "delete")

#: Functions whose answer depends on who asks, or on the session: the owner who runs the preview gets another one.
_OF_THE_SESSION = frozenset(
    """claim current_setting current_schema current_schemas row_security_active pg_has_role has_any_column_privilege
    has_column_privilege has_table_privilege has_schema_privilege has_function_privilege has_sequence_privilege
    pg_table_is_visible to_regclass""".split()
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the catalogue of tables does not tell: functions of the project that may read tables, and views that read
    theirs with the rights of the caller."""

    functions: frozenset[str] = frozenset()
    invoker_views: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Preview:
    """`compiled_sql` is None where there is nothing to show; its parameters are those of `original`, $1 and on.

    `applied` is what the policies say of each table, in the order of the statement. `refused` are the reasons why
    Postgres refuses the statement, `partial` why the preview does not show all that happens.
    """

    original: str
    compiled_sql: str | None
    applied: tuple[Applied, ...] = ()
    refused: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def preview(
    text: str,
    role: str | None,
    claims: Mapping[str, Any],
    catalogue: Catalogue,
    policies: Policies,
    around: Surroundings | None = None,
) -> Preview:
    """The preview of one statement whose parameters are $1 and on; a role of None is the service, who sees all.

    Raises BadQuery where Postgres's parser stops, UnknownRole.
    """
    tree = postgres_tree(text)
    kind = str(tree.stmts[0].stmt.WhichOneof("node")).removesuffix("_stmt")
    if role is None:
        return Preview(text, postgres_text(tree) if kind in SHOWN else None, claims=claims)
    if kind not in SHOWN:
        words = kind.replace("_", " ")
        return Preview(text, None, partial=(f"what policies do to {words} is not shown; Postgres applies them",))
    standing = Standing(role, claims, catalogue, policies)
    rewriter = Rewriter(standing)
    rewriter.statement(tree.stmts[0].stmt)
    around = around or Surroundings()
    partial = list(standing.partial)
    partial += [f"the function {name} may read tables by itself" for name in sorted(rewriter.called & around.functions)]
    partial += [f"{name}() depends on the session" for name in sorted(rewriter.called & _OF_THE_SESSION)]
    partial += [
        f"the view {name} reads with the rights of the caller" for name in sorted(standing.met & around.invoker_views)
    ]
    return Preview(
        text,
        postgres_text(tree),
        tuple(standing.applied),
        tuple(dict.fromkeys(standing.refused)),
        tuple(dict.fromkeys(partial)),
        claims,
    )

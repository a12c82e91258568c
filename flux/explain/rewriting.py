"""Policies written into a statement: each table becomes the rows and columns that a role meets.

Works on the tree of Postgres's own parser. A table that is read is wrapped where it stands, `from todos` becomes
`from (select … from todos where …) as todos`: a condition outside would meet the wrong side of an outer join. A table
that is written gets the condition itself, because there is nothing to wrap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flux.explain.catalogue import Table
from flux.explain.policies import TablePolicy, postgres_role
from flux.explain.sources import Scopes, Source
from flux.explain.standing import Standing
from flux.explain.syntax import Locks, bare_column, column_name, conjuncts, expression_of, name_of, statement_of

_CURRENT_USER = frozenset({"SVFOP_CURRENT_ROLE", "SVFOP_CURRENT_USER", "SVFOP_USER"})

#: What is visited by rules of its own, before or after the rest.
_CLAUSES = frozenset({"with_clause", "from_clause", "using_clause", "locking_clause", "larg", "rarg", "relation"})


@dataclass
class Rewriter:
    """Rewrites one statement for a role; what it met on the way is in its standing, functions it calls in `called`."""

    standing: Standing
    called: set[str] = field(default_factory=set)
    _scopes: Scopes = field(default_factory=Scopes)
    _ctes: frozenset[str] = frozenset()
    _own: bool = False

    def statement(self, node: Any) -> None:
        """Rewrite a node that holds one statement, in place."""
        self._visit(node)

    # The walk

    def _visit(self, message: Any) -> None:
        kind = message.DESCRIPTOR.name
        if kind == "Node":
            which = message.WhichOneof("node")
            if which == "column_ref":
                if not self._own:
                    self._column(message)
            elif which == "sqlvalue_function" and name_of(message.sqlvalue_function, "op") in _CURRENT_USER:
                message.CopyFrom(expression_of(f"'{postgres_role(self.standing.role)}'::name"))
            elif which is not None:
                self._visit(getattr(message, which))
        elif kind == "SelectStmt":
            self._select(message)
        elif kind in ("InsertStmt", "UpdateStmt", "DeleteStmt"):
            self._write(message, kind.removesuffix("Stmt").lower())
        elif kind == "MergeStmt":
            self.standing.partial.append("what policies do to merge is not shown; Postgres applies them")
        else:
            if kind == "FuncCall":
                self.called.add(message.funcname[-1].string.sval)
            name = column_name(message.val) if kind == "ResTarget" else ""
            self._visit_fields(message)
            if name and not message.name and not column_name(message.val):
                message.name = name  # a mask is called what it stands for

    def _visit_fields(self, message: Any, leaving: Iterable[str] = ()) -> None:
        for descriptor, value in message.ListFields():
            if descriptor.name in leaving or descriptor.message_type is None:
                continue
            for inner in [value] if hasattr(value, "ListFields") else list(value):
                self._visit(inner)

    def _with(self, statement: Any) -> None:
        clause = statement.with_clause
        if clause.recursive:
            self._ctes |= {cte.common_table_expr.ctename for cte in clause.ctes}
        for cte in clause.ctes:
            self._visit(cte.common_table_expr.ctequery)
            self._ctes |= {cte.common_table_expr.ctename}

    def _select(self, statement: Any, *, locked: bool = False) -> None:
        ctes = self._ctes
        self._with(statement)
        for side in ("larg", "rarg"):
            if statement.HasField(side):
                self._select(getattr(statement, side), locked=locked)
        with self._scopes.inner() as scope:
            for item in statement.from_clause:
                self._from(item, scope, Locks.of(statement, outer=locked))
            names = {target.res_target.name for target in statement.target_list}
            names |= {name for target in statement.target_list if (name := bare_column(target.res_target.val))}
            for sort in statement.sort_clause:  # a bare name is that of a result before that of a column
                bare = bare_column(sort.sort_by.node)
                if bare is None or not (bare in names or statement.HasField("larg")):
                    self._visit(sort)
            self._visit_fields(statement, leaving=(*_CLAUSES, "sort_clause"))
        self._ctes = ctes

    def _from(self, node: Any, scope: list[Source], locks: Locks) -> None:
        which = node.WhichOneof("node")
        item = getattr(node, which)
        if which == "range_var":
            self._relation(node, item, None, scope, locks)
        elif which == "range_table_sample" and item.relation.WhichOneof("node") == "range_var":
            self._relation(node, item.relation.range_var, item, scope, locks)
        elif which == "join_expr":
            self._from(item.larg, scope, locks)
            self._from(item.rarg, scope, locks)
            if item.is_natural and any(source.table and not source.whole for source in scope):
                self.standing.partial.append("a natural join compares the columns that are hidden, too")
            if item.HasField("quals"):
                self._visit(item.quals)
            if item.HasField("alias"):
                self.standing.partial.append(
                    f"what the alias {item.alias.aliasname} of a join stands for is not followed"
                )
        elif which == "range_subselect" and item.subquery.WhichOneof("node") == "select_stmt":
            self._select(item.subquery.select_stmt, locked=locks.cover(item.alias.aliasname))
            scope.append(Source(item.alias.aliasname))
        else:
            self._visit(item)
            scope.append(Source(item.alias.aliasname if "alias" in item.DESCRIPTOR.fields_by_name else ""))

    # Tables that are read

    def _relation(self, node: Any, name: Any, sample: Any, scope: list[Source], locks: Locks) -> None:
        alias = name.alias.aliasname or name.relname
        table = self.standing.table(name, self._ctes)
        policy = self.standing.policy(table)
        if table is None or policy is None:
            if table is not None and not any(column.readable for column in table.columns.values()):
                self.standing.refused.append(f"{self.standing.role} may not select {table.schema}.{table.name}")
            scope.append(Source(alias))
            return
        operation = "update" if locks.cover(alias) else "select"
        source = self.standing.source(alias, name, table, policy)
        scope.append(source)
        for asked in dict.fromkeys(("select", operation)):
            self.standing.apply(table, policy, asked, self.standing.bound(policy.row_filter(asked)), None, source)
        rows = self.standing.bound(policy.row_filter(operation))
        if name.alias.colnames and not source.is_table:
            self.standing.partial.append(f"the column aliases of {alias} count columns that are hidden")
        if rows is None and source.is_table and not source.masks:
            return
        self._wrap(node, name, sample, source, rows)

    def _wrap(self, node: Any, name: Any, sample: Any, source: Source, rows: str | None) -> None:
        only = "" if name.inh else "only "
        where = f" where ({rows}\n)" if rows else ""
        inner = statement_of(f"select {source.listed()} from {only}{source.qualified}{where}")  # noqa: S608  # read again by Postgres's parser
        self._visit_own(inner.select_stmt)
        if sample is not None:
            inside = type(sample)()
            inside.CopyFrom(sample)
            inside.relation.CopyFrom(inner.select_stmt.from_clause[0])
            self._visit_fields(inside, leaving=_CLAUSES)
            inner.select_stmt.from_clause[0].range_table_sample.CopyFrom(inside)
        alias = type(name.alias)()
        alias.CopyFrom(name.alias)
        alias.aliasname = source.alias
        node.range_subselect.subquery.CopyFrom(inner)
        node.range_subselect.alias.CopyFrom(alias)

    # Tables that are written

    def _write(self, statement: Any, operation: str) -> None:
        ctes = self._ctes
        self._with(statement)
        name = statement.relation
        table = self.standing.table(name, self._ctes)
        if operation == "insert" and statement.HasField("select_stmt"):
            self._visit(statement.select_stmt)
        with self._scopes.inner() as scope:
            for item in getattr(statement, "using_clause" if operation == "delete" else "from_clause", ()):
                self._from(item, scope, Locks())
            alias = name.alias.aliasname or name.relname
            target, policy = Source(alias), self.standing.policy(table)
            if table is not None and policy is not None:
                target = self.standing.source(alias, name, table, policy, written=True)
            scope.insert(0, target)
            if operation == "insert" and statement.HasField("on_conflict_clause"):
                scope.append(Source("excluded"))
            if target.masks and statement.HasField("returning_clause"):
                self._returning(statement.returning_clause, target, alone=len(scope) == 1)
            elif statement.HasField("returning_clause"):
                self._visit(statement.returning_clause)
            self._visit_fields(statement, leaving=(*_CLAUSES, "select_stmt", "returning_clause"))
            if table is not None and policy is not None:
                self._enforce(statement, operation, table, policy, target)
        self._ctes = ctes

    def _enforce(self, statement: Any, operation: str, table: Table, policy: TablePolicy, target: Source) -> None:
        """The condition on the rows that are written, and whether the columns may be."""
        operations = [operation]
        if operation == "insert" and name_of(statement.on_conflict_clause, "action") == "ONCONFLICT_UPDATE":
            operations.append("update")
        for asked in operations:
            rows = None if asked == "insert" else self.standing.bound(policy.row_filter(asked, reads=target.read_from))
            check = None
            if asked != "delete":
                check = self.standing.bound(policy.new_row_check(asked, reads=target.read_from))
            self.standing.apply(table, policy, asked, rows, check, target)
        if operation == "insert":
            self.standing.require_columns(policy, "insert", self._inserted(statement, target))
            self.standing.require_columns(
                policy, "update", (one.res_target.name for one in statement.on_conflict_clause.target_list)
            )
            return
        if operation == "update":
            self.standing.require_columns(policy, "update", (one.res_target.name for one in statement.target_list))
        if statement.where_clause.WhichOneof("node") == "current_of_expr":
            self.standing.partial.append("where current of meets the row of a cursor")
            return
        rows = self.standing.bound(policy.row_filter(operation, reads=target.read_from))
        if rows is None:
            return
        condition = target.expression(rows)
        self._visit_own(condition)
        if not statement.HasField("where_clause"):
            statement.where_clause.CopyFrom(condition)
            return
        both = expression_of("true and true")
        parts = [*conjuncts(statement.where_clause), *conjuncts(condition)]
        del both.bool_expr.args[:]
        both.bool_expr.args.extend(parts)
        statement.where_clause.CopyFrom(both)

    def _inserted(self, statement: Any, target: Source) -> list[str]:
        """The columns that an insert names, or that its values fall into."""
        if statement.cols:
            return [one.res_target.name for one in statement.cols]
        if not statement.HasField("select_stmt"):
            return []
        source = statement.select_stmt.select_stmt
        if not target.is_table:
            self.standing.partial.append(
                f"an insert that names no columns counts those of {target.alias} that the role has"
            )
        count = len(source.values_lists[0].list.items) if source.values_lists else len(source.target_list)
        return list(target.columns[:count])

    def _returning(self, clause: Any, target: Source, *, alone: bool) -> None:
        """What is returned of a table with masks; its * is spelled out."""
        kept = []
        for one in clause.exprs:
            fields = one.res_target.val.column_ref.fields
            if not fields or fields[-1].WhichOneof("node") != "a_star":
                self._visit(one)
                kept.append(one)
            elif alone or (len(fields) > 1 and fields[0].string.sval == target.alias):
                self.standing.refused += [f"{self.standing.role} may not select {one}" for one in target.closed]
                for result in target.results():
                    self._visit_own(result)
                    kept.append(result)
                target.read_from = True
            else:
                kept.append(one)
                self.standing.partial.append("returning * names masked columns beside those of other tables")
        copies = [type(one).FromString(one.SerializeToString()) for one in kept]
        del clause.exprs[:]
        clause.exprs.extend(copies)

    # Columns

    def _column(self, node: Any) -> None:
        found = self._scopes.resolve(node.column_ref)
        self.standing.refused += [f"{self.standing.role} may not select {name}" for name in found.hidden]
        self.standing.partial += found.partial
        if found.mask is not None:
            node.CopyFrom(found.mask)
            self._visit_own(node)

    def _visit_own(self, message: Any) -> None:
        """Visit an expression of a policy, which meets every column of its table as it is."""
        self._own, outer = True, self._own
        if message.DESCRIPTOR.name == "Node":
            self._visit(message)
        else:
            self._visit_fields(message, leaving=_CLAUSES)
        self._own = outer

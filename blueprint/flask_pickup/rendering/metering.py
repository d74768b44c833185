"""Where a template meets its budget: its steps are written into its code.

Jinja's own sandbox forbids what is secret, not what is endless. Here each body of a template (of a loop, a block, a
macro, a file) begins with what carrying it out once costs, and what is put together is weighed.
"""
# ruff: noqa: N802 (Jinja finds visitors by the nodes' names)

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.visitor import NodeTransformer

_BODIES = (nodes.Template, nodes.Block, nodes.Macro, nodes.CallBlock, nodes.For)

# Names that no author can write: a filter's name has no hyphen.
COUNTED, JOINED, CHARGED = "pickup-counted", "pickup-joined", "pickup-charged"


def meter(tree: nodes.Template) -> nodes.Template:
    """Return ``tree`` with its steps written into it."""
    metered: nodes.Template = _Metering().visit(tree)
    return metered


class MeteredCode(CodeGenerator):
    """Jinja's code generator, to whom an expression as a statement is what a body costs: authors have no such."""

    def visit_ExprStmt(self, node: nodes.ExprStmt, frame: Frame) -> None:
        """Write a body's cost at its beginning."""
        self.writeline("environment.spend(", node)
        self.visit(node.node, frame)
        self.write(")")


class _Metering(NodeTransformer):
    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if isinstance(node, _BODIES):
            # Counted before the visit, which adds nodes of its own. Going round with nothing to do takes time too.
            cost = max(1, sum(_size(child) for child in node.body))
            super().generic_visit(node, *args, **kwargs)
            node.body.insert(0, nodes.ExprStmt(nodes.Const(cost), lineno=node.lineno))
            return node
        return super().generic_visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.test is not None:
            # What the test sorts out never reaches the body.
            node.iter = _filter(COUNTED, node.iter, node)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(JOINED, nodes.List(node.nodes, lineno=node.lineno), node)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return self._literal(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return self._literal(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        return self._literal(node) if node.ctx == "load" else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """Comparing takes as long as the shorter side, searching as long as what is searched."""
        self.generic_visit(node)
        for operand in node.ops:
            is_short = operand.op not in {"in", "notin"} and isinstance(node.expr, nodes.Const)
            if not is_short and not _is_constant(operand.expr):
                operand.expr = _filter(CHARGED, operand.expr, node)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _filter(CHARGED, node.node, node)
        return node

    def _literal(self, node: nodes.Expr) -> nodes.Node:
        if _is_constant(node):
            return node
        self.generic_visit(node)
        return _filter(CHARGED, node, node)


def _size(node: nodes.Node) -> int:
    """Return how many nodes are carried out with ``node``; bodies within count for themselves."""
    if isinstance(node, _BODIES):
        return 1
    return 1 + sum(_size(child) for child in node.iter_child_nodes())


def _is_constant(node: nodes.Node) -> bool:
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(_is_constant(item) for item in node.items)
    return isinstance(node, nodes.Const)


def _filter(name: str, value: Any, place: nodes.Node) -> nodes.Filter:
    found = nodes.Filter(value, name, [], [], None, None)
    return found.set_lineno(place.lineno)  # type: ignore[return-value]

"""The values that an audience compares with: ``gold`` in ``customer.tier == 'gold'``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import nodes

from flask_pickup.rendering import Environment

AudienceValues = Mapping[str, list[Any]]
"""Path, such as ``customer.tier``, to its values; ``None`` is a missing one."""

_OPPOSITE = {"eq": "ne", "gt": "lteq", "gteq": "lt", "in": "notin"}
_OPPOSITES = {**_OPPOSITE, **{other: name for name, other in _OPPOSITE.items()}}
_MIRRORED = {"gt": "lt", "lt": "gt", "gteq": "lteq", "lteq": "gteq"}
_FIRST_TO_TRY = {"gt": (1, 0, -1), "gteq": (0, 1, -1), "lt": (-1, 0, 1), "lteq": (0, -1, 1)}
"""How far from a number to look for one that a comparison with it holds for."""


def audience_values(environment: Environment, audience: str) -> dict[str, list[Any]]:
    """Return what an audience reads, each with the values that make a difference: first those for which it could hold."""
    found: dict[str, list[Any]] = {}
    for output in environment.parse("{{ (" + (audience or "true") + "\n) }}").find_all(nodes.Output):
        for node in output.nodes:
            for path, values in _values(node, holds=True):
                known = found.setdefault(path, [])
                # True is 1 to Python.
                known += [
                    value for value in values if all(value is not each and repr(value) != repr(each) for each in known)
                ]
    # What is compared with a text or a number is one.
    return {
        path: sorted(values, key=lambda value: value is None or isinstance(value, bool))
        for path, values in found.items()
    }


def _values(node: nodes.Node, *, holds: bool) -> Iterator[tuple[str, list[Any]]]:
    """Yield what a condition reads, with values for which it holds, or does not hold, and then others."""
    match node:
        case nodes.Not(node=inner):
            yield from _values(inner, holds=not holds)
        case nodes.Compare(expr=left, ops=operands):
            for operand in operands:
                yield from _compared(operand.op, left, operand.expr, holds=holds)
                left = operand.expr
        case nodes.Test(node=inner, name="none" | "undefined"):
            yield from _values(inner, holds=not holds)
        case nodes.Call(node=nodes.Getattr(node=owner), args=[nodes.Const(value=argument)]) if path := _path(owner):
            # A text that customer.city.startswith('Am') holds for begins with Am.
            yield path, [argument, None] if holds else [None, argument]
        case _ if path := _path(node):
            yield path, [True, None, False] if holds else [None, False, True]
        case _:
            for child in node.iter_child_nodes():
                yield from _values(child, holds=holds)


def _compared(op: str, left: nodes.Expr, right: nodes.Expr, *, holds: bool) -> Iterator[tuple[str, list[Any]]]:
    path, other, is_mirrored = _path(left), right, False
    if not path:
        path, other, is_mirrored = _path(right), left, True
    try:
        literal = other.as_const()
    except nodes.Impossible:
        return
    if not path:
        return
    if is_mirrored:
        op = _MIRRORED.get(op, op)
    yield path, _candidates(op if holds else _OPPOSITES.get(op, op), literal)


def _candidates(op: str, literal: Any) -> list[Any]:
    if op in {"in", "notin"}:
        members = [*literal] if isinstance(literal, list | tuple) else [literal]
        return [*members, None] if op == "in" else [*map(_another, members), None, *members]
    if op in _FIRST_TO_TRY:
        return [literal + step for step in _FIRST_TO_TRY[op]] if _is_number(literal) else [literal]
    # No comparison holds for a missing value.
    return [literal, _another(literal), None] if op == "eq" else [_another(literal), None, literal]


def _another(literal: Any) -> Any:
    if isinstance(literal, bool):
        return not literal
    return literal + 1 if _is_number(literal) else f"not {literal}"


def _is_number(literal: Any) -> bool:
    return isinstance(literal, int | float) and not isinstance(literal, bool)


def _path(node: nodes.Node) -> str:
    """Return what a node reads, such as ``customer.tier``, through filters and methods; empty for another node."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr(node=owner, attr=str(name)) | nodes.Getitem(node=owner, arg=nodes.Const(value=str(name))):
            above = _path(owner)
            return f"{above}.{name}" if above else ""
        case nodes.Filter(node=nodes.Expr() as inner) | nodes.Call(node=nodes.Getattr(node=inner), args=[]):
            return _path(inner)
    return ""

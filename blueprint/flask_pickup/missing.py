"""Missing values in templates: they print nothing, raise nothing, and pass no comparison. None is one of them.

To Python None is a value like any other: it differs from ``"gold"``, and as a text it is "None".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, update_wrapper
from types import GeneratorType, NoneType
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import ChainableUndefined, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.filters import make_attrgetter
from jinja2.utils import pass_environment

if TYPE_CHECKING:
    from jinja2 import Environment

MISSING = (Undefined, NoneType)

_OPPOSITE = {"in": "notin", "eq": "ne", "ne": "eq", "lt": "gteq", "lteq": "gt", "gt": "lteq", "gteq": "lt"}
_COMPARING = {
    "in": "in",
    "eq": "eq",
    "equalto": "eq",
    "ne": "ne",
    "lt": "lt",
    "lessthan": "lt",
    "le": "lteq",
    "gt": "gt",
    "greaterthan": "gt",
    "ge": "gteq",
}
_OPPOSITES = {test: _OPPOSITE[operator] for test, operator in _COMPARING.items()}
"""Tests that compare, with their operators."""

_ANSWERING = frozenset({"count", "d", "default", "float", "int", "length", "sum", "tojson", "wordcount"})
"""Filters that have an answer for a missing value: 0, null, or another value."""


class SilentUndefined(ChainableUndefined):
    """A missing value: prints nothing, is falsy, and never raises.

    Its attributes are missing too, every comparison with it is false, and arithmetic with it gives a missing value.
    """

    __slots__ = ()

    def _false(self, _other: object) -> bool:
        return False

    def _missing(self, *_: object, **__: object) -> SilentUndefined:
        return self

    def _no_number(self) -> NoReturn:
        # Jinja's filters int and float catch a TypeError to return their default.
        raise TypeError(self._undefined_message)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _false  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _missing  # type: ignore[assignment]
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _missing  # type: ignore[assignment]
    __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = __round__ = __call__ = _missing  # type: ignore[assignment]
    __int__ = __float__ = __complex__ = __index__ = _no_number

    def __hash__(self) -> int:
        return id(type(self))


def forgive(function: Callable[..., Any], /, *values: Any, **named: Any) -> Any:
    """Call a function; return the missing value among its arguments if it fails for that."""
    try:
        result = function(*values, **named)
    except (TypeError, ValueError, AssertionError):
        missing = (value for value in (*values, *named.values()) if isinstance(value, SilentUndefined))
        if (found := next(missing, None)) is None:
            raise
        return found
    # A generator prints its address in memory.
    return list(result) if isinstance(result, GeneratorType) else result


def forgiving(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that returns a missing value for which it would fail."""
    return update_wrapper(partial(forgive, function), function)


def filter_of(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that returns a missing value as it is: made a text or a list, it would pass ``!=`` and ``not in``.

    Those that count, convert or replace see None as Jinja's missing value.
    """
    # Some are given Jinja's context before the value.
    place = int(hasattr(function, "jinja_pass_arg"))

    def filtered(*values: Any, **named: Any) -> Any:
        value = values[place]
        if not isinstance(value, MISSING):
            return forgive(function, *values, **named)
        if name not in _ANSWERING:
            return value
        return forgive(function, *values[:place], SilentUndefined(), *values[place + 1 :], **named)

    # Jinja reads from a filter's attributes what it has to be given.
    return update_wrapper(filtered, function)


def printed(value: Any) -> str:
    """Return how a template prints a value."""
    return "" if value is None else str(value)


@pass_environment
def join(environment: Environment, value: Iterable[Any], d: Any = "", attribute: str | int | None = None) -> str:
    """Return values side by side, as Jinja's own filter does, which says "None"."""
    found = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    return printed(d).join(map(printed, found))


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:  # noqa: FBT001, FBT002 (Jinja's)
    """Return another value for a missing one; Jinja's own filter keeps None."""
    return default_value if isinstance(value, MISSING) or (boolean and not value) else value


def passes(holds: Callable[[Any, Any], Any], value: Any, other: Any) -> bool:
    """Return whether a comparison of two values holds; false if one of them is missing, also where it is None."""
    is_missing = isinstance(value, MISSING) or isinstance(other, MISSING)
    return not is_missing and bool(holds(value, other))


class Code(CodeGenerator):
    """Compiles comparisons and ``~`` so that a missing value stays one."""

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Write a comparison; one in a row is a comparison of each pair."""
        *before, last = node.ops
        if before:
            pair = nodes.Compare(before[-1].expr, [last])
            self.visit(nodes.And(nodes.Compare(node.expr, before), pair), frame)
        elif last.op in {"eq", "ne"} and nodes.Const(None) in (node.expr, last.expr):
            # "== none" asks whether a value is missing.
            super().visit_Compare(node, frame)
        else:
            self.write(f"environment.passes(lambda one, other: one {operators[last.op]} other, ")
            self.visit(node.expr, frame)
            self.write(", ")
            self.visit(last.expr, frame)
            self.write(")")

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Write a test that compares as a comparison."""
        if comparison := _comparison(node, _COMPARING):
            self.visit(comparison, frame)
        else:
            super().visit_Test(node, frame)

    def visit_Not(self, node: nodes.UnaryExpr, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Write ``is not in`` as ``not in``, and so on: Jinja negates the test, which a missing value would pass."""
        if comparison := _comparison(node.node, _OPPOSITES):
            self.visit(comparison, frame)
        else:
            super().visit_Not(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Write values side by side, each as it is printed."""
        self.write("''.join(map(environment.printed, (")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write(")))")


def _comparison(test: nodes.Node, operators_of: Mapping[str, str]) -> nodes.Compare | None:
    if isinstance(test, nodes.Test) and test.args and test.name in operators_of:
        return nodes.Compare(test.node, [nodes.Operand(operators_of[test.name], test.args[0])])
    return None

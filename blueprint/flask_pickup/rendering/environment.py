"""The environment of all templates: Jinja's sandbox, for text that is spoken and never fails for a missing value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import wraps
from operator import mod
from types import GeneratorType, NoneType
from typing import Any, NoReturn

from jinja2 import ChainableUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE_NAMES = frozenset(
    {"caller", "customer", "customer_raw", "line", "call", "language", "now", "open", "platform"}
)
"""The names that every template sees."""

REFUSED_FILTERS: Mapping[str, str] = {
    "random": "a caller who rings again must hear the same words: make it an experiment with an arm for each",
    "attr": "write customer.name, or customer['name']",
    **dict.fromkeys(("pprint", "striptags", "urlize", "wordwrap", "xmlattr"), "spoken text does not need it"),
}
"""Filters of Jinja that templates do not have, with what to do instead."""

_CLOCK = frozenset({"now", "today", "utcnow"})


def asks_the_clock(kind: type, attribute: str) -> bool:
    """Return whether a method returns the present time: a repeated request must get the same words."""
    return attribute in _CLOCK and issubclass(kind, date)


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


_UNSUITABLE = (TypeError, ValueError, AssertionError)
"""What Python and Jinja raise for a value that a function cannot take."""


def _missing_among(error: Exception, *values: Any) -> SilentUndefined:
    """Return the missing value among a failed function's arguments; without one, raise its error again."""
    for value in values:
        if isinstance(value, SilentUndefined):
            return value
    raise error


def _forgiving(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def forgiving(*values: Any, **named: Any) -> Any:
        try:
            result = function(*values, **named)
            # A generator prints its address in memory.
            return list(result) if isinstance(result, GeneratorType) else result
        except _UNSUITABLE as error:
            return _missing_among(error, *values, *named.values())

    return forgiving


def _tojson(value: Any, indent: int | None = None) -> str:
    # Jinja's own writes "&" as "\\u0026", for a browser; a model reads this.
    def convert(other: Any) -> str | None:
        return None if isinstance(other, Undefined) else str(other)

    return json.dumps(value, default=convert, ensure_ascii=False, indent=indent)


class _Code(CodeGenerator):
    """Compiles ``in`` and ``not in`` to functions: Python negates the first, so a missing value would pass the second."""

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Write a comparison."""
        *before, last = node.ops
        if not any(operand.op in {"in", "notin"} for operand in node.ops):
            super().visit_Compare(node, frame)
        elif before:
            pair = nodes.Compare(before[-1].expr, [last])
            self.visit(nodes.And(nodes.Compare(node.expr, before), pair), frame)
        else:
            self.write("environment.is_in(" if last.op == "in" else "environment.is_not_in(")
            self.visit(node.expr, frame)
            self.write(", ")
            self.visit(last.expr, frame)
            self.write(")")


@contextmanager
def readable() -> Iterator[None]:
    """Turn every error of reading a template into a syntax error of it."""
    try:
        yield
    except (RecursionError, ValueError, SyntaxError, MemoryError, OverflowError) as error:
        raise TemplateSyntaxError("it is nested too deeply, or too large", 1) from error


class Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox for spoken text. A private attribute raises; a missing value never does."""

    code_generator_class = _Code
    intercepted_binops = frozenset({"%"})

    def __init__(self) -> None:
        super().__init__(autoescape=False, undefined=SilentUndefined, auto_reload=False, cache_size=-1, finalize=_print)
        filters: Mapping[str, Any] = {**FILTERS, "tojson": _tojson}
        self.filters = {name: _forgiving(each) for name, each in filters.items() if name not in REFUSED_FILTERS}
        # Jinja's own test compares identities, which never looks at a customer whose look-up failed.
        self.tests |= {"none": lambda value: isinstance(value, NoneType), "in": self.is_in}
        self.binop_table["%"] = _forgiving(mod)
        del self.globals["lipsum"]

    @readable()
    def compile(self, *arguments: Any, **options: Any) -> Any:
        """Compile a template.

        :raises jinja2.TemplateSyntaxError: if it cannot be read, for whatever reason.
        """
        return super().compile(*arguments, **options)

    @readable()
    def parse(self, source: str, name: str | None = None, filename: str | None = None) -> nodes.Template:
        """Parse a template; raises as :meth:`compile` does."""
        return super().parse(source, name, filename)

    @staticmethod
    def is_in(value: Any, values: Any) -> bool:
        """Return ``value in values``; false if one of them is missing."""
        return not isinstance(value, Undefined) and not isinstance(values, Undefined) and value in values

    @staticmethod
    def is_not_in(value: Any, values: Any) -> bool:
        """Return ``value not in values``; false if one of them is missing."""
        return not isinstance(value, Undefined) and not isinstance(values, Undefined) and value not in values

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a record's own key to a method of dictionaries that has the same name."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether templates may read an attribute."""
        return not asks_the_clock(type(obj), attr) and super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:  # noqa: ARG002 (Jinja's)
        """Refuse a private attribute: no template asks for one by mistake."""
        raise SecurityError(f"'{attribute}' is not available in templates")

    def call(self, context: Context, called: Any, /, *values: Any, **named: Any) -> Any:
        """Call a function; one that cannot take a missing value returns a missing one."""
        try:
            return super().call(context, called, *values, **named)
        except _UNSUITABLE as error:
            return _missing_among(error, *values, *named.values())


def _print(value: Any) -> Any:
    return "" if value is None else value

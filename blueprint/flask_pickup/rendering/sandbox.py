"""The environment of all templates: nothing is escaped, nothing missing raises or is said aloud, nothing is endless."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import partial, wraps
from typing import Any, NoReturn

from jinja2 import BaseLoader, ChainableUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from flask_pickup.rendering import guards
from flask_pickup.rendering.budget import TooMuch, allow, charged, check_weight, joined, spend, weigh
from flask_pickup.rendering.metering import MeteredCode, meter

NAMES = frozenset({"caller", "customer", "customer_raw", "line", "call", "language", "now", "open"})
"""What every template can see."""

_REFUSED: Mapping[type, frozenset[str]] = {
    # Filters do the same under guard, or it has no place in speech.
    str: frozenset({"center", "encode", "expandtabs", "format", "format_map", "ljust", "rjust", "translate", "zfill"}),
    int: frozenset({"from_bytes", "to_bytes"}),
    # The same call has to hear the same words: the time is that of its request.
    date: frozenset({"now", "today", "utcnow"}),
}

_MOST_KINDS = 4096


def refused(kind: type, attribute: str) -> bool:
    """Return whether a method of Python's own is kept from templates."""
    return any(issubclass(kind, each) and attribute in names for each, names in _REFUSED.items())


class Silent(ChainableUndefined):
    """What a name stands for that is not there: it prints nothing and decides nothing.

    Its attributes are undefined too, each comparison with it is false, arithmetic with it stays undefined. A caller is
    on the line: no missing value may raise.
    """

    __slots__ = ()

    def _false(self, _other: object) -> bool:
        return False

    def _undefined(self, *_: object, **__: object) -> Silent:
        return self

    def _no_number(self) -> NoReturn:
        # TypeError is what Jinja's int and float filters catch to give their default.
        raise TypeError(self._undefined_message)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _false  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _undefined  # type: ignore[assignment]
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _undefined  # type: ignore[assignment]
    __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = __round__ = __call__ = _undefined  # type: ignore[assignment]
    __int__ = __float__ = __complex__ = __index__ = _no_number

    def __hash__(self) -> int:
        return id(type(self))


def _forgive(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call ``function``; what it cannot do with a missing value among its arguments is missing too."""
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError, AssertionError):
        missing = next((value for value in (*arguments, *options.values()) if isinstance(value, Silent)), None)
        if missing is None:
            raise
        return missing


def _forgiving(function: Callable[..., Any]) -> Callable[..., Any]:
    return wraps(function)(partial(_forgive, function))


class _Namespace(Namespace):
    """Jinja's; what it holds is not printed, which could be itself."""

    def __repr__(self) -> str:
        return ""


def _range(*bounds: int) -> range:
    found = range(*bounds)
    check_weight(len(found))
    return found


def _printed(value: Any) -> Any:
    if type(value) is str or isinstance(value, str | Silent):
        return value
    return "" if value is None else str(charged(value))


class Resolver(BaseLoader):
    """A loader to whom a name means something else in each file."""

    def resolve(self, name: str, parent: str) -> str:
        """Return the file that ``name`` means inside the file ``parent``."""
        raise NotImplementedError


@contextmanager
def readable() -> Iterator[None]:
    """Let whatever keeps a template from being read be a syntax error of it."""
    try:
        yield
    except (RecursionError, ValueError, SyntaxError, MemoryError, OverflowError, TooMuch) as error:
        raise TemplateSyntaxError("it is nested too deeply, or too large", 1) from error


class Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox for text that is spoken.

    Reaching for what is private raises; so does what would take too many steps (:class:`.TooMuch`).
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    code_generator_class = MeteredCode
    concat = staticmethod(joined)
    spend = staticmethod(spend)

    def __init__(self, loader: BaseLoader | None = None) -> None:
        super().__init__(
            autoescape=False, undefined=Silent, loader=loader, auto_reload=False, cache_size=-1, finalize=_printed
        )
        self.filters = {name: _forgiving(function) for name, function in guards.filters().items()}
        self.tests = guards.tests()
        self.globals = {"range": _range, "dict": dict, "cycler": Cycler, "joiner": Joiner, "namespace": _Namespace}
        self._safe: dict[tuple[type, type, str], bool] = {}
        self.binop_table |= {"+": guards.add, "*": guards.multiply, "**": guards.power, "%": guards.modulo}

    def compile(self, source: Any, *arguments: Any, **options: Any) -> Any:
        """Compile a template.

        :raises jinja2.TemplateSyntaxError: if it cannot be read, for whatever reason.
        """
        # Constants are worked out at compile time, under the same limits.
        allow()
        with readable():
            return super().compile(source, *arguments, **options)

    def parse(self, source: str, name: str | None = None, filename: str | None = None) -> nodes.Template:
        """Parse a template.

        :raises jinja2.TemplateSyntaxError: if it cannot be read, for whatever reason.
        """
        with readable():
            return super().parse(source, name, filename)

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        return super()._generate(meter(source), *arguments, **options)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a record's own key over a method of dictionaries that has the same name."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether templates may have an attribute."""
        # It follows from the object's type, which a proxy has two of, and takes longer than all else of an attribute.
        kind = type(obj), obj.__class__, attr
        if (safe := self._safe.get(kind)) is None:
            if len(self._safe) >= _MOST_KINDS:
                self._safe.clear()
            safe = not refused(type(obj), attr) and super().is_safe_attribute(obj, attr, value)
            self._safe[kind] = safe
        return safe

    def wrap_str_format(self, value: Any) -> None:
        """Leave ``str.format`` to :meth:`is_safe_attribute`, which refuses it."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:  # noqa: ARG002 (Jinja's)
        """Refuse what is private: no template gets there by mistake."""
        raise SecurityError(f"'{attribute}' is not for templates")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Let a text with a missing value in its place (``"%d" % customer.visits``) be missing as a whole."""
        return _forgive(super().call_binop, context, operator, left, right)

    def call(self, context: Context, called: Any, /, *values: Any, **named: Any) -> Any:
        """Call what a template calls; what cannot take a missing value gives a missing one."""
        return _forgive(self._call, context, called, *values, **named)

    def _call(self, context: Context, called: Any, /, *values: Any, **named: Any) -> Any:
        for value in values:
            weigh(value)
        if named:
            weigh(named)
        guards.guard_method(called, *values, **named)
        return super().call(context, called, *values, **named)

    def join_path(self, template: str, parent: str) -> str:
        """Resolve ``template`` as the file ``parent`` means it."""
        return self.loader.resolve(template, parent) if isinstance(self.loader, Resolver) else template

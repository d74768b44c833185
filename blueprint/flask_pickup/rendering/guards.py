"""Filters, tests and operators that ask before they make something large."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import wraps
from types import GeneratorType, NoneType
from typing import Any

from jinja2 import pass_context
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.tests import TESTS

from flask_pickup.rendering.budget import (
    CHARACTERS,
    MOST_PRINTED,
    charged,
    check_bits,
    check_length,
    check_weight,
    counted,
    joined,
    spend,
    weigh,
)
from flask_pickup.rendering.metering import CHARGED, COUNTED, JOINED

# --- guards: each gets what an operation gets, and refuses what would come out too large ------------------------------


def guard_format(template: object, *values: Any, **named: Any) -> None:
    """Refuse fields that are wider than anybody speaks, and repeating what is long."""
    text = str(template)
    if re.search(r"%[^a-zA-Z%]*(?:\*|\d{4})", text):
        check_length(float("inf"))
    longest = max((_printed_length(value) for value in (*values, *named.values())), default=0)
    check_length(len(text) + text.count("%") * longest)


def _printed_length(value: Any) -> int:
    return len(value) if isinstance(value, str) else MOST_PRINTED * weigh(value)


def _guard_replace(s: object, old: object = "", new: object = "", count: object = None) -> None:  # noqa: ARG001
    text = str(s)
    check_length(len(text) + text.count(str(old)) * len(str(new)))


def _guard_join(value: Any, d: object = "", attribute: object = None) -> None:  # noqa: ARG001
    if hasattr(value, "__len__"):
        check_length(len(value) * len(str(d)))


def _guard_center(value: object, width: int = 80) -> None:  # noqa: ARG001
    check_length(int(width))


def _guard_indent(s: object, width: int | str = 4, first: bool = False, blank: bool = False) -> None:  # noqa: ARG001, FBT001, FBT002
    lines = str(s).count("\n") + 1
    check_length(lines * (len(width) if isinstance(width, str) else int(width)))


def _guard_batch(value: object, linecount: int, fill_with: object = None) -> None:  # noqa: ARG001
    check_weight(int(linecount))


def _guard_slice(value: object, slices: int, fill_with: object = None) -> None:  # noqa: ARG001
    check_weight(int(slices))


def _guard_round(value: object, precision: int = 0, method: object = "") -> None:  # noqa: ARG001
    check_bits(int(precision) * 4)


def _guard_tojson(value: object, indent: int | None = None) -> None:
    check_length(weigh(value) * int(indent or 0))


_GUARDS: Mapping[str, Callable[..., None]] = {
    "batch": _guard_batch,
    "center": _guard_center,
    "format": guard_format,
    "indent": _guard_indent,
    "join": _guard_join,
    "replace": _guard_replace,
    "round": _guard_round,
    "slice": _guard_slice,
    "tojson": _guard_tojson,
}

_CHEAP = frozenset({"count", "d", "default", "first", "length"})
_NOT_SPOKEN = frozenset({"attr", "pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr"})
_LONG_TESTS = frozenset({"in", "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt",
                         "lessthan", "<=", "le", "lower", "upper"})  # fmt: skip


def filters() -> dict[str, Any]:
    """Return Jinja's filters, metered. Those that make HTML or columns, or draw lots, are left out."""
    kept: Mapping[str, Any] = {n: each for n, each in FILTERS.items() if n not in _NOT_SPOKEN} | {"tojson": _tojson}
    metered = {name: each if name in _CHEAP else _metered(name, each) for name, each in kept.items()}
    own = {COUNTED: counted, JOINED: _in_place(_joined), CHARGED: _in_place(charged)}
    return {**metered, **own}


def _tojson(value: Any, indent: int | None = None) -> str:
    # Jinja's own writes "&" as "\\u0026", for pages that a browser reads.
    return json.dumps(value, default=lambda _: None, ensure_ascii=False, indent=indent)


def _joined(values: list[Any]) -> str:
    return joined([str(value) for value in values])


def tests() -> dict[str, Any]:
    """Return Jinja's tests, metered."""
    known: Mapping[str, Any] = TESTS
    metered = {name: _metered(name, test) if name in _LONG_TESTS else test for name, test in known.items()}
    # Jinja's own asks for the very object, and so never looks at a customer who could not be looked up.
    return {**metered, "none": lambda value: isinstance(value, NoneType)}


def _metered(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    guard = _GUARDS.get(name)
    first = getattr(getattr(function, "jinja_pass_arg", None), "name", "")

    @wraps(function)
    def filtered(context: Context, *values: Any, **named: Any) -> Any:
        for value in (*values, *named.values()):
            weigh(value)
        if guard:
            guard(*values, **named)
        before = _before(first, context)
        result = function(*before, *values, **named)
        return charged(list(result) if isinstance(result, GeneratorType) else result)

    return pass_context(filtered)


def _before(first: str, context: Context) -> tuple[Any, ...]:
    if not first:
        return ()
    return ({"context": context, "eval_context": context.eval_ctx, "environment": context.environment}[first],)


def _in_place(function: Callable[[Any], Any]) -> Callable[..., Any]:
    # A filter that wants the context is not carried out when the template is compiled.
    return pass_context(lambda _, value: function(value))


# --- operators and methods ----------------------------------------------------------------------------------------------


def add(left: Any, right: Any) -> Any:
    """Return ``left + right``."""
    if isinstance(left, str) and isinstance(right, str):
        check_length(len(left) + len(right))
        spend((len(left) + len(right)) // CHARACTERS)
    elif isinstance(left, list | tuple):
        check_weight(weigh(left) + weigh(right))
    return left + right


def multiply(left: Any, right: Any) -> Any:
    """Return ``left * right``."""
    if isinstance(left, int) and isinstance(right, int):
        check_bits(left.bit_length() + right.bit_length())
    _check_repetition(left, right)
    _check_repetition(right, left)
    return left * right


def _check_repetition(value: Any, times: Any) -> None:
    if isinstance(times, int) and isinstance(value, str):
        check_length(len(value) * times)
        spend(len(value) * max(times, 0) // CHARACTERS)
    elif isinstance(times, int) and isinstance(value, list | tuple):
        check_weight(weigh(value) * times)


def power(left: Any, right: Any) -> Any:
    """Return ``left ** right``."""
    if isinstance(left, int) and isinstance(right, int):
        check_bits(left.bit_length() * right)
    return left**right


def modulo(left: Any, right: Any) -> Any:
    """Return ``left % right``, which with a text is formatting."""
    if isinstance(left, str):
        guard_format(left, *(right if isinstance(right, tuple) else (right,)))
    return left % right


def guard_method(method: object, *values: Any, **named: Any) -> None:
    """Pay for a text's or a list's method before it is called, and refuse what it would make too large."""
    owner = getattr(method, "__self__", None)
    if not isinstance(owner, str | list | tuple | range | Mapping):
        return
    weigh(owner)
    guard = _METHODS.get(getattr(method, "__name__", "")) if isinstance(owner, str) else None
    if guard:
        guard(owner, *values, **named)


def _guard_joining(between: str, items: Any) -> None:
    _guard_join(items, between)


_METHODS: Mapping[str, Callable[..., None]] = {"join": _guard_joining, "replace": _guard_replace}

"""Differences as people say them: "at least 2.3 more in a hundred callers"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor, log10
from typing import Protocol

from flask_pickup.catalog.definition import Per
from flask_pickup.translation import format_number, gettext


class Unit(Protocol):
    """What a difference is counted in: a metric, or a plan of one."""

    @property
    def per(self) -> Per:
        """Callers or calls."""

    @property
    def is_proportion(self) -> bool:
        """Whether it is so many in a hundred of them."""


_HUNDREDS = (100, 1_000, 10_000, 100_000)
_DIGITS = 2


def at_least(difference: float, metric: Unit) -> str:
    """Return the size of a difference with its direction, rounded towards nothing: "2.3 more in a hundred callers"."""
    more = gettext("more") if difference > 0 else gettext("fewer") if metric.is_proportion else gettext("less")
    return _amount(abs(difference), metric, more, floor)


def size(amount: float, metric: Unit) -> str:
    """Return an amount that an author wrote, as it is: "5 in a hundred callers"."""
    return _amount(amount, metric, "", round)


def listed(names: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return _listed(names, gettext("and"))


def either(names: Sequence[str]) -> str:
    """Return "a, b or c"."""
    return _listed(names, gettext("or"))


def _listed(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def sentence(text: str) -> str:
    """Return the text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def _amount(amount: float, metric: Unit, more: str, rounding: Callable[[float], int]) -> str:
    if not metric.is_proportion:
        how_many = f"{_number(amount, rounding)} {more}".rstrip()
        return (
            gettext("%(number)s a call", number=how_many)
            if metric.per == "call"
            else gettext("%(number)s a caller", number=how_many)
        )
    base = next((base for base in _HUNDREDS if amount * base >= 1), max(_HUNDREDS))
    how_many = f"{_number(amount * base, rounding)} {more}".rstrip()
    return gettext(
        "%(number)s in %(hundred)s %(callers)s", number=how_many, hundred=_hundred(base), callers=_units(metric)
    )


def _hundred(base: int) -> str:
    names = {
        100: gettext("a hundred"), 1_000: gettext("a thousand"), 10_000: gettext("ten thousand"), 100_000: gettext("a hundred thousand")
    }  # fmt: skip
    return names[base]


def _units(metric: Unit) -> str:
    return gettext("calls") if metric.per == "call" else gettext("callers")


def _number(value: float, rounding: Callable[[float], int]) -> str:
    """Return a positive number to two digits; what was written with more keeps them."""
    if value <= 0:
        return "0"
    digits = 6 if rounding is round else _DIGITS
    step = 10.0 ** (floor(log10(value)) + 1 - digits)
    return format_number(float(f"{rounding(round(value / step, 6)) * step:.10g}"), "#,##0.##########")

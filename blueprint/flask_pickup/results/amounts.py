"""Amounts in words: rates in per cent, their differences in percentage points, means in their own unit."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, log10
from typing import Literal

from flask_pickup.catalog.definition import Per
from flask_pickup.translation import format_number, gettext

_SMALL = (1e-9, 0.1)
"""Between these two decimals say too little of a number; below are the rounding errors of zero."""

Unit = Literal["share", "caller", "call"]
"""Of an amount: a share, or a mean per caller or per call."""
TIMED = "seconds per "
"""Begins the unit of amounts of time, before "caller" or "call"."""


def unit_of(is_proportion: bool, per: Per) -> Unit:  # noqa: FBT001 (a fact of the metric, as its unit)
    """Return the unit of a metric's differences."""
    return "share" if is_proportion else per


def amount(value: float, unit: str) -> str:
    """Return the size of a difference that an author wrote, as it is: "5 pp", "10 per call"."""
    return _with_unit(_number(value, unit, round, digits=6), unit)


def at_least(end: float, unit: str) -> str:
    """Return the end of an interval with its sign, rounded towards zero to two digits: "+3.5 pp"."""
    return _with_unit(_sign(end) + _number(abs(end), unit, floor, digits=2), unit)


def difference(value: float, unit: str) -> str:
    """Return an estimated difference with its sign: "+5.7 pp"."""
    return _with_unit(_signed(value, unit), unit)


def size(value: float, unit: str) -> str:
    """Return the size of an estimated difference: "5.7 pp"."""
    return difference(value, unit).removeprefix("+")


def interval_text(interval: tuple[float, float] | None, unit: str) -> str:
    """Return an interval of a difference, or that there is none yet: "+2.1 to +9.3 pp"."""
    return f"{_signed(interval[0], unit)} to {difference(interval[1], unit)}" if interval else "none yet"


def percent(share: float) -> str:
    """Return a share as a percentage: "31.2 %"."""
    return format_number(share, "0.0 %")


def level(value: float, unit: str) -> str:
    """Return a rate or a mean: "31.2 %", "74.50"."""
    return percent(value) if unit == "share" else decimals(value)


def decimals(value: float | None, pattern: str = "#,##0.00") -> str:
    """Return a number with two decimals, or as one of Babel's patterns has it; a small one with three digits of its own."""
    if value is not None and _SMALL[0] < abs(value) < _SMALL[1]:
        pattern = "+@##;-@##" if "+" in pattern else "@##"
    return format_number(value, pattern)


def _signed(value: float, unit: str) -> str:
    if unit == "share":
        return format_number(100 * value, "+0.0;-0.0")
    return _sign(value) + _number(abs(value), unit, round, digits=4)


def _sign(value: float) -> str:
    return "-" if value < 0 else "+"


def _with_unit(number: str, unit: str) -> str:
    if unit == "share":
        return f"{number} pp"
    if unit.startswith(TIMED):
        number, unit = f"{number} s", unit.removeprefix(TIMED)
    if unit == "call":
        return gettext("%(number)s per call", number=number)
    return gettext("%(number)s per caller", number=number)


def _number(value: float, unit: str, rounding: Callable[[float], int], *, digits: int) -> str:
    value = 100 * value if unit == "share" else value
    if value <= 0:
        return "0"
    step = 10.0 ** (floor(log10(value)) + 1 - digits)
    return format_number(float(f"{rounding(round(value / step, 6)) * step:.10g}"), "#,##0.##########")

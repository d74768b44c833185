"""Clean what templates see: a customer's record for a prompt, and all values for a platform that templates again."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass, replace
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from math import isfinite
from numbers import Integral, Number, Real
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState

LONGEST_TEXT = 500
MOST_VALUES = 1_000
DEEPEST = 5
_BIGGEST = 2**63
_MOST_DIGITS = 18


def record(value: object) -> Mapping[Any, Any] | None:
    """Return the names and values of a mapping, row, named tuple, dataclass or mapped object; None for others.

    Of a mapped object these are its columns: a relationship would query the database.
    """
    if isinstance(value, Mapping):
        return value
    if hasattr(type(value), "_asdict"):
        return value._asdict()  # type: ignore[attr-defined, no-any-return]
    state = inspect(value, raiseerr=False)
    if isinstance(state, InstanceState):
        return {column.key: getattr(value, column.key) for column in state.mapper.column_attrs}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def clean(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a copy of ``values`` for a prompt.

    Texts have at most 500 characters and no control characters, line breaks or invisible characters. Numbers and dates
    stay, an enum becomes its value, records become dictionaries, other collections lists. Dropped are None, numbers
    that are not finite or beyond 64 bits, objects without a text, values below five levels or after a thousand.
    """
    return _Cleaning().mapping(values, 0)


_BRACES = str.maketrans("", "", "{}")


def without_braces(value: Any) -> Any:
    """Return a copy of plain values and frozen dataclasses whose texts and keys have no braces; other objects stay.

    No template can then make a variable or a tag of the platform's own template engine from them.
    """
    # Not isinstance(): a customer who is not known raises whatever is asked.
    kind = type(value)
    if issubclass(kind, str):
        return value.translate(_BRACES)
    if issubclass(kind, Mapping):
        return {without_braces(key): without_braces(child) for key, child in value.items()}
    if issubclass(kind, list):
        return [without_braces(item) for item in value]
    if is_dataclass(kind):
        return replace(value, **{each.name: without_braces(getattr(value, each.name)) for each in fields(kind)})
    return value


class _Cleaning:
    def __init__(self) -> None:
        self._left = MOST_VALUES

    def mapping(self, values: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        return {
            key: cleaned
            for name, value in self._first(values.items())
            if (key := _key(name)) is not None and (cleaned := self._value(value, depth + 1)) is not None
        }

    def _value(self, value: object, depth: int) -> Any:
        """Return a cleaned value; None if it is dropped."""
        self._left -= 1
        if self._left < 0:
            return None
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, bytes | bytearray):
            value = bytes(value[: 4 * LONGEST_TEXT]).decode("utf-8", "replace")
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, bool | date | time | timedelta):
            return value
        return _number(value) if isinstance(value, Number) else self._nested(value, depth)

    def _nested(self, value: object, depth: int) -> Any:
        if value is None or depth >= DEEPEST:
            return None
        if (values := record(value)) is not None:
            return self.mapping(values, depth)
        if isinstance(value, Collection):
            found = [c for item in self._first(value) if (c := self._value(item, depth + 1)) is not None]
            # A set has another order in each process, and a repeated request must get the same words in all of them.
            return sorted(found, key=str) if isinstance(value, AbstractSet) else found
        return None if type(value).__str__ is object.__str__ else _text(str(value))

    def _first(self, items: Iterable[Any]) -> Iterable[Any]:
        return islice(items, max(self._left, 0))


def _key(name: object) -> str | int | None:
    if isinstance(name, Enum):
        name = name.value
    return _text(name) if isinstance(name, str) else name if isinstance(name, int) else None


def _number(value: Number) -> int | float | Decimal | None:
    if isinstance(value, Decimal):
        # It may be money, which is not spoken with an exponent.
        is_short = value.is_finite() and abs(value.adjusted()) <= _MOST_DIGITS
        return Decimal(f"{value:f}") if is_short else None
    if isinstance(value, Integral):
        return int(value) if abs(int(value)) < _BIGGEST else None
    return float(value) if isinstance(value, Real) and isfinite(value) else None


def _text(text: str) -> str:
    return " ".join("".join(map(_kept, text[:LONGEST_TEXT])).split())


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    # Direction marks, zero-width joiners, halves of surrogate pairs: invisible to people, read by a model.
    return "" if category.startswith("C") else character

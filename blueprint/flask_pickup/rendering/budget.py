"""What rendering one answer may use up, in counts: a thread cannot be stopped, so nothing endless may start on it.

A step is a node of a template that is carried out, an item that a filter goes through, or sixteen characters that are
copied. Each takes a fraction of a microsecond, so that a budget is spent in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from threading import local
from typing import Any, TypeVar

T = TypeVar("T")

STEPS = 100_000
"""Steps for an answer."""
EXPRESSION_STEPS = 2_000
"""Steps for an audience, or for the choice of the language."""
LONGEST = 400_000
"""Characters in a text. The largest file fits; what is longer is never spoken."""
HEAVIEST = 10_000
"""Items in a list, those of the lists within it included. Sixteen characters weigh as much as an item."""
MOST_BITS = 1_024
"""Bits in a number."""

CHARACTERS = 16
"""Characters that weigh, and cost, as much as an item."""
MOST_PRINTED = 10 * CHARACTERS
"""Characters that an item prints as at most: Python writes some of them as ten."""


class TooMuch(Exception):
    """A template wants more than an answer may use up; the message says of what."""


class _Left(local):
    steps = STEPS


_left = _Left()


def allow(steps: int = STEPS) -> None:
    """Let what this thread renders from here on take ``steps`` steps."""
    _left.steps = steps


def spend(steps: int) -> None:
    """Take ``steps`` steps from what is left.

    :raises TooMuch: if so many are not left.
    """
    left = _left.steps = _left.steps - steps
    if left < 0:
        raise TooMuch("its loops and calls take too many steps")


def counted(items: Iterable[T]) -> Iterator[T]:
    """Yield ``items``, a step for each."""
    for item in items:
        spend(1)
        yield item


def check_length(characters: float) -> None:
    """Refuse a text of so many characters before it is made."""
    if characters > LONGEST:
        raise TooMuch(f"a text has more than {LONGEST:,} characters")


def check_weight(items: float) -> None:
    """Refuse a list of so many items before it is made."""
    if items > HEAVIEST:
        raise TooMuch(f"a list has more than {HEAVIEST:,} items")


def check_bits(bits: float) -> None:
    """Refuse a number of so many bits before it is made."""
    if bits > MOST_BITS:
        raise TooMuch(f"a number has more than {MOST_BITS:,} bits")


def weigh(value: Any) -> int:
    """Return how many items ``value`` has, itself and those within included, and spend as many steps.

    :raises TooMuch: if it has too many. Lists that are in one another many times are as heavy as when written out.
    """
    if isinstance(value, str):
        check_length(len(value))
        weight = 1 + len(value) // CHARACTERS
    else:
        weight = 1 if value is None or isinstance(value, int | float) else _weight(value)
    spend(weight)
    return weight


def _weight(value: Any) -> int:
    weight = 0
    waiting = [iter((value,))]
    while waiting:
        for item in waiting[-1]:
            weight += 1 + (len(item) // CHARACTERS if isinstance(item, str) else 0)
            check_weight(weight)
            if isinstance(item, Mapping):
                waiting.append(chain(item.keys(), item.values()))
                break
            if isinstance(item, list | tuple | AbstractSet):
                waiting.append(iter(item))
                break
        else:
            waiting.pop()
    return weight + (len(value) if isinstance(value, range) else 0)


def charged(value: T) -> T:
    """Return ``value`` once it is weighed."""
    weigh(value)
    return value


def joined(parts: Iterable[str]) -> str:
    """Return the text that ``parts`` make together."""
    text_parts = list(parts)
    length = sum(map(len, text_parts))
    check_length(length)
    spend(length // CHARACTERS)
    return "".join(text_parts)

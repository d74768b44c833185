"""The ranges in which the experiments of a layer share its callers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from flask_pickup.catalog.toml import is_finite_number


class Range(NamedTuple):
    """A part of a layer: the callers whose place is ``start`` or more, and less than ``end``."""

    start: float = 0.0
    end: float = 1.0

    @classmethod
    def of(cls, value: Any) -> Range | None:
        """Return the range that two numbers from 0 to 1 describe; None for any other value."""
        match value:
            case [start, end] if is_finite_number(start) and is_finite_number(end) and 0 <= start < end <= 1:
                return cls(float(start), float(end))
        return None

    def __str__(self) -> str:
        """As ``experiment.toml`` has it."""
        return str(list(self))

    def overlaps(self, other: Range) -> bool:
        """Return whether a caller can be in both."""
        return max(self.start, other.start) < min(self.end, other.end)


WHOLE = Range()


def free_ranges(taken: Iterable[Range]) -> list[Range]:
    """Return the ranges of a layer that are not taken, in their order."""
    free, at = [], 0.0
    for start, end in sorted(taken):
        if at < start:
            free.append(Range(at, start))
        at = max(at, end)
    return [*free, Range(at, 1.0)] if at < 1 else free

"""Plots as shares of their height and width, for the templates, which write them as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, floor, log10
from typing import Any

from flask_pickup.catalog import CONTROL

_Json = Mapping[str, Any]

_LEAST_APART = 0.3
"""The share of a plot's width between two labels below it, so that they do not touch on a phone."""


@dataclass(frozen=True)
class Axis:
    """A vertical axis.

    :param ticks: round values from bottom to top, the axis's ends among them.
    """

    ticks: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Axis:
        """Return an axis with room for values and for zero, with three to six ticks."""
        low, high = min(0.0, *values), max(0.0, *values)
        rough = (high - low or 1) / 4
        power = 10 ** floor(log10(rough))
        step = power * next(each for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
        return cls(tuple(each * step for each in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1)))

    def at(self, value: float) -> float:
        """Return how far below the top a value is, in per cent of the height."""
        low, high = self.ticks[0], self.ticks[-1]
        return 100 * (high - value) / (high - low)


@dataclass(frozen=True)
class OverTime:
    """An arm's difference from control at the weekly looks.

    :param points: x and y of the difference, in per cent; of the looks that know it.
    :param band: the corners of the interval, around.
    :param labels: x in per cent, and the day that belongs there.
    """

    arm: str
    axis: Axis
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...]
    labels: tuple[tuple[float, str], ...]


def over_time(looks: Sequence[_Json], arms: Sequence[str]) -> Iterator[OverTime]:
    """Yield a plot for each arm of which two looks or more have an interval, all with one axis.

    :param looks: the ``narrowing`` of :class:`~flask_pickup.results.details.ExperimentDetails`.
    """
    looks = [look for look in looks if look["against"] == CONTROL]
    if not looks:
        return
    axis = Axis.of([look[end] for look in looks for end in ("low", "high")])
    for arm in arms:
        rows = [look for look in looks if look["arm"] == arm]
        if len(rows) > 1:
            xs = [100 * index / (len(rows) - 1) for index in range(len(rows))]
            placed = list(zip(xs, rows, strict=True))
            upper = [(x, axis.at(row["high"])) for x, row in placed]
            lower = [(x, axis.at(row["low"])) for x, row in placed]
            points = tuple((x, axis.at(row["difference"])) for x, row in placed)
            days = [(x, row["until"]) for x, row in placed]
            yield OverTime(arm, axis, points, (*upper, *reversed(lower)), tuple(_spread(days)))


@dataclass(frozen=True)
class Bars:
    """New callers a day, the arms on top of each other.

    :param bars: index of the arm, then x, y, width and height, in per cent.
    :param labels: x in per cent, and the day that belongs there.
    """

    axis: Axis
    bars: tuple[tuple[int, float, float, float, float], ...]
    labels: tuple[tuple[float, str], ...]


def bars_by_day(days: Mapping[str, Mapping[str, int]], arms: Sequence[str]) -> Bars | None:
    """Return the new callers of each day; None of fewer than two days.

    :param days: day to arm to callers; a day without callers is absent.
    """
    if len(days) < 2:  # noqa: PLR2004 (of one day the arms' own counts say all)
        return None
    shown = _every_day(sorted(days))
    axis, width = Axis.of([sum(counts.values()) for counts in days.values()]), 100 / len(shown)
    bars = []
    for place, day in enumerate(shown):
        below = 0
        for index, arm in enumerate(arms):
            if count := days.get(day, {}).get(arm, 0):
                top = axis.at(below + count)
                bars.append((index, place * width, top, width, axis.at(below) - top))
                below += count
    labels = [((place + 0.5) * width, day) for place, day in enumerate(shown)]
    return Bars(axis, tuple(bars), tuple(_spread(labels)))


def _every_day(days: Sequence[str]) -> Sequence[str]:
    first, last = (date.fromisoformat(day) for day in (days[0], days[-1]))
    return [(first + timedelta(days=index)).isoformat() for index in range((last - first).days + 1)]


def _spread(labels: Sequence[tuple[float, str]]) -> Sequence[tuple[float, str]]:
    """Return as many of the labels as have room, from the first on, with as many days between each two."""
    return labels[:: max(1, ceil(_LEAST_APART * (len(labels) - 1)))]

"""What the rows come to: everything that the statistics need of the data, a few numbers an arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flask_pickup.results.model import ArmCounts, Coverage, Finding


@dataclass(frozen=True)
class Sums:
    """One arm's sufficient statistics of one metric, over pairs (s, d), one pair a caller.

    s is the sum of the caller's values; d is the number of their calls that count (``per = "call"``) or 1
    (``per = "caller"``). What is summed is the shifted x = s less centre times d: sums of squares of large values would
    lose their digits. The metric is the ratio centre + Σx/Σd: one form serves both units.

    :param callers: those who have a pair.
    :param calls: those that count.
    :param missing: calls (per call) or callers (per caller) left out for want of a value.
    :param asked: callers who could have had a value; those for whom ``within`` has not passed wait and are not asked.
    :param incomplete: callers of whom something is left out.
    :param centre: a rounded number near the mean; 0 for proportions.
    :param s: Σx
    :param d: Σd
    :param ss: Σx²
    :param dd: Σd²
    :param sd: Σxd
    :param is_proportion: whether each value is 0 or 1.
    """

    callers: int
    calls: int
    s: float
    d: float
    ss: float
    dd: float
    sd: float
    centre: float = 0.0
    is_proportion: bool = False
    missing: int = 0
    asked: int = 0
    incomplete: int = 0

    def __add__(self, other: Sums) -> Sums:
        """Return the sums of both together.

        :raises ValueError: if the centres differ.
        """
        if self.centre != other.centre:
            raise ValueError("Sums about two centres cannot be added.")
        return Sums(
            callers=self.callers + other.callers,
            calls=self.calls + other.calls,
            s=self.s + other.s,
            d=self.d + other.d,
            ss=self.ss + other.ss,
            dd=self.dd + other.dd,
            sd=self.sd + other.sd,
            centre=self.centre,
            is_proportion=self.is_proportion and other.is_proportion,
            missing=self.missing + other.missing,
            asked=self.asked + other.asked,
            incomplete=self.incomplete + other.incomplete,
        )


EMPTY = Sums(callers=0, calls=0, s=0.0, d=0.0, ss=0.0, dd=0.0, sd=0.0)


@dataclass(frozen=True)
class Tally:
    """One period's rows, up to a moment.

    :param number: the period's, from 1.
    :param since: the period's first assignment; None where there is none.
    :param until: the moment up to which calls count.
    :param arms: in the order of the definition.
    :param metrics: metric to arm to its sums; an arm without a caller may be absent.
    :param calls_per_caller: arm to the sums with s the caller's calls and d 1.
    :param reports: arm to the sums with s the caller's calls without a report and d their calls of which one should be
        here by now.
    :param new_callers_a_week: those enrolled in the last four weeks, or since the start, a week; None if it is not known.
    :param coverage: how much of the line the result is about.
    :param warnings: what was found while counting; the statistics add theirs.
    """

    number: int
    since: datetime | None
    until: datetime
    arms: tuple[ArmCounts, ...]
    metrics: Mapping[str, Mapping[str, Sums]]
    calls_per_caller: Mapping[str, Sums] = field(default_factory=dict)
    reports: Mapping[str, Sums] = field(default_factory=dict)
    new_callers_a_week: float | None = None
    coverage: Coverage | None = None
    warnings: tuple[Finding, ...] = ()
